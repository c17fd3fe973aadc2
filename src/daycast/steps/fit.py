"""The final fit: the best parameters, with as many seeds as configured, on everything up to the test's fit cutoff."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from daycast import models
from daycast.config import Config
from daycast.core import split
from daycast.folders import kept
from daycast.settings import Settings
from daycast.steps import keys, pieces
from daycast.steps.data import table
from daycast.steps.forecaster import context, with_parameters
from daycast.steps.pieces import MODEL, REPORT
from daycast.steps.progress import emit
from daycast.steps.reference import DataRef, FittedRef, FoldsRef, PartRef, TunedRef
from daycast.steps.window import load_windows

__all__ = ["MODEL", "REPORT", "fit"]


def fit(
    settings: Settings,
    config: Config,
    data: DataRef,
    folds: FoldsRef,
    tuned: TunedRef,
    parts: Sequence[PartRef] = (),
) -> FittedRef:
    """Fit and save; leaves the model as JSON and safetensors, and ``report.json``.

    Args:
        parts: pieces of this fit that were made before; all of them, or none.
    """
    name = tuned.model

    def on_epoch(epoch: int, epochs: int, values: object) -> None:  # noqa: ARG001 - the protocol's third argument
        emit("fit", name, epoch, epochs, f"epoch {epoch} of {epochs}")

    def make(into: Path) -> None:
        if parts:
            forecaster, report = pieces.joined(settings, config, tuned, parts)
        else:
            model = with_parameters(config.model[name], tuned.parameters)
            forecaster = models.build(model, context(config, config.seed), keys.seeds(config, name))
            windows = load_windows(settings, config, data, folds.test, model)
            history = split.history(table(settings, config, data), folds.test.fold())
            report = forecaster.fit(history, windows, on_epoch)
        models.save(forecaster, into / MODEL)
        (into / REPORT).write_text(pieces.told(report))

    key = keys.fit(config, data, name)
    kept(settings.cache("fit", key), make)
    return FittedRef(model=name, key=key, fit_cutoff=folds.test.fit_cutoff)
