"""How far a mean absolute error could lie from what was measured, as errors of neighbouring origins hang together."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import pandas as pd

from daycast.core.frame import Float

SHARE = 0.9
DRAWS = 2000
FEW = 30  # origins
SEED = 0  # of the draws: the same rows give the same interval


def mae_interval(rows: pd.DataFrame) -> tuple[float, float]:
    """The middle 90 % of the MAE over stationary bootstrap samples of origins, in units of y; NaN of a single origin.

    Origins are drawn in blocks of random length, with all their steps and series, so what overlapping forecasts and
    neighbouring days have in common stays together.

    Args:
        rows: ``unique_id, cutoff, ds, y_hat, y``, raw units; each series counts once, rows without ``y`` not at all.
    """
    error = (rows["y"] - rows["y_hat"]).abs()
    by_series = error.groupby([rows["unique_id"], rows["cutoff"]]).agg(["sum", "count"])
    total, count = (by_series[part].unstack(0, fill_value=0).to_numpy(dtype=np.float64) for part in ("sum", "count"))
    if len(total) < 2:
        return float("nan"), float("nan")
    mean = np.divide(total.sum(axis=1), count.sum(axis=1), out=np.zeros(len(total)), where=count.sum(axis=1) > 0)
    times = draws(len(total), block_length(mean, overlapping(rows)))
    low, high = np.quantile(mean_of_series(times @ total, times @ count), [(1 - SHARE) / 2, (1 + SHARE) / 2])
    return float(low), float(high)


def overlapping(rows: pd.DataFrame) -> int:
    """How many origins in a row forecast a day in common.

    Args:
        rows: ``cutoff, ds``.
    """
    cutoffs = rows["cutoff"].drop_duplicates().sort_values()
    return int((cutoffs < rows.loc[rows["cutoff"] == cutoffs.iloc[0], "ds"].max()).sum())


def block_length(values: Float, least: int) -> int:
    """Mean length of the blocks to draw, in origins: at least ``least``, at most half of all.

    It is Politis and White's (2004, corrected 2009, https://doi.org/10.1080/07474930802459040) for the stationary
    bootstrap, by ``arch``.

    Args:
        values: ``(O,)``, what is averaged over origins, oldest first.
        least: such as ``overlapping``.
    """
    from arch.bootstrap import optimal_block_length

    # Of a few origins, or of values that are all the same, there is nothing to estimate a length from.
    known = len(values) >= FEW and np.ptp(values) > 0
    length = float(optimal_block_length(values)["stationary"].iloc[0]) if known else 1.0
    return math.ceil(min(max(length, least, 1.0), len(values) / 2))


@lru_cache(maxsize=4)  # the models of a run have the same origins
def draws(origins: int, block: int) -> Float:
    """How often each of ``DRAWS`` stationary bootstrap samples (``arch``'s) has each origin, ``(DRAWS, O)``.

    The same numbers give the same samples, so two models can be scored on the same ones. Not to be written to.

    Args:
        origins: how many there are, two at least.
        block: mean length of a block, in origins.
    """
    from arch.bootstrap import StationaryBootstrap

    drawn = StationaryBootstrap(block, np.arange(origins), seed=SEED).bootstrap(DRAWS)
    times = np.stack([np.bincount(at, minlength=origins) for (at,), _ in drawn]).astype(np.float64)
    times.flags.writeable = False
    return times


def mean_of_series(total: Float, count: Float, root: bool = False) -> Float:
    """Mean over series of their own means, ``(...,)``; series without a value are left out, NaN where all are.

    Args:
        total: sums ``(..., N)`` by series.
        count: of how many values they are, ``(..., N)``.
        root: whether it is the roots of the series' means that are averaged.
    """
    seen = count > 0
    means = np.divide(total, count, out=np.zeros_like(total), where=seen)
    n = seen.sum(axis=-1)
    return np.divide((np.sqrt(means) if root else means).sum(axis=-1), n, out=np.full(n.shape, np.nan), where=n > 0)
