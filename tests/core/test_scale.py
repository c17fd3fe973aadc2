import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from daycast.core import scale
from daycast.core.scale import Scale
from daycast.errors import TransformError

METHODS = ("standard", "minmax", "robust", "none")


def fit(step, y):
    return scale.fit(step, y, np.nanmax(np.abs(np.nan_to_num(y)), axis=1))


def test_standard_gives_each_series_mean_zero_and_deviation_one():
    y = np.random.default_rng(1).normal([[5.0], [-900.0]], [[2.0], [30.0]], size=(2, 400))
    z = scale.forward(Scale("standard"), fit(Scale("standard"), y), y)
    assert_allclose(z.mean(axis=1), 0, atol=1e-12)
    assert_allclose(z.std(axis=1), 1)


def test_minmax_gives_each_series_the_range_zero_to_one():
    y = np.random.default_rng(1).normal(size=(2, 50)) * [[1.0], [1e6]]
    z = scale.forward(Scale("minmax"), fit(Scale("minmax"), y), y)
    assert_array_equal(z.min(axis=1), 0)
    assert_allclose(z.max(axis=1), 1)


def test_robust_is_the_median_and_the_interquartile_range():
    y = np.array([[1.0, 2.0, 3.0, 4.0, 1e9]])
    assert fit(Scale("robust"), y) == {"shift": [3.0], "scale": [2.0]}


def test_robust_takes_the_deviation_where_most_values_are_equal():
    y = np.array([[0.0] * 9 + [10.0]])
    assert fit(Scale("robust"), y) == {"shift": [0.0], "scale": [pytest.approx(3.0)]}


def test_mean_divides_by_the_mean_size_and_keeps_signs_and_shares():
    y = np.array([[-1.0, 3.0, np.nan, 2.0]])
    assert fit(Scale("mean"), y) == {"shift": [0.0], "scale": [2.0]}


def test_log1p_is_taken_before_the_scale():
    y = np.expm1(np.array([[1.0, 2.0, 3.0]]))
    state = fit(Scale("minmax", log1p=True), y)
    assert_allclose(scale.forward(Scale("minmax", log1p=True), state, y), [[0, 0.5, 1]])


@pytest.mark.parametrize("log1p", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_a_constant_series_is_shifted_and_not_divided(method, log1p):
    y = np.full((3, 101), 0.1) * [[0.0], [1.0], [1e9]]
    step = Scale(method, log1p)
    state = fit(step, y)
    assert state["scale"] == [1.0, 1.0, 1.0]
    assert_allclose(scale.inverse(step, state, scale.forward(step, state, y)), y, rtol=1e-14)


@pytest.mark.parametrize("method", METHODS)
def test_a_series_without_a_value_gets_the_neutral_state(method):
    y = np.full((1, 9), np.nan)
    assert fit(Scale(method), y) == {"shift": [0.0], "scale": [1.0]}


@pytest.mark.parametrize("method", METHODS)
def test_missing_values_are_left_out_of_the_fit(method):
    values = np.random.default_rng(3).normal(size=(1, 60))
    holes = np.concatenate([np.full((1, 5), np.nan), values[:, :30], np.full((1, 9), np.nan), values[:, 30:]], axis=1)
    for name, numbers in fit(Scale(method), holes).items():
        assert_allclose(numbers, fit(Scale(method), values)[name], rtol=1e-12)


def test_log1p_refuses_values_below_zero_and_says_how_many():
    with pytest.raises(TransformError, match="2 below 0, the least -3"):
        fit(Scale("none", log1p=True), np.array([[1.0, -3.0, np.nan, -0.5]]))


def test_an_absurd_forecast_becomes_infinite_without_a_warning():
    assert scale.inverse(Scale("none", log1p=True), {"shift": [0.0], "scale": [1.0]}, np.array([[800.0]])) == np.inf


def test_an_unknown_method_is_refused():
    with pytest.raises(TransformError, match="standard"):
        Scale("median")


def test_where_logs_were_taken_nothing_comes_back_below_zero():
    step, y = Scale("standard", log1p=True), np.array([[0.0, 0.0, 3.0, 9.0]])
    state = fit(step, y)
    assert_allclose(scale.inverse(step, state, scale.forward(step, state, y)), y, atol=1e-12)
    assert scale.inverse(step, state, np.array([[-50.0, np.nan]]))[0, 0] == 0.0
    assert np.isnan(scale.inverse(step, state, np.array([[-50.0, np.nan]]))[0, 1])
