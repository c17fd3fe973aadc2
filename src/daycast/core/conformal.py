"""Split conformal quantiles: from what a forecaster missed by on validation rows to quantiles of what will come.

A quantile's offset is an order statistic of n residuals in raw units, the floor((n + 1) q)-th smallest below the median
and the ceil((n + 1) q)-th above it. If the next residual is exchangeable with those, y lies below the lower quantile
with a probability of at most q, and not above the upper one with at least q, whatever the distribution and n (Vovk et
al. 2005; Lei et al. 2018, https://arxiv.org/abs/1604.04173). Each tail stands alone, so that skewed errors get skewed
bands. Errors that change with time break the premise: ``core.adaptive`` follows them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from daycast.core.forecast import LEAST, quantile_columns, units
from daycast.core.frame import Float
from daycast.errors import ModelError

LEVELS = (0.025, 0.1, 0.5, 0.9, 0.975)
"""The ends of the 95 % and the 80 % interval, and the median."""
ENOUGH = 20
"""Residuals from which a step has quantiles of its own, however few its levels need."""
SHARE = 0.1
"""Of a series' mean forecast: below it, residuals are relative to this share of the mean and not to the forecast."""

Scale = Literal["additive", "relative"]


def offsets(rows: pd.DataFrame, levels: Sequence[float] = LEVELS, scale: Scale = "additive") -> pd.DataFrame:
    """What ``core.forecast.band`` adds to point forecasts, per series and step.

    A (series, step) with at least ``ENOUGH`` residuals, and as many as its outermost level needs (39 for 0.025), has
    its own. The others take those of all residuals of their series, whatever the step: rather the width of an average
    step than a guess. A series that has too few for a level even so has no offsets at all, NaN at every level.

    Args:
        rows: ``unique_id, step, y_hat, y`` in raw units, out of sample; rows without an actual count for nothing.
        levels: quantile levels in (0, 1).
        scale: ``additive``: residuals are y − y_hat, and a band is as wide on every day. ``relative``: they are divided
            by the size of the forecast, so that a Sunday's band is narrower than a Monday's; only for series whose
            errors grow in proportion to their level.

    Returns:
        Indexed by (``unique_id``, ``step``) for every pair in ``rows``, a column ``q0.025`` … per level, ascending, in
        units of y. With ``relative`` in shares of the forecast's size, and with the column ``least`` (the least size
        that counts, in units of y) by which ``band`` knows.

    Raises:
        ModelError: a level is outside (0, 1) or given twice.
    """
    ordered = checked(levels)
    least = least_size(rows) if scale == "relative" else None
    residual = rows["y"] - rows["y_hat"]
    if least is not None:
        residual /= units(rows["y_hat"], rows["unique_id"].map(least))
    made = _by_step(rows, residual.to_numpy(np.float64)[:, None], ordered)
    return made if least is None else made.assign(**{LEAST: least.reindex(made.index, level="unique_id")})


def head_offsets(rows: pd.DataFrame) -> pd.DataFrame:
    """What ``calibrated`` adds to quantiles that a forecaster predicts: conformalised quantile regression.

    Each level's residual is y minus that level's own quantile, each tail alone (Romano et al. 2019, theorem 2,
    https://arxiv.org/abs/1905.03222). The rule for few residuals is that of ``offsets``.

    Args:
        rows: ``unique_id, step, y`` and the predicted quantiles ``q0.025`` …, in raw units, out of sample.

    Returns:
        As of ``offsets``, in units of y. A row need not ascend: the predicted quantiles are what it is added to.

    Raises:
        ModelError: there are no quantiles.
    """
    names = quantile_columns(rows)
    residual = rows["y"].to_numpy(np.float64)[:, None] - rows[names].to_numpy(np.float64)
    return _by_step(rows, residual, checked([float(name[1:]) for name in names]))


def calibrated(forecasts: pd.DataFrame, offsets: pd.DataFrame, floor: float | None = None) -> pd.DataFrame:
    """Forecast rows with the quantiles they carry moved by ``head_offsets``, as ``shifted``.

    Quantiles of a series or step without offsets become missing, as those of ``core.forecast.band``.
    """
    spread = offsets.reindex(pd.MultiIndex.from_arrays([forecasts["unique_id"], forecasts["step"]]))
    return shifted(forecasts, spread[quantile_columns(forecasts)].to_numpy(np.float64), floor)


def shifted(forecasts: pd.DataFrame, by: Float, floor: float | None = None) -> pd.DataFrame:
    """Forecast rows with the quantiles they carry moved ``by (R, Q)``, in units of y, held at ``floor``, uncrossed."""
    names = quantile_columns(forecasts)
    values = forecasts[names].to_numpy(np.float64) + by
    values = values if floor is None else np.maximum(values, floor)
    return uncrossed(forecasts.assign(**dict(zip(names, values.T, strict=True))))


