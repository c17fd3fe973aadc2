"""How old data usually get before newer ones come."""

from __future__ import annotations

import pandas as pd

from daycast.core.arrivals import usual_age

MORNINGS = pd.date_range("2020-01-01 06:00", periods=60)
YESTERDAY = MORNINGS.normalize() - pd.Timedelta(days=1)


def test_what_comes_every_night_is_two_days_old_when_the_next_comes() -> None:
    assert usual_age(MORNINGS, YESTERDAY, updates=30, least=10) == 2


def test_what_comes_once_a_month_may_be_as_old_as_it_was_before_the_next_month() -> None:
    months = pd.date_range("2020-03-10 06:00", periods=12, freq="30D")
    cutoffs = months.normalize() - pd.Timedelta(days=60)
    assert usual_age(months, cutoffs, updates=30, least=10) == 90
    # Forecasts of the same data on the days between change nothing.
    again = months.append(months + pd.Timedelta(days=20))
    assert usual_age(again, cutoffs.append(cutoffs), updates=30, least=10) == 90


def test_a_backfill_brings_nothing_newer() -> None:
    made = MORNINGS.append(pd.DatetimeIndex(["2020-02-15 12:00"] * 40))
    cutoffs = YESTERDAY.append(pd.date_range("2019-01-01", periods=40))
    assert usual_age(made, cutoffs, updates=30, least=10) == 2
    only = pd.DatetimeIndex(["2020-02-15 12:00"] * 40)
    assert usual_age(only, pd.date_range("2019-01-01", periods=40), updates=30, least=1) is None


def test_an_outage_long_ago_is_forgotten_and_too_few_updates_tell_nothing() -> None:
    gone = MORNINGS.delete(slice(5, 15)), YESTERDAY.delete(slice(5, 15))
    assert usual_age(*gone, updates=100, least=10) == 12
    assert usual_age(*gone, updates=30, least=10) == 2
    assert usual_age(MORNINGS[:10], YESTERDAY[:10], updates=30, least=10) is None
    none = pd.DatetimeIndex([])
    assert usual_age(none, none, updates=30, least=1) is None
