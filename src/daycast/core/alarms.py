"""When forecasts, or the data under them, have gone wrong so that somebody has to act: control charts on days.

Each alarm is a pure function of what is known at a day and says what it found either way. The charts are one-sided
cumulative sums (Page, 1954): each day adds by how much its figure exceeds the reference value ``k``, never below zero,
and the sum is held against the decision limit ``h``. A day adds a bounded amount, so that one blizzard raises nothing,
and the sum is held at twice the limit, so that an alarm ends soon after its cause has. A day is a timestamp of the
dataset's grid here: of hourly data, an hour.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import pandas as pd

from daycast.core.frame import Float

WORST = 5  # series that an alarm names
TOPICS = {
    "error": "forecasts",
    "skill": "forecasts",
    "coverage": "forecasts",
    "drift": "forecasts",
    "late": "data",
    "stopped": "data",
}
"""What each alarm is about. People are told of a topic, once: a pandemic raises four alarms within days."""


@dataclass(frozen=True)
class Alarm:
    """What a chart says at a day.

    Attributes:
        name: which chart.
        raised: whether somebody has to act.
        figure: what was found, in the chart's unit; ``None`` where there was too little to tell.
        threshold: where it is raised.
        cause: what was found, in words and figures.
        series: those it is worst for, worst first; empty where it is about no series.
    """

    name: str
    raised: bool
    figure: float | None
    threshold: float
    cause: str
    series: tuple[str, ...] = ()


class Told(Protocol):
    """What an alarm has that says so."""

    @property
    def name(self) -> str: ...
    @property
    def raised(self) -> bool: ...


T = TypeVar("T", bound=Told)


def raised(alarms: Iterable[T], topic: str) -> tuple[T, ...]:
    """Those of a topic that are raised."""
    return tuple(one for one in alarms if one.raised and TOPICS[one.name] == topic)


@dataclass(frozen=True)
class Chart:
    """A cumulative sum.

    Attributes:
        reference: k, what a day's figure must exceed to add anything.
        limit: h, the sum that raises the alarm.
        most: what a day adds at most, before the reference value is taken off.
    """

    reference: float
    limit: float
    most: float

    def path(self, figures: Float) -> Float:
        """The sum after each day, ``(D,)``; a day without a figure, NaN, changes nothing, and inf adds the most."""
        out, total = np.zeros(len(figures)), 0.0
        for day, figure in enumerate(figures):
            if not np.isnan(figure):
                step = float(np.clip(figure, -self.most, self.most)) - self.reference
                total = min(max(0.0, total + step), 2 * self.limit)
            out[day] = total
        return out


def counted_in(freq: str) -> str:
    """What the timestamps of a grid are called, the ``unit`` of charts, which count them whatever lies between two."""
    return "days" if pd.tseries.frequencies.to_offset(freq) == pd.offsets.Day() else "timestamps"


def error(days: pd.DataFrame, chart: Chart, unit: str = "days") -> Alarm:
    """Forecast errors have grown beyond what the seasonal naive forecast usually misses.

    The figure of a day is the logarithm of the forecasts' mean absolute error, of the series that the seasonal naive
    could forecast too, over what that misses on such days (``core.usual``).

    Args:
        days: ``ds, n_naive, abs_error_naive, usual``, of one version, ascending.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = (days["abs_error_naive"] / days["n_naive"] / days["usual"]).to_numpy(float)
        path = chart.path(np.log(np.maximum(ratio, np.finfo(float).tiny)))
    if not len(path):
        return Alarm("error", False, None, chart.limit, "no forecast has matured yet")
    newest = ratio[-7:]
    told = newest[~np.isnan(newest)].mean() if not np.isnan(newest).all() else np.nan
    size = "in no relation to" if np.isnan(told) else f"{told:.2f} times" if np.isfinite(told) else "beyond any times"
    cause = (
        f"mean absolute error {size} what the seasonal naive usually misses, over the newest "
        f"{len(newest)} {unit}; cumulative sum {path[-1]:.2f}, {chart.limit:g} raise an alarm"
    )
    return Alarm("error", bool(path[-1] >= chart.limit), float(path[-1]), chart.limit, cause)


def coverage(days: pd.DataFrame, chart: Chart, window: int, least: float, unit: str = "days") -> Alarm:
    """The 80 % intervals have come to hold too few values: nearly none for some days, or too few for long.

    The figure of a day is the share of its values outside. Days of an event count for nothing: bands are as wide as
    they are on all days, so holidays fall outside every year.

    Args:
        days: ``n_80, inside_80, ordinary``, of one version, ascending.
        window: ordinary days over which the share inside must be at least ``least``.
    """
    counted = days[days["ordinary"].astype(bool) & (days["n_80"] > 0)]
    if counted.empty:
        return Alarm("coverage", False, None, chart.limit, "no forecast with an interval has matured yet")
    inside = (counted["inside_80"] / counted["n_80"]).to_numpy(float)
    total, newest = float(chart.path(1 - inside)[-1]), inside[-window:]
    if total < chart.limit and len(newest) == window and newest.mean() < least:
        cause = f"{newest.mean():.0%} of the values of the newest {window} ordinary {unit} lie inside the 80 % interval"
        return Alarm("coverage", True, float(newest.mean()), least, f"{cause}, {least:.0%} are the least")
    cause = (
        f"{1 - inside[-7:].mean():.0%} of the values of the newest {len(inside[-7:])} ordinary {unit} lie outside the "
        f"80 % interval; cumulative sum {total:.2f}, {chart.limit:g} raise an alarm"
    )
    return Alarm("coverage", total >= chart.limit, total, chart.limit, cause)


