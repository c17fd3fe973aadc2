import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from daycast.core import difference
from daycast.core.difference import Difference
from daycast.errors import TransformError


@pytest.mark.parametrize("lags", [(1,), (7,), (7, 1), (1, 7), (1, 1), (364, 7, 1)])
def test_forward_equals_pandas_diff_taken_in_turn(lags):
    y = np.random.default_rng(1).normal(size=(3, 500))
    y[1, 40] = np.nan
    expected = pd.DataFrame(y.T)
    for lag in lags:
        expected = expected.diff(lag)
    assert_array_equal(difference.forward(Difference(lags), y), expected.to_numpy().T)


def test_forward_of_a_series_no_longer_than_the_lag_is_all_missing():
    assert np.isnan(difference.forward(Difference((5,)), np.ones((2, 5)))).all()
    assert np.isnan(difference.forward(Difference((5, 1)), np.ones((2, 3)))).all()


@pytest.mark.parametrize(("lag", "steps"), [(1, 1), (1, 24), (7, 3), (7, 7), (7, 8), (7, 24)])
def test_inverse_equals_a_loop_that_adds_one_value_at_a_time(lag, steps):
    rng = np.random.default_rng(2)
    z, anchor = rng.normal(size=(2, 3, steps)), rng.normal(size=(2, 3, lag))
    expected = np.concatenate([anchor, np.zeros_like(z)], axis=-1)
    for t in range(steps):
        expected[..., lag + t] = z[..., t] + expected[..., t]
    assert_array_equal(difference.inverse(Difference((lag,)), z, anchor), expected[..., lag:])


def test_inverse_leaves_what_it_is_given_as_it_was():
    z, anchor = np.ones((1, 20)), np.full((1, 8), 3.0)
    difference.inverse(Difference((7, 1)), z, anchor)
    assert_array_equal(z, np.ones((1, 20)))
    assert_array_equal(anchor, np.full((1, 8), 3.0))


def test_memory_is_the_sum_of_the_lags():
    assert Difference((364, 7, 1)).memory == 372


@pytest.mark.parametrize("lags", [(), (0,), (7, -1), (1.5,)])
def test_lags_that_are_not_whole_numbers_of_at_least_one_are_refused(lags):
    with pytest.raises(TransformError, match="at least 1"):
        Difference(lags)
