"""Small made-up data and small networks for the tests of models."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from daycast import config, models
from daycast.core.forecast import FitReport, Origin
from daycast.core.frame import FrameSpec, Future, Panel, Table
from daycast.models.neural import NeuralForecaster

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def table(y: np.ndarray, flag: np.ndarray | None = None, ahead: int = 28, **changes: Any) -> Table:
    """Daily series ``y (N, T + ahead)``, of which the last ``ahead`` are thrown away: only their calendar is kept.

    Known: the weekday, and ``flag (T + ahead)`` if given. ``changes`` replace fields of the panel.
    """
    n, steps = y.shape[0], y.shape[1] - ahead
    ds = pd.date_range("2015-01-01", periods=y.shape[1], freq="D")
    known = np.eye(7)[ds.dayofweek]
    names = tuple(f"day={d}" for d in DAYS)
    levels: dict[str, tuple[str, ...] | None] = {"day": DAYS}
    if flag is not None:
        known, names, levels = np.column_stack([known, flag]), (*names, "flag"), {**levels, "flag": None}
    fields: dict[str, Any] = {
        "spec": FrameSpec("D", 7, levels),
        "ids": tuple(f"s{i}" for i in range(n)),
        "ds": ds[:steps],
        "y": y[:, :steps],
        "known": known[:steps],
        "past": np.zeros((n, steps, 0)),
        "static": np.zeros((n, 0)),
        "known_names": names,
        "past_names": (),
        "static_names": (),
    }
    return Table(Panel(**{**fields, **changes}), Future(ds[steps:], known[steps:], names))


def celebrated(made: Table, rows: range) -> Table:
    """With a known column ``event``: a fair on these rows of the panel, and none on others or after it."""
    steps, names = len(made.panel.ds), ("event=none", "event=fair")
    fair = np.isin(np.arange(steps + len(made.beyond.ds)), rows).astype(float)
    known = np.column_stack([np.concatenate([made.panel.known, made.beyond.known]), 1 - fair, fair])
    spec = replace(made.panel.spec, known={**made.panel.spec.known, "event": ("none", "fair")})
    known_names = (*made.panel.known_names, *names)
    return Table(
        replace(made.panel, spec=spec, known=known[:steps], known_names=known_names),
        Future(made.beyond.ds, known[steps:], known_names),
    )


def weekly(n: int = 2, steps: int = 500, seed: int = 0, noise: float = 8.0) -> np.ndarray:
    """``(n, steps)``: a week's pattern plus noise that remembers 0.8 of the day before, around 200."""
    rng = np.random.default_rng(seed)
    shocks = rng.normal(0, noise, (n, steps))
    for t in range(1, steps):
        shocks[:, t] += 0.8 * shocks[:, t - 1]
    pattern = rng.uniform(-30, 30, (n, 7))
    return 200 + pattern[:, np.arange(steps) % 7] + shocks


def grown(panel: Panel, y: np.ndarray, name: str) -> Panel:
    """With one more series at its end, its covariates those of the last."""
    static = np.concatenate([panel.static, panel.static[-1:]])
    past = np.concatenate([panel.past, panel.past[-1:]])
    return replace(panel, ids=(*panel.ids, name), y=np.concatenate([panel.y, y[None]]), static=static, past=past)


def origin(made: Table, back: int = 0, horizon: int = 7) -> Origin:
    """The origin ``back`` steps before the panel's end."""
    cutoff = made.panel.ds[-1 - back]
    return Origin(made.panel.until(cutoff), made.future(cutoff, horizon))


def fitted(made: Table, family: config.Recurrent, **changes: Any) -> tuple[NeuralForecaster, FitReport]:
    """A network trained on all of a table, by a trainer with these changes; and what the training told."""
    model = NeuralForecaster(family, context(**changes))
    return model, model.fit(made.panel)


def network(**changes: Any) -> config.Recurrent:
    """A tiny network; ``changes`` as in ``conf/model``."""
    values: dict[str, Any] = {
        "family": "recurrent",
        "cell": "gru",
        "output": "direct",
        "horizon": None,
        "inputs": "joint",
        "lookback": 14,
        "lead": 0,
        "embedding": 0,
        "front": None,
        "hidden": 8,
        "layers": 1,
        "bidirectional": False,
        "teacher_forcing": 0.0,
        "attention": None,
        "dropout": 0.0,
        "transforms": ({"kind": "scale", "method": "standard"},),
        "known": None,
        "profile": None,
        "clip": 6.0,
        "loss": "huber",
        "quantiles": (),
        "learning_rate": 0.02,
        "weight_decay": 0.0,
        "schedule": "cosine",
        "weights": "best",
        "batch_size": 64,
        "train_steps": None,
        "search": {},
    }
    return config.Recurrent.model_validate({**values, **changes})


def trainer(**changes: Any) -> config.Trainer:
    """A short training loop; ``changes`` as in ``conf/trainer``."""
    values: dict[str, Any] = {
        "name": "test",
        "accelerator": "cpu",
        "devices": 1,
        "strategy": "single",
        "precision": "32-true",
        "max_epochs": 3,
        "max_steps": None,
        "patience": 3,
        "validation_steps": 60,
        "validation_windows": None,
        "batch_factor": None,
        "gradient_clip": 1.0,
        "deterministic": True,
        "threads": 1,
    }
    return config.Trainer.model_validate({**values, **changes})


def context(horizon: int = 7, seed: int = 1, **changes: Any) -> models.BuildContext:
    """Surroundings of a model; ``changes`` of the trainer."""
    return models.BuildContext(horizon, 7, seed, trainer(**changes))
