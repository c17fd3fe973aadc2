"""Difference and scale each fold's history, once per recipe, into arrays that every fit of it maps into memory."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from daycast.config import Config, Recurrent
from daycast.core import split
from daycast.core.anchors import Anchors, Newest
from daycast.core.arrays import Arrays
from daycast.folders import kept
from daycast.models.recipe import Recipe, Transforms
from daycast.settings import Settings
from daycast.steps import keys
from daycast.steps.data import table
from daycast.steps.mapped import Files, array
from daycast.steps.reference import DataRef, FoldRef, FoldsRef, TransformRef

MAPPED = ("inputs", "known", "static")
INDEX, STATE = "index.json", "state.json"


def transform(settings: Settings, config: Config, data: DataRef, folds: FoldsRef, name: str) -> TransformRef:
    """The arrays of all folds for a network's configured recipe; leaves ``.npy`` files and the transform's state."""
    model = config.model[name]
    made = []
    if isinstance(model, Recurrent):
        for fold in (*folds.validation, folds.test):
            arrays(settings, config, data, fold, model)
            made.append(keys.arrays(config, data, fold, model))
    key = keys.transform(config, data, name)
    kept(settings.cache("transform", key), lambda folder: (folder / INDEX).write_text(json.dumps(made)))
    return TransformRef(model=name, parts=tuple(made))


def arrays(settings: Settings, config: Config, data: DataRef, fold: FoldRef, model: Recurrent) -> Arrays:
    """Memory-mapped arrays of one fold; made from the data where this machine has none yet."""
    folder = settings.cache("transform", keys.arrays(config, data, fold, model))

    def make(into: Path) -> None:
        recipe = Recipe.of(model, fold.horizon)
        history = recipe.limited(split.history(table(settings, config, data), fold.fold()))
        fitted = Transforms.of(recipe, history)
        made = _written(into, fitted.arrays(recipe, history))
        (into / STATE).write_text(json.dumps({"targets": made.targets, "held": made.held, **fitted.to_json()}))

    def mapped(*names: str) -> list[NDArray[Any]]:
        return [array(folder, name) for name in names]

    kept(folder, make)
    anchors = None if model.profile is None else Anchors(*mapped(*Anchors._fields))
    told = model.profile is not None and model.profile.newest is not None
    newest = Newest(*mapped(*Newest._fields)) if told else None
    state = json.loads((folder / STATE).read_text())
    return Arrays(*mapped(*MAPPED), state["targets"], anchors, tuple(state["held"]), newest)


def _written(into: Path, parts: Iterable[Arrays]) -> Arrays:
    """Write arrays part by part as they come, so that one part is in memory at a time; the last part."""
    with Files(into) as files:
        for part in parts:
            by_group = part.by_group()
            for name, values in part.named().items():
                (files.append if name in by_group else files.whole)(name, values)
    return part


def state_file(settings: Settings, config: Config, data: DataRef, fold: FoldRef, model: Recurrent) -> Path:
    """The state of the transform fitted on one fold, as JSON: ``targets`` and ``transform`` (``Fitted.to_json``)."""
    arrays(settings, config, data, fold, model)
    return settings.cache("transform", keys.arrays(config, data, fold, model)) / STATE
