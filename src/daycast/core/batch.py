"""What can be measured of a raw batch before anybody trusts it: pure, and never changing or dropping a value.

Expectations look at the raw columns, and at the columns derived here where a rule needs more than one cell: how a
text reads, whether a sum holds, what lies before a row in its series, what the calendar says. Shapes: ``R`` rows left
when exact duplicates are dropped.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from daycast.core.layout import Layout, calendar_frame, timestamps
from daycast.core.raw import Raw

TIME = "time, as read"
ABSENT = "timestamps absent before"
OFF_GRID = "off the grid"
AHEAD = "observed after"
BY_CALENDAR = "day type, as the calendar allows"


def unreadable(column: str) -> str:
    """Derived column: the values of ``column`` that can't be read as its type, else null."""
    return f"{column}: unreadable"


def number(column: str) -> str:
    """Derived column: the numbers that ``column`` reads as; NaN where missing or unreadable."""
    return f"{column}: number"


def first_of_series(column: str) -> str:
    """Derived column: the first value of ``column`` in the row's series."""
    return f"{column}: first of its series"


def total(columns: tuple[str, ...]) -> str:
    """Derived column: the sum of ``columns``."""
    return " + ".join(columns)


@dataclass(frozen=True)
class Batch:
    """A raw batch with what was measured of it.

    Attributes:
        frame: the rows, their index the position in the file, raw columns as read and derived ones, ``(R, columns)``.
        duplicates: exact duplicate rows left out of ``frame``.
    """

    frame: pd.DataFrame
    duplicates: int


def grid(raw: Raw, layout: Layout) -> pd.DatetimeIndex:
    """The regular timestamps from the first to the last of a file; none, where it has none that can be read."""
    found = [timestamps(part[layout.time], layout).agg(["min", "max"]) for part in raw.frames([layout.time])]
    ends = pd.concat(found).dropna()
    return pd.date_range(ends.min(), ends.max(), freq=layout.freq) if len(ends) else pd.DatetimeIndex([])


def measure(
    raw: pd.DataFrame,
    types: Mapping[str, str],
    sums: tuple[tuple[str, ...], ...],
    layout: Layout,
    on: pd.DatetimeIndex,
    latest: pd.Timestamp | None = None,
) -> Batch:
    """Derive what expectations look at.

    Args:
        raw: rows of the file, all columns of ``types`` among them; all rows of the series that are there.
        on: the ``grid`` of the file.
        types: column -> ``int``, ``float``, ``str`` or ``date``.
        sums: columns to add up, row by row.
        layout: what the columns mean.
        latest: the newest timestamp that can have been observed by now; ``None`` where none is too new.
    """
    repeated = raw.duplicated().to_numpy()
    frame = raw.loc[~repeated].copy()
    for column, kind in types.items():
        frame[column], read, wrong = _read(frame[column], kind, layout)
        frame[unreadable(column)] = frame[column].where(wrong).astype(object)
        if read is not None:
            frame[number(column)] = read
    for columns in sums:
        frame[total(columns)] = frame[[number(c) for c in columns]].sum(axis=1, skipna=False)
    frame[TIME] = timestamps(frame[layout.time], layout)
    at = on.get_indexer(pd.DatetimeIndex(frame[TIME]))
    frame[OFF_GRID] = frame[layout.time].where((at < 0) & frame[TIME].notna()).astype(object)
    frame[AHEAD] = _ahead(frame, layout, latest)
    codes = pd.factorize(frame[layout.id])[0] if layout.id else np.zeros(len(frame), dtype=np.intp)
    frame[ABSENT] = _absent(codes, at)
    if layout.day_type is not None:
        frame[BY_CALENDAR] = _by_calendar(frame[layout.day_type], frame[TIME], layout)
    if layout.id is not None:
        for column in layout.static:
            frame[first_of_series(column)] = frame.groupby(layout.id, sort=False)[column].transform("first")
    return Batch(frame, int(repeated.sum()))


def _read(values: pd.Series, kind: str, layout: Layout) -> tuple[pd.Series, pd.Series | None, pd.Series]:
    """The values (text as plain text), the numbers they read as (numeric kinds), and where they are unreadable."""
    present = values.notna()
    if kind == "str":
        return values.astype(object).where(present).map(str, na_action="ignore"), None, present & False
    if kind == "date":
        return values, None, present & timestamps(values, layout).isna()
    read = pd.to_numeric(values.astype(object) if values.dtype == "category" else values, errors="coerce")
    read = read.astype(np.float64)
    wrong = present & ~np.isfinite(read)
    if kind == "int":
        wrong |= present & (read % 1 != 0)
    return values, read.where(~wrong), wrong


def _ahead(frame: pd.DataFrame, layout: Layout, latest: pd.Timestamp | None) -> pd.Series:
    """``latest``, as text, on rows with a value of later; null on others, such as the empty rows of coming days."""
    values = list(layout.series.values()) if layout.series is not None else [str(layout.value)]
    told = pd.Series(None, index=frame.index, dtype=object)
    if latest is not None:
        told[(frame[TIME] > latest) & frame[values].notna().any(axis=1)] = str(latest)
    return told


def _absent(codes: NDArray[np.intp], at: NDArray[np.intp]) -> NDArray[np.float64]:
    """Timestamps absent between each row and the one before it in its series, ``(R,)``; NaN off the grid."""
    order = np.lexsort((at, codes))
    step = np.diff(at[order], prepend=-1) - 1
    before = np.roll(order, 1)
    first = (codes[order] != codes[before]) | (at[before] < 0)
    first[:1] = True
    absent = np.full(len(at), np.nan)
    absent[order] = np.where(first, 0, np.maximum(step, 0))
    return np.where(at < 0, np.nan, absent)


def _by_calendar(found: pd.Series, when: pd.Series, layout: Layout) -> pd.Series:
    """The day type found, where the calendar allows it, else the one that the calendar says, ``(R,)``.

    ``A`` runs on Saturdays only and ``W`` on no weekend, every Sunday is ``U``, and ``U`` on another day needs a
    holiday that the layout names; such a holiday may also run as an ordinary day.
    """
    days = pd.DatetimeIndex(np.sort(when.dropna().unique()))
    if days.empty:
        return found
    says = pd.Series(calendar_frame(days, layout)["day_type"].to_numpy(), index=days)
    plain = pd.Series(np.where(days.dayofweek == 6, "U", np.where(days.dayofweek == 5, "A", "W")), index=days)
    allowed = (found == when.map(says)) | (found == when.map(plain)) | ~found.isin(["W", "A", "U"]) | when.isna()
    return found.where(allowed, when.map(says))
