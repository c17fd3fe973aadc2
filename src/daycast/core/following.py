"""The walk of adaptive conformal inference: what is added to forecasts, origin by origin, as errors become known.

``core.adaptive`` says what it is for. Letters: R rows, Q levels, T origins of one series and step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from daycast.core.conformal import enough, ranks
from daycast.core.frame import Float

Times = NDArray[np.datetime64]


@dataclass(frozen=True)
class Pace:
    """How fast intervals follow.

    Attributes:
        rate: what a miss moves a working level by (gamma), that of the paper. 0 leaves a rolling window alone.
        window: the newest residuals per step that quantiles are taken of.
    """

    rate: float = 0.005
    window: int = 365


PACE = Pace()


class _Told(NamedTuple):
    """Forecasts and what came of them; a residual is ``target - base``.

    Attributes:
        target: what came, ``(T,)``, NaN where nothing has.
        base: what offsets are added to, ``(T, 1)`` for all levels or ``(T, Q)``.
    """

    cutoff: Times
    ds: Times
    target: Float
    base: Float

    def at(self, index: NDArray[np.intp]) -> _Told:
        return _Told(self.cutoff[index], self.ds[index], self.target[index], self.base[index])

    def known(self) -> _Known:
        residual = self.target[:, None] - self.base
        came = np.flatnonzero(np.isfinite(residual).all(axis=1))
        came = came[np.argsort(self.ds[came], kind="stable")]
        return _Known(self.ds[came], residual[came])


@dataclass(frozen=True)
class _Known:
    """Residuals ``(T, 1)`` or ``(T, Q)`` in the order in which they became known."""

    ds: Times
    residual: Float

    def newest(self, now: np.datetime64, most: int) -> Float:
        return np.sort(self.residual[: np.searchsorted(self.ds, now, side="right")][-most:], axis=0)


def offsets(rows: pd.DataFrame, target: Float, base: Float, nominal: Float, pace: Pace) -> Float:
    """Offsets ``(R, Q)`` of all series' rows, in units of ``target (R,)`` and ``base``; see ``_Told``."""
    told = _Told(rows["cutoff"].to_numpy(), rows["ds"].to_numpy(), target, base)
    moved = np.full((len(rows), len(nominal)), np.nan)
    step = rows["step"].to_numpy()
    for group in rows.groupby("unique_id").indices.values():
        of_series = np.asarray(group)
        pool, steps = told.at(of_series).known(), np.unique(step[of_series])
        for one in steps:
            at = of_series[step[of_series] == one]
            at = at[np.argsort(told.cutoff[at], kind="stable")]
            moved[at] = _walk(told.at(at), pool, len(steps), nominal, pace)
    return moved


def _walk(told: _Told, pool: _Known, steps: int, nominal: Float, pace: Pace) -> Float:
    """Offsets ``(T, Q)`` of one series and step, whose T cutoffs ascend, and their ds with them."""
    own, column = told.known(), np.arange(len(nominal)) % told.base.shape[1]
    needed, its_own = enough(nominal)
    working, learnt = nominal.copy(), 0
    moved = np.full((len(told.cutoff), len(nominal)), np.nan)
    issued = moved.copy()
    for t, now in enumerate(told.cutoff):
        until = int(np.searchsorted(told.ds, now, side="right"))
        for past in range(learnt, until):
            if np.isfinite(told.target[past]) and np.isfinite(issued[past, 0]):
                # On the edge counts as inside, at both ends.
                came, edge = told.target[past], issued[past]
                below = np.where(nominal < 0.5, came < edge, came <= edge)
                working = np.clip(working + pace.rate * (nominal - below), 0.0, 1.0)
        learnt = until
        known = own.newest(now, pace.window)
        if len(known) < its_own:
            known = pool.newest(now, pace.window * steps)
        if len(known) >= needed:
            places = [np.clip(r, 1, len(known)) - 1 for r in ranks(np.asarray(len(known)), working, nominal)]
            moved[t] = (known[places[0], column] + known[places[1], column]) / 2
            issued[t] = np.sort(told.base[t] + moved[t])
    return moved
