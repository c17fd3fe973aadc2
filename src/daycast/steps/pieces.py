"""The fits of one model divided, so that several workers may do them: by folds, and those by networks or by series.

Each piece leaves a fitted forecaster under a key of its own; put together they are, bit for bit, what one worker comes
to alone. Pieces by series leave their forecasts too, as these take about as long as the fits.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from daycast import models
from daycast.config import AutoArima, AutoEts, Blend, Config, Mstl, Recurrent, Sarima
from daycast.core import split
from daycast.core.forecast import FitReport, Forecaster
from daycast.core.frame import Table
from daycast.settings import Settings
from daycast.steps import keys
from daycast.steps.data import table
from daycast.steps.forecaster import context, rows, with_parameters
from daycast.steps.progress import emit
from daycast.steps.reference import DataRef, FoldRef, FoldsRef, FoundRef, PartRef, Piece, TunedRef
from daycast.steps.transform import kept
from daycast.steps.window import load_windows

MODEL, REPORT, ROWS = "model", "report.json", "rows.parquet"
BY_SERIES = (Sarima, AutoArima, AutoEts, Mstl)


def divided(config: Config, folds: FoldsRef, name: str, series_per_task: int) -> list[Piece]:
    """The pieces of a model's fits, fold by fold; none of one that has nothing to fit."""
    model = config.model[name]
    if model.baseline or isinstance(model, Blend):
        return []
    found = []
    for fold in (*folds.validation, folds.test):
        if isinstance(model, Recurrent):
            found += [Piece(fold=fold.name, network=i) for i in range(keys.seeds(config, name))]
        elif isinstance(model, BY_SERIES):
            starts = range(0, folds.n_series, series_per_task)
            ends = [min(start + series_per_task, folds.n_series) for start in starts]
            found += [Piece(fold=fold.name, first=a, last=b) for a, b in zip(starts, ends, strict=True)]
        else:
            found.append(Piece(fold=fold.name))
    return found


def part(
    settings: Settings, config: Config, data: DataRef, folds: FoldsRef, chosen: FoundRef | TunedRef, piece: Piece
) -> PartRef:
    """Fit a piece with the chosen parameters; leaves a model, ``report.json``, and by series ``rows.parquet``."""
    name, fold = chosen.model, folds.named(piece.fold)
    model = with_parameters(config.model[name], chosen.parameters)
    forecaster = models.build(model, context(config, config.seed + piece.network))
    seen = _table(settings, config, data, piece)
    windows = load_windows(settings, config, data, fold, model)
    history = split.history(seen, fold.fold())

    def on_epoch(epoch: int, epochs: int, _: object) -> None:
        emit("part", f"{name} {piece}", epoch, epochs, f"epoch {epoch} of {epochs}")

    def make(into: Path) -> None:
        report = forecaster.fit(history, windows, on_epoch)
        models.save(forecaster, into / MODEL)
        (into / REPORT).write_text(told(report))
        if piece.first is not None and np.isfinite(history.y).any():  # a series never observed has no rows
            rows(forecaster, seen, fold).to_parquet(into / ROWS)

    key = keys.part(config, data, name, piece)
    kept(settings.cache("part", key), make)
    return PartRef(model=name, key=key, piece=piece)


def told(report: FitReport) -> str:
    """A report as JSON."""
    return json.dumps({"curves": {k: list(v) for k, v in report.curves.items()}, "facts": dict(report.facts)}, indent=1)


def joined(
    settings: Settings, config: Config, chosen: FoundRef | TunedRef, parts: Sequence[PartRef]
) -> tuple[Forecaster, FitReport]:
    """The forecaster that the pieces of one fold make up."""
    name = chosen.model
    folders = [settings.cache("part", part.key) for part in parts]
    reports = [FitReport(**json.loads((folder / REPORT).read_text())) for folder in folders]
    model = with_parameters(config.model[name], chosen.parameters)
    given = model, context(config, config.seed), keys.seeds(config, name)
    return models.joined(*given, [models.load(folder / MODEL) for folder in folders], reports)


def forecasts(settings: Settings, parts: Sequence[PartRef]) -> pd.DataFrame | None:
    """The rows of one fold's pieces in the order that one worker would make them in; ``None`` if they left none."""
    left = [file for part in parts if (file := settings.cache("part", part.key) / ROWS).is_file()]
    if not left:
        return None
    made = pd.concat([pd.read_parquet(file) for file in left])
    return made.sort_values(["cutoff", "unique_id", "step"], ignore_index=True)


def of(parts: Sequence[PartRef], fold: FoldRef) -> list[PartRef]:
    """Those of one fold."""
    return [part for part in parts if part.piece.fold == fold.name]


def _table(settings: Settings, config: Config, data: DataRef, piece: Piece) -> Table:
    """The data that a piece looks at."""
    whole = table(settings, config, data)
    if piece.first is None:
        return whole
    return replace(whole, panel=whole.panel.only(whole.panel.ids[piece.first : piece.last]))
