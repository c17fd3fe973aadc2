"""Which event a day belongs to: holidays with the days around them, and a city's own days, each declared by a rule.

An event comes back, so what its earlier occurrences did tells about the next; each of its days is told apart, as the
eve of a holiday is not the holiday. Pure functions of the date, so known for any future.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from dateutil.easter import EASTER_ORTHODOX, EASTER_WESTERN, easter
from dateutil.relativedelta import relativedelta, weekdays
from numpy.typing import NDArray

from daycast.core import calendar
from daycast.errors import DataError

NONE = "none"  # the label of a day without an event
ANY = "any"
_EASTER = {"western": EASTER_WESTERN, "orthodox": EASTER_ORTHODOX}


@dataclass(frozen=True)
class Rule:
    """One event: an anchor in each year, and the days around it that belong to the event.

    Exactly one of ``holiday``, ``date`` and ``easter`` gives the anchor.

    Attributes:
        name: of the event.
        days: first and last day that belong to it, counted from the anchor, such as ``(-3, 1)``.
        holiday: the anchors are the dates of this public holiday, as the ``holidays`` package names it, or of ``any``.
        date: the anchor's month and day, ``MM-DD``; a 29 February is there in leap years only.
        weekday, nth: with ``date``, both or none: the anchor is the nth such weekday on or after that date, or for a
            negative nth on or before it; ``Mon`` and 2 from ``10-01`` is the second Monday of October.
        easter: the anchor is Easter Sunday, ``western`` or ``orthodox``.
        since, until: first and last year of the anchors, or ``None``.
    """

    name: str
    days: tuple[int, int] = (0, 0)
    holiday: str | None = None
    date: str | None = None
    weekday: str | None = None
    nth: int | None = None
    easter: str | None = None
    since: int | None = None
    until: int | None = None

    def labels(self) -> dict[int, str]:
        """Day from the anchor -> its label, which for the anchor is the name alone: ``eve-1``, ``eve``, ``eve+1``."""
        return {day: f"{self.name}{day:+d}" if day else self.name for day in range(self.days[0], self.days[1] + 1)}


def levels(rules: Sequence[Rule]) -> tuple[str, ...]:
    """Every label there can be, ``NONE`` first, then in the order of the rules."""
    return tuple(dict.fromkeys([NONE, *(label for rule in rules for label in rule.labels().values())]))


def labels(
    ds: pd.DatetimeIndex, rules: Sequence[Rule], country: str | None = None, subdivision: str | None = None
) -> NDArray[np.object_]:
    """The label of the event on each date, ``NONE`` on the others, ``(T,)``.

    Where two events meet, the rule that stands first has the day.

    Raises:
        DataError: a rule names a holiday that the country does not have on any of these dates' years, or there is no
            country; or the ``holidays`` package does not know the country.
    """
    out = pd.Series(NONE, index=pd.DatetimeIndex(ds.normalize().unique()), dtype=object)
    reach = pd.Timedelta(days=max((abs(day) for rule in rules for day in rule.days), default=0))
    first, last = ds.min() - reach, ds.max() + reach
    public = pd.Series(dtype=object)
    if country is not None and any(rule.holiday for rule in rules):
        span = pd.date_range(f"{first.year}-01-01", f"{last.year}-12-31")
        public = pd.Series(calendar.holiday_names(span, country, subdivision), index=span)
    for rule in reversed(rules):  # so that the first one, written last, stays
        dates = _of_holiday(rule.holiday, public) if rule.holiday else _of_date(rule, range(first.year, last.year + 1))
        anchors = [a for a in dates if (rule.since or a.year) <= a.year <= (rule.until or a.year)]
        for day, label in rule.labels().items():
            out.loc[out.index.intersection(pd.DatetimeIndex(anchors) + pd.Timedelta(days=day))] = label
    return out.reindex(ds.normalize()).to_numpy(dtype=object)


def _of_date(rule: Rule, years: range) -> list[pd.Timestamp]:
    """One anchor a year, where the date exists."""
    if rule.easter is not None:
        return [pd.Timestamp(easter(year, _EASTER[rule.easter])) for year in years]
    month, day = (int(part) for part in str(rule.date).split("-"))
    dates = [pd.Timestamp(year, month, day) for year in years if day <= pd.Timestamp(year, month, 1).days_in_month]
    if rule.weekday is None:
        return dates
    to_weekday = relativedelta(weekday=weekdays[calendar.DAYS.index(rule.weekday)](rule.nth))
    return [date + to_weekday for date in dates]


def _of_holiday(name: str, public: pd.Series[str]) -> list[pd.Timestamp]:
    among = public.map(lambda names: bool(names) and name in (ANY, *names.split(calendar.JOINED))).astype(bool)
    dates = list(pd.DatetimeIndex(public.index[among]))
    if not dates:
        known = sorted({one for names in set(public) - {""} for one in names.split(calendar.JOINED)})
        raise DataError(
            f"a holiday among {known}" if known else "calendar.country set, as an event is tied to a holiday",
            name,
            "correct calendar.events in conf/dataset/",
        )
    return dates
