"""What the seasonal naive usually misses."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from daycast.core import usual
from daycast.core.frame import FrameSpec, table

PAST = usual.Past(reach=4 * 364, year=364, around=5)


@pytest.mark.parametrize(
    ("freq", "season", "expected"), [("D", 7, 364), ("h", 24, 8760), ("MS", 12, 12), ("D", 400, 400)]
)
def test_a_year_is_whole_seasons(freq: str, season: int, expected: int) -> None:
    assert usual.year(freq, season) == expected


def test_the_naive_error_of_a_day_is_the_mean_over_the_series_that_were_observed() -> None:
    ds = pd.date_range("2024-01-01", periods=30)
    rail, bus = np.arange(30.0), 3 * np.arange(30.0)
    bus[20] = np.nan
    frame = pd.concat([pd.DataFrame({"unique_id": n, "ds": ds, "y": y}) for n, y in (("rail", rail), ("bus", bus))])
    found = usual.missed(table(frame, FrameSpec("D", 7)).panel, 7, 14)
    assert found.errors.shape == found.mix.shape == (2, 30)  # one season back, and two
    there = found.errors * found.mix  # of the series that were observed
    assert np.isnan(there[0, :7]).all()
    assert there[0, 7] == (7 + 21) / 2
    assert there[1, 14] == (14 + 42) / 2
    assert there[0, 20] == 7.0  # of rail alone
    assert there[0, 27] == 7.0  # bus has no value the week before
    assert found.errors[0, 20] == found.errors[0, 19] == 14.0  # as it would be with bus
    assert (np.delete(found.mix[0], [20, 27]) == 1).all()


def errors(level: float = 10.0, days: int = 3 * 364) -> tuple[np.ndarray, np.ndarray]:
    return np.full((1, days), level), np.zeros(days, dtype=np.int64)


def test_one_blizzard_does_not_change_what_is_usual() -> None:
    missed, kind = errors()
    missed[0, 700] = 1000.0
    assert usual.usual(missed, kind, 900, PAST) == [10.0]


def test_weeks_that_are_hard_every_year_are_no_surprise() -> None:
    missed, kind = errors()
    missed[0, 0:21] = missed[0, 364:385] = 80.0
    assert usual.usual(missed, kind, 2 * 364 + 10, PAST) == [80.0]
    assert usual.usual(missed, kind, 364 + 200, PAST) == [10.0]


def test_a_holiday_is_held_against_the_same_holiday_then_against_all_events() -> None:
    missed, kind = errors()
    kind[[100, 464, 828]], kind[500] = 1, 2
    missed[0, [100, 464, 828]], missed[0, 500] = (50.0, 70.0, 0.0), 200.0
    assert usual.usual(missed, kind, 828, PAST) == [60.0]
    kind[900] = 3
    assert usual.usual(missed, kind, 900, PAST) == [pytest.approx((50 + 70 + 0 + 200) / 4)]


def test_nothing_is_usual_without_a_past_and_nothing_later_is_used() -> None:
    missed, kind = errors()
    assert np.isnan(usual.usual(missed, kind, 0, PAST)).all()
    before = usual.usual(missed, kind, 500, PAST)
    missed[0, 500:] = 1e9
    assert usual.usual(missed, kind, 500, PAST) == before
