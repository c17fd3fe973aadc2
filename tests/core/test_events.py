import numpy as np
import pandas as pd
import pytest

from daycast.core import events
from daycast.core.events import Rule
from daycast.errors import DataError

YEARS = pd.date_range("2015-01-01", "2021-12-31")


def dates(label, rules, ds=YEARS, country=None):
    found = events.labels(ds, rules, country)
    return [str(day.date()) for day in ds[found == label]]


def test_a_fixed_date_and_the_days_around_it_are_each_told_apart():
    found = events.labels(pd.date_range("2019-12-23", "2019-12-27"), [Rule("christmas", (-1, 1), date="12-25")])
    assert found.tolist() == ["none", "christmas-1", "christmas", "christmas+1", "none"]


def test_days_around_new_year_belong_to_the_anchor_in_either_year():
    rule = Rule("year_end", (-1, 3), date="12-31")
    assert events.labels(pd.DatetimeIndex(["2020-01-03", "2020-01-04"]), [rule]).tolist() == ["year_end+3", "none"]
    before = Rule("new_year", (-2, 0), date="01-01")
    assert events.labels(pd.DatetimeIndex(["2020-12-29", "2020-12-30"]), [before]).tolist() == ["none", "new_year-2"]


@pytest.mark.parametrize(
    ("anchor", "expected"),
    [
        ({"date": "10-01", "weekday": "Mon", "nth": 2}, "2019-10-14"),  # Columbus Day
        ({"date": "06-30", "weekday": "Sun", "nth": -1}, "2019-06-30"),  # the last Sunday of June, the date itself
        ({"date": "03-17", "weekday": "Sat", "nth": -1}, "2019-03-16"),  # the Saturday before
        ({"easter": "western"}, "2019-04-21"),
        ({"easter": "orthodox"}, "2019-04-28"),
        ({"holiday": "Thanksgiving Day"}, "2019-11-28"),
    ],
)
def test_anchors_follow_their_rule(anchor, expected):
    year = pd.date_range("2019-01-01", "2019-12-31")
    assert dates("it", [Rule("it", **anchor)], year, "US") == [expected]


def test_a_leap_day_is_there_in_leap_years_only():
    assert dates("leap", [Rule("leap", date="02-29")]) == ["2016-02-29", "2020-02-29"]


def test_an_event_takes_place_from_its_first_to_its_last_year():
    rule = Rule("fair", date="05-05", since=2017, until=2018)
    assert dates("fair", [rule]) == ["2017-05-05", "2018-05-05"]


def test_the_first_rule_has_a_day_that_several_claim():
    rules = [Rule("king_day", date="01-20"), Rule("week", (-2, 2), date="01-20")]
    found = events.labels(pd.date_range("2020-01-18", "2020-01-22"), rules)
    assert found.tolist() == ["week-2", "week-1", "king_day", "week+1", "week+2"]


def test_any_holiday_takes_what_no_other_rule_has():
    rules = [Rule("christmas", date="12-25"), Rule("holiday", holiday="any")]
    found = dates("holiday", rules, pd.date_range("2019-11-01", "2019-12-31"), "US")
    assert found == ["2019-11-11", "2019-11-28"]


def test_two_holidays_on_one_date_are_each_found():
    inauguration = Rule("king_day", holiday="Martin Luther King Jr. Day")  # 2025-01-20 is also Inauguration Day
    ds = pd.date_range("2025-01-18", "2025-01-22")
    assert dates("king_day", [inauguration], ds, "US") == ["2025-01-20"]


def test_hours_belong_to_their_day():
    hours = pd.date_range("2019-12-24 22:00", periods=4, freq="h")
    assert events.labels(hours, [Rule("christmas", date="12-25")]).tolist() == ["none", "none", *["christmas"] * 2]


def test_labels_do_not_depend_on_how_many_dates_are_asked_for():
    rules = [Rule("year_end", (-7, 11), date="12-25"), Rule("easter", (-3, 1), easter="western")]
    whole = events.labels(YEARS, rules)
    for first, last in ((0, 1), (3, 4), (360, 371), (len(YEARS) - 1, len(YEARS))):
        np.testing.assert_array_equal(events.labels(YEARS[first:last], rules), whole[first:last])


def test_levels_are_all_labels_once_none_first():
    rules = [Rule("a", (-1, 1), date="01-05"), Rule("b", date="02-05"), Rule("b", date="03-05")]
    assert events.levels(rules) == ("none", "a-1", "a", "a+1", "b")
    assert set(events.labels(YEARS, rules)) == set(events.levels(rules))


def test_an_unknown_holiday_is_refused_with_the_known_ones():
    with pytest.raises(DataError, match="Labor Day") as error:
        events.labels(YEARS, [Rule("x", holiday="Labour Day")], "US")
    assert error.value.found == "Labour Day"


def test_a_holiday_needs_a_country():
    with pytest.raises(DataError, match=r"calendar\.country"):
        events.labels(YEARS, [Rule("x", holiday="Labor Day")])
