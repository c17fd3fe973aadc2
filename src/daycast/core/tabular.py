"""Signals as the rows of a table, for models that learn from one: a row per origin and step ahead of one series.

Letters of ``core.frame`` and ``core.signals``; ``R`` rows, ``P`` features.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from daycast.core import held
from daycast.core.frame import Float, Future, Panel
from daycast.core.layout import EVENT
from daycast.core.signals import Recipe, Signals

Rows = NDArray[np.integer]
CODES = ("class", EVENT, f"{EVENT}_at_origin")
"""Features that are codes of categories, not numbers."""


@dataclass(frozen=True, eq=False)
class Source:
    """What rows are made of.

    Attributes:
        recipe: of ``signals``.
        known: of history and future, ``(S, F)``, with ``known_names`` along F, of which ``held`` tells the held ones.
        static: ``(N, statics)``, with ``static_names``.
        lags: how many of the last innovations a row holds.
        dummies: whether an event is told by its one-hot columns, as a linear model needs it, or by its code.
    """

    signals: Signals
    recipe: Recipe
    known: Float
    known_names: tuple[str, ...]
    held: NDArray[np.bool_]
    static: Float
    static_names: tuple[str, ...]
    lags: int
    dummies: bool

    @classmethod
    def of(
        cls, history: Panel, future: Future | None, signals: Signals, recipe: Recipe, lags: int, dummies: bool
    ) -> Source:
        """The source of a history's rows, and of those whose targets lie in the future after it."""
        whole = history.known if future is None else np.concatenate([history.known, future.known])
        names = history.known_names
        kept = [i for i, n in enumerate(names) if dummies or not n.startswith(f"{EVENT}=")]
        return cls(
            signals,
            recipe,
            whole[:, kept],
            tuple(names[i] for i in kept),
            np.isin(kept, held.features(history)),
            history.static,
            history.static_names,
            lags,
            dummies,
        )

    def rows(self, series: int, others: Sequence[int], origin: Rows, step: Rows) -> tuple[Float, tuple[str, ...]]:
        """Features ``(R, P)`` and their names, NaN where one can't be told.

        Args:
            series: whose target it is; ``others``: those whose signals stand beside its own.
            origin: row of each cutoff, ``(R,)``.
            step: steps ahead from there, ``(R,)``; the target is at ``origin + step``.
        """
        columns = dict(self._columns(series, others, origin, step))
        return np.column_stack(list(columns.values())), tuple(columns)

    def _columns(self, series: int, others: Sequence[int], origin: Rows, step: Rows) -> Iterator[tuple[str, Float]]:
        of, target = self.signals, origin + step
        yield "step", step.astype(np.float64)
        if not self.dummies:
            codes = (of.classes[0][target], of.event[target], of.event[origin])
            yield from zip(CODES, (code.astype(np.float64) for code in codes), strict=True)
        # Held ones as any origin knows them; the rows of another, later one's history tell more.
        known = self.known[target]
        if self.held.any():
            known[:, self.held] = self.known[origin + 1][:, self.held]
        yield from zip(self.known_names, known.T, strict=True)
        for k, owner in enumerate((series, *others)):
            own = f"other{k}_" if k else ""
            for name, ahead in zip(self.recipe.ahead, of.ahead[owner, target].T, strict=True):
                yield f"{own}{name}", ahead
            for newer in of.newer(origin, target)[owner].T:  # none, or one
                yield f"{own}newest", newer
            for name, observed in zip(self.recipe.observed, of.observed[owner, origin].T, strict=True):
                yield f"{own}{name}", observed
            innovation = of.observed[owner, :, self.recipe.observed.index("innovation")]
            for lag in range(1, self.lags + 1):
                before = np.where(origin >= lag, innovation[np.maximum(origin - lag, 0)], np.nan)
                yield f"{own}innovation_lag{lag}", before
        for name, value in zip(self.static_names, self.static[series], strict=True):
            yield name, np.full(len(origin), value)
