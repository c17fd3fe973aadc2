"""Windows and contexts of models that learn deviations from a profile, told with signals; beside ``core.windows``.

Values here are in spreads: transformed units over the standard deviation of deviations, so that a network sees numbers
of the same size whatever the series. Letters of ``core.frame``, ``core.signals`` and ``core.windows``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from daycast.core import held
from daycast.core.anchors import Anchors, Newest
from daycast.core.channels import Columns, Layout
from daycast.core.context import Context
from daycast.core.forecast import Origin
from daycast.core.frame import Float, Panel
from daycast.core.signals import Signals
from daycast.core.windows import Arrays


def spread(parts: Iterable[Signals]) -> float:
    """Standard deviation of the open days' deviations over all series, in transformed units; 1 where there are none.

    Not that of a typical day: with holidays and blizzards in it, a common day's signals are well below one, which keeps
    a network from reading much into them. One for all series, so that a series that is new since the fit has it too.

    Args:
        parts: the signals of some series after the others.
    """
    found = []
    for signals in parts:
        deviation = np.where(signals.open, signals.observed[:, :, 1], np.nan)
        if count := int(np.isfinite(deviation).sum()):
            found.append((count, float(np.nanmean(deviation)), float(np.nanstd(deviation))))
    if not found:
        return 1.0
    count, mean, size = np.array(found).T
    share = count / count.sum()
    size = float(np.sqrt((share * (size**2 + (mean - (share * mean).sum()) ** 2)).sum()))
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

    def _newest(self, signals: Signals, rows: NDArray[np.integer], days: NDArray[np.integer]) -> Float:
        """``Signals.newer`` of the targets, ``(G, R, K)``, or ``(G, R, 0)`` where it is not told; 0 where unknown."""
        return self._grouped(self._held(signals.newer(rows, days)))

    def _before(self, signals: Signals, days: NDArray[np.integer]) -> Float:
        """The same of past ``days (R,)``, as known the timestamp before each; 0 at the first of all."""
        found = self._newest(signals, np.maximum(days - 1, 0), days)
        found[:, days == 0] = 0.0
        return found

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
        base = signals.levels.grid(signals.classes[:, first])  # (N, T, M)
        goal = (z - signals.ahead[:, :steps, 0]) / self.spread
        together, codes = self.layout == "joint", classes.astype(np.int32)

        def by_class(values: Float) -> Float:
            """``(N, T, M)`` as ``(G, T, M, K)``."""
            return values.transpose(1, 2, 0)[None] if together else values[..., None]

        anchors = Anchors(
            _single(self.ahead(signals, everything)),
            _single(goal.T[None] if together else goal[:, :, None]),
            _single(by_class(base / self.spread)),
            codes,
        )
        newest = None
        if signals.newest is not None:
            grid = by_class(self._held(signals.newest.grid(signals.classes[:, first]) - base))
            newest = Newest(_single(self._before(signals, np.arange(steps))), _single(grid), codes)
        static = np.zeros((1, 0)) if together else history.static
        inputs, known = self.observed(signals, everything), history.known[:, self.columns]
        targets, late = len(z) if together else 1, held.among(history, self.columns)
        return Arrays(_single(inputs), _single(known), _single(static), targets, anchors, late, newest)

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
            rows, days = np.full(horizon, end - 1), np.arange(end, end + horizon)
            told = self._before(signals, np.arange(end - lookback, end))
            pasts.append(_beside(observed, self.ahead(signals, before), told, known))
            told = self._newest(signals, rows, days)
            futures.append(_beside(self.ahead(signals, after), told, origin.future.known[:, self.columns]))
            base = signals.base(rows, days)
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
