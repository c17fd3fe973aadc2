"""What the steps that fit or judge a forecaster have in common: its parameters, what it needs to know, its rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from daycast import models
from daycast.config import Config, Model
from daycast.config.search import Searchable
from daycast.core import backtest
from daycast.core.forecast import Forecaster
from daycast.core.frame import Table
from daycast.steps.reference import FoldRef


def with_parameters(model: Model, parameters: Mapping[str, Any]) -> Model:
    """The model with a search's parameters in place."""
    return model.with_parameters(parameters) if isinstance(model, Searchable) else model


def context(config: Config, seed: int) -> models.BuildContext:
    """What a model needs to know beside its own section."""
    return models.BuildContext(config.backtest.horizon, config.dataset.season_length, seed, config.trainer)


def rows(forecaster: Forecaster, whole: Table, fold: FoldRef, levels: tuple[float, ...] = ()) -> pd.DataFrame:
    """A fitted forecaster's rows of a fold with what came, raw units; own quantiles at ``levels``, if any."""
    return backtest.with_actuals(backtest.forecasts(forecaster, whole, fold.fold(), levels=levels), whole)
