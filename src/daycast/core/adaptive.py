"""Conformal quantiles that follow errors as they come: adaptive conformal inference over a rolling window.

Gibbs & Candès 2021 (https://arxiv.org/abs/2106.00170): each quantile asks for a working level of its own, which rises
when y came to lie above the quantile more often than it should, and falls when less often. Over the long run the share
below comes to the nominal level for any sequence, even one whose errors drift, as long as there are residuals far
enough out; there is no such promise for a single interval. What an h-step forecast missed by is known h steps later,
and only then does it count.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from daycast.core import following
from daycast.core.conformal import LEVELS, Scale, checked, enough, least_size, shifted
from daycast.core.following import PACE, Pace
from daycast.core.forecast import LEAST, quantile_columns, units
from daycast.core.frame import Float
from daycast.errors import ModelError

__all__ = ["Pace", "adapted_head_offsets", "adapted_offsets", "adaptive", "adaptive_head"]


def adaptive(
    rows: pd.DataFrame,
    calibration: pd.DataFrame,
    levels: Sequence[float] = LEVELS,
    scale: Scale = "additive",
    pace: Pace = PACE,
    floor: float | None = None,
) -> pd.DataFrame:
    """Forecast rows with quantiles, each made of what was known at its cutoff: actuals with ``ds`` ≤ cutoff.

    Per (series, step), cutoffs are walked through in order, those of ``calibration`` first, so that working levels are
    warm when ``rows`` begin. A step with too few residuals (``core.conformal.offsets`` says how many) takes those of
    all steps of its series; a row for which even these are too few has no quantiles. A working level stays in [0, 1],
    and beyond the most extreme residual known there is none to take: the paper's interval would be infinite there.

    Args:
        rows: ``unique_id, cutoff, ds, step, y_hat, y``, the actual NaN where it has not come, so that a new forecast
            stands behind those before it.
        calibration: the same of earlier cutoffs, out of sample.
        levels: quantile levels in (0, 1).
        scale: of residuals, as in ``core.conformal.offsets``; the least size is that of ``calibration``.
        pace: how fast to follow.
        floor: the least value that can exist, or ``None``.

    Returns:
        ``rows`` with a column ``q0.025`` … per level, which never cross.

    Raises:
        ModelError: a level is outside (0, 1) or given twice, the rate is not in [0, 1), the window is shorter than the
            levels need, or calibration does not end before ``rows`` begin.
    """
    nominal, every = _ordered(rows, calibration, levels, pace)
    unit = np.ones(len(every))
    if scale == "relative":
        unit = units(every["y_hat"], every["unique_id"].map(least_size(calibration).to_dict()))
    values = every[["y_hat"]].to_numpy(np.float64) + _around_point(every, unit, nominal, pace) * unit[:, None]
    values = (values if floor is None else np.maximum(values, floor))[len(calibration) :]
    return rows.assign(**{f"q{level:g}": values[:, q] for q, level in enumerate(nominal)})


def adaptive_head(
    rows: pd.DataFrame, calibration: pd.DataFrame, pace: Pace = PACE, floor: float | None = None
) -> pd.DataFrame:
    """Forecast rows with the quantiles that they carry calibrated, each by what was known at its cutoff.

    As ``adaptive``, but a level's residuals are y minus that level's own quantile (conformalised quantile regression,
    see ``core.conformal.head_offsets``), and a miss is one of the quantile that was issued, moved and uncrossed.

    Args:
        rows: ``unique_id, cutoff, ds, step, y`` and a model's own quantiles ``q0.025`` …, raw units.
        calibration, pace, floor: as of ``adaptive``, calibration with the same quantiles.

    Raises:
        ModelError: as ``adaptive``, or there are no quantiles.
    """
    nominal, every = _ordered(rows, calibration, _levels(rows), pace)
    return shifted(rows, _of_head(every, nominal, pace)[len(calibration) :], floor)


def adapted_offsets(
    rows: pd.DataFrame,
    calibration: pd.DataFrame,
    levels: Sequence[float] = LEVELS,
    scale: Scale = "additive",
    pace: Pace = PACE,
) -> pd.DataFrame:
    """What ``core.forecast.band`` adds to forecasts made when all of ``rows`` has come: where ``adaptive`` has got to.

    A new forecast gets by them the very quantiles that ``adaptive`` would give it behind these rows. They stand still
    from there on: whoever goes on using them has split conformal bands, of newer residuals and other levels.

    Args:
        rows, calibration, levels, scale, pace: as of ``adaptive``. What counts as known ends with the last timestamp
            that has an actual.

    Returns:
        As of ``core.conformal.offsets``, for every pair of series and step in either.

    Raises:
        ModelError: as ``adaptive``.
    """
    nominal, every = _ordered(rows, calibration, levels, pace)
    whole, pairs = _with_next(every)
    least = least_size(calibration) if scale == "relative" else None
    unit = np.ones(len(whole)) if least is None else units(whole["y_hat"], whole["unique_id"].map(least.to_dict()))
    made = _table(_around_point(whole, unit, nominal, pace)[len(every) :], pairs, nominal)
    return made if least is None else made.assign(**{LEAST: least.reindex(made.index, level="unique_id")})


def adapted_head_offsets(rows: pd.DataFrame, calibration: pd.DataFrame, pace: Pace = PACE) -> pd.DataFrame:
    """What ``core.conformal.calibrated`` adds to a model's own quantiles when all of ``rows`` has come.

    To ``adaptive_head`` as ``adapted_offsets`` is to ``adaptive``; arguments and errors as of the first. A row need not
    ascend.
    """
    nominal, every = _ordered(rows, calibration, _levels(rows), pace)
    whole, pairs = _with_next(every)
    return _table(_of_head(whole, nominal, pace)[len(every) :], pairs, nominal)


def _levels(rows: pd.DataFrame) -> list[float]:
    return [float(name[1:]) for name in quantile_columns(rows)]


def _with_next(every: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows with the next forecast of each pair of series and step, of which nothing is known yet, behind; the pairs."""
    pairs = every[["unique_id", "step"]].drop_duplicates().sort_values(["unique_id", "step"], ignore_index=True)
    now = max(every["cutoff"].max(), every.loc[every["y"].notna(), "ds"].max())  # NaT is never the larger one
    ahead = pairs.assign(cutoff=now, ds=max(now, every["ds"].max()) + pd.Timedelta(days=1), y_hat=np.nan, y=np.nan)
    return pd.concat([every, ahead], ignore_index=True), pairs


