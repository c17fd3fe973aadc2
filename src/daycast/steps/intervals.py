"""Intervals around a model's forecasts: those that its backtest scores, and those that it goes on with in service.

Both come of the validation rows of its chosen trial and of the test rows that came before; of one that has not come,
nothing is used. So what is promoted on the backtest's coverage is what serving applies next.
"""

from __future__ import annotations

import pandas as pd

from daycast.config import Config
from daycast.core import adaptive, conformal
from daycast.core.forecast import band


def issued(config: Config, rows: pd.DataFrame, calibration: pd.DataFrame) -> pd.DataFrame:
    """Backtest rows with the quantiles that they would have been issued with: of actuals up to their own cutoff.

    Args:
        rows: ``unique_id, cutoff, ds, step, y_hat, y`` of the test fold, raw units.
        calibration: the same of the validation folds.
    """
    chosen, floor = config.backtest.intervals, config.dataset.floor
    if chosen.method == "split":
        return band(rows, offsets(config, rows, calibration), floor)
    return adaptive.adaptive(rows, calibration, chosen.levels, chosen.scale, _pace(config), floor)


def offsets(config: Config, rows: pd.DataFrame, calibration: pd.DataFrame) -> pd.DataFrame:
    """What ``core.forecast.band`` adds to the next forecast after all of ``rows`` has come; arguments as of ``issued``.

    They stay as they are until the next training run: following actuals in service is the monitoring's.
    """
    chosen = config.backtest.intervals
    if chosen.method == "split":
        return conformal.offsets(calibration, chosen.levels, chosen.scale)
    return adaptive.adapted_offsets(rows, calibration, chosen.levels, chosen.scale, _pace(config))


def _pace(config: Config) -> adaptive.Pace:
    return adaptive.Pace(config.backtest.intervals.rate, config.backtest.intervals.window)
