"""Pictures of results, as PNG files."""

from daycast.adapters.report.forecasts import forecast_against_actual, next_horizon
from daycast.adapters.report.lives import life
from daycast.adapters.report.monitored import errors_by_step, raised, turned_out
from daycast.adapters.report.probabilities import precision_recall, reliability
from daycast.adapters.report.scores import coverage, leaderboard, reproduction, residual_autocorrelation
from daycast.adapters.report.training import Tried, curves, importances, tuning_curves, tuning_history

__all__ = [
    "Tried",
    "coverage",
    "curves",
    "errors_by_step",
    "forecast_against_actual",
    "importances",
    "leaderboard",
    "life",
    "next_horizon",
    "precision_recall",
    "raised",
    "reliability",
    "reproduction",
    "residual_autocorrelation",
    "tuning_curves",
    "tuning_history",
    "turned_out",
]
