"""The final fit: the best parameters, with as many seeds as configured, on everything up to the test's fit cutoff."""

from __future__ import annotations

import json
from pathlib import Path

from daycast import models
from daycast.config import Config
from daycast.core import split
from daycast.settings import Settings
from daycast.steps import keys
from daycast.steps.data import table
from daycast.steps.mapped import kept
from daycast.steps.progress import emit
from daycast.steps.reference import DataRef, FittedRef, FoldsRef, TunedRef
from daycast.steps.tune import context, with_parameters
from daycast.steps.window import load_windows

MODEL = "model"  # folder of the saved model inside the step's cache
REPORT = "report.json"  # curves and facts of the fit


def fit(settings: Settings, config: Config, data: DataRef, folds: FoldsRef, tuned: TunedRef) -> FittedRef:
    """Fit and save; leaves the model as JSON and safetensors, and ``report.json``."""
    name = tuned.model
    model = with_parameters(config.model[name], tuned.parameters)
    forecaster = models.build(model, context(config, config.seed), keys.seeds(config, name))
    windows = load_windows(settings, config, data, folds.test, model)
    history = split.history(table(settings, config, data), folds.test.fold())

    def on_epoch(epoch: int, epochs: int, values: object) -> None:  # noqa: ARG001 - the protocol's third argument
        emit("fit", name, epoch, epochs, f"epoch {epoch} of {epochs}")

    def make(into: Path) -> None:
        report = forecaster.fit(history, windows, on_epoch)
        models.save(forecaster, into / MODEL)
        facts = {"curves": {k: list(v) for k, v in report.curves.items()}, "facts": dict(report.facts)}
        (into / REPORT).write_text(json.dumps(facts, indent=1))

    key = keys.fit(config, data, name)
    kept(settings.cache("fit", key), make)
    return FittedRef(model=name, key=key, fit_cutoff=folds.test.fit_cutoff)
