"""The rows of a raw file, all at once or, where they are many, some series after the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import pandas as pd

POSITION = "position in the file"
"""A column of that name holds what a frame's index does, for tools that know no index."""


class Raw(Protocol):
    """Rows in frames, whose index is the position in the file, and ascends.

    With several frames, all rows of a series are in one, and their series are sorted by their names as text.
    """

    @property
    def columns(self) -> Sequence[str]:
        """Of the file."""

    @property
    def parts(self) -> int:
        """How many frames there are."""

    def frames(self, columns: Sequence[str] | None = None) -> Iterator[pd.DataFrame]:
        """One after the other, with these columns or with all."""


@dataclass(frozen=True)
class Whole:
    """Rows that are at hand in one frame."""

    frame: pd.DataFrame
    parts: int = 1

    @property
    def columns(self) -> Sequence[str]:
        return list(self.frame.columns)

    def frames(self, columns: Sequence[str] | None = None) -> Iterator[pd.DataFrame]:
        yield self.frame if columns is None else self.frame[list(columns)]
