import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from daycast.core import transform
from daycast.core.transform import Difference, Fitted, Scale
from daycast.errors import TransformError

STEPS = 720
HISTORY = 500
LAGS = [(1,), (7,), (7, 1), (1, 7), (30, 7), (364, 7, 1)]

scales = st.builds(Scale, st.sampled_from(["standard", "minmax", "robust", "none"]))
differences = st.builds(Difference, st.sampled_from(LAGS))
chains = st.tuples(st.lists(scales, max_size=2), st.lists(differences, max_size=1), st.lists(scales, max_size=2)).map(
    lambda parts: [step for part in parts for step in part]
)


def family(name, seed, length=HISTORY + STEPS):
    """One series of a kind that round trips are known to break on."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=length)
    return {
        "zero-crossing": noise,
        "walk": noise.cumsum() * 100,
        "mixed magnitude": rng.choice([-1.0, 1.0], length) * 10.0 ** rng.uniform(-6, 9, length),
        "constant": np.full(length, 10.0 ** rng.uniform(-9, 12)),
        "zero": np.zeros(length),
        "high level": 1e9 + noise,
        "closed for months": np.where(np.arange(length) % 300 < 280, 0.0, np.exp(noise) * 1e4),
    }[name]


FAMILIES = ("zero-crossing", "walk", "mixed magnitude", "constant", "zero", "high level", "closed for months")
series = st.lists(st.builds(family, st.sampled_from(FAMILIES), st.integers(0, 2**32)), min_size=1, max_size=3).map(
    np.stack
)


def worst(got, y):
    """Largest error of each series, relative to its largest value."""
    return np.max(np.abs(got - y), axis=-1) / np.maximum(np.max(np.abs(y), axis=-1), 1e-300)


@settings(max_examples=150, deadline=None)
@given(chains, series)
def test_forecasts_come_back_to_a_ten_billionth_over_720_steps(steps, y):
    fitted = transform.fit(steps, y[:, :HISTORY])
    tail = y[:, HISTORY - fitted.memory : HISTORY]
    z = transform.forward(fitted, y)[:, HISTORY:]
    assert np.all(worst(transform.inverse(fitted, z, tail), y[:, HISTORY:]) <= 1e-10)


@settings(max_examples=150, deadline=None)
@given(chains, series)
def test_fitted_values_come_back_to_a_ten_billionth_over_720_steps(steps, y):
    y = y[:, :STEPS]
    fitted = transform.fit(steps, y)
    back = transform.inverse_fitted(fitted, transform.forward(fitted, y), y[:, : fitted.memory])
    assert np.all(worst(back, y) <= 1e-10)


@settings(max_examples=100, deadline=None)
@given(chains, series, st.sampled_from(["standard", "minmax", "robust", "none"]))
def test_logarithms_come_back_too_before_any_chain(steps, y, method):
    y = np.abs(y)
    fitted = transform.fit([Scale(method, log1p=True), *steps], y[:, :HISTORY])
    z = transform.forward(fitted, y)
    tail = y[:, HISTORY - fitted.memory : HISTORY]
    assert np.all(worst(transform.inverse(fitted, z[:, HISTORY:], tail), y[:, HISTORY:]) <= 1e-10)
    back = transform.inverse_fitted(fitted, z[:, :STEPS], y[:, : fitted.memory])
    assert np.all(worst(back, y[:, :STEPS]) <= 1e-10)


@pytest.mark.parametrize("method", ["standard", "robust", "none"])
@pytest.mark.parametrize("name", FAMILIES)
def test_two_plain_differences_come_back_to_a_ten_billionth_as_well(name, method):
    y = np.stack([family(name, seed) for seed in range(10)])
    fitted = transform.fit([Difference((1, 1)), Scale(method)], y[:, :HISTORY])
    z, tail = transform.forward(fitted, y)[:, HISTORY:], y[:, HISTORY - 2 : HISTORY]
    assert np.all(worst(transform.inverse(fitted, z, tail), y[:, HISTORY:]) <= 1e-10)


@pytest.mark.parametrize("lags", LAGS)
@pytest.mark.parametrize("before", [[], [Scale("standard")]])
def test_an_anchor_shifted_by_one_step_does_not_reproduce_the_series(before, lags):
    y = family("zero-crossing", 5)[None]
    fitted = transform.fit([*before, Difference(lags), Scale("robust")], y)
    z, m = transform.forward(fitted, y), fitted.memory
    late = transform.inverse(fitted, z[:, HISTORY:], y[:, HISTORY - m - 1 : HISTORY - 1])
    assert worst(late, y[:, HISTORY:])[0] > 0.1
    assert worst(transform.inverse_fitted(fitted, z, y[:, 1 : m + 1]), y)[0] > 0.1


@pytest.mark.parametrize("length", [0, 7, 9])
def test_an_anchor_of_the_wrong_length_is_refused(length):
    fitted = transform.fit([Difference((7, 1))], np.ones((2, 20)))
    for undo in (transform.inverse, transform.inverse_paths):
        with pytest.raises(TransformError, match="anchor of 8"):
            undo(fitted, np.ones((2, 3)), np.ones((2, length)))
    with pytest.raises(TransformError, match="anchor of 8"):
        transform.inverse_fitted(fitted, np.ones((2, 20)), np.ones((2, length)))


def test_fitting_does_not_see_anything_after_the_cutoff():
    rng = np.random.default_rng(7)
    y = rng.gamma(2.0, 100.0, size=(4, 600))
    other = y.copy()
    other[:, 400:] = rng.permuted(y[:, 400:], axis=1) * 50
    for steps in ([Scale("standard", log1p=True), Difference((7, 1))], [Difference((7,)), Scale("robust")]):
        one, two = (transform.fit(steps, values[:, :400]) for values in (y, other))
        assert json.dumps(one.to_json()) == json.dumps(two.to_json())
        assert_array_equal(transform.forward(one, y)[:, :400], transform.forward(two, other)[:, :400])


@given(chains, series)
@settings(max_examples=50, deadline=None)
def test_a_fitted_chain_survives_json_without_losing_a_bit(steps, y):
    fitted = transform.fit(steps, y[:, :HISTORY])
    assert Fitted.from_json(json.loads(json.dumps(fitted.to_json()))) == fitted


def test_a_state_is_a_few_numbers_per_series():
    fitted = transform.fit(
        [Difference((7, 1)), Scale("standard", log1p=False)], np.random.default_rng(0).random((100, 2000))
    )
    assert len(json.dumps(fitted.to_json())) < 100 * 50


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"series": 1, "steps": [{"kind": "scale", "method": "standard"}], "states": []},
        {"series": 1, "steps": [{"kind": "scale", "method": "standard"}], "states": [{}]},
        {"series": 2, "steps": [{"kind": "scale", "method": "none"}], "states": [{"shift": [0.0], "scale": [1.0]}]},
        {"series": 1, "steps": [{"kind": "difference", "lags": [1]}], "states": [{"shift": [0.0]}]},
        {"series": "one", "steps": [], "states": []},
        {"series": 1, "steps": [], "states": [[1.0]]},
        {"series": 1, "steps": None, "states": None},
    ],
)
def test_values_that_no_chain_has_written_are_refused(values):
    with pytest.raises(TransformError, match="to_json"):
        Fitted.from_json(values)


def test_a_step_is_made_from_its_description():
    assert transform.step({"kind": "difference", "lags": [7, 1]}) == Difference((7, 1))
    assert transform.step({"kind": "scale", "method": "robust", "log1p": True}) == Scale("robust", log1p=True)


@pytest.mark.parametrize(
    "values", [{"kind": "smooth"}, {}, {"kind": "scale"}, {"kind": "difference", "lags": [1], "method": "none"}]
)
def test_a_step_that_does_not_exist_is_refused(values):
    with pytest.raises(TransformError):
        transform.step(values)


def test_quantiles_are_not_added_up_through_a_difference_shorter_than_the_horizon():
    walk = np.random.default_rng(0).normal(size=(1, 500)).cumsum(axis=1)
    fitted = transform.fit([Difference((1,))], walk)
    with pytest.raises(TransformError, match="sample paths"):
        transform.inverse_quantiles(fitted, np.zeros((1, 24, 3)), walk[:, -1:])


def test_paths_of_a_random_walk_have_the_spread_that_added_quantiles_miss():
    history = np.zeros((1, 50))
    fitted = transform.fit([Difference((1,))], history)
    steps = np.random.default_rng(1).normal(size=(40_000, 1, 24))
    paths = transform.inverse_paths(fitted, steps, history[:, -1:])
    assert np.quantile(paths[:, 0, -1], 0.9) == pytest.approx(6.28, abs=0.12)  # 1.2816 · sqrt(24)
    added = transform.inverse(fitted, np.quantile(steps, 0.9, axis=0), history[:, -1:])
    assert added[0, -1] == pytest.approx(30.8, abs=0.6)  # what the refusal protects from


@pytest.mark.parametrize(
    "steps", [[Scale("standard", log1p=True)], [Scale("robust"), Difference((24, 30)), Scale("minmax")]]
)
def test_quantiles_within_the_lags_are_those_of_the_paths(steps):
    rng = np.random.default_rng(4)
    y = rng.gamma(3.0, 100.0, size=(2, 300))
    fitted = transform.fit(steps, y)
    paths = rng.normal(size=(101, 3, 2, 24)) * 0.1  # (S, O, N, H)
    tail = np.stack([y[:, 200 + o - fitted.memory : 200 + o] for o in range(3)])
    levels = [0.1, 0.5, 0.9]  # at 101 draws each is one of them, so no interpolation blurs the comparison
    q = np.moveaxis(np.quantile(paths, levels, axis=0), 0, -1)
    got = transform.inverse_quantiles(fitted, q, tail)
    expected = np.moveaxis(np.quantile(transform.inverse_paths(fitted, paths, tail), levels, axis=0), 0, -1)
    assert got.shape == (3, 2, 24, 3)
    assert_allclose(got, expected, rtol=1e-10)
    assert np.all(np.diff(got, axis=-1) >= 0)


def test_each_origin_is_undone_from_its_own_tail():
    y = np.random.default_rng(2).normal(size=(3, 200)).cumsum(axis=1)
    fitted = transform.fit([Difference((7, 1)), Scale("standard")], y)
    z, cutoffs = transform.forward(fitted, y), (100, 120, 150)
    got = transform.inverse(
        fitted, np.stack([z[:, c : c + 30] for c in cutoffs]), np.stack([y[:, c - 8 : c] for c in cutoffs])
    )
    assert_allclose(got, np.stack([y[:, c : c + 30] for c in cutoffs]), rtol=1e-10, atol=1e-10)


def test_a_missing_value_in_the_tail_spoils_only_the_steps_that_hang_on_it():
    y = np.arange(40.0)[None]
    fitted = transform.fit([Difference((7,))], y)
    tail = y[:, -7:].copy()
    tail[0, 2] = np.nan
    assert_array_equal(np.flatnonzero(np.isnan(transform.inverse(fitted, np.ones((1, 20)), tail)[0])), [2, 9, 16])


def test_a_straight_line_has_no_spread_after_a_difference():
    line = np.arange(500)[None] * 0.1 + 1e6
    fitted = transform.fit([Difference((1,)), Scale("standard")], line)
    assert fitted.states[1]["scale"] == [1.0]  # else rounding errors would be blown up to look like signal


def test_missing_values_stay_missing_and_spoil_nothing_else():
    y = np.random.default_rng(3).normal(size=(2, 100))
    y[0, 50], y[1, :] = np.nan, np.nan
    fitted = transform.fit([Difference((7,)), Scale("standard")], y)
    z = transform.forward(fitted, y)
    assert_array_equal(np.flatnonzero(np.isnan(z[0, 7:])) + 7, [50, 57])
    assert np.isnan(z[1]).all()
    assert fitted.states[1]["shift"][1] == 0.0


def test_memory_counts_the_lags_of_the_whole_chain():
    y = np.random.default_rng(0).normal(size=(1, 100))
    fitted = transform.fit([Difference((7,)), Scale("minmax"), Difference((1, 2))], y)
    assert fitted.memory == 10
    z = transform.forward(fitted, y)
    assert np.isnan(z[:, :10]).all()
    assert np.isfinite(z[:, 10:]).all()


def test_an_empty_chain_changes_nothing():
    y = np.random.default_rng(0).normal(size=(2, 30))
    fitted = transform.fit([], y)
    assert_array_equal(transform.inverse(fitted, transform.forward(fitted, y), np.zeros((2, 0))), y)


def test_logarithms_after_a_difference_are_refused():
    with pytest.raises(TransformError, match="log1p"):
        transform.fit([Difference((1,)), Scale("standard", log1p=True)], np.random.default_rng(0).random((1, 50)))


@pytest.mark.parametrize("y", [np.ones((2, 8)), np.ones(50), np.full((1, 50), np.inf), np.full((1, 50), 1e200)])
def test_values_that_can_not_be_fitted_soundly_are_refused(y):
    with pytest.raises(TransformError):
        transform.fit([Difference((7, 1)), Scale("standard")], y)


def test_another_number_of_series_is_refused():
    fitted = transform.fit([Scale("standard")], np.random.default_rng(0).normal(size=(3, 20)))
    for wrong in (np.ones((2, 20)), np.ones(3)):
        with pytest.raises(TransformError, match="N = 3"):
            transform.forward(fitted, wrong)
        with pytest.raises(TransformError, match="N = 3"):
            transform.inverse(fitted, wrong, np.ones((3, 0)))
    with pytest.raises(TransformError, match="anchor as"):
        transform.inverse(fitted, np.ones((3, 5)), np.ones((2, 0)))


def test_fitted_values_need_at_least_as_many_columns_as_the_lags():
    fitted = transform.fit([Difference((7,))], np.ones((1, 20)))
    with pytest.raises(TransformError, match="at least 7"):
        transform.inverse_fitted(fitted, np.ones((1, 6)), np.ones((1, 7)))
