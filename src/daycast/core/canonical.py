"""Raw rows to the canonical long frame, on a regular grid, with calendar covariates; pure, and assuming valid data.

What validation lets through is changed here and nowhere else; after this the column names are fixed (``core.frame``).
Shapes: ``R`` raw rows, ``N`` series, ``T`` timestamps of the grid including those beyond the data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from daycast.core import calendar, events, regimes
from daycast.errors import DataError

EVENT, REGIME = "event", "regime"
CALENDAR_COLUMNS = (
    "day_of_week",
    "day_type",
    "holiday_name",
    "holiday",
    "days_to_holiday",
    "days_since_holiday",
    "year_end",
    EVENT,
    REGIME,
)
FAR = 3  # days from a holiday at which it is no longer told apart how many
MEND = "mend the file at its source and ingest it again; `daycast validate` names every fault"


@dataclass(frozen=True)
class Layout:
    """What the raw columns mean, and what the calendar adds.

    Attributes:
        freq: pandas offset of the regular grid.
        time: column of the timestamps; ``time_format`` its strptime format, or ``None`` for typed or ISO ones.
        series: wide rows: series name -> its column; ``None`` for long rows.
        id, value: long rows: columns of the series' name and of the values.
        day_type: raw column of the day types W/A/U of history, or ``None`` to take them from the calendar.
        country, subdivision: whose public holidays; no country, no holidays.
        sunday_service: holiday name -> weekdays on which it runs as a Sunday (see ``calendar.day_types``).
        events: days off their weekday's pattern, by rule.
        regimes: stretches with a pattern of their own.
        future_steps: timestamps added beyond the last observed one.
        past: raw numeric columns kept as past covariates (long rows only).
        static: raw columns constant per series (long rows only): text if levels are declared, else numeric.
    """

    freq: str
    time: str
    time_format: str | None = None
    series: Mapping[str, str] | None = None
    id: str | None = None
    value: str | None = None
    day_type: str | None = None
    country: str | None = None
    subdivision: str | None = None
    sunday_service: Mapping[str, Sequence[str]] = field(default_factory=dict)
    events: tuple[events.Rule, ...] = ()
    regimes: tuple[regimes.Regime, ...] = ()
    future_steps: int = 1
    past: tuple[str, ...] = ()
    static: Mapping[str, tuple[str, ...] | None] = field(default_factory=dict)


def timestamps(values: pd.Series, layout: Layout) -> pd.Series:
    """Timestamps of a raw column, datetime64[ns] with its index, ``NaT`` where unreadable; midnight where daily."""
    if pd.api.types.is_datetime64_any_dtype(values):
        read = values
    else:
        text = values.where(values.isna(), values.astype(str))
        read = pd.to_datetime(text, format=layout.time_format or "ISO8601", errors="coerce")
    read = (read if read.dt.tz is None else read.dt.tz_localize(None)).astype("datetime64[ns]")  # the clock of its zone
    return read.dt.normalize() if layout.freq == "D" else read


def canonical(raw: pd.DataFrame, layout: Layout) -> pd.DataFrame:
    """The canonical frame of valid raw rows.

    Exact duplicate rows are dropped. Every series runs without a hole from its own first observation to the panel's
    last one, absent timestamps with NaN ``y``, and ``future_steps`` timestamps further, NaN too. Sorted by
    ``unique_id, ds``.

    Args:
        raw: rows as ``adapters.sources.rows`` reads them, ``(R, columns)``.

    Returns:
        ``unique_id`` (str), ``ds`` (datetime64[ns]), ``y`` (float64, raw units), the ``CALENDAR_COLUMNS`` (text, or
        0.0 and 1.0), then past and static covariates.

    Raises:
        DataError: no value at all, a timestamp that can't be read or is off the grid, or two values for one timestamp.
    """
    rows = _long(raw.drop_duplicates(), layout)
    _check(rows)
    observed = rows["y"].notna().to_numpy()
    if not observed.any():
        raise DataError("at least one observed value", f"{len(raw)} rows without any", MEND)
    grid = pd.date_range(rows["ds"].min(), rows["ds"][observed].max(), freq=layout.freq)
    at = grid.get_indexer(pd.DatetimeIndex(rows["ds"]))
    _check_grid(rows, at, grid)

    names, codes = _names(rows["unique_id"])
    start = _starts(codes, at, observed, len(names))
    length = len(grid) + layout.future_steps - start  # of each series in the result, (N,)
    before = np.cumsum(length) - length
    series = np.repeat(np.arange(len(names)), length)
    step = np.arange(len(series)) - (before - start)[series]
    kept = at >= start[codes]
    target = before[codes[kept]] + at[kept] - start[codes[kept]]

    days = calendar_frame(pd.date_range(grid[0], periods=len(grid) + layout.future_steps, freq=layout.freq), layout)
    if layout.day_type is not None:
        days["day_type"] = _history(rows["day_type"], at, days["day_type"])
    columns: dict[str, Any] = {"unique_id": names[series], "ds": days.index[step], "y": None}
    columns |= {name: days[name].to_numpy()[step] for name in CALENDAR_COLUMNS}
    for name in ("y", *layout.past):
        values = np.full(len(series), np.nan)
        values[target] = rows[name].to_numpy(dtype=np.float64)[kept]
        columns[name] = values
    for name, levels in layout.static.items():
        columns[name] = _static(rows[name], codes, levels is not None)[series]
    return pd.DataFrame(columns)


def calendar_frame(ds: pd.DatetimeIndex, layout: Layout) -> pd.DataFrame:
    """``CALENDAR_COLUMNS`` on each date, ``(T, 9)``, indexed by it, from the calendar alone.

    ``holiday`` is 1.0 on a public holiday (or its observed substitute), else 0.0; ``days_to_holiday`` and
    ``days_since_holiday`` are the days to the next and since the last one as text, ``0`` on the day itself, ``3+`` from
    three on; ``year_end`` is 1.0 from 20 December to 3 January, when demand is off its weekly pattern; ``event`` is
    the label of ``core.events``; ``regime`` that of ``core.regimes``.
    """

    def names(when: pd.DatetimeIndex) -> NDArray[np.object_]:
        if layout.country is None:
            return np.full(len(when), "", dtype=object)
        return calendar.holiday_names(when, layout.country, layout.subdivision)

    today = names(ds)
    is_holiday = today != ""
    # Beyond each end of the dates: a holiday just outside them is near all the same.
    ahead = [is_holiday, *(names(ds + pd.Timedelta(days=n)) != "" for n in range(1, FAR))]
    behind = [is_holiday, *(names(ds - pd.Timedelta(days=n)) != "" for n in range(1, FAR))]
    labels = [*(str(n) for n in range(FAR)), f"{FAR}+"]
    month_day = ds.month.to_numpy() * 100 + ds.day.to_numpy()
    return pd.DataFrame(
        {
            "day_of_week": calendar.day_of_week(ds).astype(object),
            "day_type": calendar.day_types(ds, today.tolist(), layout.sunday_service).astype(object),
            "holiday_name": today,
            "holiday": is_holiday.astype(np.float64),
            "days_to_holiday": np.select(ahead, labels[:FAR], labels[FAR]).astype(object),
            "days_since_holiday": np.select(behind, labels[:FAR], labels[FAR]).astype(object),
            EVENT: events.labels(ds, layout.events, layout.country, layout.subdivision),
            REGIME: regimes.labels(ds, layout.regimes),
            "year_end": ((month_day >= 1220) | (month_day <= 103)).astype(np.float64),
        },
        index=ds,
    )


def _long(raw: pd.DataFrame, layout: Layout) -> pd.DataFrame:
    """Rows ``unique_id, ds, y`` with the day type and the covariates, one per raw row and series."""
    raw = raw.assign(**{layout.time: timestamps(raw[layout.time], layout)})
    taken = {"ds": layout.time} | ({"day_type": layout.day_type} if layout.day_type else {})
    if layout.series is not None:
        parts = [
            pd.DataFrame({"unique_id": name, "y": raw[column]} | {new: raw[old] for new, old in taken.items()})
            for name, column in layout.series.items()
        ]
        return pd.concat(parts, ignore_index=True)
    taken |= {"unique_id": str(layout.id), "y": str(layout.value)}
    taken |= {name: name for name in (*layout.past, *layout.static)}
    return pd.DataFrame({new: raw[old] for new, old in taken.items()}).reset_index(drop=True)


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


def _starts(codes: NDArray[np.intp], at: NDArray[np.intp], observed: NDArray[np.bool_], n: int) -> NDArray[np.intp]:
    """Grid position of each series' first observation, ``(N,)``; of its first row if it has no observation."""
    never = np.iinfo(np.intp).max
    start, first = np.full(n, never), np.full(n, never)
    np.minimum.at(start, codes[observed], at[observed])
    np.minimum.at(first, codes[at >= 0], at[at >= 0])
    return np.where(start < never, start, np.minimum(first, at.max()))


def _history(types: pd.Series, at: NDArray[np.intp], computed: pd.Series) -> NDArray[np.object_]:
    """The day types of the data, and where it has none, those of the calendar, ``(T,)``."""
    out = computed.to_numpy(dtype=object, copy=True)
    out[at[at >= 0]] = types.to_numpy(dtype=object)[at >= 0]
    return out


def _static(values: pd.Series, codes: NDArray[np.intp], text: bool) -> NDArray[Any]:
    """One value per series, ``(N,)``, of a column that is constant within each."""
    groups = values.groupby(codes)
    if (groups.nunique() > 1).any():
        raise DataError(f"one value of `{values.name}` per series", "several", MEND)
    first = groups.first()
    return first.astype(str).to_numpy(dtype=object) if text else first.to_numpy(dtype=np.float64)
