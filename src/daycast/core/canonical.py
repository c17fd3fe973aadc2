"""Raw rows to the canonical long frame, on a regular grid, with calendar covariates; pure, and assuming valid data.

What validation lets through is changed here and nowhere else; after this the column names are fixed (``core.frame``).
Shapes: ``R`` raw rows, ``N`` series, ``T`` timestamps of the grid including those beyond the data.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from daycast.core.layout import CALENDAR_COLUMNS, Layout, calendar_frame, timestamps
from daycast.errors import DataError

MEND = "mend the file at its source and ingest it again; `daycast validate` names every fault"


@dataclass(frozen=True)
class Outline:
    """What all series of a file share, however many of them are at hand.

    Attributes:
        grid: timestamps from the first row's to the last observed one, ``(T - future_steps,)``.
        days: ``CALENDAR_COLUMNS`` of the grid and of ``future_steps`` more, with the file's own day types, ``(T, 9)``.
    """

    grid: pd.DatetimeIndex
    days: pd.DataFrame


def needed(layout: Layout) -> list[str]:
    """The raw columns that ``outline`` looks at."""
    values = list(layout.series.values()) if layout.series is not None else [str(layout.value)]
    return [layout.time, *values, *([layout.day_type] if layout.day_type else [])]


def outline(parts: Iterable[pd.DataFrame], layout: Layout) -> Outline:
    """What the rows of a file have in common.

    Args:
        parts: all rows, in frames of at least ``needed(layout)`` whose index is the position in the file.

    Raises:
        DataError: no value is observed.
    """
    time, *values = needed(layout)[: None if layout.day_type is None else -1]
    first, last, types = [], [], []
    for part in parts:
        ds = timestamps(part[time], layout)
        first.append(ds.min())
        last.append(ds[part[values].notna().any(axis=1)].max())
        if layout.day_type is not None:
            found = pd.DataFrame({"ds": ds, "type": part[layout.day_type]}).dropna(subset="ds")
            types.append(found.drop_duplicates("ds", keep="last"))
    end = max((ds for ds in last if not pd.isna(ds)), default=None)
    if end is None:
        raise DataError("at least one observed value", "none", MEND)
    grid = pd.date_range(min(ds for ds in first if not pd.isna(ds)), end, freq=layout.freq)
    days = calendar_frame(pd.date_range(grid[0], periods=len(grid) + layout.future_steps, freq=layout.freq), layout)
    if types:  # of the data where it has them, and where it has none, those of the calendar
        told = pd.concat(types).sort_index(kind="stable").drop_duplicates("ds", keep="last").set_index("ds")["type"]
        told = told[told.index.isin(grid)]
        days.loc[told.index, "day_type"] = told.to_numpy(dtype=object)
    return Outline(grid, days)


def canonical(raw: pd.DataFrame, layout: Layout, of: Outline | None = None) -> pd.DataFrame:
    """The canonical frame of valid raw rows.

    Exact duplicate rows are dropped. Every series runs without a hole from its own first observation to the panel's
    last one, absent timestamps with NaN ``y``, and ``future_steps`` timestamps further, NaN too. Sorted by
    ``unique_id, ds``.

    Args:
        raw: rows as ``adapters.sources.rows`` reads them, ``(R, columns)``: all rows of some series or of all.
        of: the file's outline, if these are not all of its rows.

    Returns:
        ``unique_id`` (str), ``ds`` (datetime64[ns]), ``y`` (float64, raw units), the ``CALENDAR_COLUMNS`` (text, or
        0.0 and 1.0), then past and static covariates.

    Raises:
        DataError: no value at all, a timestamp that can't be read or is off the grid, or two values for one timestamp.
    """
    of = of or outline([raw], layout)
    rows = _long(raw.drop_duplicates(), layout)
    _check(rows)
    at = of.grid.get_indexer(pd.DatetimeIndex(rows["ds"]))
    _check_grid(rows, at, of.grid)

    names, codes = _names(rows["unique_id"])
    start = _starts(codes, at, rows["y"].notna().to_numpy(), (len(names), len(of.grid)))
    length = len(of.days) - start  # of each series in the result, (N,)
    before = np.cumsum(length) - length
    series = np.repeat(np.arange(len(names)), length)
    step = np.arange(len(series)) - (before - start)[series]
    kept = at >= start[codes]
    target = before[codes[kept]] + at[kept] - start[codes[kept]]

    columns: dict[str, Any] = {"unique_id": names[series], "ds": of.days.index[step], "y": None}
    columns |= {name: of.days[name].to_numpy()[step] for name in CALENDAR_COLUMNS}
    for name in ("y", *layout.past):
        values = np.full(len(series), np.nan)
        values[target] = rows[name].to_numpy(dtype=np.float64)[kept]
        columns[name] = values
    for name, levels in layout.static.items():
        columns[name] = _static(rows[name], codes, levels is not None)[series]
    return pd.DataFrame(columns)


def _long(raw: pd.DataFrame, layout: Layout) -> pd.DataFrame:
    """Rows ``unique_id, ds, y`` with the covariates, one per raw row and series."""
    ds = timestamps(raw[layout.time], layout)
    if layout.series is not None:
        parts = [pd.DataFrame({"unique_id": name, "ds": ds, "y": raw[c]}) for name, c in layout.series.items()]
        return pd.concat(parts, ignore_index=True)
    taken = {"unique_id": str(layout.id), "y": str(layout.value)}
    taken |= {name: name for name in (*layout.past, *layout.static)}
    return pd.DataFrame({"ds": ds, **{new: raw[old] for new, old in taken.items()}}).reset_index(drop=True)


def _check(rows: pd.DataFrame) -> None:
    """Guard what would otherwise lose values silently."""
    unreadable = rows["ds"].isna() | rows["unique_id"].isna()
    if unreadable.any():
        raise DataError(
            "a timestamp and a series name in every row",
            f"{int(unreadable.sum())} rows without, the first at position {int(unreadable.to_numpy().argmax())}",
            MEND,
        )
    twice = rows[rows.duplicated(["unique_id", "ds"], keep=False)]
    if len(twice):
        first = twice.iloc[0]
        raise DataError(
            "one row per series and timestamp, once exact duplicates are dropped",
            f"{len(twice)} rows that differ, first {first['unique_id']} at {first['ds']}",
            MEND,
        )


def _check_grid(rows: pd.DataFrame, at: NDArray[np.intp], grid: pd.DatetimeIndex) -> None:
    off = rows["ds"][(at < 0) & (rows["ds"] <= grid[-1])]
    if len(off):
        raise DataError(
            f"timestamps on a regular grid (freq {grid.freqstr}) from {grid[0]}",
            f"{len(off)} rows off it, first {off.iloc[0]}",
            "set freq in conf/dataset/ to the data's own, or mend the file at its source",
        )


def _names(ids: pd.Series) -> tuple[NDArray[np.object_], NDArray[np.intp]]:
    """Series names as text, sorted, ``(N,)``, and each row's position among them, ``(R,)``."""
    codes, found = pd.factorize(ids)
    text = np.asarray([str(i) for i in found], dtype=object)
    order = np.argsort(text)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return text[order], rank[codes]


def _starts(
    codes: NDArray[np.intp], at: NDArray[np.intp], observed: NDArray[np.bool_], shape: tuple[int, int]
) -> NDArray[np.intp]:
    """Grid position of each series' first observation, ``(N,)``; of its first row if it has no observation."""
    n, length = shape
    never = np.iinfo(np.intp).max
    start, first = np.full(n, never), np.full(n, never)
    np.minimum.at(start, codes[observed], at[observed])
    np.minimum.at(first, codes[at >= 0], at[at >= 0])
    return np.where(start < never, start, np.minimum(first, length - 1))


def _static(values: pd.Series, codes: NDArray[np.intp], text: bool) -> NDArray[Any]:
    """One value per series, ``(N,)``, of a column that is constant within each."""
    groups = values.groupby(codes)
    if (groups.nunique() > 1).any():
        raise DataError(f"one value of `{values.name}` per series", "several", MEND)
    first = groups.first()
    return first.astype(str).to_numpy(dtype=object) if text else first.to_numpy(dtype=np.float64)
