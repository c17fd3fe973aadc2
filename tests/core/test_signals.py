"""Signals against slow, obvious versions, and that none of them looks ahead."""

from dataclasses import replace

import numpy as np
import pytest

from daycast.core.signals import signals
from daycast.errors import ModelError
from tests.core.eventful import AHEAD, KNOWN, LABELS, NAMES, RECIPE, STEPS, Y, future, panel


def made(recipe=RECIPE, steps=STEPS, y=Y):
    return signals(panel(steps, y), future(steps), y[:, :steps], recipe, AHEAD)


def observed(of, name):
    return of.observed[:, :, RECIPE.observed.index(name)]


def ahead(of, name):
    return of.ahead[:, :, RECIPE.ahead.index(name)]


def test_signals_have_their_names_along_their_last_axes():
    of = made()
    assert RECIPE.observed == ("innovation", "deviation", "mean3", "mean7", "growth7")
    assert RECIPE.ahead == ("analog", "analog1", "analog2", "analog_share", "is_event")
    assert of.observed.shape == (2, STEPS, 5)
    assert of.ahead.shape == (2, STEPS + AHEAD, 5)


def test_the_analog_is_the_median_of_earlier_deviations_and_of_none_it_is_zero():
    of = made()
    deviation = observed(of, "deviation")
    ordinary = 170  # its analogs: 56 and 112 days before
    assert LABELS[[170, 114, 58]].tolist() == ["none"] * 3
    np.testing.assert_array_equal(ahead(of, "analog1")[:, ordinary], deviation[:, 114])
    np.testing.assert_array_equal(ahead(of, "analog2")[:, ordinary], deviation[:, 58])
    np.testing.assert_allclose(ahead(of, "analog")[:, ordinary], (deviation[:, 114] + deviation[:, 58]) / 2)
    assert ahead(of, "analog_share")[:, 10].tolist() == [0, 0]
    assert ahead(of, "analog")[:, 10].tolist() == [0, 0]
    assert np.isnan(ahead(of, "analog1")[:, 10]).all()


def test_a_missing_analog_is_left_out():
    of = made()
    day = 93 + 56
    assert ahead(of, "analog_share")[:, day].tolist() == [0.5, 1]
    np.testing.assert_array_equal(ahead(of, "analog")[0, day], ahead(of, "analog2")[0, day])


def test_the_newest_of_a_class_are_told_as_known_at_the_cutoff():
    of = made()
    normal = LABELS == "none"
    for row, day in ((150, 151), (150, 160), (98, 99), (1, 8)):
        alike = [d for d in range(row + 1) if d % 7 == day % 7 and normal[d]][-2:]
        level = of.base(np.asarray([row]), np.asarray([day]))[:, 0]
        found = of.newer(np.asarray([row]), np.asarray([day]))
        assert found.shape == (2, 1, 1)
        np.testing.assert_allclose(found[:, 0, 0], np.nanmedian(Y[:, alike], axis=1) - level)
    assert made(replace(RECIPE, newest=None)).newer(np.arange(4), np.arange(4)).shape == (2, 4, 0)


def test_the_days_of_an_event_have_those_of_its_last_one():
    of = made()
    first, second = np.flatnonzero(LABELS == "fair")
    np.testing.assert_array_equal(ahead(of, "analog1")[:, second], observed(of, "deviation")[:, first])
    assert ahead(of, "is_event")[:, [first, first - 1]].tolist() == [[1, 0]] * 2


def test_innovations_and_their_means_are_those_of_the_sentences():
    of = made()
    innovation = observed(of, "deviation") - ahead(of, "analog")[:, :STEPS]
    np.testing.assert_array_equal(observed(of, "innovation"), innovation)
    for day in (40, 92, 99, 199):
        for width in (3, 7):
            last = innovation[:, day - width + 1 : day + 1]
            expected = [row[np.isfinite(row)].mean() if np.isfinite(row).any() else np.nan for row in last]
            np.testing.assert_allclose(observed(of, f"mean{width}")[:, day], expected, rtol=1e-9, atol=1e-12)


