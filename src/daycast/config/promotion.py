"""What a model must come to before it is promoted."""

from __future__ import annotations

from pydantic import Field

from daycast.config.section import Section
from daycast.core.verdict import Gate


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

    def gate(self) -> Gate:
        """As ``core.verdict`` takes it."""
        return Gate(self.margin, self.significance)
