"""Rows made as published: forecasts by the published model, settings and training, kept per row and seed.

A training that was finished is never repeated, so whatever interrupts a reproduction, the same command goes on.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from daycast import models
from daycast.config.reproduce import FittedRow, NetworkRow, Publication, Training
from daycast.config.sections import Trainer
from daycast.core import backtest, content, forecast, reproduce, split
from daycast.core.frame import Table
from daycast.core.split import Fold
from daycast.folders import kept
from daycast.settings import Settings
from daycast.steps.progress import emit

ROWS, REPORT = "rows.parquet", "report.json"
# What a training depends on; what is told of it does not belong here, or telling more would train all anew.
CODE = (
    *("core/channels.py", "core/frame.py", "core/stepwise.py", "core/windows.py", "models/stack.py"),
    *("models/cells.py", "models/convolutions.py", "models/emissions.py", "models/layers.py", "models/networks.py"),
    *("models/protocol.py", "models/published.py"),
)
FITTING = ("core", "models/arima.py", "models/baselines.py", "models/per_series.py", "models/statespace.py")
TOLD = {"title", "note", "tuned", "figures"}  # fields of a row that its forecasts don't depend on

Span = tuple[pd.Timestamp, pd.Timestamp]
"""First and last timestamp that a training may see."""
Asked = tuple[pd.DatetimeIndex, int]
"""Cutoffs to forecast from, and steps ahead."""


def fitted(settings: Settings, table: Table, version: str, told: Publication, name: str, trainer: Trainer) -> Path:
    """Folder with the forecasts of a row that is a model of the pipeline; leaves ``rows.parquet``."""
    row, window = told.rows[name], told.windows[told.rows[name].window]
    assert isinstance(row, FittedRow)
    dates = [pd.Timestamp(day) for day in (row.start, row.fit_cutoff)]
    at = reproduce.cutoffs(pd.Timestamp(window.first), pd.Timestamp(window.last), window.horizon)
    fold = Fold("published", *dates, at, window.horizon)

    def make(into: Path) -> None:
        emit("reproduce", name, 0, 1, "fitting")
        asked = dict.fromkeys(figure.series for figure in row.figures)
        own = Table(table.panel.only(tuple(asked)), table.beyond)
        context = models.BuildContext(window.horizon, table.panel.spec.season_length, 0, trainer)
        made = models.build(row.model, context)
        made.fit(split.history(own, fold))
        backtest.with_actuals(backtest.forecasts(made, own, fold), own).to_parquet(into / ROWS)

    parts = [content.code(*FITTING), version, asdict(table.panel.spec), row.model_dump(mode="json", exclude=TOLD)]
    folder = settings.cache("reproduce", content.key("fitted", *parts, window, sorted({f.series for f in row.figures})))
    kept(folder, make)
    emit("reproduce", name, 1, 1, "done")
    return folder


def trained(settings: Settings, table: Table, version: str, told: Publication, name: str, seed: int) -> Path:
    """Folder with the forecasts of a row that is a network, from one seed; leaves ``rows.parquet``, ``report.json``."""
    row, window = told.rows[name], told.windows[told.rows[name].window]
    assert isinstance(row, NetworkRow)
    at = reproduce.cutoffs(pd.Timestamp(window.first), pd.Timestamp(window.last), window.horizon)
    span = (pd.Timestamp(told.first), pd.Timestamp(told.last))
    subject = f"{name}, seed {seed}"
    parts = [content.code(*CODE), version, asdict(table.panel.spec), row.model_dump(mode="json", exclude=TOLD)]
    folder = settings.cache("reproduce", content.key("trained", *parts, window, span, seed))

    def make(into: Path) -> None:
        forecasts, report = learn(table, row, span, (at, window.horizon), seed, subject)
        forecasts.to_parquet(into / ROWS)
        (into / REPORT).write_text(json.dumps(report))

    kept(folder, make)
    emit("reproduce", subject, 1, 1, "done")
    return folder


def learn(
    table: Table, training: Training, span: Span, asked: Asked, seed: int, subject: str
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Train and forecast, see ``models.protocol``, and tell of every epoch as progress of ``subject``.

    Returns:
        Rows ``unique_id, cutoff, ds, step, y_hat, y``, raw units; and what the training came to.
    """
    from daycast.models import protocol  # it imports torch

    def on_epoch(epoch: int, epochs: int) -> None:
        emit("reproduce", subject, epoch, epochs + 1, f"epoch {epoch} of {epochs} at most")

    made = protocol.train(table, training, span, asked, seed, on_epoch)
    own = Table(table.panel.only(training.targets), table.beyond)
    origins = split.origins(own, asked[0], asked[1])
    return backtest.with_actuals(forecast.rows(made.forecasts, origins), own), made.report


def rows(folder: Path) -> pd.DataFrame:
    """The forecasts that ``fitted`` or ``trained`` left, with what came, raw units."""
    return pd.read_parquet(folder / ROWS)


def shortened(told: Publication) -> Publication:
    """The publication with every training cut to the epochs of ``quick``: a check of the machinery, not of figures."""

    def cut(training: Training) -> Training:
        epochs = min(told.quick.max_epochs, training.recipe.max_epochs)
        return training.model_copy(update={"recipe": training.recipe.model_copy(update={"max_epochs": epochs})})

    rows = {n: cut(row) if isinstance(row, Training) else row for n, row in told.rows.items()}
    return told.model_copy(update={"rows": rows})
