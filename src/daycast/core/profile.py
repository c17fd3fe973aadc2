"""The usual level of each class of day, as known at a cutoff; what a series does beyond it is what is left to forecast.

A class is a combination of known categorical columns, such as weekday and day type. Its level is the median or mean of
its last ``window`` *normal* timestamps, those without an event. A class that has too few of them (a Thursday run as a
Sunday is a holiday each time) takes the level of a wider class: the first column is dropped, then the next, and in the
end all normal timestamps count. A series that was never observed on one of those yet, as it began on a holiday, has
the level of what it has (``early``). Levels at a timestamp use nothing later.

Letters of ``core.frame``; ``R`` pairs of a timestamp and a class, ``D`` widths of classes (columns + 1).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from daycast.core.frame import Float
from daycast.errors import ModelError

Codes = NDArray[np.int64]
Decode = Callable[[str], tuple[Codes, tuple[str, ...]] | None]
"""``levels`` of a panel or future: codes and level names of a categorical known column, or ``None``."""


def classes(decode: Decode, by: Sequence[str], steps: int) -> Codes:
    """The class of each timestamp in each width, widest last, ``(D, steps)``: numbers from the declared levels alone.

    Raises:
        ModelError: a column is not among the known categorical ones.
    """
    found = [(column, decode(column)) for column in by]
    missing = [column for column, levels in found if levels is None]
    if missing:
        raise ModelError(
            f"known categorical columns {list(by)}, as the profile is by them",
            f"no {missing}",
            "declare them in the dataset's covariates.known, or change the model's profile.by",
        )
    out = np.zeros((len(by) + 1, steps), dtype=np.int64)
    for width in range(len(by)):
        for _, levels in found[width:]:
            assert levels is not None  # checked above
            codes, names = levels
            out[width] = out[width] * len(names) + codes
    return out


@dataclass(frozen=True, eq=False)
class Levels:
    """The levels of a history, to be read at any of its timestamps.

    Attributes:
        rolled: at a normal timestamp, the level of its class including it, per width, ``(D, N, T)``; else NaN.
        latest: row of each class' last normal timestamp up to each row, -1 before the first; per width ``(T, C)``.
    """

    rolled: Float
    latest: tuple[NDArray[np.int32], ...]

    def grid(self, of: Codes) -> Float:
        """The level of each of these classes ``(D, M)`` as known at every row, ``(N, T, M)``."""
        steps, many = self.rolled.shape[2], of.shape[1]
        found = self.at(np.repeat(np.arange(steps), many), np.tile(of, steps))
        return found.reshape(-1, steps, many)

    def at(self, rows: NDArray[np.integer], of: Codes) -> Float:
        """Levels ``(N, R)`` as known at the rows ``(R,)``, of the classes ``(D, R)``; NaN where nothing is known."""
        out = np.full((self.rolled.shape[1], len(rows)), np.nan)
        for rolled, latest, code in zip(self.rolled, self.latest, of, strict=True):
            inside = code < latest.shape[1]  # a class that the history has never seen has no column
            row = np.where(inside, latest[rows, np.minimum(code, latest.shape[1] - 1)], -1)
            found = np.where(row >= 0, rolled[:, np.maximum(row, 0)], np.nan)
            out = np.where(np.isnan(out), found, out)
        return out


def levels(
    z: Float,
    normal: NDArray[np.bool_],
    of: Codes,
    window: int,
    statistic: Literal["median", "mean"],
    enough: int | None = None,
) -> Levels:
    """The levels of ``z (N, T)``, NaN where missing.

    A class' own level needs ``enough`` observed values among its last ``window`` normal timestamps, the widest class a
    single one; where there are fewer, the last level that had enough is carried on.

    Args:
        normal: which timestamps count, ``(T,)``.
        of: the class of each timestamp in each width, ``(D, T)``.
        enough: ``None`` for half a window.
    """
    n, steps = z.shape
    rolled = np.full((len(of), n, steps), np.nan)
    latest = []
    for width, codes in enumerate(of):
        least = 1 if width == len(of) - 1 else enough or (window + 1) // 2
        last = np.full((steps, int(codes.max()) + 1), -1, dtype=np.int32)
        for code in np.unique(codes):
            rows = np.flatnonzero((codes == code) & normal)
            if len(rows):
                moving = pd.DataFrame(z[:, rows].T).rolling(window, min_periods=least)
                rolled[width][:, rows] = getattr(moving, statistic)().ffill().to_numpy().T
                last[rows, code] = rows
        latest.append(np.maximum.accumulate(last, axis=0))
    return Levels(rolled, tuple(latest))


def early(z: Float, normal: NDArray[np.bool_], window: int, statistic: Literal["median", "mean"]) -> Float:
    """The level ``(N, T)`` of a series' last ``window`` timestamps, whatever they are, before its first normal value.

    NaN from that value on, and where nothing was observed.

    Args:
        z, normal, window, statistic: as ``levels`` takes them.
    """
    out = np.full(z.shape, np.nan)
    for n, row in enumerate(z):
        known = np.flatnonzero(np.isfinite(row) & normal)
        end = known[0] if len(known) else len(row)
        if np.isfinite(row[:end]).any():
            moving = pd.Series(row[:end]).rolling(window, min_periods=1)
            out[n, :end] = getattr(moving, statistic)().ffill()
    return out


def deviations(z: Float, of: Codes, known: Levels) -> Float:
    """``z (N, T)`` minus the level of its class as known one step before; NaN in the first column."""
    out = np.full(z.shape, np.nan)
    out[:, 1:] = z[:, 1:] - known.at(np.arange(z.shape[1] - 1), of[:, 1:])
    return out


def analogs(
    event: Codes, of: Codes, count: int, year: int, horizon: int, slack: Sequence[int] = (0, 7, -7)
) -> NDArray[np.int32]:
    """Rows of earlier timestamps that tell about each, newest first, ``(S, count)``; -1 where there are no more.

    For an event's day: the same day of the event in earlier years; those of its own class if there are any, as a
    Christmas on a Sunday tells little of one on a Monday. For any other: normal ones of its own class, whole ``year``s
    before, give or take ``slack``. All lie at least ``horizon`` rows before, so that they are known at each cutoff the
    timestamp is forecast from.

    Args:
        event: code of the event's day at each timestamp, of history and future, ``(S,)``; 0 is none.
        of: the (narrowest) class of each, ``(S,)``.
        year: steps in a year that keep the weekday, such as 364 for days.
    """
    steps = len(event)
    out = np.full((steps, count), -1, dtype=np.int32)
    found = np.zeros(steps, dtype=np.int64)
    rows = np.arange(steps)
    for years in range(1, count + 3):
        free = (event == 0) & (found < count)
        for shift in slack:
            earlier = rows - year * years + shift
            at = np.maximum(earlier, 0)
            hit = free & (earlier >= 0) & (rows - earlier >= horizon) & (event[at] == 0) & (of[at] == of)
            out[rows[hit], found[hit]] = earlier[hit]
            found += hit
            free &= ~hit
    for code in np.unique(event[event > 0]):
        same = np.flatnonzero(event == code)
        for row in same:
            before = same[same <= row - horizon][::-1]
            alike = before[of[before] == of[row]]
            chosen = (alike if len(alike) else before)[:count]
            out[row, : len(chosen)] = chosen
    return out
