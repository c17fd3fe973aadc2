"""A canonical frame read piece by piece, into arrays that never were a frame: for more rows than memory holds.

What ``core.frame.table`` makes of a frame at hand, of one that comes in pieces. Letters of ``core.frame``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from daycast.core import calendar, held
from daycast.core.frame import KEYS, Float, FrameSpec, Future, Panel, Table
from daycast.errors import DataError

Read = Callable[[Sequence[str]], Iterable[pd.DataFrame]]
"""Hands out these columns of a frame sorted by ``unique_id, ds``, some rows after the others, from the start."""


@dataclass(frozen=True)
class Outline:
    """A table without its series.

    Attributes:
        grid: timestamps of history and future.
        end: how many of them are history.
        known: features of all of them, ``(timestamps, F)``.
        known_names: along F.
    """

    grid: pd.DatetimeIndex
    end: int
    known: Float
    known_names: tuple[str, ...]


@dataclass(frozen=True)
class Block:
    """Some series: names ``(N,)``, ``y (N, T)``, ``past (N, T, P)`` and ``static (N, S)`` of the history."""

    ids: tuple[str, ...]
    y: Float
    past: Float
    static: Float
    static_names: tuple[str, ...]


def table(spec: FrameSpec, of: Outline, series: Block) -> Table:
    """The table of these series; its arrays are read-only."""
    for array in (of.known, series.y, series.past, series.static):
        array.flags.writeable = False
    grid, known, end = of.grid, of.known, of.end
    names = (of.known_names, spec.past, series.static_names)
    panel = Panel(spec, series.ids, grid[:end], series.y, known[:end], series.past, series.static, *names)
    return Table(panel, Future(grid[end:], known[end:], of.known_names))


def outline(read: Read, spec: FrameSpec) -> Outline:
    """All but the series.

    Raises:
        DataError: no value is observed, or a known column's values can't be told.
    """
    first, last, newest = [], [], []
    for part in read(["ds", "y"]):
        first.append(part["ds"].min())
        last.append(part["ds"].max())
        newest.append(part.loc[part["y"].notna(), "ds"].max())
    if not first or pd.isna(end := max((ds for ds in newest if not pd.isna(ds)), default=pd.NaT)):
        raise DataError("at least one observed value", "none", "check the source of this dataset")
    grid = pd.date_range(min(first), max(last), freq=spec.freq)
    shared = _shared(read(["ds", *spec.known]), grid)
    known, names = calendar.encode(held.late(shared, spec.held), spec.known, spec.fourier)
    return Outline(grid, int(grid.searchsorted(end, side="right")), known, names)


def _shared(parts: Iterable[pd.DataFrame], grid: pd.DatetimeIndex) -> pd.DataFrame:
    """The first row of each timestamp; it reads no further than it needs to."""
    found: list[pd.DataFrame] = []
    seen = pd.DatetimeIndex([])
    for part in parts:
        new = part.drop_duplicates("ds").set_index("ds")
        found.append(new[~new.index.isin(seen)])
        seen = seen.union(pd.DatetimeIndex(found[-1].index))
        if grid.isin(seen).all():
            break
    return pd.concat(found).reindex(grid)


def blocks(read: Read, spec: FrameSpec, of: Outline) -> Iterator[Block]:
    """The series, some after the others.

    Raises:
        DataError: a timestamp is off the grid, a row is there twice, or rows are not sorted by ``unique_id, ds``.
    """
    last = ""
    for frame in _whole_series(read([*KEYS, "y", *spec.past, *spec.static])):
        made = _block(frame, spec, of)
        if made.ids[0] <= last:
            raise _stray(f"series {made.ids[0]} after {last}", spec, of)
        last = made.ids[-1]
        yield made


def _block(frame: pd.DataFrame, spec: FrameSpec, of: Outline) -> Block:
    codes, ids = pd.factorize(frame["unique_id"])
    cols = of.grid.get_indexer(pd.DatetimeIndex(frame["ds"]))
    stray = cols < 0
    stray[1:] |= np.diff(codes * np.int64(len(of.grid)) + cols) <= 0
    if stray.any() or list(ids) != sorted(ids):
        row = frame.iloc[int(stray.argmax())]
        raise _stray(f"another one, such as {row['unique_id']} at {row['ds']}", spec, of)

    def grid_of(column: str) -> Float:
        values = np.full((len(ids), len(of.grid)), np.nan)
        values[codes, cols] = frame[column].to_numpy(dtype=np.float64)
        return values[:, : of.end]

    first = frame.iloc[np.unique(codes, return_index=True)[1]]
    past = np.stack([grid_of(c) for c in spec.past], axis=2) if spec.past else np.zeros((len(ids), of.end, 0))
    return Block(tuple(ids), grid_of("y"), past, *calendar.one_hot(first, spec.static))


def _stray(found: str, spec: FrameSpec, of: Outline) -> DataError:
    expected = f"one row per series and timestamp, sorted by both, on a grid of freq {spec.freq} from {of.grid[0]}"
    return DataError(expected, found, "run `daycast prepare` again for this dataset")


def _whole_series(parts: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    """The same rows, cut between series alone."""
    left: list[pd.DataFrame] = []
    for part in parts:
        newest = (part["unique_id"] == part["unique_id"].iloc[-1]).to_numpy()
        if not newest.all() or (left and left[-1]["unique_id"].iloc[-1] != part["unique_id"].iloc[-1]):
            yield pd.concat([*left, part[~newest]], ignore_index=True)
            left = []
        left.append(part[newest])
    if left:
        yield pd.concat(left, ignore_index=True)
