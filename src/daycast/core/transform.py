"""Reversible transforms of a panel's values: a chain of differences and scales, fitted per series up to a cutoff.

A step is three pure functions, chosen by its type: ``fit`` gives a small JSON-able state, ``forward`` applies it,
``inverse`` undoes it. A chain runs its steps in order and undoes them in the other. All in float64: undoing a
difference adds up hundreds of numbers, and in float32 that loses the fourth digit.

A difference forgets levels, so its inverse needs an anchor of ``memory`` raw values: the *tail*, those up to the
cutoff, for forecasts, and the *head*, the first ones, for fitted values. Shapes use the letters of ``core.frame``;
``...`` stands for any leading dimensions (origins, sample paths).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np

from daycast.core import difference, scale
from daycast.core.difference import Difference as Difference
from daycast.core.frame import Float
from daycast.core.scale import Scale as Scale
from daycast.core.scale import State
from daycast.errors import TransformError

Step = Difference | Scale

LARGEST = 1e100  # beyond it a variance overflows


class _Functions(NamedTuple):
    """A step's three functions in one signature each: (step, y, size), (step, state, y), (step, state, z, anchor)."""

    fit: Callable[[Any, Float, Float], State]
    forward: Callable[[Any, State, Float], Float]
    inverse: Callable[[Any, State, Float, Float], Float]


_FUNCTIONS: Mapping[type, _Functions] = {
    Difference: _Functions(
        lambda _step, _y, _size: {},
        lambda step, _state, y: difference.forward(step, y),
        lambda step, _state, z, anchor: difference.inverse(step, z, anchor),
    ),
    Scale: _Functions(scale.fit, scale.forward, lambda step, state, z, _anchor: scale.inverse(step, state, z)),
}
_KINDS: Mapping[str, type[Difference] | type[Scale]] = {"difference": Difference, "scale": Scale}


def step(values: Mapping[str, Any]) -> Step:
    """A step from its description: ``kind`` (``difference`` or ``scale``) and that step's own values.

    Raises:
        TransformError: an unknown kind, or values that the step doesn't take.
    """
    given: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    kind = _KINDS.get(str(given.pop("kind", None)))
    if kind is None:
        raise TransformError(f"a kind among {list(_KINDS)}", f"{dict(values)}", "name one of them")
    try:
        return kind(**given)
    except TypeError as error:
        raise TransformError(f"the values of a {kind.__name__}", f"{dict(values)}", "correct the step") from error


@dataclass(frozen=True)
class Fitted:
    """A chain with what it learned: one state per step, a few numbers per series.

    Attributes:
        steps: in the order of ``forward``.
        states: one per step.
        seen: which of the N series had two values or more at every scale; the state of the others says too little.
    """

    steps: tuple[Step, ...]
    states: tuple[State, ...]
    seen: tuple[bool, ...]

    @property
    def memory(self) -> int:
        """Raw values per series that an inverse needs: the sum of all lags."""
        return sum(one.memory for one in self.steps)

    def to_json(self) -> dict[str, Any]:
        """JSON-able values that ``from_json`` takes back without losing a bit."""
        names = {kind: name for name, kind in _KINDS.items()}
        steps = [{"kind": names[type(one)], **asdict(one)} for one in self.steps]
        told = {"series": len(self.seen), "unseen": [i for i, seen in enumerate(self.seen) if not seen], "steps": steps}
        return told | {"states": [dict(state) for state in self.states]}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Fitted:
        """The chain that ``to_json`` described. Raises ``TransformError`` on values it can't have given."""
        try:
            steps = tuple(step(one) for one in values["steps"])
            states = tuple({name: [float(x) for x in row] for name, row in s.items()} for s in values["states"])
            seen = tuple(i not in values.get("unseen", ()) for i in range(int(values["series"])))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise _unreadable(repr(error)) from error
        if len(steps) != len(states):
            raise _unreadable(f"{len(states)} states for {len(steps)} steps")
        for one, state in zip(steps, states, strict=True):
            wanted = {"shift", "scale"} if isinstance(one, Scale) else set()
            if set(state) != wanted or any(len(row) != len(seen) for row in state.values()):
                raise _unreadable(f"a state of {sorted(state)} for {one} over {len(seen)} series")
        return cls(steps, states, seen)


def _unreadable(found: str) -> TransformError:
    return TransformError(
        "a transform as Fitted.to_json writes it", found, "fit the model again, or restore its files as they were"
    )


def fit(steps: Sequence[Step], y: Float) -> Fitted:
    """Fit a chain on everything in ``y (N, T)``: hand in the history up to the cutoff and no more.

    Missing values (NaN) are left out; a series without a single value gets the neutral state.

    Raises:
        TransformError: too few timestamps for the lags, a value that is infinite or beyond 1e100, or one below 0 where
            logs are taken.
    """
    y = np.asarray(y, dtype=np.float64)
    memory = sum(one.memory for one in steps)
    if y.ndim != 2 or y.shape[1] <= memory:
        raise TransformError(
            f"an array (N, T) with T above {memory}, the sum of the lags",
            f"shape {y.shape}",
            "bring more history, or use shorter lags",
        )
    beyond = int((np.abs(y) > LARGEST).sum())
    if beyond:
        raise TransformError(
            f"finite values of at most {LARGEST:g}", f"{beyond} others", "correct them, or mark them as missing"
        )
    states, size, seen = list[State](), _size(y), np.ones(len(y), dtype=np.bool_)
    for one in steps:
        seen &= isinstance(one, Difference) | (np.isfinite(y).sum(axis=1) > 1)
        functions = _FUNCTIONS[type(one)]
        states.append(functions.fit(one, y, size))
        y = functions.forward(one, states[-1], y)
        # Differences carry the rounding of the values they came from: a straight line has no spread after one.
        size = size if isinstance(one, Difference) else _size(y)
    return Fitted(tuple(steps), tuple(states), tuple(seen.tolist()))


