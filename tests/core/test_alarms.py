"""When somebody has to act: each alarm on what it is for, on what it must not mind, and how often for nothing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from daycast.core import alarms
from daycast.core.alarms import Chart

ERROR, COVERAGE = Chart(0.5, 3.0, 1.5), Chart(0.6, 2.0, 1.0)  # as shipped


def days(ratio: np.ndarray, **given: object) -> pd.DataFrame:
    """Target days on which the error was so many times what is usual."""
    ds = pd.date_range("2024-01-01", periods=len(ratio))
    told = {"n_naive": 28, "abs_error_naive": 28 * 100.0 * np.asarray(ratio), "usual": 100.0}
    return pd.DataFrame({"ds": ds, **told, **given})


def inside(share: np.ndarray, ordinary: object = True) -> pd.DataFrame:
    return pd.DataFrame({"n_80": 100, "inside_80": 100 * np.asarray(share), "ordinary": ordinary})


def usual_errors(random: np.random.Generator, many: int) -> np.ndarray:
    """Ratios as those of a good model on the real file in 2019: mean log -0.97, deviation 0.97, days alike."""
    noise = random.normal(0, 1, many)
    for day in range(1, many):
        noise[day] = 0.5 * noise[day - 1] + np.sqrt(1 - 0.25) * noise[day]
    return np.exp(-0.97 + 0.97 * noise)


def test_a_sum_adds_what_exceeds_the_reference_falls_no_lower_than_zero_and_is_held() -> None:
    chart = Chart(reference=0.5, limit=2.0, most=1.5)
    path = chart.path(np.array([1.0, -3.0, 0.9, np.nan, 9.0, 9.0, 9.0, 9.0, 9.0, -9.0]))
    assert path == pytest.approx([0.5, 0.0, 0.4, 0.4, 1.4, 2.4, 3.4, 4.0, 4.0, 2.0])


def test_errors_that_stay_four_times_the_usual_are_told_within_a_week() -> None:
    told = alarms.error(days(np.array([0.4] * 60 + [4.0] * 4)), ERROR)
    assert told.raised
    assert told.figure == pytest.approx(4 * (np.log(4) - 0.5))
    assert "times what the seasonal naive usually misses" in told.cause


@pytest.mark.parametrize("many", [1, 2])
def test_a_blizzard_of_a_day_or_two_is_no_alarm_however_large(many: int) -> None:
    ratio = np.array([0.4] * 60 + [50.0] * many)
    assert not alarms.error(days(ratio), ERROR).raised


def test_an_alarm_is_over_soon_after_its_cause() -> None:
    ratio = np.array([0.4] * 30 + [8.0] * 90 + [0.4] * 5)
    assert alarms.error(days(ratio[:-5]), ERROR).raised
    assert not alarms.error(days(ratio), ERROR).raised


def test_a_day_of_which_nothing_is_usual_yet_changes_nothing() -> None:
    told = days(np.array([5.0, 5.0, 5.0, 5.0]))
    assert not alarms.error(told.assign(usual=np.nan), ERROR).raised
    assert alarms.error(told, ERROR).raised


def test_a_perfect_forecast_is_no_error_of_the_chart() -> None:
    told = alarms.error(days(np.zeros(10)), ERROR)
    assert (told.raised, told.figure) == (False, 0.0)


def test_errors_of_ordinary_years_raise_an_alarm_in_fewer_than_one_of_five() -> None:
    years, episodes = 200, 0
    random = np.random.default_rng(11)
    for _ in range(years):
        path = ERROR.path(np.log(usual_errors(random, 365)))
        raised = pd.Series(path >= ERROR.limit, index=pd.date_range("2023-01-01", periods=365))
        episodes += len(alarms.episodes(raised, 7))
    assert episodes / years < 0.2


def test_intervals_that_miss_nearly_everything_are_told_within_a_week() -> None:
    share = np.array([0.8] * 60 + [0.0] * 5)
    told = alarms.coverage(inside(share), COVERAGE, 56, 0.55)
    assert told.raised
    assert told.figure == pytest.approx(2.0)
    assert not alarms.coverage(inside(share[:-1]), COVERAGE, 56, 0.55).raised


def test_intervals_that_hold_half_of_the_values_for_long_are_told_too() -> None:
    told = alarms.coverage(inside(np.full(56, 0.5)), COVERAGE, 56, 0.55)
    assert (told.raised, told.figure, told.threshold) == (True, pytest.approx(0.5), 0.55)
    assert not alarms.coverage(inside(np.full(55, 0.5)), COVERAGE, 56, 0.55).raised


def test_a_holiday_outside_its_interval_counts_for_nothing() -> None:
    share, ordinary = np.array([0.8] * 60 + [0.0] * 10), np.array([True] * 60 + [False] * 10)
    assert not alarms.coverage(inside(share, ordinary), COVERAGE, 56, 0.55).raised


def test_intervals_that_hold_what_they_promise_raise_next_to_nothing() -> None:
    years, episodes = 200, 0
    random = np.random.default_rng(12)
    for _ in range(years):
        # Of two series and fourteen steps that miss together: a day is mostly in, or mostly out.
        share = random.beta(0.8, 0.2, 365)
        path = COVERAGE.path(1 - share)
        raised = pd.Series(path >= COVERAGE.limit, index=pd.date_range("2023-01-01", periods=365))
        episodes += len(alarms.episodes(raised, 7))
    assert episodes / years < 0.2


def beside(errors: list[float]) -> pd.DataFrame:
    """Weeks whose error is so many times the seasonal naive's of the same days, oldest first."""
    ratio = np.repeat(errors, 7)
    return pd.DataFrame({"n_naive": 2, "abs_error_naive": ratio, "naive_error": 1.0})


