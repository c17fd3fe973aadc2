"""Whether the values that come in are still of the kind that came at this time of the year before.

Of each series and timestamp: how far the newest values stand from the level of their class of day (``core.profile``) as
it was known before them. What a season does to that every year is in the reference: the same statistic around the same
time of earlier years. So neither a summer nor a holiday is a drift, and a level that moves is one within days.

Letters of ``core.frame`` and ``core.profile``.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from daycast.core import profile
from daycast.core.frame import Float

LEVEL = 6  # normal timestamps of a class that its level is the median of
FAR = 1.4826  # standard deviations of a normal distribution in its median absolute deviation


@dataclass(frozen=True)
class Reference:
    """What the newest timestamps are held against.

    Attributes:
        window: newest timestamps.
        years: so many earlier years, at most.
        around: timestamps to either side of the same time of those years.
        year: timestamps in a year.
        least: smallest spread that is believed, as a share of the level.
    """

    window: int
    years: int
    around: int
    year: int
    least: float

    @property
    def reach(self) -> int:
        """Timestamps that all of it needs at most."""
        return self.years * self.year + self.around + 2 * self.window + LEVEL * self.window


def shifts(y: Float, normal: NDArray[np.bool_], classes: profile.Codes, at: NDArray[np.intp], window: int) -> Float:
    """How far the values of the window that ends at each of ``at (R,)`` stand from their levels of before it.

    Args:
        y: ``(N, T)``, NaN where missing.
        normal: timestamps that have no event and so count, ``(T,)``.
        classes: of each timestamp, ``(D, T)``, as ``profile.classes`` gives them.

    Returns:
        ``(N, R)``: the median over the window of value less level, as a share of the mean level; NaN where fewer than
        half of the window's timestamps are there and normal.
    """
    known = profile.levels(y, normal, classes, LEVEL, "median")
    before = at - window
    off, level = [], []
    for back in range(window):
        rows = at - back
        base = np.where((before >= 0) & normal[rows], known.at(np.maximum(before, 0), classes[:, rows]), np.nan)
        off.append(y[:, rows] - base)
        level.append(np.where(np.isfinite(off[-1]), np.abs(base), np.nan))
    told, mean = np.stack(off), np.stack(level)
    with warnings.catch_warnings(), np.errstate(invalid="ignore", divide="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)  # of windows without a value
        found = np.nanmedian(told, axis=0) / np.nanmean(mean, axis=0)
    return np.where((np.isfinite(told).sum(axis=0) * 2 >= window) & np.isfinite(found), found, np.nan)


def matched(at: int, of: Reference) -> NDArray[np.intp]:
    """The timestamps that ``at`` is held against, ascending: around the same time of earlier years.

    Where there is no earlier year, all that there is up to the windows before this one.
    """
    years = at - of.year * np.arange(1, of.years + 1)
    near = (years[:, None] + np.arange(-of.around, of.around + 1)).ravel()
    first = of.window * 2
    near = np.unique(near[near >= first])
    return near if len(near) >= of.around else np.arange(first, max(first, at - 2 * of.window + 1))


def scores(
    y: Float, normal: NDArray[np.bool_], classes: profile.Codes, at: NDArray[np.intp], of: Reference
) -> tuple[Float, Float]:
    """Shift and score of each series at the timestamps ``at (R,)``, ascending; both ``(N, R)``.

    The score is the distance from the usual shift in spreads (robust standard deviations, ``least`` at least); NaN
    where the series has no shift, or no reference.
    """
    held = [matched(int(one), of) for one in at]
    asked = np.unique(np.concatenate([at, *held]))
    found = shifts(y, normal, classes, asked, of.window)
    now = found[:, np.searchsorted(asked, at)]
    score = np.full(now.shape, np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of series without a reference
        for column, days in enumerate(held):
            if len(days):
                past = found[:, np.searchsorted(asked, days)]
                usual = np.nanmedian(past, axis=1)
                spread = FAR * np.nanmedian(np.abs(past - usual[:, None]), axis=1)
                score[:, column] = (now[:, column] - usual) / np.maximum(spread, of.least)
    return now, score
