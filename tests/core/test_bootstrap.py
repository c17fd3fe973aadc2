import numpy as np
import pandas as pd
import pytest

from daycast.core.bootstrap import draws, mae_interval, mean_of_series

RNG = np.random.default_rng(2)


def rows(errors, horizon=1, series=("a",)):
    """Rows whose absolute errors are ``errors (O,)`` at every step and of every series."""
    days = pd.date_range("2024-01-01", periods=len(errors))
    made = [
        pd.DataFrame({"unique_id": s, "cutoff": days, "ds": days + pd.Timedelta(days=h), "y_hat": 0.0, "y": errors})
        for s in series
        for h in range(1, horizon + 1)
    ]
    return pd.concat(made, ignore_index=True)


def test_of_independent_errors_it_is_that_of_the_normal_distribution():
    errors = RNG.exponential(10, 400)
    low, high = mae_interval(rows(errors))
    half = 1.645 * errors.std() / np.sqrt(len(errors))
    assert (low, high) == pytest.approx((errors.mean() - half, errors.mean() + half), abs=0.35 * half)


def test_errors_that_hang_together_widen_it():
    slow = np.repeat(RNG.exponential(10, 40), 10)
    shuffled = RNG.permutation(slow)
    wide, narrow = (np.diff(mae_interval(rows(e)))[0] for e in (slow, shuffled))
    assert wide > 1.8 * narrow


def test_overlapping_forecasts_stay_together():
    errors = RNG.exponential(10, 200)
    near, far = (np.diff(mae_interval(rows(errors, horizon)))[0] for horizon in (1, 30))
    assert near != far
    assert mae_interval(rows(errors, 30)) == mae_interval(rows(errors, 30))  # and again the same


def test_each_series_counts_once_and_missing_values_not_at_all():
    made = rows(np.full(50, 4.0))
    other = rows(np.full(50, 10.0), series=("b",))
    other.loc[other.index[:10], "y"] = np.nan
    assert mae_interval(pd.concat([made, other])) == pytest.approx((7.0, 7.0))


def test_a_single_origin_tells_nothing():
    assert np.isnan(mae_interval(rows(np.asarray([3.0]), 7))).all()


@pytest.mark.parametrize("origins", [2, 5, 29, 30])
def test_few_origins_have_an_interval_too(origins):
    errors = RNG.exponential(10, origins)
    low, high = mae_interval(rows(errors, 3))
    assert errors.min() <= low < errors.mean() < high <= errors.max()


def test_a_sample_has_as_many_origins_as_there_are_and_blocks_of_neighbours():
    single, blocks = draws(60, 1), draws(60, 6)
    assert single.shape == blocks.shape == (2000, 60)
    assert (single.sum(axis=1) == 60).all()
    assert (blocks.sum(axis=1) == 60).all()
    near = [np.corrcoef(drawn[:, 30], drawn[:, 31])[0, 1] for drawn in (single, blocks)]
    assert near[0] < 0.1 < 0.6 < near[1]
    np.testing.assert_array_equal(blocks, draws(60, 6))


def test_series_without_a_value_are_left_out_of_their_mean():
    total, count = np.asarray([[8.0, 0.0], [8.0, 18.0], [0.0, 0.0]]), np.asarray([[2.0, 0.0], [2.0, 2.0], [0.0, 0.0]])
    np.testing.assert_array_equal(mean_of_series(total, count), [4.0, 6.5, np.nan])
    np.testing.assert_array_equal(mean_of_series(total, count, root=True), [2.0, 2.5, np.nan])
