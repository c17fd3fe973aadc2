"""Intervals of a model's forecasts: those that its backtest scores, and those that it goes on with in service.

Both come of its validation rows (see ``tune.calibration``) and of the test rows that came before; of one that has not
come, nothing is used. So what is promoted on the backtest's coverage is what serving applies next. A model that has
learned quantiles has these calibrated, if the configuration says so; all others have bands around their point
forecasts.
"""

from __future__ import annotations

import pandas as pd

from daycast.config import Config, Recurrent
from daycast.core import adaptive, conformal
from daycast.core.forecast import band


def learned(config: Config, name: str) -> tuple[float, ...]:
    """Levels at which a model has quantiles of its own, carried by its rows whatever is issued; none of most models."""
    model, levels = config.model[name], config.backtest.intervals.levels
    if not isinstance(model, Recurrent) or not model.distributional(config.backtest.horizon):
        return ()
    return () if model.unlearned(levels) else levels


def headed(config: Config, name: str) -> bool:
    """Whether a model is issued with its own quantiles."""
    return config.backtest.intervals.source == "head" and bool(learned(config, name))


def issued(config: Config, name: str, rows: pd.DataFrame, calibration: pd.DataFrame) -> pd.DataFrame:
    """Backtest rows with the quantiles that they would have been issued with: of actuals up to their own cutoff.

    Args:
        rows: ``unique_id, cutoff, ds, step, y_hat, y`` of the test fold, and own quantiles as learned, raw units.
        calibration: the same of the validation folds.
    """
    chosen, floor = config.backtest.intervals, config.dataset.floor
    if chosen.method == "split":
        apply = conformal.calibrated if headed(config, name) else band
        return apply(rows, offsets(config, name, rows, calibration), floor)
    if headed(config, name):
        return adaptive.adaptive_head(rows, calibration, _pace(config), floor)
    return adaptive.adaptive(rows, calibration, chosen.levels, chosen.scale, _pace(config), floor)


def offsets(config: Config, name: str, rows: pd.DataFrame, calibration: pd.DataFrame) -> pd.DataFrame:
    """What the next forecast gets after all of ``rows`` has come; arguments as of ``issued``.

    ``core.conformal.calibrated`` adds it to a model's own quantiles, ``core.forecast.band`` to its point forecasts. It
    stays as it is until the next training run: following actuals in service is the monitoring's.
    """
    chosen = config.backtest.intervals
    if headed(config, name):
        if chosen.method == "split":
            return conformal.head_offsets(calibration)
        return adaptive.adapted_head_offsets(rows, calibration, _pace(config))
    if chosen.method == "split":
        return conformal.offsets(calibration, chosen.levels, chosen.scale)
    return adaptive.adapted_offsets(rows, calibration, chosen.levels, chosen.scale, _pace(config))


def _pace(config: Config) -> adaptive.Pace:
    return adaptive.Pace(config.backtest.intervals.rate, config.backtest.intervals.window)
