"""The profile and its analogs against slow, obvious versions of the same sentences."""

import numpy as np
import pytest

from daycast.core import profile
from daycast.errors import ModelError

RNG = np.random.default_rng(3)
STEPS = 220
DAYS = np.arange(STEPS)
WEEKDAY = DAYS % 7
EVENT = np.zeros(STEPS, dtype=np.int64)
EVENT[[30, 86, 142, 198]] = 1  # always on one weekday
EVENT[[40, 95, 151]] = 2  # on several
TYPE = np.where((WEEKDAY == 6) | (EVENT > 0), 2, np.where(WEEKDAY == 5, 1, 0))
COLUMNS = {"weekday": (WEEKDAY, tuple("abcdefg")), "type": (TYPE, ("W", "A", "U"))}
Z = RNG.normal(size=(2, STEPS)) + WEEKDAY
Z[0, 50:75] = np.nan
Z[1, :20] = np.nan


def codes(by=("weekday", "type")):
    return profile.classes(COLUMNS.get, by, STEPS)


def slow_level(z, cutoff, day, window, statistic, least=None):
    """The level of ``day``'s class at ``cutoff``, from the sentences of the module."""
    keys = [lambda d: (WEEKDAY[d], TYPE[d]), lambda d: TYPE[d], lambda _: 0]
    for width, key in enumerate(keys):
        enough = 1 if width == 2 else least or (window + 1) // 2
        alike = [d for d in range(cutoff + 1) if EVENT[d] == 0 and key(d) == key(day)]
        for end in range(len(alike), 0, -1):
            last = [z[d] for d in alike[max(0, end - window) : end] if np.isfinite(z[d])]
            if len(last) >= enough:
                return getattr(np, statistic)(last)
    return np.nan


def test_classes_combine_their_columns_and_get_wider():
    narrow, middle, wide = codes()
    assert narrow.tolist() == (WEEKDAY * 3 + TYPE).tolist()
    assert middle.tolist() == TYPE.tolist()
    assert set(wide) == {0}


def test_classes_of_a_column_that_is_not_known_are_refused():
    with pytest.raises(ModelError, match=r"no \['kind'\]"):
        codes(by=("weekday", "kind"))


@pytest.mark.parametrize("statistic", ["median", "mean"])
@pytest.mark.parametrize(("window", "enough"), [(1, None), (4, None), (4, 1), (4, 3)])
def test_levels_are_those_of_the_sentences(window, enough, statistic):
    of = codes()
    known = profile.levels(Z, EVENT == 0, of, window, statistic, enough)
    rows, days = np.meshgrid(np.arange(0, STEPS, 7), np.arange(3, STEPS, 11), indexing="ij")
    rows, days = rows.ravel(), days.ravel()
    found = known.at(rows, of[:, days])
    for n in range(2):
        expected = [slow_level(Z[n], r, d, window, statistic, enough) for r, d in zip(rows, days, strict=True)]
        np.testing.assert_allclose(found[n], expected, rtol=1e-12)


def test_levels_do_not_change_when_later_values_do():
    of = codes()
    later = Z.copy()
    later[:, 120:] = RNG.normal(size=(2, STEPS - 120)) * 100
    rows = np.arange(120)
    before = profile.levels(Z, EVENT == 0, of, 5, "mean").at(rows, of[:, rows])
    after = profile.levels(later, EVENT == 0, of, 5, "mean").at(rows, of[:, rows])
    np.testing.assert_array_equal(before, after)


def test_levels_of_a_shorter_history_are_the_same_bits():
    of = codes()
    rows = np.arange(120)
    whole = profile.levels(Z, EVENT == 0, of, 5, "mean").at(rows, of[:, rows + 14])
    short = profile.levels(Z[:, :120], EVENT[:120] == 0, of[:, :120], 5, "mean").at(rows, of[:, rows + 14])
    np.testing.assert_array_equal(whole, short)


def test_a_class_the_history_has_never_seen_takes_a_wider_level():
    of = codes()
    known = profile.levels(Z[:, :4], EVENT[:4] == 0, of[:, :4], 3, "median")
    unseen = np.asarray([[6 * 3 + 2], [2], [0]])
    np.testing.assert_allclose(known.at(np.asarray([3]), unseen)[0, 0], np.median(Z[0, 1:4]))


@pytest.mark.parametrize("statistic", ["median", "mean"])
def test_a_series_without_a_normal_day_yet_has_the_level_of_the_days_it_has(statistic):
    z = np.array([[np.nan, 1.0, 2.0, 9.0, np.nan, 100.0, 7.0], [np.nan] * 5 + [3.0, 4.0], [1.0] + [np.nan] * 6])
    normal = np.array([False, False, False, False, False, True, True])
    found = profile.early(z, normal, 3, statistic)
    three = {"median": 2.0, "mean": 4.0}[statistic]
    np.testing.assert_array_equal(found[0], [np.nan, 1.0, 1.5, three, 5.5, np.nan, np.nan])
    assert np.isnan(found[1]).all()
    np.testing.assert_array_equal(found[2], 1.0)  # carried on, and for ever


def test_deviations_are_from_the_level_known_the_day_before():
    of = codes()
    known = profile.levels(Z, EVENT == 0, of, 3, "median")
    found = profile.deviations(Z, of, known)
    assert np.isnan(found[:, 0]).all()
    for day in (21, 100, 142, 219):
        expected = Z[0, day] - slow_level(Z[0], day - 1, day, 3, "median")
        np.testing.assert_allclose(found[0, day], expected, rtol=1e-12)


def slow_analogs(day, of, count, year, horizon):
    if EVENT[day]:
        before = [d for d in range(day - horizon, -1, -1) if EVENT[d] == EVENT[day]]
        alike = [d for d in before if of[d] == of[day]]
        return (alike or before)[:count]
    out = []
    for years in range(1, count + 3):
        for shift in (0, 7, -7):
            d = day - year * years + shift
            if d >= 0 and day - d >= horizon and EVENT[d] == 0 and of[d] == of[day]:
                out.append(d)
                break
    return out[:count]


@pytest.mark.parametrize("horizon", [1, 14, 50])
def test_analogs_are_those_of_the_sentences(horizon):
    of = codes()[0]
    found = profile.analogs(EVENT, of, 3, 56, horizon)
    for day in range(STEPS):
        expected = slow_analogs(day, of, 3, 56, horizon)
        assert found[day].tolist() == expected + [-1] * (3 - len(expected)), day


def test_analogs_of_an_events_day_prefer_its_own_class():
    event = np.asarray([1, 0, 1, 0, 1])
    of = np.asarray([0, 0, 1, 0, 0])
    assert profile.analogs(event, of, 2, 50, 1)[4].tolist() == [0, -1]
    assert profile.analogs(event, np.asarray([3, 0, 1, 0, 0]), 2, 50, 1)[4].tolist() == [2, 0]
