"""Whether one model's lead over another is more than chance: a paired bootstrap of origins, in blocks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from daycast.core import bootstrap, metrics
from daycast.core.frame import Float

FEWEST = 5  # blocks: of four, whatever leads is ahead in each by luck alone once in 2 ** 4 times


@dataclass(frozen=True)
class Lead:
    """How sure a model's lead over another is.

    Attributes:
        low: relative improvement that it is at least, by the confidence asked for, a fraction; ``None`` where origins
            are too few to tell.
        confidence: 1 - level.
        origins: how many were scored.
        block: mean length of the blocks that they were drawn in, in origins.
    """

    low: float | None
    confidence: float
    origins: int
    block: int

    @property
    def sure(self) -> bool:
        """Whether the lead is more than chance."""
        return self.low is not None and self.low > 0


def lead(rows: pd.DataFrame, other: pd.DataFrame, scales: Mapping[str, float], metric: str, level: float) -> Lead:
    """How far ahead of another a model is at least, by the metric that they are ranked by.

    Both are scored on the same stationary bootstrap samples of origins, with all series and steps of each, so that
    what is hard for both cancels; blocks are as long as ``bootstrap.block_length`` says of the origins' differences,
    but no longer than a fifth of all origins where forecasts overlap less than that.
    The lower bound is the difference less so many standard deviations of the samples' as Student's t with as many
    degrees of freedom as there are blocks, less one, exceeds with probability ``level``. For one series one step ahead
    that is the test of Diebold and Mariano (1995, https://doi.org/10.1080/07350015.1995.10524599) with the t of
    Harvey, Leybourne and Newbold (1997, https://doi.org/10.1016/S0169-2070(96)00719-4). A quantile of the samples
    would promise too much where there are few origins.

    Args:
        rows: the model's, as ``metrics.score`` takes them.
        other: the other's, the same rows in any order.
        scales: series → the scale of its MASE, in units of y.
        metric: one of ``metrics.RANKABLE`` that both have a value for.
        level: the probability that a model no better than the other is found to lead.
    """
    total, count = metrics.by_origin(rows, scales, metric)
    others, counts = metrics.by_origin(other, scales, metric)
    scored = (count.sum(axis=1) > 0) & (counts.sum(axis=1) > 0)
    total, count, others, counts = total[scored], count[scored], others[scored], counts[scored]
    origins = len(total)
    difference = others.sum(axis=1) / counts.sum(axis=1) - total.sum(axis=1) / count.sum(axis=1)
    overlap = bootstrap.overlapping(rows)
    # A pattern of the week looks like long memory to the estimate, though it cancels over whole weeks.
    block = min(bootstrap.block_length(difference, overlap), max(origins // FEWEST, overlap, 1))
    blocks = origins / max(block, 1)
    if blocks < FEWEST:
        return Lead(None, 1 - level, origins, block)
    from scipy.stats import t

    times = bootstrap.draws(origins, block)
    drawn = _value(metric, times @ others, times @ counts) - _value(metric, times @ total, times @ count)
    best = float(_value(metric, others.sum(axis=0), counts.sum(axis=0)))
    ahead = best - float(_value(metric, total.sum(axis=0), count.sum(axis=0)))
    # A sample of n blocks varies by (n - 1) / n of the variance of what it is drawn from.
    deviation = float(np.std(drawn)) * math.sqrt(blocks / (blocks - 1))
    low = ahead - float(t.isf(level, blocks - 1)) * deviation
    return Lead(low / best if best > 0 else 0.0, 1 - level, origins, block)


def equal_accuracy(rows: pd.DataFrame, other: pd.DataFrame, scales: Mapping[str, float], metric: str) -> float | None:
    """How probable a lead as large as the model's is if it were no better: the test of Diebold and Mariano, one-sided.

    Of the means over series and steps of each origin's losses, which hang together over as many origins as forecast a
    day in common. With the correction for small samples of Harvey, Leybourne and Newbold; the variance is theirs, or
    that by Bartlett's weights (Newey and West, https://doi.org/10.2307/1913610) where it is the larger one, which can't
    be negative; and Student's t has the degrees of freedom of as many origins as don't overlap. Without these two, of
    90 origins 14 steps ahead twice as many models that are no better pass as should.

    Args:
        rows: the model's, as ``metrics.score`` takes them.
        other: the other's, the same rows in any order.
        scales: series → the scale of its MASE, in units of y.
        metric: as for ``lead``; of ``rmse``, it is squared errors that are compared.

    Returns:
        A probability, or ``None`` where origins are too few: of fewer than ``FEWEST`` stretches without an overlap.
    """
    from scipy.stats import t

    total, count = metrics.by_origin(rows, scales, metric)
    others, counts = metrics.by_origin(other, scales, metric)
    scored = (count.sum(axis=1) > 0) & (counts.sum(axis=1) > 0)
    difference = (others[scored].sum(axis=1) / counts[scored].sum(axis=1)) - (
        total[scored].sum(axis=1) / count[scored].sum(axis=1)
    )
    n, h = len(difference), max(bootstrap.overlapping(rows), 1)
    if n < FEWEST * h:
        return None
    off = difference - difference.mean()
    lags = [float(off[k:] @ off[: n - k]) / n for k in range(h)]
    weighted = lags[0] + 2 * sum((1 - k / h) * lag for k, lag in enumerate(lags[1:], start=1))
    variance = max(lags[0] + 2 * sum(lags[1:]), weighted)
    if variance <= 0:  # the same lead at every origin
        return 0.0 if difference.mean() > 0 else 1.0
    small = math.sqrt((n + 1 - 2 * h + h * (h - 1) / n) / n)
    return float(t.sf(small * difference.mean() / math.sqrt(variance / n), n / h - 1))


def _value(metric: str, total: Float, count: Float) -> Float:
    """A metric ``(...,)`` of sums and counts ``(..., N)`` over series."""
    return bootstrap.mean_of_series(total, count, root=metric == "rmse")
