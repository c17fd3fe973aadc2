"""The index of valid windows over a transform's arrays, per lookback: runs of starts, never a window or its number."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from daycast.config import Config, Model, Recurrent
from daycast.core import windows as core
from daycast.core.runs import Runs
from daycast.core.windows import Windows
from daycast.folders import kept
from daycast.settings import Settings
from daycast.steps import keys
from daycast.steps.reference import DataRef, FoldRef, FoldsRef, TransformRef, WindowsRef
from daycast.steps.transform import INDEX, arrays

RUNS = "runs.npy"


def window(settings: Settings, config: Config, data: DataRef, folds: FoldsRef, transformed: TransformRef) -> WindowsRef:
    """The starts of all folds' windows at the configured lookback; a search adds those of others as it goes."""
    model = config.model[transformed.model]
    made = []
    if isinstance(model, Recurrent):
        for fold in (*folds.validation, folds.test):
            load_windows(settings, config, data, fold, model)
            made.append(keys.starts(config, data, fold, model))
    key = keys.window(config, data, transformed.model)
    kept(settings.cache("window", key), lambda folder: (folder / INDEX).write_text(json.dumps(made)))
    return WindowsRef(model=transformed.model, parts=tuple(made))


def load_windows(settings: Settings, config: Config, data: DataRef, fold: FoldRef, model: Model) -> Windows | None:
    """A network's windows of one fold over memory-mapped arrays; ``None`` for a model that learns from no windows."""
    if not isinstance(model, Recurrent):
        return None
    of = arrays(settings, config, data, fold, model)
    folder = settings.cache("window", keys.starts(config, data, fold, model))

    def make(into: Path) -> None:
        np.save(into / RUNS, core.starts(of, model.lookback, model.steps(fold.horizon)).rows)

    kept(folder, make)
    return Windows(*of, Runs(np.load(folder / RUNS)), model.lookback, model.steps(fold.horizon))
