"""Scores of forecast rows in raw units: per series, by horizon step, and overall.

The errors themselves are utilsforecast's. Its means skip missing values silently, so rows are checked here first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from daycast.core import intervals
from daycast.core.forecast import quantile_columns, unusable
from daycast.core.frame import Float, Panel
from daycast.errors import DataError, OutputError

BANDS = ("pinball", "crps", "coverage_80", "width_80", "coverage_95", "width_95")
METRICS = ("mae", "rmse", "mape", "smape", "mase", *BANDS, "bias")
RANKABLE = ("mae", "rmse", "mape", "smape", "mase", "pinball", "crps")
"""Those of which less is better; coverage has a target (0.8), a width is worth nothing without it, bias has a sign."""


@dataclass(frozen=True)
class Scores:
    """What a set of forecasts scored.

    In units of y: ``mae``, ``rmse``, ``bias`` (mean of y_hat - y: above 0 is too high). Fractions, not percent:
    ``mape`` (mean of |y - y_hat| / |y|, rows with y = 0 left out), ``smape`` (mean of |y - y_hat| / (|y| + |y_hat|), so
    0 to 1). ``mase`` is the MAE over the series' own scale, see ``scales``. Of rows with quantiles, also what
    ``core.intervals.scores`` has; rows in which they are missing are left out of that. A metric that a series has no
    value for is NaN there and left out of the means.

    Attributes:
        overall: metric → mean over series of the series' own values, so that each series counts once.
        by_step: ``step`` and a column per metric, each the mean over series of their values at that step.
        by_series: ``unique_id`` and a column per metric, over all cutoffs and steps.
        n_rows: rows scored.
        n_missing: rows left out because nothing was observed.
    """

    overall: dict[str, float]
    by_step: pd.DataFrame
    by_series: pd.DataFrame
    n_rows: int
    n_missing: int


def scales(history: Panel, season_length: int) -> Float:
    """In-sample MAE ``(N,)`` of the seasonal naive forecast, in units of y: what MASE divides by.

    Pairs with a missing end are left out; NaN for a series without a whole pair.

    Args:
        history: what a model is fitted on, ending at the fit's cutoff.
        season_length: steps between the two values of a pair.
    """
    error = np.abs(history.y[:, season_length:] - history.y[:, :-season_length])
    seen = np.isfinite(error)
    count = seen.sum(axis=1)
    return np.where(count > 0, np.where(seen, error, 0.0).sum(axis=1) / np.maximum(count, 1), np.nan)


def score(rows: pd.DataFrame, scales: Mapping[str, float]) -> Scores:
    """Score forecast rows.

    Args:
        rows: ``unique_id, cutoff, ds, step, y_hat, y`` and maybe quantiles ``q0.1`` …, in raw units.
        scales: series → the scale of its MASE, in units of y; where it is 0 or NaN the series' MASE is NaN.

    Raises:
        DataError: nothing was observed, or a series has no entry in ``scales``.
        OutputError: a forecast of an observed value is missing or infinite, or has some of its quantiles only.
    """
    levels = quantile_columns(rows)
    missing = rows["y"].isna()
    seen = rows.loc[~missing, ["unique_id", "ds", "step", "y", "y_hat", *levels]]
    if seen.empty:
        raise DataError("observed values to score against", f"none in {len(rows)} rows", "wait for newer data")
    bad = unusable(seen)
    if bad.any():
        first = seen.loc[bad].iloc[0]
        raise OutputError(
            "a finite forecast for each observed value",
            f"{int(bad.sum())} that are not, first {first['unique_id']} at {first['ds']}",
            "look at how the model treats missing or extreme history",
        )
    unknown = sorted(set(seen["unique_id"].unique()) - set(scales))
    if unknown:
        raise DataError("a scale for every series", f"none for {unknown[:5]}", "take `scales` of the whole history")
    by_series = _metrics(seen, ["unique_id"], levels, scales)
    by_step = _metrics(seen, ["step", "unique_id"], levels, scales).drop(columns="unique_id")
    overall = {str(name): float(value) for name, value in by_series.drop(columns="unique_id").mean().items()}
    return Scores(overall, by_step.groupby("step", as_index=False).mean(), by_series, len(seen), int(missing.sum()))


def by_origin(rows: pd.DataFrame, scales: Mapping[str, float], metric: str) -> tuple[Float, Float]:
    """A metric's losses by origin and series, both ascending: their sums, and of how many rows, ``(O, N)`` each.

    Sums over all origins, divided by the counts, are the series' own values as ``score`` has them; of ``rmse`` their
    squares. What has no loss is not counted: rows without ``y``, with ``y`` = 0 in ``mape`` or without quantiles in
    ``pinball`` and ``crps``, and in ``mase`` series without a scale.

    Args:
        rows: as ``score`` takes them.
        scales: series → the scale of its MASE, in units of y.
        metric: one of ``RANKABLE`` that the rows have a value for.
    """
    keys = ["cutoff", "unique_id"]
    levels = quantile_columns(rows) if metric in BANDS else []
    losing = rows.dropna(subset=["y", *levels])
    losing = losing[losing["y"] != 0] if metric == "mape" else losing
    mean = _metrics(losing, keys, levels, scales).set_index(keys)[metric].dropna()
    mean = mean**2 if metric == "rmse" else mean
    count = losing.groupby(keys).size().loc[mean.index]
    cells = pd.MultiIndex.from_product([pd.Index(np.unique(rows[key])) for key in keys], names=keys)

    total, counts = (
        part.reindex(cells, fill_value=0).unstack().to_numpy(dtype=np.float64) for part in (mean * count, count)
    )
    return total, counts


def _metrics(rows: pd.DataFrame, keys: list[str], levels: list[str], scales: Mapping[str, float]) -> pd.DataFrame:
    """``keys`` and a column per metric, one row per group, sorted by ``keys``."""
    from utilsforecast import losses

    codes, names = pd.factorize(rows["unique_id"], sort=True)
    rows = rows.assign(unique_id=codes)  # numbers group faster than text
    scale = np.asarray([scales[name] for name in names], dtype=np.float64)
    scale[~(scale > 0)] = np.nan
    group = {"id_col": "unique_id", "cutoff_col": keys[0]} if len(keys) > 1 else {"id_col": "unique_id"}

    def column(loss: pd.DataFrame) -> pd.Series[float]:
        return loss.set_index(keys)["y_hat"]

    plain = {name: column(getattr(losses, name)(rows, ["y_hat"], **group)) for name in ("mae", "rmse", "mape", "smape")}
    out = pd.DataFrame(plain)
    out["mase"] = out["mae"] / scale[out.index.get_level_values("unique_id")]
    if levels:
        out = out.join(intervals.scores(rows.dropna(subset=levels), keys))
    out["bias"] = column(losses.bias(rows, ["y_hat"], **group))
    out = out.reset_index()
    return out.assign(unique_id=names.to_numpy()[out["unique_id"]])
