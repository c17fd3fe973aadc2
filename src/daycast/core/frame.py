"""The canonical frame and its array form, the ``Panel``.

Letters used in shapes throughout daycast:
``N`` series, ``T`` timestamps, ``F`` known-future features, ``P`` past covariates, ``S`` static covariates,
``B`` batch, ``L`` lookback, ``H`` horizon, ``O`` origins, ``Q`` quantiles.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from daycast.core import calendar, held
from daycast.errors import DataError, HistoryError

Float = NDArray[np.float64]

KEYS = ("unique_id", "ds")


@dataclass(frozen=True)
class FrameSpec:
    """What the columns of a canonical frame mean.

    Attributes:
        freq: pandas offset of the regular grid, such as ``D``.
        season_length: steps per season, the season of MASE.
        known: known-future columns shared by all series (constant across series at a timestamp), each with its
            levels, sorted (categorical) or ``None`` (numeric).
        past: numeric columns known up to the cutoff only, one value per series and timestamp.
        static: columns constant per series, each with its levels or ``None``.
        fourier: number of sine and cosine pairs of the year (365.25 days) added to the known features.
        floor: the least value that can exist (0 for counts), in units of y, or ``None``.
        held: those of ``known`` whose values are known no sooner than their timestamps; see ``core.held``.
    """

    freq: str
    season_length: int
    known: Mapping[str, tuple[str, ...] | None] = field(default_factory=dict)
    past: tuple[str, ...] = ()
    static: Mapping[str, tuple[str, ...] | None] = field(default_factory=dict)
    fourier: int = 0
    floor: float | None = None
    held: tuple[str, ...] = ()


@dataclass(frozen=True)
class Panel:
    """N series on one regular grid of T timestamps; the only form in which models see data.

    Cutting along time gives views, so that ``until`` costs nothing; a table's arrays are read-only, so that no model
    alters what the next one sees. A panel has no rows beyond its last timestamp: what is known of the future is handed
    out apart, as ``Future``.

    Attributes:
        ids: series names, sorted, ``(N,)``.
        ds: timestamps, ``(T,)``, regular at ``spec.freq``.
        y: observed values in raw units, float64 ``(N, T)``; NaN where not observed.
        known: numeric known-future features, float64 ``(T, F)``; a categorical column ``c`` is one-hot as ``c=level``.
        past: past covariates, float64 ``(N, T, P)``.
        static: numeric static covariates, float64 ``(N, S)``.
        known_names, past_names, static_names: the names along F, P and S.
    """

    spec: FrameSpec
    ids: tuple[str, ...]
    ds: pd.DatetimeIndex
    y: Float
    known: Float
    past: Float
    static: Float
    known_names: tuple[str, ...]
    past_names: tuple[str, ...]
    static_names: tuple[str, ...]

    @property
    def cutoff(self) -> pd.Timestamp:
        """The last timestamp, inclusive."""
        return self.ds[-1]

    def position(self, when: pd.Timestamp) -> int:
        """Index of ``when`` along T. Raises ``HistoryError`` if it is not on the grid."""
        where = self.ds.get_indexer(pd.DatetimeIndex([when]))[0]
        if where < 0:
            raise HistoryError(
                f"a date on the grid {self.ds[0].date()} .. {self.ds[-1].date()} (freq {self.spec.freq})",
                str(when.date()),
                "choose a date inside the data, or bring newer data with `daycast ingest`",
            )
        return int(where)

    def until(self, cutoff: pd.Timestamp) -> Panel:
        """Everything up to and including ``cutoff``, as views."""
        return self._slice(slice(0, self.position(cutoff) + 1))

    def since(self, start: pd.Timestamp) -> Panel:
        """Everything from ``start`` on, as views."""
        return self._slice(slice(self.position(start), len(self.ds)))

    def _slice(self, rows: slice) -> Panel:
        return replace(self, ds=self.ds[rows], y=self.y[:, rows], known=self.known[rows], past=self.past[:, rows])

    def only(self, ids: tuple[str, ...]) -> Panel:
        """The named series, in the order given. Raises ``DataError`` on an unknown one."""
        where = {name: row for row, name in enumerate(self.ids)}
        unknown = [i for i in ids if i not in where]
        if unknown:
            raise DataError(
                f"series among {list(self.ids[:20])}", f"{unknown}", "name existing series, or leave the choice out"
            )
        rows = [where[i] for i in ids]
        return replace(self, ids=ids, y=self.y[rows], past=self.past[rows], static=self.static[rows])

    def extended(self, y: Float, future: Future) -> Panel:
        """This panel with ``y`` ``(N, h)`` and the first h rows of ``future`` appended, for iterated forecasts."""
        h = y.shape[1]
        if self.past.shape[2]:
            raise HistoryError(
                f"a horizon of at most the one trained for, as the past covariates {list(self.past_names)} "
                "are not known ahead",
                "a longer horizon",
                "train with a larger backtest.horizon, or drop the past covariates",
            )
        return replace(
            self,
            ds=pd.DatetimeIndex(self.ds.append(future.ds[:h])),
            y=np.concatenate([self.y, y], axis=1),
            known=np.concatenate([self.known, future.known[:h]]),
            past=np.zeros((len(self.ids), len(self.ds) + h, 0)),
        )

    def levels(self, column: str) -> tuple[NDArray[np.int64], tuple[str, ...]] | None:
        """A categorical known column as codes ``(T,)`` and its level names, or ``None`` if there is no such column."""
        return calendar.decode(self.known, self.known_names, column)


@dataclass(frozen=True)
class Future:
    """What is known at a cutoff of the H timestamps after it: ``ds (H,)`` and features ``known (H, F)``."""

    ds: pd.DatetimeIndex
    known: Float
    known_names: tuple[str, ...]

    def levels(self, column: str) -> tuple[NDArray[np.int64], tuple[str, ...]] | None:
        """A categorical known column as codes ``(H,)`` and its level names, or ``None`` if there is no such column."""
        return calendar.decode(self.known, self.known_names, column)

    def head(self, h: int) -> Future:
        """The first ``h`` steps."""
        return replace(self, ds=self.ds[:h], known=self.known[:h])

    def tail(self, h: int) -> Future:
        """All but the first ``h`` steps."""
        return replace(self, ds=self.ds[h:], known=self.known[h:])


@dataclass(frozen=True)
class Table:
    """The whole canonical data of one version: the panel of what was observed and what is known beyond its end.

    Only the pipeline holds a table; models get ``Panel`` and ``Future``.
    """

    panel: Panel
    beyond: Future

    @cached_property
    def _ds(self) -> pd.DatetimeIndex:
        return pd.DatetimeIndex(self.panel.ds.append(self.beyond.ds))

    @cached_property
    def _known(self) -> Float:
        known = np.concatenate([self.panel.known, self.beyond.known])
        known.flags.writeable = False
        return known

    def future(self, cutoff: pd.Timestamp, horizon: int) -> Future:
        """What was known at ``cutoff`` of the ``horizon`` steps after it. Raises ``HistoryError`` past the calendar."""
        start = self.panel.position(cutoff) + 1
        if start + horizon > len(self._ds):
            raise HistoryError(
                f"at most {len(self._ds) - start} steps after {cutoff.date()}, where the prepared calendar ends",
                f"horizon {horizon}",
                "raise `calendar.future_steps` in conf/dataset/ and prepare again, or ask for a shorter horizon",
            )
        rows = slice(start, start + horizon)
        known = held.goes_on(self._known[rows], held.features(self.panel))
        return Future(self._ds[rows], known, self.panel.known_names)


def table(frame: pd.DataFrame, spec: FrameSpec) -> Table:
    """Read a canonical long frame (sorted by ``unique_id, ds``; future rows carry NaN ``y``) into arrays.

    The panel ends at the last timestamp that any series has a value for. Its arrays are read-only.

    Raises:
        DataError: a column is missing, no value is observed, a timestamp is off the grid, or a row is there twice.
    """
    needed = [*KEYS, "y", *spec.known, *spec.past, *spec.static]
    missing = [c for c in needed if c not in frame.columns]
    if missing:
        raise DataError(f"columns {needed}", f"no {missing}", "run `daycast prepare` again for this dataset")
    observed = frame["y"].notna()
    if not observed.any():
        raise DataError("at least one observed value", "none", "check the source of this dataset")
    grid = pd.date_range(frame["ds"].min(), frame["ds"].max(), freq=spec.freq)
    ids = tuple(sorted(frame["unique_id"].unique()))
    rows = pd.Categorical(frame["unique_id"], categories=list(ids)).codes
    cols = grid.get_indexer(pd.DatetimeIndex(frame["ds"]))
    _check_cells(frame, np.where(cols < 0, -1, rows * np.int64(len(grid)) + cols), spec.freq)
    end = int(cols[observed.to_numpy()].max()) + 1

    def grid_of(column: str) -> Float:
        values = np.full((len(ids), len(grid)), np.nan)
        values[rows, cols] = frame[column].to_numpy(dtype=np.float64)
        return values

    shared = frame.drop_duplicates("ds").set_index("ds").reindex(grid)
    known, known_names = calendar.encode(held.late(shared, spec.held), spec.known, spec.fourier)
    first = frame.drop_duplicates("unique_id").set_index("unique_id").reindex(list(ids))
    static, static_names = calendar.one_hot(first, spec.static)
    past = np.stack([grid_of(c)[:, :end] for c in spec.past], axis=2) if spec.past else np.zeros((len(ids), end, 0))
    y = grid_of("y")
    for array in (y, known, past, static):
        array.flags.writeable = False
    panel = Panel(spec, ids, grid[:end], y[:, :end], known[:end], past, static, known_names, spec.past, static_names)
    return Table(panel, Future(grid[end:], known[end:], known_names))


def _check_cells(frame: pd.DataFrame, cells: NDArray[np.int64], freq: str) -> None:
    """Raise ``DataError`` unless each row has a cell of the (series, timestamp) grid to itself; -1 stands for none."""
    stray = (cells < 0) | pd.Series(cells).duplicated().to_numpy()
    if stray.any():
        first = frame.loc[stray].iloc[0]
        raise DataError(
            f"one row per series and timestamp, on a grid of freq {freq} from {frame['ds'].min()}",
            f"{int(stray.sum())} rows off it or twice there, first {first['unique_id']} at {first['ds']}",
            "run `daycast prepare` again for this dataset",
        )
