"""Conformal quantiles that follow errors as they come: adaptive conformal inference over a rolling window.

Gibbs & Candès 2021 (https://arxiv.org/abs/2106.00170): each quantile asks for a working level of its own, which rises
when y came to lie above the quantile more often than it should, and falls when less often. Over the long run the share
below comes to the nominal level for any sequence, even one whose errors drift, as long as there are residuals far
enough out; there is no such promise for a single interval. What an h-step forecast missed by is known h steps later,
and only then does it count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from daycast.core.conformal import LEVELS, Scale, checked, enough, least_size, ranks
from daycast.core.forecast import LEAST, units
from daycast.core.frame import Float
from daycast.errors import ModelError

Times = NDArray[np.datetime64]


@dataclass(frozen=True)
class Pace:
    """How fast intervals follow.

    Attributes:
        rate: what a miss moves a working level by (gamma), that of the paper. 0 leaves a rolling window alone.
        window: the newest residuals per step that quantiles are taken of.
    """

    rate: float = 0.005
    window: int = 365


@dataclass(frozen=True)
class _Known:
    """Residuals in the order in which they became known."""

    ds: Times
    residual: Float

    def newest(self, now: np.datetime64, most: int) -> Float:
        return np.sort(self.residual[: np.searchsorted(self.ds, now, side="right")][-most:])


def adaptive(
    rows: pd.DataFrame,
    calibration: pd.DataFrame,
    levels: Sequence[float] = LEVELS,
    scale: Scale = "additive",
    pace: Pace = Pace(),
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
    moved = _offsets(every, unit, nominal, pace)
    values = every[["y_hat"]].to_numpy(np.float64) + moved * unit[:, None]
    values = (values if floor is None else np.maximum(values, floor))[len(calibration) :]
    return rows.assign(**{f"q{level:g}": values[:, q] for q, level in enumerate(nominal)})


def adapted_offsets(
    rows: pd.DataFrame,
    calibration: pd.DataFrame,
    levels: Sequence[float] = LEVELS,
    scale: Scale = "additive",
    pace: Pace = Pace(),
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
    pairs = every[["unique_id", "step"]].drop_duplicates().sort_values(["unique_id", "step"], ignore_index=True)
    now = max(every["cutoff"].max(), every.loc[every["y"].notna(), "ds"].max())  # NaT is never the larger one
    ahead = pairs.assign(cutoff=now, ds=max(now, every["ds"].max()) + pd.Timedelta(days=1), y_hat=np.nan, y=np.nan)
    whole = pd.concat([every, ahead], ignore_index=True)
    least = least_size(calibration) if scale == "relative" else None
    unit = np.ones(len(whole)) if least is None else units(whole["y_hat"], whole["unique_id"].map(least.to_dict()))
    made = pd.DataFrame(
        _offsets(whole, unit, nominal, pace)[len(every) :],
        index=pd.MultiIndex.from_frame(pairs),
        columns=[f"q{level:g}" for level in nominal],
    )
    return made if least is None else made.assign(**{LEAST: least.reindex(made.index, level="unique_id")})


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


def _offsets(rows: pd.DataFrame, unit: Float, nominal: Float, pace: Pace) -> Float:
    """Offsets ``(R, Q)`` of all series' rows, in shares of ``unit``."""
    rows = rows.assign(residual=(rows["y"] - rows["y_hat"]) / unit)
    moved = np.full((len(rows), len(nominal)), np.nan)
    for at in rows.groupby("unique_id").indices.values():
        moved[at] = _series(rows.iloc[at], nominal, pace)
    return moved


def _series(rows: pd.DataFrame, nominal: Float, pace: Pace) -> Float:
    """Offsets ``(R, Q)`` of one series' rows."""
    cutoff, ds, residual = (rows[c].to_numpy() for c in ("cutoff", "ds", "residual"))
    came = np.flatnonzero(np.isfinite(residual))
    came = came[np.argsort(ds[came], kind="stable")]
    pool = _Known(ds[came], residual[came])
    out = np.empty((len(rows), len(nominal)))
    steps = rows.groupby("step").indices.values()
    for of_step in steps:
        at = np.asarray(of_step)[np.argsort(cutoff[of_step], kind="stable")]
        out[at] = _walk(cutoff[at], ds[at], residual[at], pool, len(steps), nominal, pace)
    return out


def _walk(cutoff: Times, ds: Times, residual: Float, pool: _Known, steps: int, nominal: Float, pace: Pace) -> Float:
    """Offsets ``(T, Q)`` of one series and step, whose T cutoffs ascend, and their ds with them."""
    came = np.isfinite(residual)
    own = _Known(ds[came], residual[came])
    needed, its_own = enough(nominal)
    working, learnt = nominal.copy(), 0
    issued = np.full((len(cutoff), len(nominal)), np.nan)
    for t, now in enumerate(cutoff):
        until = int(np.searchsorted(ds, now, side="right"))
        for past in range(learnt, until):
            if np.isfinite(residual[past]) and np.isfinite(issued[past, 0]):
                # On the edge counts as inside, at both ends.
                below = np.where(nominal < 0.5, residual[past] < issued[past], residual[past] <= issued[past])
                working = np.clip(working + pace.rate * (nominal - below), 0.0, 1.0)
        learnt = until
        known = own.newest(now, pace.window)
        if len(known) < its_own:
            known = pool.newest(now, pace.window * steps)
        if len(known) >= needed:
            places = [np.clip(r, 1, len(known)) - 1 for r in ranks(np.asarray(len(known)), working, nominal)]
            issued[t] = np.sort((known[places[0]] + known[places[1]]) / 2)
    return issued
