"""How far off the forecasts of a fold were: the one number that models are tuned, weighed and compared by."""

from __future__ import annotations

import math

import pandas as pd

from daycast.config import Config
from daycast.core import metrics, split
from daycast.core.frame import Table
from daycast.errors import ModelError
from daycast.steps.reference import FoldRef


def scales(config: Config, whole: Table, fold: FoldRef) -> dict[str, float]:
    """Series -> scale of its MASE, from what a fit of the fold may see, in units of y."""
    history = split.history(whole, fold.fold())
    found = metrics.scales(history, config.dataset.season_length)
    return dict(zip(history.ids, map(float, found), strict=True))


def scored(config: Config, rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of the series that count."""
    chosen = config.backtest.series
    return rows if chosen is None else rows[rows["unique_id"].isin(chosen)]


def value(config: Config, whole: Table, fold: FoldRef, rows: pd.DataFrame) -> float:
    """The backtest's metric of a fold's rows.

    Raises:
        ModelError: it has no value there.
    """
    metric = config.backtest.metric
    found = metrics.score(scored(config, rows), scales(config, whole, fold)).overall[metric]
    if not math.isfinite(found):
        raise ModelError(
            f"a value of {metric} on {fold.name}",
            f"{found}: no series has a scale there, or none of its targets counts",
            "set backtest.metric to another one, such as mae, or move the folds",
        )
    return found
