import math

import numpy as np
import pandas as pd
import pytest

from daycast.core import calendar
from daycast.errors import DataError

WEEK = pd.date_range("2024-01-01", periods=7)  # from a Monday
EVERY_DAY = calendar.DAYS
SUNDAYS = {"New Year's Day": EVERY_DAY, "Independence Day": ("Mon", "Tue", "Wed", "Thu", "Fri"), "Labor Day": ("Mon",)}


def test_weekdays_have_english_short_names():
    assert calendar.day_of_week(WEEK).tolist() == ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]


def test_holidays_are_named_and_other_days_are_empty():
    days = pd.DatetimeIndex(["2023-12-24", "2023-12-25", "2024-01-01", "2024-07-04", "2024-11-28"])
    names = calendar.holiday_names(days, "US", "IL")
    assert names.tolist() == ["", "Christmas Day", "New Year's Day", "Independence Day", "Thanksgiving Day"]


def test_an_observed_substitute_is_a_holiday_of_its_own_name():
    days = pd.DatetimeIndex(["2021-12-31", "2022-01-01"])  # New Year 2022 fell on a Saturday
    assert calendar.holiday_names(days, "US").tolist() == ["New Year's Day (observed)", "New Year's Day"]


def test_a_subdivision_adds_its_own_holidays():
    day = pd.DatetimeIndex(["2024-02-12"])
    assert calendar.holiday_names(day, "US", "IL").tolist() == ["Lincoln's Birthday"]
    assert calendar.holiday_names(day, "US").tolist() == [""]


@pytest.mark.parametrize(("country", "subdivision"), [("XX", None), ("US", "ZZ")])
def test_an_unknown_country_or_subdivision_is_refused(country, subdivision):
    with pytest.raises(DataError) as error:
        calendar.holiday_names(WEEK, country, subdivision)
    assert error.value.found == f"{country}/{subdivision}"
    assert isinstance(error.value.__cause__, NotImplementedError)


def test_day_types_follow_the_weekday_where_nothing_is_a_holiday():
    assert "".join(calendar.day_types(WEEK, [""] * 7, SUNDAYS)) == "WWWWWAU"


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        ("2024-01-01", "U"),  # New Year's Day on a Monday, run as a Sunday whenever it comes
        ("2022-01-01", "U"),  # the same on a Saturday
        ("2024-07-04", "U"),  # Independence Day on a Thursday
        ("2026-07-04", "A"),  # the same on a Saturday, on which the rule doesn't hold
        ("2021-07-04", "U"),  # a Sunday is one anyway
        ("2024-10-14", "W"),  # Columbus Day: a holiday, but without a rule
    ],
)
def test_a_holiday_runs_as_a_sunday_on_the_weekdays_its_rule_names(day, expected):
    days = pd.DatetimeIndex([day, "2024-10-16"])
    names = calendar.holiday_names(days, "US", "IL")
    assert names[0] != ""
    assert calendar.day_types(days, names, SUNDAYS).tolist() == [expected, "W"]


def test_holidays_on_one_date_each_bring_their_own_rule():
    days = pd.DatetimeIndex(["2024-07-04", "2024-07-05"])
    joined = calendar.JOINED.join(["Some Feast", "Independence Day"])
    assert calendar.day_types(days, [joined, ""], SUNDAYS).tolist() == ["U", "W"]


def test_no_holiday_runs_as_a_sunday_where_there_is_no_rule():
    assert "".join(calendar.day_types(WEEK, ["New Year's Day"] + [""] * 6, {})) == "WWWWWAU"


def test_fourier_terms_are_sines_and_cosines_of_the_year():
    days = pd.DatetimeIndex(["2000-01-01", "2003-06-17", "1999-12-31"])
    terms = calendar.fourier(days, 2)
    for i, day in enumerate(days):
        angle = 2 * math.pi * (day - pd.Timestamp("2000-01-01")).days / 365.25
        expected = [math.sin(angle), math.cos(angle), math.sin(2 * angle), math.cos(2 * angle)]
        np.testing.assert_allclose(terms[i], expected, atol=1e-12)


def test_no_pairs_give_no_columns():
    assert calendar.fourier(WEEK, 0).shape == (7, 0)


def test_one_hot_has_a_column_per_level_even_one_that_never_occurs():
    frame = pd.DataFrame({"kind": ["b", "a"], "size": [1.5, 2.5]})
    matrix, names = calendar.one_hot(frame, {"kind": ("a", "b", "c"), "size": None})
    assert names == ("kind=a", "kind=b", "kind=c", "size")
    np.testing.assert_array_equal(matrix, [[0, 1, 0, 1.5], [1, 0, 0, 2.5]])


@pytest.mark.parametrize("dtype", ["object", "category", "string"])
def test_one_hot_reads_every_text_type_of_pandas(dtype):
    frame = pd.DataFrame({"kind": pd.Series(["b", "a"], dtype=dtype)})
    matrix, _ = calendar.one_hot(frame, {"kind": ("a", "b")})
    np.testing.assert_array_equal(matrix, [[0, 1], [1, 0]])


@pytest.mark.parametrize("wrong", ["z", None])
def test_one_hot_refuses_what_was_not_declared(wrong):
    with pytest.raises(DataError) as error:
        calendar.one_hot(pd.DataFrame({"kind": ["a", wrong]}), {"kind": ("a", "b")})
    assert str(wrong) in error.value.found


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_one_hot_refuses_a_number_that_is_not_finite(wrong):
    with pytest.raises(DataError):
        calendar.one_hot(pd.DataFrame({"size": [1.0, wrong]}), {"size": None})


def test_no_columns_give_an_empty_matrix():
    matrix, names = calendar.one_hot(pd.DataFrame(index=range(3)), {})
    assert matrix.shape == (3, 0)
    assert names == ()


def test_encode_puts_the_waves_behind_the_columns():
    frame = pd.DataFrame({"holiday": np.arange(7.0)}, index=WEEK)
    matrix, names = calendar.encode(frame, {"holiday": None}, 2)
    assert names == ("holiday", "year_sin1", "year_cos1", "year_sin2", "year_cos2")
    np.testing.assert_array_equal(matrix[:, 0], np.arange(7.0))
    np.testing.assert_array_equal(matrix[:, 1:], calendar.fourier(WEEK, 2))
