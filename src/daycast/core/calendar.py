"""Calendar covariates: pure functions of the date, so known for any future."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from daycast.errors import DataError

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
JOINED = "; "  # between the names of two holidays on one date, in the `holidays` package
YEAR = 365.25  # mean days of a Julian year; Fourier terms of the year use it as their period


def day_of_week(ds: pd.DatetimeIndex) -> NDArray[np.str_]:
    """English three-letter names of the weekdays, ``(T,)``."""
    return np.asarray(DAYS)[ds.dayofweek.to_numpy()]


def holiday_names(ds: pd.DatetimeIndex, country: str, subdivision: str | None = None) -> NDArray[np.object_]:
    """The public holiday on each date as the ``holidays`` package names it, or an empty string, ``(T,)``.

    Observed substitutes ("Christmas Day (observed)") count as holidays of their own name.

    Raises:
        DataError: the package knows no such country or subdivision.
    """
    import holidays

    years = range(int(ds.year.min()), int(ds.year.max()) + 1)
    try:
        table = holidays.country_holidays(country, subdiv=subdivision, years=years, language="en_US")
    except NotImplementedError as error:
        raise DataError(
            "a country and subdivision that the `holidays` package knows",
            f"{country}/{subdivision}",
            "set calendar.country to an ISO 3166 code such as US, and calendar.subdivision to one of its parts or null",
        ) from error
    return np.asarray([table.get(d.date(), "") for d in ds], dtype=object)


def day_types(ds: pd.DatetimeIndex, holiday: Sequence[str], as_sunday: Mapping[str, Sequence[str]]) -> NDArray[np.str_]:
    """The service day types ``W`` (weekday), ``A`` (Saturday), ``U`` (Sunday or a holiday run as one), ``(T,)``.

    Args:
        holiday: the holiday's name on each date or an empty string, ``(T,)``, as ``holiday_names`` gives it.
        as_sunday: holiday name -> the weekdays (of ``DAYS``) on which Sunday service runs when it falls on them.
            Agencies differ there: one on a Sunday is mostly moved to the Monday, one on a Saturday only sometimes.
    """
    weekday = ds.dayofweek.to_numpy()
    types = np.where(weekday == 6, "U", np.where(weekday == 5, "A", "W"))
    names = np.asarray(holiday, dtype=object)
    days = day_of_week(ds)
    for joined in set(names) - {""}:
        sundays = {day for name in joined.split(JOINED) for day in as_sunday.get(name, ())}
        types[(names == joined) & np.isin(days, list(sundays))] = "U"
    return types


def fourier(ds: pd.DatetimeIndex, pairs: int) -> NDArray[np.float64]:
    """Sine and cosine of the position in the year, ``(T, 2·pairs)``, ordered sin1, cos1, sin2, ..."""
    days = (ds - pd.Timestamp("2000-01-01")) / pd.Timedelta(days=1)
    angle = 2 * np.pi * np.outer(np.asarray(days, dtype=np.float64) / YEAR, np.arange(1, pairs + 1))
    return np.stack([np.sin(angle), np.cos(angle)], axis=2).reshape(len(ds), 2 * pairs)


def fourier_names(pairs: int) -> tuple[str, ...]:
    """The names of ``fourier``'s columns: ``year_sin1``, ``year_cos1``, ``year_sin2``, ..."""
    return tuple(f"year_{wave}{k}" for k in range(1, pairs + 1) for wave in ("sin", "cos"))


def one_hot(
    frame: pd.DataFrame, columns: Mapping[str, tuple[str, ...] | None]
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Numeric matrix ``(rows, features)`` and its names: categorical columns one-hot, numeric ones as they are.

    Nothing is fitted: the levels are declared, so the encoding can't leak.

    Raises:
        DataError: a value outside the declared levels, or a missing value.
    """
    blocks: list[NDArray[np.float64]] = []
    names: list[str] = []
    for column, levels in columns.items():
        values = frame[column]
        if levels is None:
            numbers = values.to_numpy(dtype=np.float64)
            if not np.isfinite(numbers).all():
                raise DataError(
                    f"a finite number in every row of `{column}`",
                    f"{int((~np.isfinite(numbers)).sum())} without",
                    f"mend `{column}` at its source, or don't declare it",
                )
            blocks.append(numbers[:, None])
            names.append(column)
            continue
        wrong = sorted({str(v) for v in values[~values.isin(levels)].unique()})
        if wrong:
            raise DataError(
                f"`{column}` among {list(levels)}",
                f"{wrong[:5]}",
                f"declare the level in the dataset's configuration, or mend `{column}` at its source",
            )
        blocks.append((values.to_numpy()[:, None] == np.asarray(levels, dtype=object)).astype(np.float64))
        names += [f"{column}={level}" for level in levels]
    matrix = np.concatenate(blocks, axis=1) if blocks else np.zeros((len(frame), 0))
    return matrix, tuple(names)


def decode(
    known: NDArray[np.float64], names: tuple[str, ...], column: str
) -> tuple[NDArray[np.int64], tuple[str, ...]] | None:
    """Codes and levels of the one-hot columns ``column=…``; ``None`` if there are none."""
    where = [i for i, name in enumerate(names) if name.startswith(f"{column}=")]
    if not where:
        return None
    return known[:, where].argmax(axis=1), tuple(names[i].split("=", 1)[1] for i in where)


def encode(
    shared: pd.DataFrame, columns: Mapping[str, tuple[str, ...] | None], pairs: int
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Known-future features ``(T, F)`` with names: the declared columns, then Fourier terms of the year."""
    matrix, names = one_hot(shared, columns)
    terms = fourier(pd.DatetimeIndex(shared.index), pairs)
    return np.concatenate([matrix, terms], axis=1), names + fourier_names(pairs)
