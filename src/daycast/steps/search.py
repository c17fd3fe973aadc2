"""Search a model's hyperparameters on the validation folds, alone or as one of several workers that share a study."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from itertools import count, takewhile
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from daycast import models
from daycast.adapters import search as adapter
from daycast.config import Config, Model, Recurrent
from daycast.config.search import Searchable
from daycast.core import split
from daycast.core.frame import Table
from daycast.errors import HistoryError, ModelError, OutputError
from daycast.settings import Settings
from daycast.steps import intervals, judge, keys
from daycast.steps.data import table
from daycast.steps.forecaster import context, rows, with_parameters
from daycast.steps.progress import emit
from daycast.steps.reference import DataRef, FoldRef, FoldsRef, FoundRef, StudyRef
from daycast.steps.transform import kept
from daycast.steps.window import load_windows

TRIALS, IMPORTANCES, FOUND = "trials.json", "importances.json", "found.json"
REFUSALS = (ValidationError, HistoryError, ModelError, OutputError)
"""What drawn parameters may come to: they don't fit together, leave too little history, or make a fit diverge."""


def searched(config: Config, name: str) -> bool:
    """Whether there is anything to search; if not, a model is taken as it is configured."""
    model = config.model[name]
    return isinstance(model, Searchable) and bool(model.space(config.tuning.n_trials))


def begin(settings: Settings, config: Config, data: DataRef, folds: FoldsRef, name: str) -> StudyRef:
    """Make the study that several workers shall share."""
    made = StudyRef(model=name, study=_study(config, data, name))
    objective = Scorer(settings, config, data, folds, name).objective()
    adapter.begin(settings.studies_url, made.study, objective, config.tuning)
    return made


def work(settings: Settings, config: Config, data: DataRef, folds: FoldsRef, begun: StudyRef, worker: int) -> None:
    """Be one of the workers of a search, numbered from 0, until it needs no further trial."""
    scorer = Scorer(settings, config, data, folds, begun.model)
    given = settings.studies_url, begun.study, scorer.objective(), config.tuning, config.seed
    adapter.take_part(*given, worker, scorer.on_trial)


def found(settings: Settings, config: Config, data: DataRef, folds: FoldsRef, name: str) -> FoundRef:
    """The best parameters, once the search has all of its trials; those that it lacks are run here.

    Leaves ``trials.json`` and ``importances.json`` where there is anything to search.
    """
    key = keys.search(config, data, name)
    if not searched(config, name):
        return FoundRef(model=name, key=key, study=None, trial=0, parameters={}, n_trials=1, n_pruned=0)
    folder = settings.cache("search", key)
    study = _study(config, data, name)

    def make(into: Path) -> None:
        scorer = Scorer(settings, config, data, folds, name)
        given = settings.studies_url, study, scorer.objective(), config.tuning, config.seed
        made = adapter.search(*given, on_trial=scorer.on_trial)
        states = [trial.state for trial in made.trials]
        of = FoundRef(
            model=name,
            key=key,
            study=study,
            trial=made.best.number,
            parameters=made.best.parameters,
            n_trials=sum(state != "failed" for state in states),
            n_pruned=states.count("pruned"),
        )
        (into / TRIALS).write_text(json.dumps([asdict(trial) for trial in made.trials], indent=1))
        (into / IMPORTANCES).write_text(json.dumps(adapter.importances(settings.studies_url, study), indent=1))
        (into / FOUND).write_text(of.model_dump_json(indent=1))

    kept(folder, make)
    return FoundRef.model_validate_json((folder / FOUND).read_text())


def _study(config: Config, data: DataRef, name: str) -> str:
    return f"{data.dataset}-{name}-{keys.search(config, data, name)}"


def _best(value: float | None) -> str:
    return "" if value is None else f", best {value:,.4g}"


class Scorer:
    """The objective of a search: mean over the validation folds of the backtest's metric, in raw units."""

    def __init__(self, settings: Settings, config: Config, data: DataRef, folds: FoldsRef, name: str) -> None:
        self.settings, self.config, self.data, self.folds = settings, config, data, folds
        self.name = name
        self.table: Table = table(settings, config, data)
        self.finished = 0
        # Of a fold, on the axis that trials are compared along.
        self.epochs = config.trainer.max_epochs if isinstance(config.model[name], Recurrent) else 1
        self.steps = len(folds.validation) * self.epochs
        # The best of a fold's rungs stands for it: with large step sizes, a single epoch tells little.
        self.so_far: Callable[[Sequence[float]], float] = min
        self.rungs = set(takewhile(lambda e: e < self.epochs, (config.tuning.warmup_epochs * 2**i for i in count())))

    def objective(self) -> adapter.Objective:
        """As the adapter takes it."""
        model, trials = self.config.model[self.name], self.config.tuning.n_trials
        return adapter.Objective(
            self.trial, model.space(trials), model.start(trials), steps=self.steps, refusals=REFUSALS
        )

    def on_trial(self, finished: int, total: int, best: float | None) -> None:
        self.finished = finished
        emit("tune", self.name, finished, total, f"trial {finished} of {total}{_best(best)}")

    def trial(self, parameters: dict[str, Any], report: adapter.Report) -> float:
        """As ``adapter.Objective`` calls it: of one network, as several would cost as many times as much."""
        model = with_parameters(self.config.model[self.name], parameters)
        values: list[float] = []
        for ref in self.folds.validation:
            values.append(self._fold(model, ref, len(values), report))
            report(len(values) * self.epochs, statistics.fmean(values))
        return statistics.fmean(values)

    def _fold(self, model: Model, ref: FoldRef, k: int, report: adapter.Report) -> float:
        """Value of a fold, after ``k`` others."""
        forecaster = models.build(model, context(self.config, self.config.seed))
        windows = load_windows(self.settings, self.config, self.data, ref, model)
        n, trials = len(self.folds.validation), self.config.tuning.n_trials
        seen: list[float] = []  # values at the rungs

        def value(levels: tuple[float, ...] = ()) -> float:
            return judge.value(self.config, self.table, ref, rows(forecaster, self.table, ref, levels))

        def on_epoch(epoch: int, epochs: int, _: Mapping[str, float]) -> None:
            note = f"trial {self.finished + 1} of {trials}, fold {k + 1} of {n}, epoch {epoch} of {epochs}"
            emit("tune", self.name, self.finished * n + k, trials * n, note)
            if k == 0 and epoch in self.rungs:
                # Not the loss: trials may differ in it, and in the units that it is in.
                seen.append(value())
                report(epoch, self.so_far(seen))

        forecaster.fit(split.history(self.table, ref.fold()), windows, on_epoch)
        # A draw that can't give the quantiles that the chosen parameters' rows need is refused here.
        return value(intervals.learned(self.config, self.name))
