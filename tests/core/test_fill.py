import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from daycast.core.fill import recent, seasonal_fill

nan = np.nan


def slowly_filled(y, season):
    """The rule of ``seasonal_fill``, one value at a time."""
    out = y.copy()
    for i, row in enumerate(y):
        for t in np.flatnonzero(np.isnan(row)):
            same_phase = [row[s] for s in range(t - season, -1, -season) if not np.isnan(row[s])]
            any_phase = [row[s] for s in range(t - 1, -1, -1) if not np.isnan(row[s])]
            out[i, t] = (same_phase or any_phase or [nan])[0]
    return out


def test_a_gap_takes_the_last_value_of_its_phase_then_of_any_and_nothing_before_the_first():
    y = np.array([[nan, nan, 3.0, nan, nan, nan, 7.0, nan, nan]])
    assert_array_equal(seasonal_fill(y, 3), [[nan, nan, 3.0, 3.0, 3.0, 3.0, 7.0, 7.0, 3.0]])


def holey(seed, length, share):
    rng = np.random.default_rng(seed)
    y = rng.normal(size=(4, length))
    y[rng.random((4, length)) < share] = nan
    y[1, : length // 2] = nan
    y[2, length // 3 :] = nan
    y[3] = nan
    return y


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 80), st.floats(0, 1), st.integers(1, 9))
def test_filling_equals_the_rule_taken_one_value_at_a_time(seed, length, share, season):
    y = holey(seed, length, share)
    assert_array_equal(seasonal_fill(y, season), slowly_filled(y, season))


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 400), st.floats(0, 1), st.integers(1, 9), st.data())
def test_the_end_of_a_filled_history_is_the_same_without_filling_all_of_it(seed, length, share, season, data):
    y = holey(seed, length, share)
    steps = data.draw(st.integers(1, length))
    assert_array_equal(recent(y, steps, season), seasonal_fill(y, season)[:, -steps:])


def test_a_filled_value_does_not_depend_on_what_comes_after_it():
    y = holey(1, 90, 0.4)
    other = y.copy()
    other[:, 60:] = 1e6
    assert_array_equal(seasonal_fill(y, 7)[:, :60], seasonal_fill(other, 7)[:, :60])


@pytest.mark.parametrize("lead", [(), (2,), (3, 2)])
def test_leading_dimensions_are_filled_row_by_row(lead):
    y = np.random.default_rng(0).normal(size=(*lead, 30))
    y[..., 11:20] = nan
    filled = seasonal_fill(y, 7)
    assert filled.shape == y.shape
    assert_array_equal(filled.reshape(-1, 30), slowly_filled(y.reshape(-1, 30), 7))
