"""Sections of a model's transforms of y."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from daycast.config.section import Section


class Difference(Section):
    """Subtract the value ``lag`` steps before, for each lag in turn."""

    kind: Literal["difference"] = Field(description="kind of transform")
    lags: tuple[Annotated[int, Field(ge=1)], ...] = Field(min_length=1, description="lags, steps, such as [7, 1]")


class Scale(Section):
    """Bring each series to a common scale, learned up to the cutoff."""

    kind: Literal["scale"] = Field(description="kind of transform")
    method: Literal["standard", "minmax", "robust", "mean", "none"] = Field(
        description="zero mean and unit deviation; 0..1; median and interquartile range; divided by the mean absolute "
        "value, so that 0 stays 0; or no scaling"
    )
    log1p: bool = Field(default=False, description="take log(1 + y) first; y must not be below 0")


TransformStep = Annotated[Difference | Scale, Field(discriminator="kind")]
