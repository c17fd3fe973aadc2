import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose
from statsmodels.tsa.stattools import adfuller, kpss

from daycast.core import transform
from daycast.core.diagnostics import autocorrelation, stationarity
from daycast.core.transform import Difference

nan = np.nan


def walks(n=3, steps=600, seed=0):
    return np.random.default_rng(seed).normal(size=(n, steps)).cumsum(axis=1)


def test_differencing_makes_a_random_walk_stationary():
    y = walks()
    fitted = transform.fit([Difference((1,))], y)
    before, after = (stationarity(values, list("abc")) for values in (y, transform.forward(fitted, y)))
    assert list(before.columns) == ["unique_id", "adf_p", "kpss_p", "steps", "verdict"]
    assert list(before["verdict"]) == ["not stationary"] * 3
    assert list(after["verdict"]) == ["stationary"] * 3
    assert list(after["steps"]) == [599] * 3


def test_p_values_are_those_of_the_longest_run_without_a_gap():
    y = np.random.default_rng(1).normal(size=(1, 400))
    y[0, [0, 100, 350]] = nan
    row = stationarity(y, ["a"]).iloc[0]
    run = y[0, 101:350]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert row["adf_p"] == adfuller(run, result_object=False)[1]
        assert row["kpss_p"] == kpss(run, result_object=False)[1]
    assert row["steps"] == 249


def test_only_the_most_recent_steps_are_judged():
    y = np.concatenate([walks(1, 2000), np.random.default_rng(1).normal(size=(1, 300))], axis=1)
    assert stationarity(y, ["a"], most_steps=300).iloc[0][["steps", "verdict"]].tolist() == [300, "stationary"]


def test_of_two_runs_as_long_the_later_is_taken():
    noise, walk = np.random.default_rng(1).normal(size=200), walks(1, 200)[0]
    y = np.concatenate([walk, [nan], noise])[None]
    assert stationarity(y, ["a"])["verdict"].item() == "stationary"


def test_tests_that_disagree_leave_the_verdict_unclear():
    noise = np.random.default_rng(0).normal(size=400)
    shifted = noise + np.repeat([0.0, 0.7], 200)  # no unit root, and yet no constant level: both tests reject
    both = stationarity(shifted[None], ["a"]).iloc[0]
    assert both["adf_p"] < 0.05 > both["kpss_p"]
    assert both["verdict"] == "unclear"
    short = stationarity(walks(20, 30, seed=1), [str(i) for i in range(20)])  # few steps: often neither rejects
    neither = short[(short["adf_p"] >= 0.05) & (short["kpss_p"] >= 0.05)]
    assert len(neither) > 3
    assert set(neither["verdict"]) == {"unclear"}


@pytest.mark.parametrize(
    "values",
    [
        np.full(200, 0.1),
        np.zeros(200),
        np.full(200, nan),
        np.concatenate([np.random.default_rng(0).normal(size=29), np.full(171, nan)]),
        np.where(np.arange(200) % 10 == 0, nan, np.random.default_rng(0).normal(size=200)),
        np.concatenate([[nan], np.diff(np.arange(200) * 0.1)]),
        np.concatenate([np.zeros(199), [1.0]]),
    ],
    ids=["constant", "zero", "missing", "short", "runs too short", "rounding only", "no noise"],
)
def test_a_series_that_says_nothing_is_not_testable_instead_of_a_crash(values):
    row = stationarity(values[None], ["a"]).iloc[0]
    assert row["verdict"] == "not testable"
    assert np.isnan([row["adf_p"], row["kpss_p"]]).all()


@pytest.mark.parametrize("values", [np.arange(200) * 0.1, np.tile([1.0, 2.0], 100), 1.1 ** np.arange(200)])
def test_an_exact_pattern_gets_a_verdict_without_a_warning(values):
    assert stationarity(values[None], ["a"])["verdict"].item() in ("stationary", "not stationary", "unclear")


def test_autocorrelation_equals_its_definition():
    r = np.random.default_rng(0).normal(size=300).cumsum()
    d = r - r.mean()
    expected = [float((d[: 300 - k] * d[k:]).sum() / (d * d).sum()) for k in range(15)]
    assert_allclose(autocorrelation(r, 14), expected, rtol=1e-10)


def test_autocorrelation_leaves_missing_values_out():
    r = np.random.default_rng(0).normal(size=400)
    r[1:] += 0.8 * r[:-1]
    holey = r.copy()
    holey[100:120] = nan
    assert_allclose(autocorrelation(holey, 5), autocorrelation(r, 5), atol=0.05)


@pytest.mark.parametrize("residuals", [np.ones(20), np.full(20, nan), np.array([]), np.array([3.0])])
def test_autocorrelation_of_residuals_without_variation_is_unknown(residuals):
    assert np.isnan(autocorrelation(residuals, 3)).all()
    assert len(autocorrelation(residuals, 3)) == 4


def test_autocorrelation_beyond_the_residuals_is_unknown():
    assert np.isnan(autocorrelation(np.arange(4.0), 6)).tolist() == [False] * 4 + [True] * 3
