"""Difference and scale each fold's history, once per recipe, into arrays that every fit of it maps into memory."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from daycast.config import Config, Recurrent
from daycast.core import split
from daycast.core.anchors import Anchors, Newest
from daycast.core.windows import Arrays
from daycast.models.recipe import Recipe, Transforms
from daycast.settings import Settings
from daycast.steps import keys
from daycast.steps.data import table
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
        made = fitted.arrays(recipe, history)
        for part in MAPPED:
            np.save(into / f"{part}.npy", getattr(made, part))
        for told in (made.anchors, made.newest):
            for part, array in () if told is None else told._asdict().items():
                np.save(into / f"{part}.npy", array)
        (into / STATE).write_text(json.dumps({"targets": made.targets, "held": made.held, **fitted.to_json()}))

    def mapped(*parts: str) -> list[NDArray[Any]]:
        return [np.load(folder / f"{part}.npy", mmap_mode="r") for part in parts]

    kept(folder, make)
    anchors = None if model.profile is None else Anchors(*mapped(*Anchors._fields))
    told = model.profile is not None and model.profile.newest is not None
    newest = Newest(*mapped(*Newest._fields)) if told else None
    state = json.loads((folder / STATE).read_text())
    return Arrays(*mapped(*MAPPED), state["targets"], anchors, tuple(state["held"]), newest)


def state_file(settings: Settings, config: Config, data: DataRef, fold: FoldRef, model: Recurrent) -> Path:
    """The state of the transform fitted on one fold, as JSON: ``targets`` and ``transform`` (``Fitted.to_json``)."""
    arrays(settings, config, data, fold, model)
    return settings.cache("transform", keys.arrays(config, data, fold, model)) / STATE


def kept(folder: Path, make: Callable[[Path], object]) -> None:
    """Fill a folder whose name tells its content, whole or not at all; of two processes at once either may be first."""
    if folder.exists():
        return
    unfinished = folder.with_name(f".{folder.name}-{uuid4().hex}")
    unfinished.mkdir(parents=True)
    try:
        make(unfinished)
        if not folder.exists():
            unfinished.rename(folder)
    except OSError:
        if not folder.exists():  # else another process put it there between the two lines above
            raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
