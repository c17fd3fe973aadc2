"""Which windows there are, as runs of starts that follow one another: a few numbers a series, none a window.

Letters of ``core.windows``, and ``R`` runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Runs:
    """W windows, numbered by group and start.

    Attributes:
        rows: group, first start, and how many starts follow one another from there; int32 ``(R, 3)``, ascending.
    """

    rows: NDArray[np.int32]

    @cached_property
    def _ends(self) -> NDArray[np.int64]:
        """How many windows there are up to the end of each run."""
        return np.cumsum(self.rows[:, 2], dtype=np.int64)

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self.rows) else 0

    def at(self, index: NDArray[np.integer]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Group and start ``(B,)`` of the windows numbered ``index (B,)``."""
        run = np.searchsorted(self._ends, index, side="right")
        group, first, count = self.rows[run].T.astype(np.intp)
        return group, first + index - (self._ends[run] - count)

    def between(self, first: int, last: int) -> Runs:
        """Those that start at ``first`` or later, and at ``last`` or earlier."""
        group, start, count = self.rows.T
        begin = np.maximum(start, first)
        left = np.minimum(start + count - 1, last) - begin + 1
        kept = left > 0
        return Runs(np.stack([group[kept], begin[kept], left[kept]], axis=1).astype(np.int32))

    def counts(self, groups: int) -> NDArray[np.int64]:
        """How many windows each of so many groups has, ``(G,)``."""
        out = np.zeros(groups, dtype=np.int64)
        np.add.at(out, self.rows[:, 0], self.rows[:, 2])
        return out


def of(valid: NDArray[np.bool_], group: int = 0) -> Runs:
    """The runs of ``valid (G, starts)``, of groups numbered from ``group`` on."""
    edges = np.diff(np.pad(valid, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    where, first = np.nonzero(edges == 1)
    after = np.nonzero(edges == -1)[1]
    return Runs(np.stack([where + group, first, after - first], axis=1).astype(np.int32))


def joined(parts: Sequence[Runs]) -> Runs:
    """The runs of several parts, whose groups ascend."""
    return Runs(np.concatenate([part.rows for part in parts]) if parts else np.zeros((0, 3), dtype=np.int32))
