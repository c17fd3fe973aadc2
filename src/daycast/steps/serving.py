"""A fitted forecaster behind a plain table: what a registered version runs, with no training code loaded.

Input, the canonical long frame: ``unique_id`` (text), ``ds`` (time), ``y`` (float64, raw units; NaN where there is no
observation), and the dataset's covariates as they stand in that frame. Rows after the last observed ``y`` say what is
known of the future. Output: ``unique_id, cutoff, ds, step, y_hat`` and a column per quantile, raw units.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from daycast.core import conformal, quantiles, split, until
from daycast.core import forecast as forecasts
from daycast.core.forecast import Forecaster, Origin
from daycast.core.frame import KEYS, FrameSpec, Table, table
from daycast.errors import DataError, HistoryError, OutputError


@dataclass(frozen=True)
class Served:
    """A forecaster and what it needs to read and write tables.

    Attributes:
        ids: the series it was fitted on, sorted.
        offsets: quantile offsets as ``core.forecast.band`` takes them, or ``None`` for point forecasts alone.
        headed: whether they are of the forecaster's own quantiles, as ``core.conformal.calibrated`` takes them.
    """

    forecaster: Forecaster
    spec: FrameSpec
    ids: tuple[str, ...]
    offsets: pd.DataFrame | None
    headed: bool = False


def write(
    file: Path, spec: FrameSpec, ids: tuple[str, ...], offsets: pd.DataFrame | None, *, headed: bool = False
) -> Path:
    """Write everything of ``Served`` but the forecaster as JSON, and return the file."""
    told: dict[str, Any] = {"spec": asdict(spec), "ids": ids, "offsets": None, "headed": headed}
    if offsets is not None:
        told["offsets"] = offsets.reset_index().to_dict(orient="list")
    file.write_text(json.dumps(told, indent=1), encoding="utf-8")
    return file


def read(forecaster: Path, told: Path) -> Served:
    """Read a forecaster's folder (``models.save``) and the file of ``write``. Raises ``ModelError`` if it can't."""
    from daycast import models

    values = json.loads(told.read_text(encoding="utf-8"))
    offsets = values["offsets"]
    return Served(
        models.load(forecaster),
        _spec(values["spec"]),
        tuple(values["ids"]),
        None if offsets is None else pd.DataFrame(offsets).set_index(["unique_id", "step"]),
        values.get("headed", False),  # versions from before there was such a thing have bands around the point
    )


def of_version(folder: Path) -> Served:
    """What a registered version's files hold, as its code has them. Raises ``ModelError`` if they can't be read."""
    return read(folder / "artifacts" / "model", folder / "artifacts" / "serving.json")


def inputs(frame: pd.DataFrame, spec: FrameSpec, cutoff: pd.Timestamp, horizon: int) -> pd.DataFrame:
    """The input for a forecast at ``cutoff``, from a canonical frame that may hold more: nothing later than the cutoff
    but what is known ahead of ``horizon`` timestamps."""
    end = cutoff + horizon * pd.tseries.frequencies.to_offset(spec.freq)
    shared = {**spec.known, **spec.static}
    kinds = {c: "float64" if levels is None else "str" for c, levels in shared.items()}
    kinds |= {"unique_id": "str", "y": "float64", **dict.fromkeys(spec.past, "float64")}
    rows = frame.loc[frame["ds"] <= end, [*KEYS, "y", *spec.known, *spec.past, *spec.static]]
    rows = rows.reset_index(drop=True).astype(kinds)
    later = rows["ds"] > cutoff
    rows.loc[later, ["y", *spec.past]] = np.nan
    for column in spec.held:
        rows.loc[later, column] = rows.loc[rows["ds"] == cutoff, column].iloc[0]
    return rows


def forecast(served: Served, frame: pd.DataFrame, horizon: int) -> pd.DataFrame:
    """Forecast ``horizon`` steps after the last observed ``y`` of any series.

    Raises:
        DataError: the frame is not a canonical frame of this dataset, lacks values that the forecaster needs, or has
            other series and the forecaster can't take them.
        HistoryError: too little history, or too few known rows after it.
        OutputError: the forecast breaks its contract.
    """
    known = _table(served, frame)
    try:
        return from_table(served, known, horizon)
    except OutputError as error:
        gaps = [n for n, v in (("past", known.panel.past), ("static", known.panel.static)) if np.isnan(v).any()]
        if not gaps:
            raise
        raise DataError(
            f"a value of every {' and '.join(gaps)} covariate", f"missing ones, so that {error.found}", "fill them in"
        ) from error


def from_table(served: Served, known: Table, horizon: int) -> pd.DataFrame:
    """As ``forecast``, of a table of the served spec, which may be larger than memory."""
    panel = known.panel
    if panel.ids != served.ids and not served.forecaster.takes_new_series:
        raise DataError(
            f"the {len(served.ids)} series the model was fitted on, {list(served.ids[:5])} …",
            f"{len(panel.ids)} series, {list(panel.ids[:5])} …",
            "give every one of them and no other, train on the new set of series, or take a global model",
        )
    if len(panel.ds) < served.forecaster.min_history:
        raise HistoryError(
            f"at least {served.forecaster.min_history} timestamps up to the last observed y",
            f"{len(panel.ds)}, {panel.ds[0].date()} .. {panel.cutoff.date()}",
            "give more history",
        )
    if not 1 <= horizon <= len(known.beyond.ds):
        raise HistoryError(
            f"a horizon of at least 1, and a row of every one of its timestamps after {panel.cutoff.date()}",
            f"horizon {horizon} with {len(known.beyond.ds)} timestamps after it",
            "append rows of the future (calendar.future_steps in conf/dataset/), or shorten the horizon",
        )
    return forecasts.check(
        _issued(served, [Origin(panel, known.future(panel.cutoff, horizon))]),
        len(panel.ids) * horizon,
        served.spec.floor,
    )


def at(served: Served, whole: Table, cutoffs: Sequence[pd.Timestamp], horizon: int) -> pd.DataFrame:
    """As ``from_table`` of the data as they stood at each cutoff, all at once where that is the same.

    Args:
        whole: a table of the served spec that goes on beyond the cutoffs; nothing after a cutoff has a say in its rows.
        cutoffs: ascending timestamps with an observation.

    Raises:
        As ``from_table``; ``HistoryError`` also of a cutoff without an observation.
    """
    panel = whole.panel
    first, *_ = cutoffs
    begun = np.isfinite(panel.until(first).y).any(axis=1).all()
    if not begun or panel.ids != served.ids or len(panel.until(first).ds) < served.forecaster.min_history:
        return pd.concat([from_table(served, until.upto(whole, c), horizon) for c in cutoffs], ignore_index=True)
    origins = split.origins(whole, pd.DatetimeIndex(cutoffs), horizon)
    return forecasts.check(_issued(served, origins), len(origins) * len(panel.ids) * horizon, served.spec.floor)


def _issued(served: Served, origins: Sequence[Origin]) -> pd.DataFrame:
    """Rows of some origins with the quantiles that they are issued with."""
    rows = forecasts.rows(forecasts.predict(served.forecaster, origins), origins)
    floor = served.spec.floor
    if served.offsets is None:
        return rows
    if not served.headed:
        return forecasts.band(rows, served.offsets, floor)
    levels = [float(name[1:]) for name in forecasts.quantile_columns(served.offsets)]
    steps = int(served.offsets.index.get_level_values("step").max())
    own = quantiles.learned(served.forecaster, origins, levels, steps)
    return conformal.calibrated(quantiles.beside(rows, own, levels), served.offsets, floor)


def _table(served: Served, frame: pd.DataFrame) -> Table:
    spec = served.spec
    missing = [c for c in (*KEYS, "y", *spec.known, *spec.past, *spec.static) if c not in frame.columns]
    if missing:
        raise DataError(
            f"the columns of the canonical frame, {missing} among them", f"{list(frame.columns)}", "add them"
        )
    _check_values(frame)
    twice = frame.duplicated(list(KEYS))
    if twice.any():
        first = frame.loc[twice].iloc[0]
        raise DataError("one row per series and timestamp", f"two of {first['unique_id']} at {first['ds']}", "drop one")
    grid = pd.date_range(frame["ds"].min(), frame["ds"].max(), freq=spec.freq)
    off = ~frame["ds"].isin(grid)
    if off.any():
        raise DataError(
            f"timestamps at freq {spec.freq} from {frame['ds'].min()}", f"{frame.loc[off, 'ds'].iloc[0]}", "move it"
        )
    _check_shared(frame, list(spec.known))
    result = table(frame, spec)
    if not (np.isfinite(result.panel.known).all() and np.isfinite(result.beyond.known).all()):
        raise DataError(
            f"a finite value of {[c for c, v in spec.known.items() if v is None]} at every timestamp",
            "a missing one",
            "fill it in: known covariates are known, of the past and of the future",
        )
    return result


def _check_values(frame: pd.DataFrame) -> None:
    """Raise ``DataError`` on names, times and values of a request that no canonical frame has."""
    if not pd.api.types.is_datetime64_dtype(frame["ds"].dtype):
        raise DataError("ds to be times without a time zone", str(frame["ds"].dtype), "give local times, ISO 8601")
    if len(void := [c for c in KEYS if frame[c].isna().any()]):
        raise DataError(
            "a series and a timestamp in every row", f"rows without {void}", "fill them in, or drop the rows"
        )
    y = frame["y"].to_numpy(dtype=np.float64)
    if np.isinf(y).any():
        raise DataError("y to be finite or missing", "an infinite value", "leave out what was not observed")
    unseen = sorted(set(frame["unique_id"]) - set(frame.loc[np.isfinite(y), "unique_id"]))
    if unseen:
        raise DataError(
            "at least one observed value of y in every series",
            f"none of {len(unseen)} series, {unseen[:5]}",
            "give their history, or leave these series out",
        )


def _check_shared(frame: pd.DataFrame, known: list[str]) -> None:
    """Raise ``DataError`` where known covariates differ between the series: they are of the timestamp."""
    one = frame.drop_duplicates("ds").set_index("ds")[known].loc[frame["ds"]].reset_index(drop=True)
    each = frame[known].reset_index(drop=True)
    differ = ((each != one) & ~(each.isna() & one.isna())).to_numpy()
    if differ.any():
        row, column = np.argwhere(differ)[0]
        at = frame.iloc[row]
        raise DataError(
            f"the same {known[column]} for all series at {at['ds']}",
            f"{one.iat[row, column]} and, for {at['unique_id']}, {each.iat[row, column]}",
            "known covariates are shared: give each series the same",
        )


def _spec(values: Mapping[str, Any]) -> FrameSpec:
    def levels(columns: Mapping[str, Any]) -> dict[str, tuple[str, ...] | None]:
        return {c: None if v is None else tuple(v) for c, v in columns.items()}

    return FrameSpec(
        **{
            **values,
            "known": levels(values["known"]),
            "static": levels(values["static"]),
            "past": tuple(values["past"]),
            "held": tuple(values["held"]),
        }
    )
