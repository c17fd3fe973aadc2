"""daycast: forecasts of seasonal demand that a team can leave unattended."""

__version__ = "0.1.0"
