"""Which days are exceptionally low, told as 1 and 0: what alerts are raised for.

A day is low, seen from a cutoff, if its value lies below a share of the level of its class of day as known at that
cutoff (``core.profile``). The level follows the series, so a low day is one that differs from its likes of late, and
nothing after the cutoff but the day itself says which it is. Letters of ``core.frame`` and ``core.profile``; ``G``,
``K`` of ``core.windows``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from daycast.core import held, profile
from daycast.core.anchors import Anchors
from daycast.core.channels import Layout
from daycast.core.frame import Float, Future, Panel
from daycast.core.layout import EVENT
from daycast.core.profile import Codes, Levels
from daycast.core.windows import Arrays, Single


@dataclass(frozen=True)
class Rule:
    """What low means.

    Attributes:
        drop: share in (0, 1) of the usual level that must be missing.
        by, window, statistic: of the level, as of a profile.
    """

    drop: float
    by: tuple[str, ...]
    window: int
    statistic: Literal["median", "mean"]


@dataclass(frozen=True, eq=False)
class Lows:
    """The rule applied to a history.

    Attributes:
        y: its values in raw units, ``(N, T)``.
        classes: of each timestamp of history and future, ``(D, S)``.
        levels: those of ``y``.
        kept: share of a level below which a value is low.
    """

    y: Float
    classes: Codes
    levels: Levels
    kept: float

    def below(self, rows: NDArray[np.integer], days: NDArray[np.integer]) -> Float:
        """The values ``(N, R)``, in raw units, below which the timestamps ``days (R,)`` are low, as known at ``rows``;
        NaN where no level is known."""
        return self.kept * self.levels.at(rows, self.classes[:, days])

    def at(self, rows: NDArray[np.integer], days: NDArray[np.integer]) -> Float:
        """1 where a timestamp of ``days (R,)``, of the history, is low as known at ``rows``, else 0, ``(N, R)``.

        NaN where it was not observed or no level is known.
        """
        return _low(self.y[:, days] - self.below(rows, days))

    def ahead(self, rows: NDArray[np.integer], horizon: int) -> Float:
        """``at`` for the H timestamps after each of ``rows (O,)``, ``(O, N, H)``; NaN beyond the history's end."""
        steps = self.y.shape[1]
        row, step = np.meshgrid(rows, np.arange(1, horizon + 1), indexing="ij")
        days = np.minimum(row + step, steps - 1).ravel()
        found = self.at(row.ravel(), days).reshape(len(self.y), len(rows), horizon)
        return np.moveaxis(np.where(row + step < steps, found, np.nan), 0, 1)


class Marks(Anchors):
    """Targets that are 1 for a low timestamp and 0 for another, where ``Anchors`` gives its distance from a level.

    ``goal`` and ``base`` are in raw units and float64, so that training has the very labels that are scored.
    """

    def targets(self, group: NDArray[np.intp], cutoff: NDArray[np.intp], horizon: int) -> Single:
        """``(B, H, K)``: whether the H timestamps after each cutoff are low as known at it; NaN where unknown."""
        days = cutoff[:, None] + np.arange(1, horizon + 1)
        base = self.base[group[:, None], cutoff[:, None], self.classes[days]]
        return _low(self.goal[group[:, None], days] - base).astype(np.float32)


def known(history: Panel, future: Future | None, rule: Rule) -> Lows:
    """The rule applied to a history; with its future, to tell below which values that would be low.

    Raises:
        ModelError: a column of the rule is not known ahead.
    """
    steps = len(history.ds)
    held.refuse(history, rule.by)
    of = profile.classes(history.levels, rule.by, steps)
    if future is not None:
        of = np.concatenate([of, profile.classes(future.levels, rule.by, len(future.ds))], axis=1)
    event = history.levels(EVENT)
    normal = np.ones(steps, dtype=np.bool_) if event is None else event[0] == 0
    levels = profile.levels(history.y, normal, of[:, :steps], rule.window, rule.statistic)
    return Lows(history.y, of, levels, 1 - rule.drop)


def marked(arrays: Arrays, history: Panel, rule: Rule, layout: Layout) -> Arrays:
    """The arrays of a history's windows with low timestamps as their targets, in place of values or deviations."""
    of = known(history, None, rule)
    _, first, classes = np.unique(of.classes[0], return_index=True, return_inverse=True)
    base = of.kept * of.levels.grid(of.classes[:, first])  # (N, T, M)
    together = layout == "joint"
    groups, steps = arrays.inputs.shape[:2]
    ahead = np.zeros((groups, steps, 0), dtype=np.float32) if arrays.anchors is None else arrays.anchors.ahead
    marks = Marks(
        ahead,
        of.y.T[None] if together else of.y[:, :, None],
        base.transpose(1, 2, 0)[None] if together else base[..., None],
        classes.astype(np.int32),
    )
    return arrays._replace(anchors=marks)


def _low(over: Float) -> Float:
    return np.where(np.isnan(over), np.nan, over < 0)
