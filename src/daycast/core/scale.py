"""Scales: bring each series to a common level and spread, learned up to the cutoff.

The three functions of a transform's step; ``core.transform`` chains them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from daycast.core.frame import Float
from daycast.errors import TransformError

Method = Literal["standard", "minmax", "robust", "mean", "none"]
State = Mapping[str, Sequence[float]]

ROUNDING = 64 * float(np.finfo(np.float64).eps)  # a spread below this share of the values is rounding, not signal
SMALLEST = 1e-100  # dividing by less could overflow


@dataclass(frozen=True)
class Scale:
    """Shift and divide each series by two numbers of its own; a series without spread is only shifted.

    Attributes:
        method: ``standard`` (mean, standard deviation), ``minmax`` (to 0..1), ``robust`` (median, interquartile range,
            or the standard deviation where that range is empty), ``mean`` (divided by the mean absolute value, without
            a shift, so signs and shares stay) or ``none``.
        log1p: take log(1 + y) first; refuses values below 0.

    Raises:
        TransformError: an unknown method.
    """

    method: Method
    log1p: bool = False

    def __post_init__(self) -> None:
        if self.method not in get_args(Method):
            raise TransformError(f"a method among {get_args(Method)}", f"{self.method!r}", "choose one of them")

    @property
    def memory(self) -> int:
        """Values per series that the inverse needs: none."""
        return 0


def fit(step: Scale, y: Float, size: Float) -> State:
    """Learn ``shift`` and ``scale``, one number per series each, from ``y (N, T)``, leaving NaN out.

    A series without a single value gets shift 0 and scale 1.

    Args:
        size: largest absolute value of the series before any difference was taken ``(N,)``; a spread that is no more
            than its rounding counts as none.
    """
    x = _log(step, y)
    x = np.where(np.isnan(x).all(axis=1, keepdims=True), 0.0, x)
    noise = ROUNDING * (np.nanmax(np.abs(x), axis=1) if step.log1p else size)
    shift, spread = np.zeros(len(x)), np.ones(len(x))
    if step.method == "standard":
        shift, spread = np.nanmean(x, axis=1), np.nanstd(x, axis=1)
    elif step.method == "minmax":
        shift = np.nanmin(x, axis=1)
        spread = np.nanmax(x, axis=1) - shift
    elif step.method == "robust":
        low, shift, high = np.nanquantile(x, [0.25, 0.5, 0.75], axis=1)
        spread = np.where(high - low > noise, high - low, np.nanstd(x, axis=1))
    elif step.method == "mean":
        spread = np.nanmean(np.abs(x), axis=1)
    spread = np.where(spread > np.maximum(noise, SMALLEST), spread, 1.0)
    return {"shift": shift.tolist(), "scale": spread.tolist()}


def forward(step: Scale, state: State, y: Float) -> Float:
    """Scaled values of ``y (..., N, T)``. Raises ``TransformError`` on values below 0 where logs are taken."""
    return (_log(step, y) - _column(state, "shift")) / _column(state, "scale")


def inverse(step: Scale, state: State, z: Float) -> Float:
    """Values of which ``z (..., N, H)`` are the scaled ones; none below 0 where logs were taken, as none was there."""
    x = z * _column(state, "scale") + _column(state, "shift")
    if not step.log1p:
        return x
    with np.errstate(over="ignore"):  # an absurd forecast becomes inf, which the output contract then names
        return np.asarray(np.maximum(np.expm1(x), 0.0))


def _column(state: State, name: str) -> Float:
    return np.asarray(state[name], dtype=np.float64)[:, None]


def _log(step: Scale, y: Float) -> Float:
    if not step.log1p:
        return y
    if (y < 0).any():
        raise TransformError(
            "values of at least 0 for log(1 + y)",
            f"{int((y < 0).sum())} below 0, the least {float(np.nanmin(y)):g}",
            "set log1p: false, or take the logarithm before any difference or shift",
        )
    return np.asarray(np.log1p(y))