def skill(days: pd.DataFrame, season_length: int, n: int, at_least: int, unit: str = "days") -> Alarm:
    """Forecasts have been worse than the seasonal naive in most of the newest windows, and are so still.

    A window is a season of target days. One bad window raises no alarm, and a loss that has passed raises none any
    more.

    Args:
        days: ``n_naive, abs_error_naive, naive_error``, of one version, ascending.
        n: windows, counted back from the newest day; ``at_least`` of them raise the alarm.
    """
    told = days[days["n_naive"] > 0]
    beside, naive = (told[name].to_numpy(float)[::-1] for name in ("abs_error_naive", "naive_error"))
    windows = min(n, len(told) // season_length)
    if not windows:
        return Alarm("skill", False, None, float(at_least), "too few forecasts have matured yet")
    both = [values[: windows * season_length].reshape(windows, -1).sum(axis=1) for values in (beside, naive)]
    worse = both[0] > both[1]
    cause = (
        f"worse than the seasonal naive in {int(worse.sum())} of the newest {windows} windows of {season_length} "
        f"{unit} ({at_least} of {n} raise an alarm, the newest among them)"
    )
    raised = bool(worse.sum() >= at_least and worse[0])
    return Alarm("skill", raised, float(worse.sum()), float(at_least), cause)


def drift(scores: pd.DataFrame, threshold: float, smallest: float, share: float) -> Alarm:
    """Values come in that are not of the kind that came at this time of the year before.

    Args:
        scores: of each series, its name as index, ``shift`` and ``score`` as ``core.drift`` gives them.
        threshold: score from which on a series has drifted.
        smallest: shift, as a share of the level, below which it has not, whatever its score.
        share: of the series that can be told by, those that must have drifted.
    """
    told = scores.dropna(subset="score")
    if told.empty:
        return Alarm("drift", False, None, share, "no series has enough values to tell by")
    far = told[(told["score"].abs() >= threshold) & (told["shift"].abs() >= smallest)]
    far = far.reindex(far["score"].abs().sort_values(ascending=False).index)
    part = len(far) / len(told)
    worst = told.loc[told["score"].abs().idxmax()]
    cause = (
        f"{len(far)} of {len(told)} series stand off the level of their days by more than they do at this time of the "
        f"year, the worst by {worst['shift']:+.0%} ({worst['score']:+.1f} spreads, {threshold:g} count)"
    )
    raised = len(far) > 0 and part >= share
    return Alarm("drift", raised, part, share, cause, tuple(str(name) for name in far.index[:WORST]))


def late(age: int, most: int | None, usual: int | None, excess: float) -> Alarm:
    """No new data have come for too long.

    Args:
        age: whole days from the newest observation to today.
        most: largest age that is well; ``None`` if the dataset does not say.
        usual: where it does not, the age that data usually come to; ``None`` if that can't be told yet.
        excess: by which factor that may be exceeded.
    """
    old = f"the newest observation is {age} days old"
    if most is not None:
        return Alarm("late", age > most, float(age), float(most), f"{old}, {most} are well")
    if usual is None:
        cause = f"{old}; contract.max_age_days does not say what is too old, and too little came to tell what is usual"
        return Alarm("late", False, float(age), float("inf"), cause)
    cause = f"{old}; newer ones came when it was {usual} at most, and {excess:g} times that is well"
    return Alarm("late", age > excess * usual, float(age), excess * usual, cause)


def stopped(y: Float, ids: Sequence[str], silent: int, memory: int, share: float) -> Alarm:
    """Series that have fallen silent while others go on.

    Args:
        y: values ``(N, T)``, NaN where nothing was observed.
        silent: newest timestamps without a value that make a series a stopped one.
        memory: timestamps before those in which it must have been observed: what stopped long ago is known.
        share: of the series that were observed then, those that must have stopped.
    """
    newest, before = np.isfinite(y[:, -silent:]), np.isfinite(y[:, -silent - memory : -silent])
    alive = before.any(axis=1)
    gone = alive & ~newest.any(axis=1)
    part = float(gone.sum() / alive.sum()) if alive.any() else 0.0
    names = tuple(np.asarray(ids, dtype=object)[gone][:WORST])
    cause = f"{int(gone.sum())} of {int(alive.sum())} series have no value at the newest {silent} timestamps"
    return Alarm("stopped", bool(gone.any() and part >= share), part, share, cause, names)


def episodes(raised: pd.Series[bool], calm: int) -> pd.DataFrame:
    """The stretches of days in which alarms are one and the same matter.

    Args:
        raised: by day, ascending.
        calm: days without an alarm after which it is over.

    Returns:
        ``began`` and ``last``, the first and the last day with an alarm of each stretch.
    """
    days = pd.DatetimeIndex(raised.index[raised.to_numpy(bool)])
    if not len(days):
        return pd.DataFrame({"began": pd.DatetimeIndex([]), "last": pd.DatetimeIndex([])})
    begins = np.append(True, np.diff(days) > np.timedelta64(max(calm, 1), "D"))
    return pd.DataFrame({"began": days[begins], "last": days[np.append(begins[1:], True)]})
