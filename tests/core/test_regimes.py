"""Regimes by their dates."""

from datetime import date

import pandas as pd

from daycast.core import regimes
from daycast.core.regimes import Regime

STRIKE = Regime("strike", date(2020, 1, 3), date(2020, 1, 4))
WAR = Regime("war", date(2020, 1, 6))


def test_a_regime_has_its_first_day_its_last_and_all_between():
    days = pd.date_range("2020-01-02", periods=6)
    found = regimes.labels(days, [WAR, STRIKE])
    assert found.tolist() == ["none", "strike", "strike", "none", "war", "war"]


def test_every_hour_of_its_last_day_is_in_it():
    hours = pd.date_range("2020-01-04 22:00", periods=3, freq="h")
    assert regimes.labels(hours, [STRIKE]).tolist() == ["strike", "strike", "none"]


def test_without_regimes_every_day_is_of_none():
    assert regimes.labels(pd.date_range("2020-01-01", periods=2), ()).tolist() == ["none", "none"]
    assert regimes.levels(()) == ("none",)


def test_the_levels_are_none_and_the_names():
    assert regimes.levels([STRIKE, WAR]) == ("none", "strike", "war")
