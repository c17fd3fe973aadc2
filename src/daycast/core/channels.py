"""The order of a model's observed channels: one definition for training and prediction.

Letters of ``core.frame``, and ``G`` groups, ``C`` channels; ``...`` is any leading dimensions.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from daycast.core import transform
from daycast.core.frame import Float
from daycast.core.transform import Fitted

Layout = Literal["joint", "each"]
"""``joint``: all series are one sample (G = 1, C = N + N·P); ``each``: one sample per series (G = N, C = 1 + P)."""

Columns = slice | NDArray[np.intp]
"""Which of the known features a model is given."""


def as_series(past: Float) -> Float:
    """Past covariates ``(..., N, T, P)`` as series ``(..., N·P, T)``, in which form a transform is fitted on them."""
    turned = np.moveaxis(past, -1, -2)
    return turned.reshape(*past.shape[:-3], past.shape[-3] * past.shape[-1], past.shape[-2])


def scaled(past: Float, fitted: Fitted | None) -> Float:
    """Past covariates ``(..., N, T, P)`` through a transform fitted on ``as_series``; ``None`` leaves them raw."""
    if fitted is None:
        return past
    *lead, n, steps, p = past.shape
    return np.moveaxis(transform.forward(fitted, as_series(past)).reshape(*lead, n, p, steps), -2, -1)


def channels(z: Float, past: Float, layout: Layout) -> Float:
    """``z (..., N, T)`` and ``past (..., N, T, P)`` as ``(..., G, T, C)``: the targets first."""
    if layout == "each":
        return np.concatenate([z[..., None], past], axis=-1)
    joint = np.concatenate([z, as_series(past)], axis=-2)
    return np.swapaxes(joint, -1, -2)[..., None, :, :]