def test_growth_compares_with_a_year_before():
    of = made()
    growth = observed(of, "growth7")
    assert np.isnan(growth[:, :56]).all()
    expected = Y[1, 144:151].mean() - Y[1, 88:95].mean()
    np.testing.assert_allclose(growth[1, 150], expected)


def test_a_closed_day_counts_in_no_level_and_is_no_analog_but_its_deviation_is_told():
    shut = Y.copy()
    shut[1, 93 : 93 + 35] = -99.0  # five weeks, beyond the window of three likes
    of = made(replace(RECIPE, closed=-99.0), y=shut)
    missing = made(y=np.where(shut == -99.0, np.nan, shut))
    rows, days = np.full(14, 127), np.arange(128, 142)
    np.testing.assert_array_equal(of.base(rows, days), missing.base(rows, days))
    np.testing.assert_array_equal(of.ahead, missing.ahead)
    np.testing.assert_allclose(observed(of, "deviation")[1, 100], -99.0 - missing.base(rows - 28, days - 28)[1, 0])
    np.testing.assert_array_equal(observed(of, "deviation")[0], observed(missing, "deviation")[0])
    at_zero = made(y=shut)  # what it is for: else the level falls to that of closed days
    assert (at_zero.base(rows, days)[1] == -99.0).all()


def test_a_series_that_never_was_open_yet_has_the_level_it_has():
    shut = Y.copy()
    shut[1, :150] = 0.0
    shut[1, 150:] = 8.0
    of = made(replace(RECIPE, closed=0.0), y=shut)
    np.testing.assert_array_equal(of.base(np.array([120, 149, 199]), np.array([121, 151, 200]))[1], [0.0, 0.0, 8.0])


def test_a_series_that_began_on_an_event_has_the_level_of_that_until_a_normal_day():
    day = int(np.flatnonzero(LABELS == "fair")[0])
    born = Y.copy()
    born[1, :day] = np.nan
    first = day + int(np.argmax(LABELS[day:] == "none"))
    of, rows = made(y=born), np.arange(day - 1, first + 1)
    found = of.base(rows, np.full(len(rows), first + 1))[1]
    assert np.isnan(found[0])
    np.testing.assert_array_equal(found[1:-1], [np.median(Y[1, day : row + 1]) for row in rows[1:-1]])
    assert len(found) > 2
    assert found[-1] == Y[1, first]
    np.testing.assert_array_equal(of.base(rows, rows + 1)[0], made().base(rows, rows + 1)[0])


def test_signals_of_a_shorter_history_are_the_same_bits():
    whole, short = made(), made(steps=150)
    np.testing.assert_array_equal(whole.observed[:, :150], short.observed)
    np.testing.assert_array_equal(whole.ahead[:, : 150 + AHEAD], short.ahead)
    days = np.arange(150, 150 + AHEAD)
    rows = np.full(AHEAD, 149)
    np.testing.assert_array_equal(whole.base(rows, days), short.base(rows, days))


def test_nothing_moves_when_later_values_do():
    other = Y.copy()
    other[:, 150:] *= 100
    before, after = made(), made(y=other)
    np.testing.assert_array_equal(before.observed[:, :150], after.observed[:, :150])
    np.testing.assert_array_equal(before.ahead[:, : 150 + AHEAD], after.ahead[:, : 150 + AHEAD])


def test_without_analogs_the_innovation_is_the_deviation():
    of = made(replace(RECIPE, analogs=0))
    np.testing.assert_array_equal(of.observed[:, :, 0], of.observed[:, :, 1])


def test_a_history_alone_has_signals_of_its_own_length():
    of = signals(panel(), None, Y, RECIPE, AHEAD)
    np.testing.assert_array_equal(of.ahead, made().ahead[:, :STEPS])


def test_data_without_events_have_none():
    one = replace(panel(), known=KNOWN[:STEPS, :7], known_names=NAMES[:7])
    assert not signals(one, None, Y, RECIPE, 1).event.any()


def test_a_horizon_beyond_the_analogs_is_refused():
    with pytest.raises(ModelError, match=r"profile\.year = 56"):
        signals(panel(), future(), Y, RECIPE, 57)
