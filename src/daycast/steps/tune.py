"""Choose a model's hyperparameters on the validation folds, and learn how wide its errors are there.

Every model passes here: one without a search space is scored as it is configured. So all have a validation score, and
forecasts of rows that no fit has seen, with what came, by whose errors its intervals are calibrated.
"""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from itertools import count, takewhile
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import ValidationError

from daycast import models
from daycast.adapters import search
from daycast.config import Config, Model, Recurrent
from daycast.config.search import Searchable
from daycast.core import backtest, split
from daycast.core.frame import Table
from daycast.errors import HistoryError, ModelError, OutputError
from daycast.settings import Settings
from daycast.steps import intervals, judge, keys
from daycast.steps.data import table
from daycast.steps.progress import emit
from daycast.steps.reference import DataRef, FoldRef, FoldsRef, TunedRef
from daycast.steps.window import load_windows

TRIALS, IMPORTANCES, CHOSEN = "trials.json", "importances.json", "chosen.parquet"
REFUSALS = (ValidationError, HistoryError, ModelError, OutputError)
"""What drawn parameters may come to: they don't fit together, leave too little history, or make a fit diverge."""


def tune(settings: Settings, config: Config, data: DataRef, folds: FoldsRef, name: str) -> TunedRef:
    """Search, or score as configured.

    Leaves ``chosen.parquet`` (see ``calibration``), ``trials.json`` and ``importances.json``.

    Raises:
        ModelError: the metric has no value on the validation folds.
    """
    key = keys.tune(config, data, name)
    folder = settings.cache("tune", key)
    folder.mkdir(parents=True, exist_ok=True)
    model = config.model[name]
    scorer = Scorer(settings, config, data, folds, name, folder)
    if isinstance(model, Searchable) and (space := model.space(config.tuning.n_trials)):
        found = search.search(
            settings.studies_url,
            study := f"{data.dataset}-{name}-{keys.search(config, data, name)}",
            search.Objective(
                scorer.trial,
                space,
                model.start(config.tuning.n_trials),
                steps=scorer.steps,
                refusals=REFUSALS,
            ),
            config.tuning,
            config.seed,
            on_trial=scorer.on_trial,
        )
        made, best = found.trials, found.best
        shares = search.importances(settings.studies_url, study)
        value = scorer.chosen(best.parameters)
    else:
        value = scorer.chosen({})
        study, best = None, search.TrialRecord(0, "complete", {}, value)
        made, shares = (best,), {}
    (folder / IMPORTANCES).write_text(json.dumps(shares, indent=1))
    (folder / TRIALS).write_text(json.dumps([asdict(trial) for trial in made], indent=1))
    return TunedRef(
        model=name,
        key=key,
        study=study,
        trial=best.number,
        parameters=best.parameters,
        value=value,
        n_trials=sum(t.state != "failed" for t in made),
        n_pruned=sum(t.state == "pruned" for t in made),
    )


def trials(settings: Settings, tuned: TunedRef) -> list[search.TrialRecord]:
    """All trials of a search, also of one whose study is not at hand any more; of no search, one as configured."""
    told = json.loads((settings.cache("tune", tuned.key) / TRIALS).read_text())
    return [search.TrialRecord(**{**t, "curve": {int(step): v for step, v in t["curve"].items()}}) for t in told]


def calibration(settings: Settings, tuned: TunedRef) -> pd.DataFrame:
    """Rows of the validation folds by the chosen parameters, averaged over as many networks as the final fit has:
    ``unique_id, cutoff, ds, step, y_hat, y``, and the model's own quantiles where it has learned them; raw units."""
    return pd.read_parquet(settings.cache("tune", tuned.key) / CHOSEN)


def with_parameters(model: Model, parameters: Mapping[str, Any]) -> Model:
    """The model with a search's parameters in place."""
    return model.with_parameters(parameters) if isinstance(model, Searchable) else model


def context(config: Config, seed: int) -> models.BuildContext:
    """What a model needs to know beside its own section."""
    return models.BuildContext(config.backtest.horizon, config.dataset.season_length, seed, config.trainer)


