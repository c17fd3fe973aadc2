"""Model inputs as windows: strided views over one contiguous float32 array per kind.

A window of lookback L and horizon H is a start on the grid: ``past`` is its rows ``start .. start+L-1``, ``future`` and
``target`` the H rows after. Training takes its batches from ``Windows``, prediction from ``context``; both put the
channels in the same order. Letters of ``core.frame``, and ``G`` groups, ``K`` targets, ``C`` observed channels,
``W`` windows:

    layout   G  K  C              one sample is
    joint    1  N  N + N·P        all series together, channels y of each series, then past covariates series by series
    each     N  1  1 + P          one series, channels y, then its past covariates
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from daycast.core import parts, runs
from daycast.core.anchors import Anchors, Newest, Single
from daycast.core.arrays import Arrays, arrays
from daycast.core.channels import Layout, as_series
from daycast.core.frame import Float, Panel
from daycast.core.runs import Runs
from daycast.core.transform import Fitted
from daycast.errors import HistoryError

__all__ = [
    "Arrays",
    "Batch",
    "Layout",
    "Single",
    "Windows",
    "arrays",
    "as_series",
    "starts",
    "windows",
]


class Batch(NamedTuple):
    """``past (B, L, C+F)``, ``future (B, H, F)``, ``static (B, S)``, ``target (B, H, K)``, all float32."""

    past: Single
    future: Single
    static: Single
    target: Single


@dataclass(frozen=True, eq=False)
class Windows:
    """All windows of a history that hold no missing value. Arrays may be memory-mapped; none is ever copied whole, and
    nothing is kept for each window.

    Attributes:
        inputs: observed channels, of which the first K are the targets in transformed units, float32 ``(G, T, C)``.
        known: known-future features, float32 ``(T, F)``.
        static: float32 ``(G, S)``; S is 0 in the joint layout, where all windows would share it.
        targets: K.
        anchors: what targets are measured from; ``None``: from nothing, they are channels of ``inputs``.
        held: which of F are held: in a window's future they go on as at its first step.
        newest: told beside the signals ahead, as known at the window's cutoff; ``None``: not told.
        runs: which windows there are.
        lookback, horizon: L and H, steps.
    """

    inputs: Single
    known: Single
    static: Single
    targets: int
    anchors: Anchors | None
    held: tuple[int, ...]
    newest: Newest | None
    runs: Runs
    lookback: int
    horizon: int

    @property
    def starts(self) -> NDArray[np.int32]:
        """``(group, start)`` of each window, ``(W, 2)``; listed anew each time, for where windows are few."""
        return np.stack(self.runs.at(np.arange(len(self))), axis=1).astype(np.int32)

    @property
    def z(self) -> Single:
        """Targets in transformed units, a view ``(G, T, K)``."""
        return self.inputs[:, :, : self.targets]

    def __len__(self) -> int:
        return len(self.runs)

    def batch(self, index: NDArray[np.integer]) -> Batch:
        """The windows numbered ``index (B,)``, gathered; costs B windows and nothing of the history's length."""
        group, start = self.runs.at(index)
        after = start + self.lookback
        if self.anchors is None:
            past, future, target = [self.inputs], [], _views(self.z, self.horizon)[group, after]
        else:
            future = [self.anchors.ahead] if self.newest is None else [self.anchors.ahead, self.newest.before]
            past, target = [self.inputs, *future], self.anchors.targets(group, after - 1, self.horizon)
        ahead = self._gathered(future, group, after, self.horizon)
        known = ahead.shape[2] - self.known.shape[1]
        for feature in self.held:  # no forecast knows more of it than at the first step
            ahead[:, :, known + feature] = self.known[after, feature][:, None]
        if self.newest is not None:  # nor of the classes than at the cutoff
            ahead[:, :, known - self.targets : known] = self.newest.ahead(group, after - 1, self.horizon)
        seen = self._gathered(past, group, start, self.lookback)
        return Batch(seen, ahead, np.asarray(self.static[group]), target)

    def _gathered(
        self, parts: Sequence[Single], group: NDArray[np.intp], first: NDArray[np.intp], steps: int
    ) -> Single:
        """``(B, steps, C+F)``: the rows from ``first`` on of each of the parts ``(G, T, C)``, then known features."""
        widths = np.cumsum([0, *(part.shape[2] for part in parts), self.known.shape[1]])
        # Written in place: joining two gathered halves was measured up to 12 times slower (fresh pages each time).
        out = np.empty((len(group), steps, widths[-1]), dtype=np.float32)
        for part, at, end in zip(parts, widths, widths[1:], strict=False):
            out[:, :, at:end] = _views(part, steps)[group, first]
        out[:, :, widths[-2] :] = _views(self.known, steps)[first]
        return out

    def split(self, validation_steps: int) -> tuple[Windows, Windows]:
        """Training and validation windows by target time, over the same arrays.

        Training windows have all targets before the last ``validation_steps`` timestamps, validation windows have all
        targets among them; those with some on either side are in neither, so no target is in both.

        Raises:
            HistoryError: one of the two would be empty.
        """
        boundary = self.inputs.shape[1] - validation_steps
        training = self.runs.between(0, boundary - self.lookback - self.horizon)
        validation = self.runs.between(boundary - self.lookback, self.inputs.shape[1])
        if not (len(training) and len(validation)):
            raise HistoryError(
                f"training and validation windows on both sides of the last {validation_steps} timestamps",
                f"{len(training)} and {len(validation)} of {len(self)}",
                "change trainer.validation_steps (at least the horizon), shorten the lookback, or bring more history",
            )
        return replace(self, runs=training), replace(self, runs=validation)