def _size(y: Float) -> Float:
    return np.asarray(np.abs(np.nan_to_num(y)).max(axis=1))


def forward(fitted: Fitted, y: Float) -> Float:
    """Transform raw values ``(..., N, T)``; NaN in the first ``fitted.memory`` columns, and where ``y`` is NaN.

    Raises:
        TransformError: another number of series than fitted, or a value below 0 where logs are taken.
    """
    z = _series(fitted, y, "y")
    for one, state in zip(fitted.steps, fitted.states, strict=True):
        z = _FUNCTIONS[type(one)].forward(one, state, z)
    return z


def inverse(fitted: Fitted, z: Float, tail: Float) -> Float:
    """Raw values of forecasts ``z (..., N, H)``.

    Args:
        z: transformed forecasts of the H steps after the cutoff.
        tail: the last ``fitted.memory`` raw values up to the cutoff, ``(..., N, memory)``; leading dimensions that it
            lacks are shared. A NaN in it makes NaN of every step that hangs on it.

    Raises:
        TransformError: an anchor of another length, or another number of series than fitted.
    """
    z, anchor = _series(fitted, z, "z"), _series(fitted, tail, "the anchor")
    if anchor.shape[-1] != fitted.memory:
        raise TransformError(
            f"an anchor of {fitted.memory} raw values per series, the sum of the lags",
            f"{anchor.shape[-1]}",
            "hand in the last `memory` values up to the cutoff, or for fitted values the first ones",
        )
    anchors = []
    for one, state in zip(fitted.steps, fitted.states, strict=True):
        anchors.append(anchor[..., anchor.shape[-1] - one.memory :])
        anchor = _FUNCTIONS[type(one)].forward(one, state, anchor)[..., one.memory :]
    for one, state, before in zip(reversed(fitted.steps), reversed(fitted.states), reversed(anchors), strict=True):
        z = _FUNCTIONS[type(one)].inverse(one, state, z, before)
    return z


def inverse_fitted(fitted: Fitted, z: Float, head: Float) -> Float:
    """Raw values ``(..., N, T)`` of in-sample ``z (..., N, T)``, from the first ``memory`` raw values, ``head``.

    The first ``memory`` columns of ``z`` are not read: they come back as ``head``. A missing value in ``z`` leaves
    every later one at its lag's phase missing, since each adds to the one before.

    Raises:
        TransformError: as ``inverse``, or fewer than ``memory`` columns.
    """
    z = _series(fitted, z, "z")
    if z.shape[-1] < fitted.memory:
        raise TransformError(
            f"at least {fitted.memory} columns, the sum of the lags", f"{z.shape[-1]}", "hand in the whole of z"
        )
    later = inverse(fitted, z[..., fitted.memory :], head)
    first = np.broadcast_to(np.asarray(head, dtype=np.float64), (*later.shape[:-1], fitted.memory))
    return np.concatenate([first, later], axis=-1)


def inverse_quantiles(fitted: Fitted, q: Float, tail: Float) -> Float:
    """Raw values of forecast quantiles ``q (..., N, H, Q)``, where that is sound.

    A scale keeps the order of values, so it maps quantiles to quantiles. A difference does so only within its lag,
    where each step hangs on an observed value; beyond, the quantiles of sums are not the sums of quantiles (the 0.9
    quantile of a random walk after 24 steps is 6.3 deviations of a step, not 30.8).

    Raises:
        TransformError: a lag is below H; or as ``inverse``.
    """
    steps = q.shape[-2]
    short = sorted({lag for one in fitted.steps if isinstance(one, Difference) for lag in one.lags if lag < steps})
    if short:
        raise TransformError(
            f"lags of at least the horizon {steps}, as quantiles can't be added up",
            f"lags {short}",
            "difference at a lag of at least the horizon, invert sample paths with inverse_paths and take their "
            "quantiles, or calibrate on the backtest's residuals in raw units",
        )
    return np.moveaxis(inverse(fitted, np.moveaxis(q, -1, 0), tail), 0, -1)


def inverse_paths(fitted: Fitted, z: Float, tail: Float) -> Float:
    """Raw values of sample paths ``z (S, ..., N, H)``, S draws that each hang together in time; else as ``inverse``.

    Quantiles over S of the result are sound at any lag.
    """
    return inverse(fitted, z, tail)


def _series(fitted: Fitted, values: Float, name: str) -> Float:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim < 2 or array.shape[-2] != len(fitted.seen):
        raise TransformError(
            f"{name} as (..., N, steps) with N = {len(fitted.seen)}, the series that the transform was fitted on",
            f"shape {array.shape}",
            "hand in the same series in the same order, or fit again",
        )
    return array
