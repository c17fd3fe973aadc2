"""Sections of what a hyperparameter search may try."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from daycast.config.section import Section


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
