"""The ``model`` group: one section per family; a model is an entry of the group under a name of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from daycast.config.family import Family
from daycast.config.per_series import AutoArima, AutoEts, Mstl, Sarima
from daycast.config.section import Section
from daycast.config.tabular import LightGbm, Linear, Profile
from daycast.config.transforms import Difference, TransformStep


class FloatRange(Section):
    """Real numbers to search."""

    kind: Literal["float"] = Field(description="kind of range")
    low: float = Field(description="least value")
    high: float = Field(description="greatest value")
    log: bool = Field(default=False, description="whether to search on a logarithmic scale")


class IntRange(Section):
    """Whole numbers to search."""

    kind: Literal["int"] = Field(description="kind of range")
    low: int = Field(description="least value")
    high: int = Field(description="greatest value")
    step: int = Field(default=1, ge=1, description="distance between values")


class Choice(Section):
    """Values to choose from."""

    kind: Literal["choice"] = Field(description="kind of range")
    values: tuple[int | float | str | bool, ...] = Field(min_length=1, description="the values")


Space = Annotated[FloatRange | IntRange | Choice, Field(discriminator="kind")]


class Naive(Family):
    """The last observed value."""

    baseline: ClassVar[bool] = True
    family: Literal["naive"] = Field(description="kind of model")


class SeasonalNaive(Family):
    """The last observed value a whole number of lags before."""

    baseline: ClassVar[bool] = True
    family: Literal["seasonal_naive"] = Field(description="kind of model")
    lag: int | None = Field(ge=1, description="steps; null for the dataset's season_length")


class DayTypeNaive(Family):
    """The mean of the last days of the same day type."""

    baseline: ClassVar[bool] = True
    family: Literal["day_type_naive"] = Field(description="kind of model")
    column: str = Field(description="known categorical column that holds the day type")
    window: int = Field(ge=1, description="how many such days are averaged")


class Recurrent(Family):
    """A recurrent network: an encoder over the lookback, then a direct head or a decoder over the horizon."""

    FIXED: ClassVar[tuple[str, ...]] = ("family", "search", "transforms", "known", "profile", "inputs", "loss")

    family: Literal["recurrent"] = Field(description="kind of model")
    cell: Literal["lstm", "gru"] = Field(description="recurrent cell")
    output: Literal["direct", "seq2seq"] = Field(
        description="direct: one head reads the last state for every step; seq2seq: a decoder walks over the horizon"
    )
    inputs: Literal["joint", "each"] = Field(
        description="joint: all series are one multivariate sample; each: one global model, a sample per series"
    )
    lookback: int = Field(ge=1, description="input steps")
    hidden: int = Field(ge=1, le=2048, description="units per layer")
    layers: int = Field(ge=1, le=8, description="stacked recurrent layers")
    dropout: float = Field(ge=0, lt=1, description="share of units dropped between layers and before the head")
    transforms: tuple[TransformStep, ...] = Field(description="applied in this order to y, inverted in the other")
    known: tuple[str, ...] | None = Field(
        description="known columns and Fourier terms (year_sin1, ...) that it is given; null for all of the dataset"
    )
    profile: Profile | None = Field(
        description="learn deviations from it, told with signals; null: the values themselves"
    )
    clip: float = Field(gt=0, description="with a profile: signals are held within so many times their typical size")
    loss: Literal["huber", "mae", "mse"] = Field(description="training loss, in transformed units")
    learning_rate: float = Field(gt=0, description="peak step size of AdamW")
    weight_decay: float = Field(ge=0, description="AdamW weight decay")
    schedule: Literal["cosine", "constant"] = Field(
        description="step size by epoch: down from learning_rate to 0 along a cosine over max_epochs, or constant"
    )
    batch_size: int = Field(ge=1, description="windows per training step")
    train_steps: int | None = Field(ge=1, description="most recent timestamps to learn from; null for all")
    search: dict[str, Space] = Field(
        description="field of this model -> what to search; the fields' values are the start"
    )

    @model_validator(mode="after")
    def _search_is_sound(self) -> Recurrent:
        faults = [
            f"search.{name}: not a field of this model that can be searched"
            for name in self.search
            if name not in type(self).model_fields or name in self.FIXED
        ]
        for name, space in self.search.items():
            if not isinstance(space, Choice) and space.low > space.high:
                faults.append(f"search.{name}: low {space.low} is above high {space.high}")
        if self.profile is not None and any(isinstance(step, Difference) for step in self.transforms):
            faults.append("transforms: no difference beside a profile, which takes levels away already")
        elif self.transforms and isinstance(self.transforms[-1], Difference):
            faults.append("transforms: the last one must be a scale, or the network sees raw units")
        if faults:
            raise ValueError("\n".join(faults))
        return self

    def with_parameters(self, parameters: dict[str, Any]) -> Recurrent:
        """This model with a trial's parameters in place, checked again; its search space is spent."""
        return Recurrent.model_validate({**self.model_dump(), **parameters, "search": {}})


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
    Naive | SeasonalNaive | DayTypeNaive | Sarima | AutoArima | AutoEts | Mstl | Linear | LightGbm | Recurrent | Blend,
    Field(discriminator="family"),
]
