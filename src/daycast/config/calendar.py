"""The ``calendar`` part of a dataset: what the date alone tells."""

from __future__ import annotations

from calendar import monthrange
from datetime import date
from itertools import pairwise
from typing import Literal

from pydantic import Field, model_validator

from daycast.config.section import Section
from daycast.core.events import NONE, Rule
from daycast.core.regimes import Regime as Period

Weekday = Literal["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
FURTHEST = 60  # days of an event from its anchor


class Event(Section):
    """Days off the pattern of their weekday that come back: an anchor date in each year and the days around it."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="name of the event")
    holiday: str | None = Field(
        default=None, description="anchor: this public holiday, as the `holidays` package names it, or `any` of them"
    )
    date: str | None = Field(default=None, pattern=r"^\d\d-\d\d$", description="anchor: month and day, MM-DD")
    weekday: Weekday | None = Field(default=None, description="with date: move the anchor to this weekday")
    nth: int | None = Field(
        default=None, ge=-5, le=5, description="which such weekday: 1 is the first on or after the date, -1 before it"
    )
    easter: Literal["western", "orthodox"] | None = Field(default=None, description="anchor: Easter Sunday")
    days: tuple[int, int] = Field(default=(0, 0), description="first and last day of the event, days from the anchor")
    since: int | None = Field(default=None, description="first year it takes place")
    until: int | None = Field(default=None, description="last year it takes place")

    @model_validator(mode="after")
    def _is_one_rule(self) -> Event:
        faults = []
        if sum(anchor is not None for anchor in (self.holiday, self.date, self.easter)) != 1:
            faults.append("give exactly one of `holiday`, `date` and `easter`")
        if (self.weekday is None) != (self.nth is None) or self.nth == 0 or (self.nth and self.date is None):
            faults.append("give `weekday` and `nth` (not 0) together, and with `date`")
        if self.date is not None and not _is_date(self.date):
            faults.append(f"date: {self.date} is in no year")
        if self.days[0] > self.days[1] or max(map(abs, self.days)) > FURTHEST:
            faults.append(f"days: the first must not be after the last, nor {FURTHEST} days from the anchor")
        if self.since and self.until and self.since > self.until:
            faults.append(f"since {self.since} is after until {self.until}")
        if faults:
            raise ValueError("\n".join(faults))
        return self


def _is_date(month_day: str) -> bool:
    month, day = (int(part) for part in month_day.split("-"))
    return 1 <= month <= 12 and 1 <= day <= monthrange(2000, month)[1]  # a leap year


class Regime(Section):
    """A stretch of days with a pattern of its own, of which nobody knew ahead when it would begin or end."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="name of the regime, not `none`")
    since: date = Field(description="its first day")
    until: date | None = Field(default=None, description="its last day; null while it goes on")

    @model_validator(mode="after")
    def _is_a_stretch(self) -> Regime:
        faults = []
        if self.name == NONE:
            faults.append(f"name: `{NONE}` stands for the days of no regime")
        if self.until is not None and self.until < self.since:
            faults.append(f"until {self.until} is before since {self.since}")
        if faults:
            raise ValueError("\n".join(faults))
        return self


class Calendar(Section):
    """Covariates computed from the date alone."""

    country: str | None = Field(description="ISO 3166 country of the public holidays; null for none")
    subdivision: str | None = Field(description="part of the country, such as a state; null for the whole")
    sunday_service: dict[str, tuple[Weekday, ...]] = Field(
        description="holiday as the `holidays` package names it -> weekdays on which it runs as a Sunday (day type U)"
    )
    events: tuple[Event, ...] = Field(
        default=(),
        description="days off their weekday's pattern; models know them as the covariate `event`. Where two meet, the "
        "first named has the day",
    )
    regimes: tuple[Regime, ...] = Field(
        default=(),
        description="stretches such as a pandemic, one at a time; models know them as the covariate `regime`. That of "
        "a cutoff is taken to go on, as its end, or the next one's beginning, is not known ahead",
    )
    fourier: int = Field(ge=0, le=20, description="sine and cosine pairs of the year given to models")
    future_steps: int = Field(ge=1, le=5000, description="timestamps prepared beyond the end of the data")

    @model_validator(mode="after")
    def _holidays_have_a_country(self) -> Calendar:
        tied = [event.name for event in self.events if event.holiday]
        if tied and self.country is None:
            raise ValueError(f"events {tied} are tied to holidays, and `country` is null")
        return self

    @model_validator(mode="after")
    def _one_regime_at_a_time(self) -> Calendar:
        names = [regime.name for regime in self.regimes]
        faults = [f"regimes: `{name}` is there {names.count(name)} times" for name in names if names.count(name) > 1]
        faults += [
            f"regimes: `{one.name}` goes on into `{after.name}`, which begins {after.since}"
            for one, after in pairwise(sorted(self.regimes, key=lambda regime: regime.since))
            if one.until is None or one.until >= after.since
        ]
        if faults:
            raise ValueError("\n".join(dict.fromkeys(faults)))
        return self

    def periods(self) -> tuple[Period, ...]:
        """The regimes as ``core.regimes`` takes them."""
        return tuple(Period(**regime.model_dump()) for regime in self.regimes)

    def rules(self) -> tuple[Rule, ...]:
        """The events as ``core.events`` takes them."""
        return tuple(Rule(**event.model_dump()) for event in self.events)
