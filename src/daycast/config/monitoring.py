"""The ``monitoring`` group: how forecasts are judged once their days have come, and what raises an alarm."""

from __future__ import annotations

from pydantic import Field, model_validator

from daycast.config.section import Section
from daycast.core import retrain


class Retrain(Section):
    """When models are trained again, and when a new champion is taken back; days are calendar days."""

    cool_down: int = Field(ge=1, le=3650, description="days at least between two trainings, whatever alarms are raised")
    back_off: float = Field(
        ge=1, le=10, description="factor that cool_down is multiplied by for each challenger in a row that was refused"
    )
    longest: int = Field(ge=1, le=3650, description="days that a cool-down grows to at most")
    max_age: int = Field(
        ge=1,
        le=3650,
        description="days of data since a training from which it is repeated without an alarm",
    )
    trial: int = Field(
        ge=0, le=3650, description="days of data that a new champion is held against the one before on; 0: never"
    )
    least: int = Field(ge=1, description="of a trial: days forecast that must have come before it may fail")
    worse: float = Field(
        ge=0,
        description="of a trial: by how much the new champion's error may exceed that of the one before it, or of the "
        "seasonal naive, at the same rows, before it is rolled back; a fraction",
    )

    @model_validator(mode="after")
    def _can_be_reached(self) -> Retrain:
        if self.longest < self.cool_down:
            raise ValueError(f"longest {self.longest} is below cool_down {self.cool_down}: it could never be met")
        if 0 < self.trial < self.least:
            raise ValueError(f"least {self.least} is above trial {self.trial}: no trial could ever fail")
        return self

    def rule(self) -> retrain.Rule:
        """As ``core.retrain`` takes it."""
        return retrain.Rule(**self.model_dump(exclude={"trial"}))


class ErrorChart(Section):
    """The cumulative sum of the logarithm of error over what the seasonal naive usually misses at such a timestamp."""

    reference: float = Field(description="reference value k: each timestamp adds what it exceeds it by, log of a ratio")
    limit: float = Field(gt=0, description="decision limit h: the sum that raises the alarm, log of a ratio")
    most: float = Field(gt=0, description="what a timestamp counts with at most, log of a ratio: one raises none")

    @model_validator(mode="after")
    def _can_be_reached(self) -> ErrorChart:
        if self.most <= self.reference:
            raise ValueError(f"most {self.most} is not above reference {self.reference}: no alarm could ever be raised")
        return self


class SkillRule(Section):
    """Worse than the seasonal naive for long, and still: windows of one season of target timestamps."""

    windows: int = Field(ge=1, le=1000, description="newest windows, a season each, that are looked at")
    at_least: int = Field(
        ge=1, description="of them, those with a larger error than the seasonal naive's that raise an alarm"
    )

    @model_validator(mode="after")
    def _can_be_reached(self) -> SkillRule:
        if self.at_least > self.windows:
            raise ValueError(f"at_least {self.at_least} is above windows {self.windows}: no alarm could ever be raised")
        return self


class CoverageChart(Section):
    """The cumulative sum of the share of values outside the 80 % interval, and a floor for the share inside."""

    reference: float = Field(ge=0.2, lt=1, description="reference value k: each timestamp adds what it exceeds it by")
    limit: float = Field(gt=0, description="decision limit h: the sum that raises the alarm, timestamps")
    window: int = Field(ge=7, description="newest timestamps without an event that the floor is for")
    least: float = Field(ge=0, le=0.8, description="floor: share of values inside, over the window")


class Drift(Section):
    """How far newly observed values may stand off the level of their days, against the same time of earlier years."""

    window: int = Field(ge=1, description="newest timestamps whose median is looked at")
    years: int = Field(ge=1, le=20, description="earlier years that are the reference, at most")
    around: int = Field(ge=1, description="timestamps to either side of the same time of those years")
    score: float = Field(gt=0, description="distance from the usual shift that counts, robust standard deviations")
    smallest: float = Field(ge=0, description="least shift that counts, as a share of the level")
    least_spread: float = Field(gt=0, description="least standard deviation that is believed, as a share of the level")
    share: float = Field(gt=0, le=1, description="share of the series that must have drifted")


class Stopped(Section):
    """Series that fall silent while others go on."""

    silent: int = Field(ge=1, description="newest timestamps without a value that make a series a stopped one")
    memory: int = Field(ge=1, description="timestamps before those in which it must have had one: what is old is known")
    share: float = Field(gt=0, le=1, description="share of the series alive then that must have stopped")


class Arrivals(Section):
    """When data that used to come have stopped coming, where ``contract.max_age_days`` does not say."""

    updates: int = Field(ge=1, description="newest days on which newer data had come that tell what is usual")
    least: int = Field(ge=1, description="of them, those needed to tell by; with fewer there is no alarm")
    excess: float = Field(ge=1, description="times the greatest age, before newer data came, that is well")

    @model_validator(mode="after")
    def _can_be_reached(self) -> Arrivals:
        if self.least > self.updates:
            raise ValueError(f"least {self.least} is above updates {self.updates}: no alarm could ever be raised")
        return self


class Monitoring(Section):
    """When forecasts, or the data under them, have gone so wrong that somebody has to act."""

    name: str = Field(description="name, as in conf/monitoring/<name>.yaml")
    late_steps: int = Field(ge=1, description="timestamps after its day in which a value may still come or be revised")
    chart_steps: int = Field(ge=14, description="newest target timestamps that charts are made of")
    calm_days: int = Field(ge=0, description="days without an alarm after which it is over; one sooner is the same one")
    remind_days: int = Field(ge=1, description="days after which people are told again of an alarm that goes on")
    pictured_steps: int = Field(ge=14, description="newest target timestamps in pictures")
    error: ErrorChart = Field(description="alarm `error`: forecast errors have grown")
    skill: SkillRule = Field(description="alarm `skill`: the seasonal naive would have been better")
    coverage: CoverageChart = Field(description="alarm `coverage`: intervals hold too few values")
    drift: Drift = Field(description="alarm `drift`: other values come in than at this time of the year before")
    stopped: Stopped = Field(description="alarm `stopped`: series have fallen silent")
    arrivals: Arrivals = Field(description="alarm `late`, without contract.max_age_days: data have stopped coming")
    retrain: Retrain = Field(description="what follows from an alarm, from age, and from a promotion that went wrong")
