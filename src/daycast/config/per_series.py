"""Sections of the ``model`` group for families that fit a model of its own to each series."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from daycast.config.search import Searchable

REGRESSORS = (
    "known columns used as regressors, one level of each left out; year_sin1, year_cos1, year_sin2, ... are the "
    "Fourier terms of the year, as many as the dataset's calendar has"
)
TRAIN_STEPS = "most recent timestamps to learn from; null for all"
BUDGET_S = (
    "most seconds (wall time) that the fit of one series may take; a series that takes longer gets the seasonal naive "
    "forecast and is counted; null for no limit"
)
Count = Annotated[int, Field(ge=0)]


class Sarima(Searchable):
    """Seasonal ARIMA by statsmodels, per series."""

    family: Literal["sarima"] = Field(description="kind of model")
    order: tuple[Count, Count, Count] = Field(description="p, d, q")
    seasonal_order: tuple[Count, Count, Count] = Field(description="P, D, Q; the period is the dataset's season_length")
    known: tuple[str, ...] = Field(description=REGRESSORS)
    scale: bool = Field(description="divide each series by its standard deviation first, so the optimiser converges")
    update: Literal["filter", "refit"] = Field(
        description="at a new origin: run the filter with the fitted parameters, or fit again"
    )
    train_steps: int | None = Field(ge=1, description=TRAIN_STEPS)
    budget_s: float | None = Field(default=None, gt=0, description=BUDGET_S)

    def misfit(self, season: int) -> str | None:
        """What these orders would need of a season of so many steps, where they can't be combined with it."""
        (p, _, q), (seasonal_p, _, seasonal_q) = self.order, self.seasonal_order
        if season == 1 and any(self.seasonal_order):
            return "seasonal_order [0, 0, 0], as the dataset's season_length is 1"
        if (seasonal_p and p >= season) or (seasonal_q and q >= season):
            return f"p and q below the dataset's season_length {season}, where P or Q use that lag too"
        return None


class AutoArima(Searchable):
    """Order chosen by statsforecast's AutoARIMA, per series."""

    family: Literal["auto_arima"] = Field(description="kind of model")
    known: tuple[str, ...] = Field(description=REGRESSORS)
    train_steps: int | None = Field(ge=1, description=TRAIN_STEPS)
    budget_s: float | None = Field(default=None, gt=0, description=BUDGET_S)


class AutoEts(Searchable):
    """Exponential smoothing, its form chosen by statsforecast's AutoETS, per series."""

    family: Literal["auto_ets"] = Field(description="kind of model")
    train_steps: int | None = Field(ge=1, description=TRAIN_STEPS)
    budget_s: float | None = Field(default=None, gt=0, description=BUDGET_S)


class Mstl(Searchable):
    """Several seasons taken out by STL, and exponential smoothing on the rest, per series."""

    family: Literal["mstl"] = Field(description="kind of model")
    season_lengths: tuple[Annotated[int, Field(ge=2)], ...] | None = Field(
        min_length=1,
        description="seasons to take out, steps, such as [7, 364]; those that fit into the data less than twice are "
        "left out; null for the dataset's season_length",
    )
    train_steps: int | None = Field(ge=1, description=TRAIN_STEPS)
    budget_s: float | None = Field(default=None, gt=0, description=BUDGET_S)

    @field_validator("season_lengths")
    @classmethod
    def _each_season_once(cls, lengths: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if lengths and len(set(lengths)) < len(lengths):
            raise ValueError("each season once")
        return lengths
