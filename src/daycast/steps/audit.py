"""The proof against leakage: with everything after a cutoff scrambled, no forecast made at it may move by a bit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from daycast import models
from daycast.config import Blend, Config, Recurrent
from daycast.core import leakage as core
from daycast.core.forecast import Forecaster
from daycast.core.frame import Table
from daycast.errors import ConfigError
from daycast.settings import Settings
from daycast.steps import intervals
from daycast.steps.data import in_force, table
from daycast.steps.forecaster import context
from daycast.steps.progress import emit
from daycast.steps.split import split

EPOCHS = 2  # of each of the five fits: what could leak leaks in the first epoch, and the proof is of bits


def leakage(settings: Settings, config: Config, names: Sequence[str]) -> pd.DataFrame:
    """Audit models on the data in force, at the first, middle and last origin of the backtest.

    Returns:
        A row per model: ``model, passed, compared`` (forecasts, and quantiles that it has learned), ``finding``.

    Raises:
        ConfigError: a name is not a model of the configuration.
        DataError: the dataset has no prepared data yet.
    """
    unknown = [name for name in names if name not in config.model]
    if unknown:
        raise ConfigError(f"models among {sorted(config.model)}", f"{unknown}", "name them in model=[...] too")
    data = in_force(settings, config.dataset.name)
    whole, fold = table(settings, config, data), split(settings, config, data).test.fold()
    cutoffs = fold.cutoffs[sorted({0, len(fold.cutoffs) // 2, len(fold.cutoffs) - 1})]
    lines = []
    for i, name in enumerate(names):
        emit("audit", name, i, len(names), f"model {i + 1} of {len(names)}")
        levels = intervals.learned(config, name)
        given = _maker(config, name), whole, fold.fit_cutoff, cutoffs, fold.horizon, config.seed
        found = core.audit(*given, levels=levels)
        lines.append({"model": name, "passed": found.passed, "compared": found.compared, "finding": found.summary()})
        emit("audit", name, len(names), len(names), "passed" if found.passed else "LEAKS")
    return pd.DataFrame(lines)


def _maker(config: Config, name: str) -> core.Make:
    model, around = config.model[name], context(config, config.seed)
    if isinstance(model, Recurrent):
        trainer = config.trainer.at_most(EPOCHS)
        around = models.BuildContext(around.horizon, around.season_length, around.seed, trainer)

    def make(_table: Table) -> Forecaster:
        forecaster = models.build(model, around)
        if isinstance(model, Blend):  # any weights prove the same
            parts = [_maker(config, member)(_table) for member in model.members]
            forecaster.join(parts, np.full((len(parts), around.horizon), 1 / len(parts)))
        return forecaster

    return make
