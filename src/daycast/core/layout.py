"""What the columns of a raw file mean, how its timestamps are read, and what the calendar adds to them; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from daycast.core import calendar, events, regimes

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
