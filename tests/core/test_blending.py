import numpy as np
import pytest

from daycast.core.blending import LEAST, MOST, by_step, cross_fitted, mixed, weights
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


def two_models(rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of one model right at step 1 and one right at step 2, rows of both steps in turn: forecasts, actual, step."""
    actual = RNG.normal(size=rows)
    step = np.tile([1, 2], rows // 2)
    off = RNG.choice([-3.0, 3.0], rows)
    return np.stack([actual + off * (step != 1), actual + off * (step != 2)]), actual, step


def test_each_step_has_weights_of_its_own_where_it_has_rows_enough():
    forecasts, actual, step = two_models(4 * LEAST)
    found = by_step(forecasts, actual, np.ones(len(actual)), step, 3)
    np.testing.assert_allclose(found[:, :2], np.eye(2), atol=1e-9)
    np.testing.assert_allclose(found[:, 2], weights(forecasts, actual, np.ones(len(actual))))


def test_steps_with_few_rows_share_the_weights_of_all():
    forecasts, actual, step = two_models(4 * LEAST - 2)
    found = by_step(forecasts, actual, np.ones(len(actual)), step, 2)
    np.testing.assert_array_equal(found[:, 0], found[:, 1])
    np.testing.assert_array_equal(found[:, 0], weights(forecasts, actual, np.ones(len(actual))))


def test_rows_are_mixed_with_weights_that_have_not_seen_them():
    actual = RNG.normal(size=300)
    fold = np.repeat([0, 1, 2], 100)
    off = RNG.choice([-1.0, 1.0], 300)  # the first is right but in fold 0, the second there alone
    forecasts = actual + off * np.stack([fold == 0, fold != 0])
    made = cross_fitted(forecasts, actual, np.ones(300), np.ones(300, dtype=int), 1, fold)
    np.testing.assert_allclose(np.abs(made - actual)[fold == 0], 1.0)  # what won elsewhere
    changed = actual + 100.0 * (fold == 1)
    again = cross_fitted(forecasts, changed, np.ones(300), np.ones(300, dtype=int), 1, fold)
    np.testing.assert_array_equal(again[fold == 1], made[fold == 1])


def test_a_single_fold_is_mixed_with_its_own_weights():
    forecasts, actual, step = two_models(8 * LEAST)
    made = cross_fitted(forecasts, actual, np.ones(len(actual)), step, 2, np.zeros(len(actual), dtype=int))
    np.testing.assert_allclose(made, actual, atol=1e-9)


def test_a_missing_forecast_leaves_its_weight_to_the_others():
    forecasts = np.asarray([[1.0, np.nan, np.nan, 4.0], [3.0, 3.0, np.nan, np.nan]])
    found = mixed(forecasts, np.asarray([[0.25], [0.75]]))
    np.testing.assert_allclose(found, [2.5, 3.0, np.nan, 4.0])
    assert np.isnan(mixed(np.asarray([[np.nan], [1.0]]), np.asarray([[1.0], [0.0]]))).all()
