import numpy as np
import pytest

from daycast.core.blending import MOST, weights
from daycast.errors import DataError

RNG = np.random.default_rng(4)


def error(share, forecasts, actual, scale):
    return float(np.mean(np.abs(share @ forecasts - actual) / scale))


def test_weights_have_the_least_error_of_a_fine_grid_of_mixes():
    actual = RNG.normal(100, 10, 60)
    forecasts = actual + RNG.normal(0, [[3.0], [4.0], [9.0]], (3, 60)) + np.asarray([[2.0], [-2.0], [0.0]])
    scale = np.where(np.arange(60) < 30, 1.0, 5.0)
    found = weights(forecasts, actual, scale)
    assert found.sum() == pytest.approx(1.0)
    assert (found >= 0).all()
    grid = np.linspace(0, 1, 101)
    mixes = [np.asarray([a, b, 1 - a - b]) for a in grid for b in grid if a + b <= 1]
    best = min(error(mix, forecasts, actual, scale) for mix in mixes)
    assert error(found, forecasts, actual, scale) <= best + 1e-9


def test_a_perfect_model_has_all_the_weight():
    actual = RNG.normal(size=50)
    np.testing.assert_allclose(weights(np.stack([actual + 1, actual]), actual, np.ones(50)), [0, 1], atol=1e-9)


def test_equal_models_share_as_one():
    actual = RNG.normal(size=50)
    one = actual + RNG.normal(size=50)
    assert weights(np.stack([one, one]), actual, np.ones(50)).sum() == pytest.approx(1.0)


def test_rows_without_truth_forecast_or_scale_are_left_out():
    actual = np.asarray([1.0, 2.0, np.nan, 4.0, 5.0])
    good = np.asarray([1.0, 2.0, 3.0, np.nan, 900.0])
    bad = actual + np.asarray([5.0, 5.0, 5.0, 5.0, 0.0])
    found = weights(np.stack([good, bad]), actual, np.asarray([1.0, 1.0, 1.0, 1.0, np.nan]))
    np.testing.assert_allclose(found, [1, 0], atol=1e-9)


def test_many_rows_are_thinned_out():
    actual = np.tile([1.0, 2.0], MOST)
    found = weights(np.stack([actual + 1, actual]), actual, np.ones(2 * MOST))
    np.testing.assert_allclose(found, [0, 1], atol=1e-9)


def test_nothing_to_find_weights_on_is_refused():
    with pytest.raises(DataError, match="none of 3"):
        weights(np.ones((2, 3)), np.full(3, np.nan), np.ones(3))
