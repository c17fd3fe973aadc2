"""Forecast from every origin of the test fold, and set what came beside it."""

from __future__ import annotations

from daycast import models
from daycast.config import Config
from daycast.core import backtest as core
from daycast.core import forecast
from daycast.settings import Settings
from daycast.steps import keys
from daycast.steps.data import table
from daycast.steps.fit import MODEL
from daycast.steps.reference import BacktestRef, DataRef, FittedRef, FoldsRef, TunedRef
from daycast.steps.tune import offsets

ROWS = "rows.parquet"  # unique_id, cutoff, ds, step, y_hat, quantiles, y; raw units


def backtest(
    settings: Settings, config: Config, data: DataRef, folds: FoldsRef, fitted: FittedRef, tuned: TunedRef
) -> BacktestRef:
    """Rolling-origin forecasts with bands, without refitting; leaves ``rows.parquet``."""
    whole = table(settings, config, data)
    fold = folds.test.fold()
    forecaster = models.load(settings.cache("fit", fitted.key) / MODEL)
    made = core.forecasts(forecaster, whole, fold)
    made = forecast.band(made, offsets(settings, tuned), config.dataset.floor)
    rows = core.with_actuals(made, whole)
    key = keys.backtest(config, data, fitted.model)
    folder = settings.cache("backtest", key)
    folder.mkdir(parents=True, exist_ok=True)
    rows.to_parquet(folder / ROWS)
    return BacktestRef(model=fitted.model, key=key)
