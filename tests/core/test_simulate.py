"""The sample must be the same everywhere, and worth forecasting."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from daycast.config import dataset_only
from daycast.core.layout import calendar_frame
from daycast.core.simulate import ridership


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return ridership(20180101, "2018-01-01", 6)


def naive_errors(table: pd.DataFrame, mode: str) -> dict[str, float]:
    """Mean absolute error of three simple forecasts over the last two years."""
    y = table[mode].astype(float)
    weekday = pd.to_datetime(table["service_date"]).dt.dayofweek
    kind = table["day_type"].where(table["day_type"] == "U", table["day_type"] + weekday.astype(str))
    base = y.groupby(kind).transform(lambda g: g.shift(1).rolling(4).mean())
    forecasts = {"week": y.shift(7), "day type": base, "day type and yesterday": base * (y / base).shift(1)}
    return {name: float((y - f).abs().tail(731).mean()) for name, f in forecasts.items()}


def test_the_same_seed_gives_the_same_bytes_on_any_machine(table: pd.DataFrame) -> None:
    text = table.to_csv(index=False, lineterminator="\n").encode()

    assert hashlib.sha256(text).hexdigest() == "8e1fb8fbecb644daf35016d489a3244daedbdf1feab4c78e8489908500404c68"


def test_another_seed_gives_another_series(table: pd.DataFrame) -> None:
    assert not ridership(1, "2018-01-01", 6)["rail"].equals(table["rail"])


def test_it_looks_like_an_agencys_export_of_six_whole_years(table: pd.DataFrame) -> None:
    assert list(table.columns) == ["service_date", "day_type", "bus", "rail", "total_rides"]
    assert (table["service_date"].iloc[0], table["service_date"].iloc[-1]) == ("2018-01-01", "2023-12-31")
    assert len(table) == 2191
    assert set(table["day_type"]) == {"W", "A", "U"}
    assert all(table[c].dtype == np.int64 for c in ("bus", "rail", "total_rides"))
    assert (table["bus"] + table["rail"] == table["total_rides"]).all()
    assert table[["bus", "rail"]].to_numpy().min() > 0


def test_its_day_types_are_those_of_the_calendar_declared_for_the_sample(table: pd.DataFrame, root: Path) -> None:
    days = calendar_frame(pd.DatetimeIndex(table["service_date"]), dataset_only(root, "sample").layout())

    assert (days["day_type"].to_numpy() == table["day_type"].to_numpy()).all()


def test_the_days_after_thanksgiving_and_before_new_year_are_low(table: pd.DataFrame) -> None:
    rail = table.set_index("service_date")["rail"]
    ordinary = rail[(table["day_type"] == "W").to_numpy()].median()

    assert rail[["2018-11-23", "2019-11-29", "2022-11-25"]].max() < 0.9 * ordinary
    assert rail[["2019-12-24", "2020-12-24", "2021-12-24"]].max() < 0.85 * ordinary


@pytest.mark.parametrize("mode", ["rail", "bus"])
def test_knowing_the_day_type_beats_last_week_by_a_quarter(table: pd.DataFrame, mode: str) -> None:
    errors = naive_errors(table, mode)

    assert errors["day type"] < 0.75 * errors["week"]


@pytest.mark.parametrize("mode", ["rail", "bus"])
def test_what_came_yesterday_helps_beyond_the_day_type(table: pd.DataFrame, mode: str) -> None:
    errors = naive_errors(table, mode)

    assert errors["day type and yesterday"] < 0.95 * errors["day type"]


def test_both_modes_feel_the_same_weather_and_some_days_are_severe(table: pd.DataFrame) -> None:
    workdays = table[table["day_type"] == "W"]
    relative = workdays[["rail", "bus"]] / workdays[["rail", "bus"]].rolling(61, center=True, min_periods=20).median()

    assert relative.corr().iloc[0, 1] > 0.7
    assert 4 <= (relative["rail"] < 0.7).sum() <= 40
