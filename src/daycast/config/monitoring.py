"""The ``monitoring`` group: how forecasts are judged once their days have come."""

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
        ge=1, le=3650, description="days after its training from which a champion is trained again without an alarm"
    )
    trial: int = Field(
        ge=0, le=3650, description="days in which a new champion is held against the one before; 0: never"
    )
    least: int = Field(ge=1, description="of a trial: origins whose days have come, all or some, before it may fail")
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
        return retrain.Rule(**self.model_dump())


class Monitoring(Section):
    """When forecasts have turned out so badly, for so long, that somebody has to act."""

    name: str = Field(description="name, as in conf/monitoring/<name>.yaml")
    windows: int = Field(ge=1, le=1000, description="newest cutoffs, all their days come, that are looked at")
    at_least: int = Field(
        ge=1, description="of them, those with a larger error than the seasonal naive's that raise an alarm"
    )
    retrain: Retrain = Field(description="what follows from an alarm, from age, and from a promotion that went wrong")

    @model_validator(mode="after")
    def _can_be_reached(self) -> Monitoring:
        if self.at_least > self.windows:
            raise ValueError(f"at_least {self.at_least} is above windows {self.windows}: no alarm could ever be raised")
        return self
