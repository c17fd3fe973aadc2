"""What a published network saw, and what it forecasts: its windows, its units, its days. Letters of ``core.frame``.

Beside the series that it reads, a step of its lookback may hold known columns and earlier observations, both those of
the day after the step, which is the first that is forecast from there.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from daycast.config.reproduce import Training
from daycast.core import windows
from daycast.core.frame import Float, Panel, Table
from daycast.errors import ConfigError
from daycast.models import published
from daycast.models.networks import Sizes

MILLION = 1e6


class Made(NamedTuple):
    """Forecasts ``(O, K, H)`` in raw units, and JSON-able facts and curves of the training."""

    forecasts: Float
    report: dict[str, Any]


def train(
    table: Table,
    training: Training,
    span: tuple[pd.Timestamp, pd.Timestamp],
    asked: tuple[pd.DatetimeIndex, int],
    seed: int,
    on_epoch: published.OnEpoch = lambda *_: None,
) -> Made:
    """Train on the windows that lie within ``span``, targets included, and forecast.

    Args:
        asked: cutoffs to forecast from, O of them and ascending, and steps ahead.

    Raises:
        ConfigError: a known column does not exist, or the windows don't lie in the data.
        ModelError: see ``published.build`` and ``published.train``.
    """
    at, horizon = asked
    panel = table.panel.only(training.inputs)
    shift, size = _units(panel, training, span)
    inputs = _inputs(panel, training, (panel.y - shift) / size)
    nothing, k = np.zeros((len(panel.ds), 0), dtype=np.float32), len(training.targets)
    whole = windows.windows_of(windows.Arrays(inputs[None], nothing, nothing[:1], k), training.lookback, horizon)
    first = whole.starts[:, 1]
    cutoff, last = first + training.lookback - 1, first + training.lookback - 1 + horizon
    learned = np.flatnonzero((panel.ds[first] >= span[0]) & (panel.ds[last] <= span[1]))
    judged = np.flatnonzero(panel.ds[cutoff].isin(at))
    if len(judged) < len(at) or not len(learned):
        raise ConfigError(
            f"{len(at)} windows to forecast from, and some to learn from, of {training.lookback} steps and {horizon}",
            f"{len(judged)} and {len(learned)} in data of {panel.ds[0].date()} .. {panel.ds[-1].date()}",
            "choose windows in conf/reproduce/ that lie in the data, with the lookback before them",
        )
    torch.set_num_threads(1)  # such small networks lose with a second one
    network = published.build(training.architecture, training.lookback, Sizes(inputs.shape[1], 0, 0, k, horizon), seed)
    watched = published.Samples.of(whole, judged)
    samples = published.Samples.of(whole, learned)
    made = published.train(network, training.recipe, samples, watched, seed, on_epoch)
    z = made.forecast(watched.past).astype(np.float64).swapaxes(1, 2)
    report = {
        "epochs": len(made.losses),
        "best_epoch": made.best_epoch,
        "parameters": sum(p.numel() for p in network.parameters() if p.requires_grad),
        "windows": len(learned),
        "curves": {"train_loss": made.losses, "watched_mae": made.watched},
    }
    return Made(z * size[:k] + shift[:k], report)


def _units(panel: Panel, training: Training, span: tuple[pd.Timestamp, pd.Timestamp]) -> tuple[Float, Float]:
    """What is subtracted from each series and what the rest is divided by, ``(N, 1)`` each."""
    if training.scale == "millions":
        return np.zeros((len(panel.ids), 1)), np.full((len(panel.ids), 1), MILLION)
    seen = panel.until(span[1]).since(span[0]).y
    low = np.nanmin(seen, axis=1, keepdims=True)
    return low, np.nanmax(seen, axis=1, keepdims=True) - low


def _inputs(panel: Panel, training: Training, z: Float) -> windows.Single:
    """What stands at each step, ``(T, C)``: scaled values of all series, their lags, known columns."""
    column = [name.split("=", 1)[0] for name in panel.known_names]
    missing = sorted(set(training.known) - set(column))
    if missing:
        raise ConfigError(f"known columns of the dataset, {sorted(set(column))}", f"{missing}", "correct `known`")
    known = panel.known[:, np.isin(column, training.known)]
    parts = [z.T, *(_tomorrow(_earlier(z.T, lag)) for lag in training.lags), _tomorrow(known)]
    return np.concatenate(parts, axis=1).astype(np.float32)


def _tomorrow(values: Float) -> Float:
    """``values (T, F)``, each row beside the timestamp before its own; nothing beside the last."""
    return np.concatenate([values[1:], np.full((1, values.shape[1]), np.nan)])


def _earlier(values: Float, lag: int) -> Float:
    """``values (T, F)``, each row beside the timestamp ``lag`` after its own."""
    return np.concatenate([np.full((lag, values.shape[1]), np.nan), values])[: len(values)]