def uncrossed(forecasts: pd.DataFrame) -> pd.DataFrame:
    """Forecast rows with their quantiles sorted along the levels (rearrangement).

    Sorting never makes the mean pinball loss over the levels worse, and the outermost interval only grows
    (Chernozhukov et al. 2010, https://arxiv.org/abs/0704.3649). ``q0.5`` takes part, so that it stays in the
    middle. ``y_hat`` stays as it is and need not equal ``q0.5``: it is what the model was ranked by, a mean or a
    median. A row with a quantile missing is left alone.
    """
    names = quantile_columns(forecasts)
    values = forecasts[names].to_numpy(np.float64)
    whole = np.isfinite(values).all(axis=1)
    values = np.where(whole[:, None], np.sort(values, axis=1), values)
    return forecasts.assign(**dict(zip(names, values.T, strict=True)))


def least_size(rows: pd.DataFrame) -> pd.Series[float]:
    """``SHARE`` of each series' mean |y_hat|, in units of y: a forecast near 0 would make any residual a huge share.

    NaN for a series whose forecasts are all 0.
    """
    size = rows["y_hat"].abs().groupby(rows["unique_id"]).mean() * SHARE
    return size.where(size > 0)


def checked(levels: Sequence[float]) -> Float:
    """The levels in ascending order. Raises ``ModelError`` unless they are distinct and in (0, 1)."""
    ordered = np.unique(np.asarray(levels, dtype=np.float64))
    if not len(ordered) or len(ordered) != len(levels) or ordered[0] <= 0 or ordered[-1] >= 1:
        raise ModelError("distinct quantile levels in (0, 1)", f"{list(levels)}", "correct the levels")
    return ordered


def enough(levels: Float) -> tuple[int, int]:
    """Least number of residuals that have an order statistic at every level; of a step that takes its own."""
    outermost = min(levels.min(), 1 - levels.max())
    needed = int(np.ceil(round(1 / outermost - 1, 9)))
    return needed, max(needed, ENOUGH)


def ranks(count: NDArray[np.int64], level: Float, nominal: Float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Ranks from 1 of the two order statistics whose mean is the quantile: one and the same but for the median's.

    Args:
        count: of residuals.
        level: to be taken.
        nominal: the level it stands for, whose side of the median says whether to round outward down or up.
    """
    place = np.round((count + 1) * level, 9)  # 0.9 * 10 must not become 9.000000000000002 and then 10
    down, up = np.floor(place).astype(np.int64), np.ceil(place).astype(np.int64)
    return np.where(nominal <= 0.5, down, up), np.where(nominal >= 0.5, up, down)


def _by_step(rows: pd.DataFrame, residuals: Float, levels: Float) -> pd.DataFrame:
    """Quantiles per (series, step) of residuals ``(R, Q)``, a column for each level, or ``(R, 1)`` for all of them."""
    index = pd.MultiIndex.from_frame(rows[["unique_id", "step"]])
    pairs = index.unique().sort_values()
    pair, series = pairs.get_indexer(index), pairs.get_level_values("unique_id")
    own, n_own = _order_statistics(residuals, pair, len(pairs), levels)
    names = series.unique()
    of_pair = names.get_indexer(series)
    pooled, n_pooled = _order_statistics(residuals, of_pair[pair], len(names), levels)
    needed, its_own = enough(levels)
    values = np.where((n_own >= its_own)[:, None], own, pooled[of_pair])
    values[np.maximum(n_own, n_pooled[of_pair]) < needed] = np.nan
    return pd.DataFrame(values, index=pairs, columns=[f"q{level:g}" for level in levels])


def _order_statistics(
    residuals: Float, group: NDArray[np.intp], n_groups: int, levels: Float
) -> tuple[Float, NDArray[np.int64]]:
    """Quantiles ``(G, Q)`` within each group of rows, arbitrary where a group has too few; and how many it has."""
    known = np.isfinite(residuals).all(axis=1)
    residuals, group = residuals[known], group[known]
    count = np.bincount(group, minlength=n_groups)
    start = np.cumsum(count) - count
    # An empty group at the end starts beyond the last residual: there is one more for it.
    columns = [np.append(r[np.lexsort((r, group))], np.nan) for r in residuals.T]
    found = np.empty((n_groups, len(levels)))
    for q, level in enumerate(levels[:, None]):
        ordered = columns[q % len(columns)]
        below, above = (start + np.clip(r - 1, 0, np.maximum(count - 1, 0)) for r in ranks(count, level, level))
        found[:, q] = (ordered[below] + ordered[above]) / 2
    return found, count
