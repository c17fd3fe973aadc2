"""Forecast from every origin of the test fold, and set what came beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from daycast import models
from daycast.config import Config
from daycast.folders import kept
from daycast.settings import Settings
from daycast.steps import intervals, keys, pieces
from daycast.steps.data import table
from daycast.steps.fit import MODEL
from daycast.steps.forecaster import rows
from daycast.steps.reference import BacktestRef, DataRef, FittedRef, FoldsRef, PartRef, TunedRef
from daycast.steps.tune import calibration

ROWS = "rows.parquet"  # unique_id, cutoff, ds, step, y_hat, y, quantiles as issued; raw units
OFFSETS = "offsets.parquet"  # what the next forecast's quantiles are made with


def backtest(
    settings: Settings,
    config: Config,
    data: DataRef,
    folds: FoldsRef,
    fitted: FittedRef,
    tuned: TunedRef,
    parts: Sequence[PartRef] = (),
) -> BacktestRef:
    """Rolling-origin forecasts, without refitting, each with the intervals it would have been issued with.

    Leaves ``rows.parquet``, and the offsets that a version goes on with, ``offsets.parquet``.

    Args:
        parts: pieces of the fit, which may have left their forecasts.
    """
    name = fitted.model

    def make(into: Path) -> None:
        made = pieces.forecasts(settings, parts)
        if made is None:
            forecaster = models.load(settings.cache("fit", fitted.key) / MODEL)
            made = rows(forecaster, table(settings, config, data), folds.test, intervals.learned(config, name))
        given = config, name, made, calibration(settings, tuned)
        intervals.issued(*given).to_parquet(into / ROWS)
        intervals.offsets(*given).to_parquet(into / OFFSETS)

    key = keys.backtest(config, data, name)
    kept(settings.cache("backtest", key), make)
    return BacktestRef(model=name, key=key)