def _views(array: Single, steps: int) -> Single:
    """Every run of ``steps`` rows along the time axis (the last but one), as a view ``(..., T-steps+1, steps, C)``."""
    return sliding_window_view(array, steps, axis=array.ndim - 2).swapaxes(-1, -2)


def starts(of: Arrays, lookback: int, horizon: int) -> Runs:
    """The windows without a missing value.

    Raises:
        HistoryError: there is none.
    """
    groups, steps = of.inputs.shape[:2]
    found = []
    if steps >= lookback + horizon:
        found = [runs.of(_whole_from(of.groups(some), lookback, horizon), some.start) for some in parts.rows(groups)]
    every = runs.joined(found)
    if not len(every):
        raise HistoryError(
            f"{lookback + horizon} timestamps in a row without a missing value (lookback + horizon)",
            f"none among {steps} timestamps of {groups} groups of series",
            "shorten the lookback, the horizon or the transform's lags, or bring more history; where one of several "
            "series is short, learn them with inputs: each, or leave it out",
        )
    return every


def _whole_from(of: Arrays, lookback: int, horizon: int) -> NDArray[np.bool_]:
    """From which starts on a window holds no missing value, ``(G, T - L - H + 1)``."""
    steps = of.inputs.shape[1]
    past_gaps = _gaps(_whole(of.known) & _whole(of.inputs), lookback)[:, : steps - lookback - horizon + 1]
    if of.anchors is None:
        target_gaps = _gaps(_whole(of.known) & _whole(of.inputs[:, :, : of.targets]), horizon)[:, lookback:]
    else:
        missing = of.anchors.missing(horizon)[:, lookback - 1 : steps - horizon]
        target_gaps = _gaps(_whole(of.known)[None], horizon)[:, lookback:] + missing
    return np.asarray((past_gaps == 0) & (target_gaps == 0))


def windows(panel: Panel, z: Float, lookback: int, horizon: int, layout: Layout, past: Fitted | None = None) -> Windows:
    """All windows of a history, from its ``arrays``. Raises ``HistoryError`` if there is none."""
    return windows_of(arrays(panel, z, layout, past), lookback, horizon)


def windows_of(of: Arrays, lookback: int, horizon: int) -> Windows:
    """All windows over arrays. Raises ``HistoryError`` if there is none."""
    return Windows(*of, starts(of, lookback, horizon), lookback, horizon)


def _whole(values: Single | Float) -> NDArray[np.bool_]:
    return np.asarray(np.isfinite(values).all(axis=-1))


def _gaps(whole: NDArray[np.bool_], steps: int) -> NDArray[np.int32]:
    """How many of each ``steps`` timestamps in a row are not whole, ``(G, T)`` to ``(G, T-steps+1)``."""
    total = np.zeros((whole.shape[0], whole.shape[1] + 1), dtype=np.int32)
    np.cumsum(~whole, axis=1, out=total[:, 1:])
    return total[:, steps:] - total[:, :-steps]
