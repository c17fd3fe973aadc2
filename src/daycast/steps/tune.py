"""Choose a model's hyperparameters on the validation folds, and learn how wide its errors are there.

Every model passes here: one without a search space is scored as it is configured. So all have a validation score, and
forecasts of rows that no fit has seen, with what came, by whose errors its intervals are calibrated.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from daycast import models
from daycast.adapters import search
from daycast.config import Config, Model, Recurrent
from daycast.core import backtest, split
from daycast.core.forecast import OnEpoch
from daycast.core.frame import Table
from daycast.settings import Settings
from daycast.steps import intervals, judge, keys
from daycast.steps.data import table
from daycast.steps.progress import emit
from daycast.steps.reference import DataRef, FoldRef, FoldsRef, TunedRef
from daycast.steps.window import load_windows

TRIALS, IMPORTANCES = "trials.json", "importances.json"


def tune(settings: Settings, config: Config, data: DataRef, folds: FoldsRef, name: str) -> TunedRef:
    """Search, or score as configured.

    Leaves ``trial-<number>.parquet`` of finished trials (their rows of the validation folds), ``trials.json`` and
    ``importances.json``.

    Raises:
        ModelError: the metric has no value on the validation folds.
    """
    key = keys.tune(config, data, name)
    folder = settings.cache("tune", key)
    folder.mkdir(parents=True, exist_ok=True)
    model = config.model[name]
    scorer = _Scorer(settings, config, data, folds, name, folder)
    if isinstance(model, Recurrent) and model.search and config.tuning.n_trials:
        found = search.search(
            settings.studies_url,
            study := f"{data.dataset}-{name}-{key}",
            search.Objective(
                scorer.trial,
                model.search,
                {field: getattr(model, field) for field in model.search},
                segment=config.trainer.max_epochs,
            ),
            config.tuning,
            config.seed,
            on_trial=scorer.on_trial,
        )
        made, best = found.trials, found.best
        shares = search.importances(settings.studies_url, study)
    else:
        value = scorer.trial({}, lambda *_: None, 0)
        study, best = None, search.TrialRecord(0, "complete", {}, value)
        made, shares = (best,), {}
    if not rows_of(folder, best.number).exists():  # deleted, or the trial ran on another machine
        scorer.trial(best.parameters, lambda *_: None, best.number)
    (folder / IMPORTANCES).write_text(json.dumps(shares, indent=1))
    (folder / TRIALS).write_text(json.dumps([asdict(trial) for trial in made], indent=1))
    return TunedRef(
        model=name,
        key=key,
        study=study,
        trial=best.number,
        parameters=best.parameters,
        value=float(best.value or 0.0),
        n_trials=sum(t.state != "failed" for t in made),
        n_pruned=sum(t.state == "pruned" for t in made),
    )


def trials(settings: Settings, tuned: TunedRef) -> list[search.TrialRecord]:
    """All trials of a search, also of one whose study is not at hand any more; of no search, one as configured."""
    told = json.loads((settings.cache("tune", tuned.key) / TRIALS).read_text())
    return [search.TrialRecord(**{**t, "curve": {int(step): v for step, v in t["curve"].items()}}) for t in told]


def calibration(settings: Settings, tuned: TunedRef) -> pd.DataFrame:
    """The chosen trial's rows of the validation folds: ``unique_id, cutoff, ds, step, y_hat, y``, and the model's own
    quantiles where it has learned them; raw units."""
    return pd.read_parquet(rows_of(settings.cache("tune", tuned.key), tuned.trial))


def rows_of(folder: Path, number: int) -> Path:
    """Where a trial's rows of the validation folds lie in a search's folder."""
    return folder / f"trial-{number}.parquet"


def with_parameters(model: Model, parameters: Mapping[str, Any]) -> Model:
    """The model with a search's parameters in place."""
    return model.with_parameters(dict(parameters)) if isinstance(model, Recurrent) else model


def context(config: Config, seed: int) -> models.BuildContext:
    """What a model needs to know beside its own section."""
    return models.BuildContext(config.backtest.horizon, config.dataset.season_length, seed, config.trainer)


def _best(value: float | None) -> str:
    return "" if value is None else f", best {value:,.4g}"


class _Scorer:
    """The objective of a search: mean over the validation folds of the backtest's metric, in raw units."""

    def __init__(
        self, settings: Settings, config: Config, data: DataRef, folds: FoldsRef, name: str, folder: Path
    ) -> None:
        self.settings, self.config, self.data, self.folds = settings, config, data, folds
        self.name, self.folder = name, folder
        self.table: Table = table(settings, config, data)
        self.finished = 0

    def on_trial(self, finished: int, total: int, best: float | None) -> None:
        self.finished = finished
        emit("tune", self.name, finished, total, f"trial {finished} of {total}{_best(best)}")

    def trial(self, parameters: dict[str, Any], report: search.Report, number: int) -> float:
        model = with_parameters(self.config.model[self.name], parameters)
        made, values = [], []
        for k, ref in enumerate(self.folds.validation):
            rows = self._fold(model, ref, self._on_epoch(report, k))
            made.append(rows)
            values.append(judge.value(self.config, self.table, ref, rows))
        target = rows_of(self.folder, number)
        part = target.with_suffix(f".{os.getpid()}.part")
        pd.concat(made).to_parquet(part)
        os.replace(part, target)  # a kill in between leaves no half file under the trial's name
        return sum(values) / len(values)

    def _fold(self, model: Model, ref: FoldRef, on_epoch: OnEpoch) -> pd.DataFrame:
        fold = ref.fold()
        forecaster = models.build(model, context(self.config, self.config.seed))
        windows = load_windows(self.settings, self.config, self.data, ref, model)
        forecaster.fit(split.history(self.table, fold), windows, on_epoch)
        levels = intervals.learned(self.config, self.name)
        return backtest.with_actuals(backtest.forecasts(forecaster, self.table, fold, levels=levels), self.table)

    def _on_epoch(self, report: search.Report, k: int) -> OnEpoch:
        n, total = len(self.folds.validation), self.config.trainer.max_epochs
        trials = max(self.config.tuning.n_trials, 1)  # 0: the configured values, once

        def on_epoch(epoch: int, epochs: int, values: Mapping[str, float]) -> None:
            note = f"trial {self.finished + 1} of {trials}, fold {k + 1} of {n}, epoch {epoch} of {epochs}"
            emit("tune", self.name, self.finished * n + k, trials * n, note)
            # Folds lie behind each other on the axis of the curve, so only like is compared with like.
            report(k * total + epoch - 1, float(values["val_loss"]))

        return on_epoch
