"""The ``model`` group: one section per family; a model is an entry of the group under a name of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from daycast.config.family import Family
from daycast.config.per_series import AutoArima, AutoEts, Mstl, Sarima
from daycast.config.recurrent import Recurrent
from daycast.config.tabular import LightGbm, Linear


class Naive(Family):
    """The last observed value."""

    baseline: ClassVar[bool] = True
    family: Literal["naive"] = Field(description="kind of model")


class Mean(Family):
    """The mean of the last observed values: the best there is where a series is noise around a level."""

    baseline: ClassVar[bool] = True
    family: Literal["mean"] = Field(description="kind of model")
    window: int | None = Field(ge=1, description="how many values are averaged; null for all")


class SeasonalNaive(Family):
    """The last observed value a whole number of lags before."""

    baseline: ClassVar[bool] = True
    family: Literal["seasonal_naive"] = Field(description="kind of model")
    lag: int | None = Field(ge=1, description="steps; null for the dataset's season_length")


class DayTypeNaive(Family):
    """The mean of the last days of the same day type, or of the same day type and weekday."""

    baseline: ClassVar[bool] = True
    family: Literal["day_type_naive"] = Field(description="kind of model")
    column: str | Annotated[tuple[str, ...], Field(min_length=1)] = Field(
        description="known categorical column that holds the day type, or several that must all be equal"
    )
    window: int = Field(ge=1, description="how many such days are averaged")

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns, one or several."""
        return (self.column,) if isinstance(self.column, str) else self.column


class Blend(Family):
    """The weighted mean of other models of the run; the weights have the least error on the validation folds."""

    family: Literal["blend"] = Field(description="kind of model")
    members: tuple[str, ...] = Field(min_length=2, description="names of the models, which must be in the run as well")

    def misfit(self, models: Mapping[str, Family]) -> str | None:
        """What is wrong with the members among a run's models; ``None`` if nothing is."""
        if len(set(self.members)) < len(self.members):
            return f"expected each name once, found {list(self.members)}"
        if inner := [name for name in self.members if isinstance(models.get(name), Blend)]:
            return f"{inner} are blends themselves; name their members instead"
        if missing := [name for name in self.members if name not in models]:
            return f"{missing} are not in the run: name them too, as in model=[...,{','.join(self.members)}]"
        return None


Model = Annotated[
    (Naive | Mean | SeasonalNaive | DayTypeNaive)
    | (Sarima | AutoArima | AutoEts | Mstl)
    | (Linear | LightGbm | Recurrent | Blend),
    Field(discriminator="family"),
]
