"""The ``promotion`` group: what a challenger has to fulfil before it may serve."""

from __future__ import annotations

from pydantic import Field, model_validator

from daycast.config.section import Section
from daycast.core.gate import Limits
from daycast.core.verdict import Gate


class Championship(Section):
    """What a run's winner has to fulfil to take the champion's place, scored anew beside it at recent origins."""

    origins: int = Field(ge=1, le=1000, description="newest origins, all their days come, that both forecast from")
    step_size: int = Field(ge=1, description="timestamps between them")
    least_origins: int = Field(
        ge=1,
        description="how many of them at least neither of both was fitted on; more "
        "where significance is asked for: as many as five stretches of the horizon that don't overlap",
    )
    series: int = Field(ge=1, description="of more series than these, so many are drawn, always the same ones")
    margin: float = Field(ge=0, lt=1, description="relative improvement over the champion that is required")
    significance: float | None = Field(
        gt=0,
        lt=1,
        description="chance at most that any of a run's models passes that is no better than the champion, by a "
        "bootstrap of origins in blocks and by the test of Diebold and Mariano; null: the margin alone counts",
    )
    step_worse: float = Field(ge=0, description="how much worse than the champion any horizon step may be, a fraction")
    series_worse: float = Field(ge=0, description="of many series: from where on one is much worse, a fraction")
    series_share: float = Field(ge=0, le=1, description="of many series: how many may be, a fraction")
    coverage: tuple[float, float] = Field(
        strict=False, description="least and greatest share of values inside the 80 % interval as it was issued"
    )
    refit: float | None = Field(
        gt=0,
        description="how far forecasts may be off, as a fraction of their series' mean, if the model is fitted again "
        "from data that end where its fit should have; it takes as long as the final fit did. null: it is not fitted "
        "again",
    )
    days_behind: float = Field(
        ge=0, description="how many days the data may go on after those that it was trained and judged by"
    )
    megabytes: float = Field(gt=0, description="size of the version at most, in MB of 10^6 bytes")
    seconds: float = Field(gt=0, description="time of a forecast of its stored example at most, on one CPU thread")

    @model_validator(mode="after")
    def _can_be_reached(self) -> Championship:
        if self.least_origins > self.origins:
            raise ValueError(f"least_origins {self.least_origins} is above origins {self.origins}: nothing would pass")
        low, high = self.coverage
        if not 0 <= low <= high <= 1:
            raise ValueError(f"coverage {list(self.coverage)}: expected two fractions, the lower one first")
        return self

    def limits(self, rivals: int = 1) -> Limits:
        """As ``core.gate`` takes them.

        Args:
            rivals: models that the challenger was chosen from, by Bonferroni's correction.
        """
        asked = ("margin", "step_worse", "series_worse", "series_share", "coverage")
        level = None if self.significance is None else self.significance / rivals
        return Limits(**{name: getattr(self, name) for name in asked}, significance=level)


class Promotion(Section):
    """When a challenger may become champion."""

    name: str = Field(description="name, as in conf/promotion/<name>.yaml")
    margin: float = Field(ge=0, lt=1, description="relative improvement over the best naive baseline that is required")
    significance: float | None = Field(
        gt=0,
        lt=1,
        description="chance at most that noise wins: that any model of a run passes that is in truth no "
        "better than the best baseline; null: the margin alone counts",
    )
    champion: Championship | None = Field(
        description="against the champion in force; null: every winner takes its place"
    )

    def gate(self) -> Gate:
        """As ``core.verdict`` takes it."""
        return Gate(self.margin, self.significance)
