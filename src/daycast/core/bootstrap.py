"""How far a mean absolute error could lie from what was measured, as errors of neighbouring origins hang together."""

from __future__ import annotations

import math

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
    neighbouring days have in common stays together. The mean length is Politis and White's (2004, corrected 2009,
    https://doi.org/10.1080/07474930802459040), and at least the origins whose forecasts overlap. The samples are
    ``arch``'s.

    Args:
        rows: ``unique_id, cutoff, ds, y_hat, y``, raw units; each series counts once, rows without ``y`` not at all.
    """
    error = (rows["y"] - rows["y_hat"]).abs()
    by_series = error.groupby([rows["unique_id"], rows["cutoff"]]).agg(["sum", "count"])
    total, count = (by_series[part].unstack(0, fill_value=0).to_numpy(dtype=np.float64) for part in ("sum", "count"))
    if len(total) < 2:
        return float("nan"), float("nan")
    from arch.bootstrap import StationaryBootstrap, optimal_block_length

    cutoffs = rows["cutoff"].drop_duplicates().sort_values()
    ahead = int((cutoffs < rows.loc[rows["cutoff"] == cutoffs.iloc[0], "ds"].max()).sum())
    mean = np.divide(total.sum(axis=1), count.sum(axis=1), out=np.zeros(len(total)), where=count.sum(axis=1) > 0)
    # Of a few origins, or of errors that are all the same, there is nothing to estimate a length from.
    known = len(mean) >= FEW and np.ptp(mean) > 0
    length = float(optimal_block_length(mean)["stationary"].iloc[0]) if known else 1.0
    block = math.ceil(min(max(length, ahead, 1.0), len(total) / 2))

    def mae(total: Float, count: Float) -> Float:
        seen = count.sum(axis=0)
        return np.asarray(np.mean(total.sum(axis=0)[seen > 0] / seen[seen > 0]))

    drawn = StationaryBootstrap(block, total, count, seed=SEED).apply(mae, DRAWS)
    low, high = np.quantile(drawn, [(1 - SHARE) / 2, (1 + SHARE) / 2])
    return float(low), float(high)
