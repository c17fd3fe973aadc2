"""How large the seasonal naive forecast's errors usually are on days of a kind: what forecast errors are held against.

The naive error of the day itself would not do. When the level of a series breaks, the seasonal naive misses as much as
the forecast does, and their ratio says that all is well. What it usually misses does not move with the break. On days
of an event it misses more, so these are held against the same event of earlier years. Letters of ``core.frame``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from daycast.core import parts
from daycast.core.frame import Float, Panel
from daycast.core.ledger import SUMS, back

ORDINARY = 0  # code of days without an event


def year(freq: str, season_length: int) -> int:
    """Timestamps in a year, as whole seasons: 364 days of weeks, so that weekdays meet."""
    many = len(pd.date_range("2001-01-01", "2001-12-31 23:59:59", freq=freq))
    return max(season_length, many // season_length * season_length)


@dataclass(frozen=True)
class Missed:
    """What the seasonal naive forecast missed, a row for one season back, for two, ... ``(L, T)`` each.

    Attributes:
        errors: mean absolute error over series, as it would be if all were there on every day; NaN where nothing was
            observed.
        mix: how much larger than over all series the mean is over those that are there; 1 where all are.
    """

    errors: Float
    mix: Float


def missed(panel: Panel, season_length: int, horizon: int) -> Missed:
    """What the seasonal naive forecast of each timestamp missed, at as many seasons as steps up to ``horizon`` need.

    Series begin and end: a mean over small ones would say nothing of days on which a large one is there too. So each
    day's mean is held against what its series miss on average, over all of the panel.
    """
    lags = np.unique(back(np.arange(1, horizon + 1), season_length))
    sums, counts, sizes = np.zeros((3, len(lags), len(panel.ds)))
    total, many = np.zeros((2, len(lags), 1))
    for some in parts.rows(len(panel.ids)):
        y = np.asarray(panel.y[some])
        for row, lag in enumerate(lags):
            off = np.abs(y[:, lag:] - y[:, :-lag])
            there = np.isfinite(off)
            own = np.nansum(off, axis=1) / np.maximum(there.sum(axis=1), 1)  # size of each series' errors
            sums[row, lag:] += np.nansum(off, axis=0)
            counts[row, lag:] += there.sum(axis=0)
            sizes[row, lag:] += own @ there
            total[row] += own.sum()
            many[row] += there.any(axis=1).sum()
    known = (counts > 0) & (counts < many) & (sizes > 0)
    mix = np.divide(sizes * many, counts * total, out=np.ones_like(sizes), where=known)
    return Missed(np.where(counts > 0, sums / np.maximum(counts, 1), np.nan) / mix, mix)


@dataclass(frozen=True)
class Past:
    """Which earlier timestamps a day is held against.

    Attributes:
        reach: timestamps back, at most.
        year: timestamps in a year, whole seasons.
        around: timestamps to either side of the same time of an earlier year.
    """

    reach: int
    year: int
    around: int


def usual(errors: Float, kind: NDArray[np.int64], at: int, of: Past) -> Float:
    """What of ``errors (L, T)`` is usual at a timestamp, by those before it: ``(L,)``; NaN where nothing is known.

    An ordinary day has the median of ordinary days, or their mean at the same time of earlier years if that is larger:
    the weeks after a holiday are no surprise. A day of an event has the mean of its own days in earlier years; where
    there are none yet, that of all events' days, and else of all days.

    Args:
        kind: code of each timestamp's event, ``(T,)``; ``ORDINARY`` without one.
    """
    before = np.arange(max(0, at - of.reach), at)
    before = before[np.isfinite(errors[:, before]).all(axis=0)]
    same = before[kind[before] == kind[at]]
    if kind[at] == ORDINARY and len(same):
        off = (at - same) % of.year
        near = same[(np.minimum(off, of.year - off) <= of.around) & (at - same > of.around)]
        level = np.median(errors[:, same], axis=1)
        return np.maximum(level, errors[:, near].mean(axis=1)) if len(near) else level
    eventful = before[kind[before] != ORDINARY] if kind[at] != ORDINARY else same
    chosen = next((some for some in (same, eventful, before) if len(some)), before)
    return errors[:, chosen].mean(axis=1) if len(chosen) else np.full(len(errors), np.nan)


def by_day(
    sums: pd.DataFrame, of: Missed, kind: NDArray[np.int64], ds: pd.DatetimeIndex, season_length: int, past: Past
) -> pd.DataFrame:
    """The ledger's sums by target day, each beside what the seasonal naive usually misses at the same steps.

    Usual is what it misses of the series that have a value a season before too: it says nothing of those that begin, or
    come back from a gap.

    Args:
        sums: the ledger's rows of one version.
        of: what it missed at the timestamps ``ds (T,)``, whose ``kind`` is as ``usual`` takes it.

    Returns:
        ``ds``, the sums, ``usual`` (raw units, NaN where nothing is known) and ``ordinary``, whether the day has no
        event; ascending.
    """
    found = []
    for when, own in sums.groupby("ds"):
        at = int(ds.get_indexer(pd.DatetimeIndex([when]))[0])
        if at < 0:
            continue
        row = back(own["step"].to_numpy(), season_length) // season_length - 1
        each = usual(of.errors, kind, at, past) * of.mix[:, at]  # of the series that are there
        many = own["n_naive"].to_numpy(float)
        level = np.average(each[row], weights=many) if many.any() else np.nan
        found.append((when, *own[list(SUMS)].sum(), float(level), bool(kind[at] == ORDINARY)))
    return pd.DataFrame(found, columns=["ds", *SUMS, "usual", "ordinary"])
