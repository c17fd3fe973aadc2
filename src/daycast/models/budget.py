"""How long a fit may take, of one series or one learner, and how that is kept without a signal or a thread of its own.

Whoever computes asks a ``Clock`` now and then, in the thread that computes, so it works in any thread and leaves
nothing behind. No code is interrupted between two questions: the shortest unit is one evaluation of the likelihood for
the ARIMA families, one candidate for exponential smoothing, one smoothing of one season for a decomposition, one tree
for boosting and one step ahead for a linear model.

A fit that stays within its budget does not depend on it. One that does not depends on how fast the machine was, so the
families that have a budget tell how many series or learners exceeded theirs.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from daycast.core.frame import Float


class OverBudgetError(Exception):
    """The budget is spent. Never leaves a fit; no ``ValueError``, which statsforecast takes for a failed candidate."""


class Clock:
    """Wall time that is left, from its making on."""

    def __init__(self, budget_s: float | None) -> None:
        """``budget_s`` in seconds, or None for no limit."""
        self._end = float("inf") if budget_s is None else time.monotonic() + budget_s

    def check(self) -> None:
        """Raise ``OverBudgetError`` once the time is up."""
        if time.monotonic() >= self._end:
            raise OverBudgetError


UNLIMITED = Clock(None)


class _Watched(np.ndarray):
    """An array that asks a clock whenever it is copied, and hands the clock on to what is made of it."""

    clock: Clock = UNLIMITED

    def __array_finalize__(self, origin: Any) -> None:
        self.clock = getattr(origin, "clock", UNLIMITED)

    def copy(self, order: Any = "C") -> Any:
        self.clock.check()
        return super().copy(order)


def watched(y: Float, clock: Clock) -> Float:
    """``y`` as an array of which every copy asks ``clock``.

    This is the way into statsforecast's search for orders, which takes no callback: its objectives start each
    evaluation with a copy of the series.
    """
    view = y.view(_Watched)
    view.clock = clock
    return view
