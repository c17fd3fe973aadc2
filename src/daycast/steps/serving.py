"""A fitted forecaster behind a plain table: what a registered version runs, with no training code loaded.

Input, the canonical long frame: ``unique_id`` (text), ``ds`` (time), ``y`` (float64, raw units; NaN where there is no
observation), and the dataset's covariates as they stand in that frame. Rows after the last observed ``y`` say what is
known of the future. Output: ``unique_id, cutoff, ds, step, y_hat`` and a column per quantile, raw units.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from daycast.adapters import registry
from daycast.core import conformal, quantiles, split, until
from daycast.core import forecast as forecasts
from daycast.core.forecast import Forecaster, Origin
from daycast.core.frame import KEYS, FrameSpec, Table
from daycast.errors import DataError, HistoryError, ModelError
from daycast.steps import request


@dataclass(frozen=True)
class Served:
    """A forecaster and what it needs to read and write tables.

    Attributes:
        ids: the series it was fitted on, sorted.
        offsets: quantile offsets as ``core.forecast.band`` takes them, or ``None`` for point forecasts alone.
        headed: whether they are of the forecaster's own quantiles, as ``core.conformal.calibrated`` takes them.
        folder: the version's files; of what is no version yet, ``None`` or a folder without an example.
    """

    forecaster: Forecaster
    spec: FrameSpec
    ids: tuple[str, ...]
    offsets: pd.DataFrame | None
    headed: bool = False
    folder: Path | None = None

    @cached_property
    def example(self) -> registry.Example | None:
        """What the version forecast when it was made; ``None`` if it keeps none, as those from before there was one."""
        try:
            return None if self.folder is None else registry.stored(self.folder)
        except ModelError:
            return None


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
        told.absolute().parents[1],  # MLflow keeps both in the version's folder `artifacts`
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


def forecast(served: Served, frame: pd.DataFrame, horizon: int | None) -> pd.DataFrame:
    """Forecast ``horizon`` steps after the last observed ``y`` of any series, of a request's table.

    Raises:
        DataError: the frame is not a canonical frame of this dataset, lacks values that the forecaster needs, holds
            some that it can't forecast from, or has other series and the forecaster can't take them; or no horizon.
        HistoryError: too little history, or too few known rows after it.
        ModelError: the forecaster fails, and of its version's example too.
    """
    if horizon is None:
        raise DataError("a horizon of at least 1", "null", "give a number, or leave horizon out for the version's own")
    known = request.table(frame, served.spec, None if served.example is None else served.example.inputs)
    try:
        return from_table(served, known, horizon)
    except ModelError as error:
        if np.isnan(known.panel.past).any():
            raise DataError(
                "a value of every past covariate", f"missing ones, so that {error.found}", "fill them in"
            ) from error
        if served.example is None or not _forecasts(served, served.example):
            raise
        raise request.blamed(error, frame, served.example.inputs) from error


def _forecasts(served: Served, example: registry.Example) -> bool:
    """Whether the forecaster is sound: of the values that it was proven with, it makes a forecast."""
    try:
        from_table(served, request.table(example.inputs, served.spec), example.horizon)
    except ModelError:
        return False
    return True


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