def _table(offsets: Float, pairs: pd.DataFrame, nominal: Float) -> pd.DataFrame:
    return pd.DataFrame(offsets, index=pd.MultiIndex.from_frame(pairs), columns=[f"q{level:g}" for level in nominal])


def _ordered(
    rows: pd.DataFrame, calibration: pd.DataFrame, levels: Sequence[float], pace: Pace
) -> tuple[Float, pd.DataFrame]:
    """The levels in ascending order, and all rows, those of calibration first. Raises ``ModelError``."""
    nominal = checked(levels)
    if not 0 <= pace.rate < 1 or pace.window < enough(nominal)[1]:
        raise ModelError(f"a rate in [0, 1) and a window of at least {enough(nominal)[1]}", f"{pace}", "correct them")
    if len(calibration) and len(rows) and calibration["cutoff"].max() >= rows["cutoff"].min():
        found = f"{calibration['cutoff'].max()} there, {rows['cutoff'].min()} here"
        raise ModelError("cutoffs of calibration before those of the rows", found, "calibrate on earlier folds")
    return nominal, pd.concat([calibration, rows], ignore_index=True)


def _around_point(rows: pd.DataFrame, unit: Float, nominal: Float, pace: Pace) -> Float:
    """Offsets ``(R, Q)`` from the point forecast, ascending, in shares of ``unit``."""
    missed = ((rows["y"] - rows["y_hat"]) / unit).to_numpy(np.float64)
    return np.sort(following.offsets(rows, missed, np.zeros((len(rows), 1)), nominal, pace), axis=1)


def _of_head(rows: pd.DataFrame, nominal: Float, pace: Pace) -> Float:
    """Offsets ``(R, Q)`` from the quantiles that rows carry."""
    base = rows[quantile_columns(rows)].to_numpy(np.float64)
    return following.offsets(rows, rows["y"].to_numpy(np.float64), base, nominal, pace)
