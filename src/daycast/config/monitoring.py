"""The ``monitoring`` group: how forecasts are judged once their days have come."""

from __future__ import annotations

from pydantic import Field, model_validator

from daycast.config.section import Section


class Monitoring(Section):
    """When forecasts have turned out so badly, for so long, that somebody has to act."""

    name: str = Field(description="name, as in conf/monitoring/<name>.yaml")
    windows: int = Field(ge=1, le=1000, description="newest cutoffs, all their days come, that are looked at")
    at_least: int = Field(
        ge=1, description="of them, those with a larger error than the seasonal naive's that raise an alarm"
    )

    @model_validator(mode="after")
    def _can_be_reached(self) -> Monitoring:
        if self.at_least > self.windows:
            raise ValueError(f"at_least {self.at_least} is above windows {self.windows}: no alarm could ever be raised")
        return self
