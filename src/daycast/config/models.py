"""The ``model`` group: one section per family; a model is an entry of the group under a name of its own."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from daycast.config.section import Section
from daycast.core.signals import Recipe


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


class Difference(Section):
    """Subtract the value ``lag`` steps before, for each lag in turn."""

    kind: Literal["difference"] = Field(description="kind of transform")
    lags: tuple[Annotated[int, Field(ge=1)], ...] = Field(min_length=1, description="lags, steps, such as [7, 1]")


class Scale(Section):
    """Bring each series to a common scale, learned up to the cutoff."""

    kind: Literal["scale"] = Field(description="kind of transform")
    method: Literal["standard", "minmax", "robust", "none"] = Field(
        description="zero mean and unit deviation; 0..1; median and interquartile range; or no scaling"
    )
    log1p: bool = Field(default=False, description="take log(1 + y) first; y must not be below 0")


TransformStep = Annotated[Difference | Scale, Field(discriminator="kind")]


class _Family(Section):
    baseline: ClassVar[bool] = False
    """Whether the gate counts it as a naive baseline that others must beat."""


class Naive(_Family):
    """The last observed value."""

    baseline: ClassVar[bool] = True
    family: Literal["naive"] = Field(description="kind of model")


class SeasonalNaive(_Family):
    """The last observed value a whole number of lags before."""

    baseline: ClassVar[bool] = True
    family: Literal["seasonal_naive"] = Field(description="kind of model")
    lag: int | None = Field(ge=1, description="steps; null for the dataset's season_length")


class DayTypeNaive(_Family):
    """The mean of the last days of the same day type."""

    baseline: ClassVar[bool] = True
    family: Literal["day_type_naive"] = Field(description="kind of model")
    column: str = Field(description="known categorical column that holds the day type")
    window: int = Field(ge=1, description="how many such days are averaged")


REGRESSORS = (
    "known columns used as regressors, one level of each left out; year_sin1, year_cos1, year_sin2, ... are the "
    "Fourier terms of the year, as many as the dataset's calendar has"
)
Count = Annotated[int, Field(ge=0)]


class Sarima(_Family):
    """Seasonal ARIMA by statsmodels, per series."""

    family: Literal["sarima"] = Field(description="kind of model")
    order: tuple[Count, Count, Count] = Field(description="p, d, q")
    seasonal_order: tuple[Count, Count, Count] = Field(description="P, D, Q; the period is the dataset's season_length")
    known: tuple[str, ...] = Field(description=REGRESSORS)
    scale: bool = Field(description="divide each series by its standard deviation first, so the optimiser converges")
    update: Literal["filter", "refit"] = Field(
        description="at a new origin: run the filter with the fitted parameters, or fit again"
    )
    train_steps: int | None = Field(ge=1, description="most recent timestamps to learn from; null for all")

    def misfit(self, season: int) -> str | None:
        """What these orders would need of a season of so many steps, where they can't be combined with it."""
        (p, _, q), (seasonal_p, _, seasonal_q) = self.order, self.seasonal_order
        if season == 1 and any(self.seasonal_order):
            return "seasonal_order [0, 0, 0], as the dataset's season_length is 1"
        if (seasonal_p and p >= season) or (seasonal_q and q >= season):
            return f"p and q below the dataset's season_length {season}, where P or Q use that lag too"
        return None


class AutoArima(_Family):
    """Order chosen by statsforecast's AutoARIMA, per series."""

    family: Literal["auto_arima"] = Field(description="kind of model")
    known: tuple[str, ...] = Field(description=REGRESSORS)
    train_steps: int | None = Field(ge=1, description="most recent timestamps to learn from; null for all")


class Profile(Section):
    """The usual level of each class of day; a model with a profile learns deviations from it (``core.signals``)."""

    by: tuple[str, ...] = Field(description="known categorical columns whose combinations are the classes of days")
    window: int = Field(ge=1, description="last normal timestamps of a class, those without an event, that make it")
    statistic: Literal["median", "mean"] = Field(description="of these timestamps")
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

    def recipe(self) -> Recipe:
        """As ``core.signals`` takes it."""
        return Recipe(**self.model_dump())


class _Tabular(_Family):
    inputs: Literal["joint", "each"] = Field(
        description="joint: a learner per series, given the signals of all; each: one for all series, given its own"
    )
    transforms: tuple[Scale, ...] = Field(description="applied in this order to y, inverted in the other")
    profile: Profile = Field(description="what the model learns deviations from")
    lags: int = Field(ge=0, le=400, description="innovations of the last timestamps that the model is given")
    max_rows: int = Field(ge=1, description="rows learned from at most, per learner; more are thinned out evenly")
    train_steps: int | None = Field(ge=1, description="most recent timestamps to learn from; null for all")


class LightGbm(_Tabular):
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


class Linear(_Tabular):
    """Ridge regression on signals and calendar, one for each step ahead."""

    family: Literal["linear"] = Field(description="kind of model")
    penalty: float = Field(ge=0, description="weight of the squared coefficients, per row, features scaled to 1")


class Recurrent(_Family):
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


class Blend(_Family):
    """The weighted mean of other models of the run; the weights have the least error on the validation folds."""

    family: Literal["blend"] = Field(description="kind of model")
    members: tuple[str, ...] = Field(min_length=2, description="names of the models, which must be in the run as well")


Model = Annotated[
    Naive | SeasonalNaive | DayTypeNaive | Sarima | AutoArima | Linear | LightGbm | Recurrent | Blend,
    Field(discriminator="family"),
]
