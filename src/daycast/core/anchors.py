"""What windows are measured from and told where a model learns deviations from a profile (``core.anchored``).

Letters of ``core.windows``; ``M`` classes of timestamps, ``A`` signals told ahead.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from daycast.core.frame import Float

Single = NDArray[np.float32]


class Anchors(NamedTuple):
    """What targets are measured from.

    Attributes:
        ahead: signals told ahead of each timestamp, float32 ``(G, T, A)``.
        goal: the targets, float32 ``(G, T, K)``; NaN where missing.
        base: the level of each class of timestamp as known at each timestamp, float32 ``(G, T, M, K)``; NaN if unknown.
        classes: the class of each timestamp, int32 ``(T,)``.
    """

    ahead: Single
    goal: Single | Float
    base: Single | Float
    classes: NDArray[np.int32]

    def targets(self, group: NDArray[np.intp], cutoff: NDArray[np.intp], horizon: int) -> Single:
        """``(B, H, K)``: the goals of the H timestamps after each cutoff, less their levels as known at it."""
        days = cutoff[:, None] + np.arange(1, horizon + 1)
        base = self.base[group[:, None], cutoff[:, None], self.classes[days]]
        return np.asarray(self.goal[group[:, None], days] - base, dtype=np.float32)

    def missing(self, horizon: int) -> NDArray[np.bool_]:
        """At which cutoffs one of the H targets, or its level, is missing, ``(G, T)``; the last H are not told."""
        groups, steps = self.goal.shape[:2]
        out = np.zeros((groups, steps), dtype=np.bool_)
        for step in range(1, horizon + 1):
            days = np.arange(step, steps)
            base = self.base[:, days - step, self.classes[days]]
            out[:, : steps - step] |= ~np.isfinite(self.goal[:, days] - base).all(axis=-1)
        return out


class Newest(NamedTuple):
    """How far the newest timestamps of a class stand from its level: known of each class, at each cutoff anew.

    Attributes:
        before: of each timestamp's own class, as known the timestamp before, float32 ``(G, T, K)``.
        grid: of each class as known at each timestamp, float32 ``(G, T, M, K)``.
        of: the class of each timestamp, int32 ``(T,)``.
    """

    before: Single
    grid: Single
    of: NDArray[np.int32]

    def ahead(self, group: NDArray[np.intp], cutoff: NDArray[np.intp], horizon: int) -> Single:
        """``(B, H, K)``: of the classes of the H timestamps after each cutoff, as known at it."""
        days = cutoff[:, None] + np.arange(1, horizon + 1)
        return self.grid[group[:, None], cutoff[:, None], self.of[days]]