def _best(value: float | None) -> str:
    return "" if value is None else f", best {value:,.4g}"


class Scorer:
    """The objective of a search: mean over the validation folds of the backtest's metric, in raw units."""

    def __init__(
        self, settings: Settings, config: Config, data: DataRef, folds: FoldsRef, name: str, folder: Path
    ) -> None:
        self.settings, self.config, self.data, self.folds = settings, config, data, folds
        self.name, self.folder = name, folder
        self.table: Table = table(settings, config, data)
        self.finished = 0
        # Of a fold, on the axis that trials are compared along.
        self.epochs = config.trainer.max_epochs if isinstance(config.model[name], Recurrent) else 1
        self.steps = len(folds.validation) * self.epochs
        # The best of a fold's rungs stands for it: with large step sizes, a single epoch tells little.
        self.so_far: Callable[[Sequence[float]], float] = min
        self.rungs = set(takewhile(lambda e: e < self.epochs, (config.tuning.warmup_epochs * 2**i for i in count())))

    def on_trial(self, finished: int, total: int, best: float | None) -> None:
        self.finished = finished
        emit("tune", self.name, finished, total, f"trial {finished} of {total}{_best(best)}")

    def trial(self, parameters: dict[str, Any], report: search.Report | None) -> float:
        """As ``search.Objective`` calls it: of one network, as several would cost as many times as much."""
        return self._score(parameters, report, 1)[0]

    def chosen(self, parameters: dict[str, Any]) -> float:
        """Leave the rows that intervals are calibrated and blends are weighed on, those of what the final fit will be:
        one network misses by more than the mean of several. Returns their value."""
        value, rows = self._score(parameters, None, keys.seeds(self.config, self.name))
        target = self.folder / CHOSEN
        part = target.with_suffix(f".{os.getpid()}.part")
        rows.to_parquet(part)
        os.replace(part, target)  # a kill in between leaves no half file under the name
        return value

    def _score(
        self, parameters: dict[str, Any], report: search.Report | None, seeds: int
    ) -> tuple[float, pd.DataFrame]:
        model = with_parameters(self.config.model[self.name], parameters)
        made: list[pd.DataFrame] = []
        values: list[float] = []
        for ref in self.folds.validation:
            forecaster = models.build(model, context(self.config, self.config.seed), seeds)
            made.append(self._fold(forecaster, model, ref, values, report))
            values.append(judge.value(self.config, self.table, ref, made[-1]))
            if report is not None:
                report(len(values) * self.epochs, statistics.fmean(values))
        return statistics.fmean(values), pd.concat(made)

    def _fold(
        self, forecaster: Any, model: Model, ref: FoldRef, before: Sequence[float], report: search.Report | None
    ) -> pd.DataFrame:
        """Rows of a fold, after those whose values are ``before``."""
        windows = load_windows(self.settings, self.config, self.data, ref, model)
        n, k = len(self.folds.validation), len(before)
        trials = max(self.config.tuning.n_trials, 1)  # 0: the configured values, once
        seen: list[float] = []  # values at the rungs

        def rows(levels: tuple[float, ...] = ()) -> pd.DataFrame:
            made = backtest.forecasts(forecaster, self.table, ref.fold(), levels=levels)
            return backtest.with_actuals(made, self.table)

        def on_epoch(epoch: int, epochs: int, _: Mapping[str, float]) -> None:
            which = "chosen values" if report is None else f"trial {self.finished + 1} of {trials}"
            note = f"{which}, fold {k + 1} of {n}, epoch {epoch} of {epochs}"
            emit("tune", self.name, self.finished * n + k, trials * n, note)
            if report is not None and not before and epoch in self.rungs:
                # Not the loss: trials may differ in it, and in the units that it is in.
                seen.append(judge.value(self.config, self.table, ref, rows()))
                report(epoch, self.so_far(seen))

        forecaster.fit(split.history(self.table, ref.fold()), windows, on_epoch)
        return rows(intervals.learned(self.config, self.name))
