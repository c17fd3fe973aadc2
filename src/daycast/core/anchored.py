"""Windows and contexts of models that learn deviations from a profile, told with signals; beside ``core.windows``.

Values here are in spreads: transformed units over the standard deviation of deviations, so that a network sees numbers
of the same size whatever the series. Letters of ``core.frame``, ``core.signals`` and ``core.windows``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from daycast.core import held
from daycast.core.channels import Columns, Layout
from daycast.core.context import Context
from daycast.core.forecast import Origin
from daycast.core.frame import Float, Panel
from daycast.core.signals import Signals
from daycast.core.windows import Anchors, Arrays


def spread(signals: Signals) -> float:
    """Standard deviation of the days' deviations over all series, in transformed units; 1 where there are none.

    Not that of a typical day: with holidays and blizzards in it, a common day's signals are well below one, which keeps
    a network from reading much into them. One for all series, so that a series that is new since the fit has it too.
    """
    deviation = signals.observed[:, :, 1]
    size = float(np.nanstd(deviation)) if np.isfinite(deviation).any() else 0.0
    return size if size > 0 else 1.0


@dataclass(frozen=True)
class View:
    """How signals are laid out for a network.

    Attributes:
        spread: as ``spread`` gives it, of the fit's history.
        clip: observed and ahead signals beyond so many spreads are held there, as one blizzard would drown the rest.
        layout: whether all series are one sample, or each is one.
        columns: the known features that are used, of F.
    """

    spread: float
    clip: float
    layout: Layout
    columns: Columns

    def observed(self, signals: Signals, rows: slice) -> Float:
        """Observed signals ``(G, rows, C)``, the innovations of the targets first; 0 where not told."""
        return self._grouped(self._held(signals.observed[:, rows]))

    def ahead(self, signals: Signals, rows: slice) -> Float:
        """Signals told ahead ``(G, rows, A)``; the last two are shares already."""
        told = signals.ahead[:, rows]
        return self._grouped(np.concatenate([self._held(told[:, :, :-2]), told[:, :, -2:]], axis=2))

    def _held(self, values: Float) -> Float:
        return np.clip(np.nan_to_num(values / self.spread, nan=0.0), -self.clip, self.clip)

    def _grouped(self, values: Float) -> Float:
        """``(N, T, C)`` as ``(G, T, C)``; together, each signal of all series, then the next signal."""
        if self.layout == "each":
            return values
        n, steps, signals = values.shape
        return values.transpose(1, 2, 0).reshape(1, steps, signals * n)

    def arrays(self, history: Panel, signals: Signals, z: Float) -> Arrays:
        """What windows of a history look into.

        Args:
            signals: of the history alone.
            z: its values after ``transform.forward``, ``(N, T)``.
        """
        steps = z.shape[1]
        everything = slice(0, steps)
        _, first, classes = np.unique(signals.classes[0], return_index=True, return_inverse=True)
        base = signals.levels.grid(signals.classes[:, first]) / self.spread  # (N, T, M)
        goal = (z - signals.ahead[:, :steps, 0]) / self.spread
        together = self.layout == "joint"
        anchors = Anchors(
            _single(self.ahead(signals, everything)),
            _single(goal.T[None] if together else goal[:, :, None]),
            _single(base.transpose(1, 2, 0)[None] if together else base[..., None]),
            classes.astype(np.int32),
        )
        static = np.zeros((1, 0)) if together else history.static
        inputs, known = self.observed(signals, everything), history.known[:, self.columns]
        targets, late = len(z) if together else 1, held.among(history, self.columns)
        return Arrays(_single(inputs), _single(known), _single(static), targets, anchors, late)

    def context(self, origins: Sequence[Origin], signals: Signals, lookback: int) -> Context:
        """What a network sees when it forecasts from origins that share one history.

        Args:
            signals: of the longest of the histories and its future.

        Returns:
            ``level`` is what its outputs, in spreads, are to be added to.
        """
        pasts, futures, levels = [], [], []
        for origin in origins:
            end, horizon = len(origin.history.ds), len(origin.future.ds)
            before, after = slice(end - lookback, end), slice(end, end + horizon)
            observed, known = self.observed(signals, before), origin.history.known[before, self.columns]
            pasts.append(_beside(observed, self.ahead(signals, before), known))
            futures.append(_beside(self.ahead(signals, after), origin.future.known[:, self.columns]))
            base = signals.base(np.full(horizon, end - 1), np.arange(end, end + horizon))
            levels.append(base + signals.ahead[:, after, 0])
        level = np.stack(levels)
        static = np.zeros((1, 0)) if self.layout == "joint" else origins[0].history.static
        return Context(
            _single(np.concatenate(pasts)),
            _single(np.concatenate(futures)),
            _single(np.tile(static, (len(origins), 1))),
            np.zeros((*level.shape[:2], 0)),
            np.asarray(np.isfinite(level).any(axis=2)),
            level,
        )


def _beside(*parts: Float) -> Float:
    """Parts ``(G, T, C)`` next to each other, the last one ``(T, F)`` for all groups."""
    *grouped, shared = parts
    return np.concatenate([*grouped, np.broadcast_to(shared, (len(grouped[0]), *shared.shape))], axis=2)


def _single(values: Float) -> NDArray[np.float32]:
    return np.ascontiguousarray(values, dtype=np.float32)
