"""Pictures of results, as PNG files."""

from daycast.adapters.report.forecasts import forecast_against_actual, next_horizon
from daycast.adapters.report.lives import life
from daycast.adapters.report.probabilities import precision_recall, reliability
from daycast.adapters.report.realised import realised
from daycast.adapters.report.scores import coverage, leaderboard, reproduction, residual_autocorrelation
from daycast.adapters.report.training import Tried, curves, importances, tuning_curves, tuning_history

__all__ = [
    "Tried",
    "coverage",
    "curves",
    "forecast_against_actual",
    "importances",
    "leaderboard",
    "life",
    "next_horizon",
    "precision_recall",
    "realised",
    "reliability",
    "reproduction",
    "residual_autocorrelation",
    "tuning_curves",
    "tuning_history",
]
