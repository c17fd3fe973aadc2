"""The embedded sample: two modes of a transit agency's daily ridership, simulated.

What it is made of, each on the log scale: a level per mode and day type, the weekday, the year's seasons, a slow
trend, holidays and the days around them, weather shared by both modes (its spells last some days, a few are severe),
each mode's own drift, and noise. Spells and drift are autocorrelated, so what came yesterday helps; day types and
holidays are known ahead, so a model that uses them can be better than one that repeats last week.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from daycast.core import calendar

Array = NDArray[np.float64]

WORKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri")
FIXED_DATE = ("New Year's Day", "Independence Day", "Christmas Day")  # the Monday after stands in for a Sunday
SUNDAY_SERVICE = (
    dict.fromkeys(FIXED_DATE, (*WORKDAYS, "Sat"))
    | {f"{name} (observed)": ("Mon",) for name in FIXED_DATE}
    | {"Memorial Day": ("Mon",), "Labor Day": ("Mon",), "Thanksgiving Day": ("Thu",)}
)

LEVEL = {"bus": 520_000.0, "rail": 610_000.0}  # rides on an ordinary weekday at the start
DAY_TYPE = {"bus": {"W": 0.0, "A": -0.42, "U": -0.80}, "rail": {"W": 0.0, "A": -0.55, "U": -0.92}}
WEEKDAY = (-0.015, 0.01, 0.02, 0.012, -0.01, 0.0, 0.0)  # Monday first; day types carry the weekend
YEARLY = {"bus": (-0.03, -0.045, -0.01, 0.02), "rail": (-0.02, -0.07, 0.015, 0.01)}  # sin1, cos1, sin2, cos2
TREND = {"bus": -0.012, "rail": 0.015}  # per year
WEATHER = {"bus": 0.7, "rail": 1.0}  # how strongly the shared weather is felt
LESSER_HOLIDAY = -0.13  # a public holiday with weekday service
SERVICE_HOLIDAY = {"Christmas Day": -0.35, "Thanksgiving Day": -0.20, "New Year's Day": -0.05}  # against a Sunday


def ridership(seed: int, start: str, years: int) -> pd.DataFrame:
    """Simulated daily rides, as a transit agency would export them: the same rows for the same arguments anywhere.

    Args:
        seed: of the random draws (PCG64).
        start: first day, ISO date.
        years: length.

    Returns:
        One row a day: ``service_date`` (ISO text), ``day_type`` (W/A/U), and whole rides ``bus``, ``rail`` and their
        sum ``total_rides``.
    """
    first = pd.Timestamp(start)
    ds = pd.date_range(first, first + pd.DateOffset(years=years) - pd.Timedelta(days=1), freq="D")
    names = calendar.holiday_names(ds, "US")
    types = calendar.day_types(ds, names.tolist(), SUNDAY_SERVICE)
    random = np.random.Generator(np.random.PCG64(seed))
    weather = _weather(random, ds)
    around = _holidays(ds, names, types)
    rides = {mode: _mode(random, mode, ds, types, weather, around) for mode in LEVEL}
    return pd.DataFrame(
        {"service_date": ds.strftime("%Y-%m-%d"), "day_type": types, **rides, "total_rides": sum(rides.values())}
    )


def _mode(
    random: np.random.Generator, mode: str, ds: pd.DatetimeIndex, types: NDArray[np.str_], weather: Array, around: Array
) -> NDArray[np.int64]:
    """Whole rides of one mode, ``(T,)``."""
    years = np.arange(len(ds)) / calendar.YEAR
    log = np.log(LEVEL[mode]) + TREND[mode] * years + calendar.fourier(ds, 2) @ np.asarray(YEARLY[mode])
    log += np.vectorize(DAY_TYPE[mode].__getitem__)(types) + np.asarray(WEEKDAY)[ds.dayofweek]
    log += around + WEATHER[mode] * weather
    log += _autoregressive(random, len(ds), 0.97, 0.008) + random.normal(0.0, 0.012, len(ds))
    return np.rint(np.exp(log)).astype(np.int64)


def _autoregressive(random: np.random.Generator, n: int, phi: float, scale: float) -> Array:
    """A first-order autoregression ``(n,)``; ``scale`` is the standard deviation of its innovations."""
    shocks = random.normal(0.0, scale, n)
    out = np.empty(n)
    level = 0.0
    for t in range(n):
        level = phi * level + shocks[t]
        out[t] = level
    return out


def _weather(random: np.random.Generator, ds: pd.DatetimeIndex) -> Array:
    """Spells that last some days, stronger in winter, and about two severe days a year there, ``(T,)``."""
    winter = 0.5 + 0.5 * np.cos(2 * np.pi * (ds.dayofyear.to_numpy() - 20) / calendar.YEAR)
    spells = _autoregressive(random, len(ds), 0.75, 0.028) * (0.6 + 0.8 * winter)
    severe = random.random(len(ds)) < 0.015 * winter**2
    depth = random.uniform(0.3, 0.9, len(ds)) * severe
    aftermath = 0.35 * np.concatenate([[0.0], depth[:-1]])
    return np.asarray(spells - depth - aftermath, dtype=np.float64)


def _holidays(ds: pd.DatetimeIndex, names: NDArray[np.object_], types: NDArray[np.str_]) -> Array:
    """What holidays do to their day and the days around, beyond the day type, ``(T,)``."""
    out = np.zeros(len(ds))
    weekday = (types == "W").astype(np.float64)
    out += np.where((names != "") & (types == "W"), LESSER_HOLIDAY, 0.0)
    for name, effect in SERVICE_HOLIDAY.items():
        out += np.where(names == name, effect, 0.0)
    thanksgiving = np.asarray(names == "Thanksgiving Day")
    out += weekday * (-0.30 * np.roll(thanksgiving, 1) - 0.06 * np.roll(thanksgiving, -1))
    month, day = ds.month.to_numpy(), ds.day.to_numpy()
    year_end = {18: -0.03, 19: -0.04, 20: -0.05, 21: -0.07, 22: -0.10, 23: -0.15, 24: -0.32}
    year_end |= {26: -0.24, 27: -0.20, 28: -0.19, 29: -0.19, 30: -0.20, 31: -0.26}
    for d, effect in year_end.items():
        out += np.where((month == 12) & (day == d), effect * (0.4 + 0.6 * weekday), 0.0)
    for m, d, effect in ((1, 2, -0.10), (1, 3, -0.05), (7, 3, -0.10), (7, 5, -0.09)):
        out += np.where((month == m) & (day == d), effect * weekday, 0.0)
    return out