@pytest.mark.parametrize(
    ("weeks", "raised"),
    [
        ([1.1, 1.1, 1.1, 1.1], True),
        ([0.7, 1.1, 1.1, 1.1], True),
        ([1.1, 1.1, 1.1, 0.9], False),  # over by now
        ([0.7, 0.7, 0.7, 9.0], False),  # one bad week
        ([1.1, 1.1, 1.1, 0.7, 0.7, 0.7, 1.1], False),  # the older ones no longer count
        ([1.1, 1.1], False),  # too few to tell
        ([], False),
    ],
)
def test_losing_to_the_seasonal_naive_takes_most_weeks_and_the_newest(weeks: list[float], raised: bool) -> None:
    told = alarms.skill(beside(weeks), 7, n=4, at_least=3)
    assert told.raised is raised
    assert told.cause


def test_the_timestamps_of_a_grid_are_called_days_only_where_they_are() -> None:
    assert [alarms.counted_in(freq) for freq in ("D", "h", "B", "W-MON")] == ["days", *["timestamps"] * 3]
    hourly = alarms.counted_in("h")
    told = (
        alarms.error(days(np.array([0.4] * 60)), ERROR, hourly),
        alarms.skill(beside([1.1] * 4), 7, 4, 3, hourly),
        alarms.coverage(inside(np.full(60, 0.5)), COVERAGE, 56, 0.55, hourly),
        alarms.coverage(inside(np.full(60, 0.9)), COVERAGE, 56, 0.55, hourly),
    )
    assert all("timestamps" in one.cause and " days" not in one.cause for one in told)


def drifted(score: list[float], shift: float = -0.5) -> pd.DataFrame:
    return pd.DataFrame({"score": score, "shift": shift}, index=[f"station {n}" for n in range(len(score))])


def test_a_drift_takes_a_share_of_the_series_and_names_the_worst() -> None:
    few = alarms.drift(drifted([-20.0, *[0.1] * 9]), 8.0, 0.1, 0.2)
    assert (few.raised, few.figure, few.series) == (False, 0.1, ("station 0",))
    many = alarms.drift(drifted([-20.0, 30.0, *[0.1] * 8]), 8.0, 0.1, 0.2)
    assert (many.raised, many.series) == (True, ("station 1", "station 0"))


def test_a_shift_too_small_to_matter_is_no_drift_and_series_that_cannot_be_told_by_are_left_out() -> None:
    assert not alarms.drift(drifted([-20.0], shift=-0.05), 8.0, 0.1, 0.2).raised
    assert alarms.drift(drifted([-20.0, *[float("nan")] * 9]), 8.0, 0.1, 0.2).figure == 1.0
    assert alarms.drift(drifted([float("nan")]), 8.0, 0.1, 0.2).figure is None


def test_data_that_used_to_come_are_late_where_the_contract_says_nothing() -> None:
    assert not alarms.late(2, None, 2, 1.25).raised
    told = alarms.late(3, None, 2, 1.25)
    assert (told.raised, told.figure, told.threshold) == (True, 3.0, 2.5)
    assert "3 days old; newer ones came when it was 2 at most" in told.cause


def test_data_are_late_beyond_what_the_contract_allows() -> None:
    assert not alarms.late(3, 3, None, 1.25).raised
    assert alarms.late(4, 3, None, 1.25).raised
    assert alarms.late(4, 3, 90, 1.25).raised  # the contract's word counts
    assert not alarms.late(4000, None, None, 1.25).raised


def test_series_that_fell_silent_are_told_and_those_that_did_long_ago_are_not() -> None:
    y = np.ones((4, 100))
    y[0, 95:] = np.nan  # silent for five days
    y[1, 20:] = np.nan  # closed long ago
    told = alarms.stopped(y, ["a", "b", "c", "d"], silent=5, memory=28, share=0.3)
    assert (told.raised, told.series, told.figure) == (True, ("a",), pytest.approx(1 / 3))
    assert not alarms.stopped(y, ["a", "b", "c", "d"], silent=6, memory=28, share=0.3).raised


def test_alarms_a_few_days_apart_are_one_matter() -> None:
    on = pd.Series(False, index=pd.date_range("2024-01-01", periods=60))
    on.iloc[[5, 6, 13, 30]] = True
    found = alarms.episodes(on, calm=7)
    assert found["began"].dt.day.tolist() == [6, 31]
    assert found["last"].dt.day.tolist() == [14, 31]
    assert alarms.episodes(on & False, calm=7).empty
