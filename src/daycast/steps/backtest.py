"""Forecast from every origin of the test fold, and set what came beside it."""

from __future__ import annotations

from pathlib import Path

from daycast import models
from daycast.config import Config
from daycast.core import backtest as core
from daycast.settings import Settings
from daycast.steps import intervals, keys
from daycast.steps.data import table
from daycast.steps.fit import MODEL
from daycast.steps.mapped import kept
from daycast.steps.reference import BacktestRef, DataRef, FittedRef, FoldsRef, TunedRef
from daycast.steps.tune import calibration

ROWS = "rows.parquet"  # unique_id, cutoff, ds, step, y_hat, y, quantiles as issued; raw units
OFFSETS = "offsets.parquet"  # what the next forecast's quantiles are made with


def backtest(
    settings: Settings, config: Config, data: DataRef, folds: FoldsRef, fitted: FittedRef, tuned: TunedRef
) -> BacktestRef:
    """Rolling-origin forecasts, without refitting, each with the intervals it would have been issued with.

    Leaves ``rows.parquet``, and the offsets that a version goes on with, ``offsets.parquet``.
    """
    whole, name = table(settings, config, data), fitted.model

    def make(into: Path) -> None:
        forecaster = models.load(settings.cache("fit", fitted.key) / MODEL)
        levels = intervals.learned(config, name)
        made = core.with_actuals(core.forecasts(forecaster, whole, folds.test.fold(), levels=levels), whole)
        given = config, name, made, calibration(settings, tuned)
        intervals.issued(*given).to_parquet(into / ROWS)
        intervals.offsets(*given).to_parquet(into / OFFSETS)

    key = keys.backtest(config, data, name)
    kept(settings.cache("backtest", key), make)
    return BacktestRef(model=name, key=key)
