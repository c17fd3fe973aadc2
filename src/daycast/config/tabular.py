"""Sections of the profile, and of the families that learn deviations from it by rows of a table."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from daycast.config.family import Family
from daycast.config.search import Searchable
from daycast.config.section import Section
from daycast.config.transforms import Scale
from daycast.core.signals import Recipe

KNOWN = (
    "known columns and Fourier terms (year_sin1, ...) that it is given; null for all of the dataset but `regime`, "
    "which has to be named"
)


class Profile(Section):
    """The usual level of each class of day; a model with a profile learns deviations from it (``core.signals``)."""

    by: tuple[str, ...] = Field(description="known categorical columns whose combinations are the classes of days")
    window: int = Field(ge=1, description="last normal timestamps of a class, those without an event, that make it")
    statistic: Literal["median", "mean"] = Field(description="of these timestamps")
    enough: int | None = Field(
        ge=1,
        description="observed ones among these that it takes; with fewer, a wider class' level stands in; null: half",
    )
    newest: int | None = Field(
        ge=1,
        description="newest normal timestamps of the target's class; the model is told how far they stand from its "
        "level, as known at the cutoff: a change that the profile follows late; null: not told",
    )
    analogs: int = Field(
        ge=0, le=20, description="earlier years looked up for each timestamp: the same day of an event, or of the year"
    )
    year: int = Field(ge=1, description="timestamps in a year that keep the weekday, such as 364 for days")
    means: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        description="timestamps of the means of the newest deviations, less their analogs, that a model is given"
    )
    growth: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        description="timestamps of the means of the newest values, less those a year before, that a model is given"
    )
    closed: float | None = Field(
        description="raw values at or below which nothing ran that day: it counts in no level and no later year looks "
        "back at it; null where such values are ordinary, or never occur"
    )

    def recipe(self) -> Recipe:
        """As ``core.signals`` takes it."""
        return Recipe(**self.model_dump())


class Tabular(Family):
    inputs: Literal["joint", "each"] = Field(
        description="joint: a learner per series, given the signals of all; each: one for all series, given its own"
    )
    transforms: tuple[Scale, ...] = Field(description="applied in this order to y, inverted in the other")
    known: tuple[str, ...] | None = Field(description=KNOWN)
    profile: Profile = Field(description="what the model learns deviations from")
    lags: int = Field(ge=0, le=400, description="innovations of the last timestamps that the model is given")
    max_rows: int = Field(ge=1, description="rows learned from at most, per learner; more are thinned out evenly")
    train_steps: int | None = Field(ge=1, description="most recent timestamps to learn from; null for all")


class LightGbm(Searchable, Tabular):
    """Gradient-boosted trees by LightGBM on signals and calendar."""

    family: Literal["lightgbm"] = Field(description="kind of model")
    loss: Literal["mae", "mse", "huber"] = Field(description="training loss, in transformed units")
    rounds: int = Field(ge=1, description="trees per learner")
    learning_rate: float = Field(gt=0, le=1, description="share of each tree that is kept")
    leaves: int = Field(ge=2, description="most leaves of a tree")
    min_leaf: int = Field(ge=1, description="fewest rows in a leaf")
    feature_share: float = Field(gt=0, le=1, description="share of the features drawn for each tree")
    row_share: float = Field(gt=0, le=1, description="share of the rows drawn for each tree")
    bags: int = Field(ge=1, le=100, description="seeds averaged")
    budget_s: float | None = Field(
        default=None,
        gt=0,
        description="most seconds (wall time) that a learner may grow trees; one that takes longer answers with those "
        "that it has, one at least, and is counted; null for no limit",
    )


class Linear(Searchable, Tabular):
    """Ridge regression on signals and calendar, one for each step ahead."""

    family: Literal["linear"] = Field(description="kind of model")
    penalty: float = Field(ge=0, description="weight of the squared coefficients, per row, features scaled to 1")
    budget_s: float | None = Field(
        default=None,
        gt=0,
        description="most seconds (wall time) that a learner may take; where it takes longer, the steps ahead that are "
        "not learned are forecast by the profile, and it is counted; null for no limit",
    )
