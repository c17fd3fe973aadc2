"""Filling gaps from the season, without ever looking ahead. Letters of ``core.frame``."""

from __future__ import annotations

import numpy as np

from daycast.core.frame import Float


def seasonal_fill(y: Float, season: int) -> Float:
    """``y (..., T)`` with each NaN replaced by the last observed value of its phase of the season.

    Where that phase has none yet, the last observed value of any phase; before the first observation, NaN stays. Only
    earlier values are used, so a filled value never depends on what comes after it.
    """
    missing = np.isnan(y)
    if not missing.any():
        return y
    steps = y.shape[-1]
    cycles = -(-steps // season)
    padded = np.full((*y.shape[:-1], cycles * season), np.nan)
    padded[..., :steps] = y
    phases = padded.reshape(*y.shape[:-1], cycles, season)
    same_phase = _carried(np.swapaxes(phases, -1, -2))
    filled = np.swapaxes(same_phase, -1, -2).reshape(padded.shape)[..., :steps]
    return np.where(np.isnan(filled), _carried(y), filled)


def _carried(y: Float) -> Float:
    """Each NaN of ``y (..., T)`` replaced by the last value before it."""
    seen = np.where(np.isnan(y), 0, np.arange(y.shape[-1]))
    return np.take_along_axis(y, np.maximum.accumulate(seen, axis=-1), axis=-1)


def recent(y: Float, steps: int, season: int) -> Float:
    """The last ``steps`` columns of ``seasonal_fill(y, season)``, reading no more of ``y (N, T)`` than they hang on."""
    out = np.empty((len(y), steps))
    rows, width = np.arange(len(y)), steps + season
    while len(rows):
        block = y[rows, -width:] if width < y.shape[1] else y[rows]
        missing = np.isnan(block)
        cycles = (block.shape[1] - steps) // season
        before = ~missing[:, block.shape[1] - steps - cycles * season : block.shape[1] - steps]
        phases_seen = before.reshape(len(rows), cycles, season).any(axis=1).sum(axis=1)
        settled = (phases_seen == season) | ~missing[:, -steps:].any(axis=1) | (width >= y.shape[1])
        filled = seasonal_fill(block[settled], season)
        out[rows[settled]] = filled[:, filled.shape[1] - steps :]
        rows, width = rows[~settled], width * 8
    return out
