"""The gate's checks, at rows made for each."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_1samp

from daycast.core import gate, significance
from daycast.core.gate import Limits

LIMITS = Limits(margin=0.02, significance=0.1, step_worse=0.2, series_worse=0.25, series_share=0.1, coverage=(0.7, 0.9))
SCALES = {f"s{i}": 1.0 for i in range(20)}


def rows(errors: np.ndarray, series: int = 1, every: int = 1) -> pd.DataFrame:
    """Forecasts ``errors (O, H)`` too high, of 100, of each series."""
    origins, horizon = errors.shape
    start = pd.date_range("2024-01-01", periods=origins, freq=f"{every}D")
    made = [
        (f"s{i}", day, day + pd.Timedelta(days=h + 1), h + 1, 100.0, 100.0 + errors[o, h])
        for i in range(series)
        for o, day in enumerate(start)
        for h in range(horizon)
    ]
    return pd.DataFrame(made, columns=["unique_id", "cutoff", "ds", "step", "y", "y_hat"])


def noise(seed: int, scale: float, shape: tuple[int, int] = (60, 1)) -> np.ndarray:
    return np.abs(np.random.default_rng(seed).normal(0, scale, shape))


def test_of_origins_that_do_not_overlap_diebold_and_mariano_is_the_t_test() -> None:
    own, other = noise(1, 10), noise(2, 12)
    found = significance.equal_accuracy(rows(own), rows(other), SCALES, "mae")
    assert found == pytest.approx(ttest_1samp((other - own)[:, 0], 0, alternative="greater").pvalue)


def test_of_origins_that_overlap_it_asks_for_more() -> None:
    walk = np.cumsum(np.random.default_rng(5).normal(0, 1, 100))
    own, other = 20 + np.zeros((100, 7)), 20.4 + np.repeat(walk[:, None] - walk.mean(), 7, axis=1)
    apart = significance.equal_accuracy(rows(own, every=7), rows(other, every=7), SCALES, "mae")
    beside = significance.equal_accuracy(rows(own), rows(other), SCALES, "mae")
    assert apart is not None
    assert beside is not None
    assert apart < beside


@pytest.mark.parametrize(("origins", "horizon", "known"), [(4, 1, False), (5, 1, True), (34, 7, False), (35, 7, True)])
def test_of_few_origins_nothing_can_be_told(origins: int, horizon: int, known: bool) -> None:
    shape = origins, horizon
    found = significance.equal_accuracy(rows(noise(1, 1, shape)), rows(noise(2, 9, shape)), SCALES, "mae")
    assert (found is not None) is known


@pytest.mark.parametrize(("own", "p"), [(1.0, 0.0), (3.0, 1.0), (2.0, 1.0)])
def test_a_lead_that_is_the_same_everywhere_is_no_chance(own: float, p: float) -> None:
    flat = np.ones((20, 1))
    assert significance.equal_accuracy(rows(own * flat), rows(2.0 * flat), SCALES, "mae") == p


@pytest.mark.parametrize(("origins", "horizon"), [(60, 1), (90, 14)])
def test_a_false_alarm_is_as_rare_as_asked_for(origins: int, horizon: int) -> None:
    days = np.abs(np.random.default_rng(0).normal(0, 1, (400, 2, origins + horizon)))
    draws = np.lib.stride_tricks.sliding_window_view(days, horizon, axis=2)[:, :, :origins]  # what overlaps is the same
    found = [significance.equal_accuracy(rows(a), rows(b), SCALES, "mae") for a, b in draws]
    assert 0.06 < np.mean([p <= 0.1 for p in found if p is not None]) < 0.14


def names(checks: list[gate.Check]) -> dict[str, bool]:
    return {check.name: check.passed for check in checks}


def test_a_challenger_that_is_better_passes_and_one_that_is_not_fails_with_figures() -> None:
    better, worse = rows(noise(1, 8)), rows(noise(2, 12))
    found = gate.against("version 3", better, worse, SCALES, "mae", LIMITS)
    assert gate.passed(found)
    assert [check.name for check in found] == [
        "better than the champion",
        "better by the bootstrap",
        "better by Diebold-Mariano",
    ]
    back = gate.against("version 3", worse, better, SCALES, "mae", LIMITS)
    assert not any(check.passed for check in back)
    assert "version 3" in back[0].reason
    assert back[0].value is not None
    assert back[0].value < 0


def test_a_margin_alone_may_be_asked_for() -> None:
    alone = Limits(**{**LIMITS.__dict__, "significance": None, "margin": 0.3})
    (found,) = gate.against("it", rows(np.full((4, 1), 8.0)), rows(np.full((4, 1), 10.0)), SCALES, "mae", alone)
    assert (found.passed, found.threshold) == (False, 0.3)
    assert found.value == pytest.approx(0.2)


def test_few_origins_are_no_lead() -> None:
    found = gate.against("it", rows(noise(1, 1, (3, 1))), rows(noise(2, 9, (3, 1))), SCALES, "mae", LIMITS)
    assert names(found) == {
        "better than the champion": True,
        "better by the bootstrap": False,
        "better by Diebold-Mariano": False,
    }


def test_each_baseline_has_to_be_beaten() -> None:
    own = rows(np.full((4, 1), 5.0))
    others = {"naive": rows(np.full((4, 1), 9.0)), "seasonal_naive": rows(np.full((4, 1), 4.0))}
    found = gate.over_baselines(own, others, SCALES, "mae")
    assert names(found) == {"better than naive": True, "better than seasonal_naive": False}


def test_one_step_that_is_much_worse_is_found_behind_a_better_mean() -> None:
    own, other = np.full((10, 3), 5.0), np.full((10, 3), 10.0)
    own[:, 2] = 13
    (step,) = gate.nowhere_much_worse(rows(own), rows(other), SCALES, LIMITS)
    assert (step.passed, step.name) == (False, "no step much worse")
    assert step.value == pytest.approx(0.3)
    assert "step 3" in step.reason
    own[:, 2] = 11
    assert gate.nowhere_much_worse(rows(own), rows(other), SCALES, LIMITS)[0].passed


@pytest.mark.parametrize(("worse", "passes"), [(2, True), (3, False)])
def test_some_series_may_be_worse_and_not_more(worse: int, passes: bool) -> None:
    own, other = rows(np.full((4, 1), 5.0), 20), rows(np.full((4, 1), 10.0), 20)
    bad = own["unique_id"].isin([f"s{i}" for i in range(worse)])
    found = gate.nowhere_much_worse(own.assign(y_hat=own["y_hat"].where(~bad, 120.0)), other, SCALES, LIMITS)
    assert names(found)["few series much worse"] is passes


def test_forecasts_without_an_error_are_no_worse_than_others_without_one() -> None:
    exact = rows(np.zeros((4, 2)), 3)
    assert gate.passed(gate.nowhere_much_worse(exact, exact, SCALES, LIMITS))


@pytest.mark.parametrize(("share", "passes", "limit"), [(0.5, False, 0.7), (0.8, True, 0.9), (1.0, False, 0.9)])
def test_intervals_that_hold_too_few_or_too_many_fail(share: float, passes: bool, limit: float) -> None:
    found = gate.covered(share, LIMITS)
    assert (found.passed, found.value, found.threshold) == (passes, share, limit)


@pytest.mark.parametrize("share", [None, float("nan")])
def test_no_interval_is_no_coverage(share: float | None) -> None:
    assert not gate.covered(share, LIMITS).passed


@pytest.mark.parametrize(("half", "passes"), [(0.0, False), (4.0, False), (13.0, True), (30.0, True), (1000.0, False)])
def test_intervals_that_would_be_served_are_better_than_none_and_hold_something(half: float, passes: bool) -> None:
    made = rows(np.random.default_rng(3).normal(0, 10, (500, 1)))
    found = gate.intervals(made.assign(**{"q0.1": made["y_hat"] - half, "q0.9": made["y_hat"] + half}), LIMITS)
    assert found.passed is passes
    ratio = (2 * half + 10 * (made["y_hat"] - 100).abs().sub(half).clip(lower=0)).mean()
    assert found.value == pytest.approx(ratio)
    assert found.threshold == pytest.approx(10 * (made["y_hat"] - 100).abs().mean())


def test_without_intervals_that_could_be_served_there_is_nothing_to_serve() -> None:
    made = rows(np.ones((4, 1)))
    for none in (made, made.assign(**{"q0.1": np.nan, "q0.9": 200.0})):
        assert not gate.intervals(none, LIMITS).passed
        assert gate.intervals(none, LIMITS).reason == "there are none"


def test_all_are_compared_at_the_rows_that_all_have() -> None:
    whole = rows(noise(1, 5, (6, 2)))
    part = whole[whole["cutoff"] > "2024-01-02"].sample(frac=1, random_state=1)
    unseen = whole.assign(y=whole["y"].where(whole["ds"] != "2024-01-05"))
    found = gate.same_rows({"a": whole, "b": part, "c": unseen})
    assert {len(r) for r in found.values()} == {len(part[part["ds"] != "2024-01-05"])}
    for other in ("b", "c"):
        pd.testing.assert_frame_equal(
            found["a"][["unique_id", "cutoff", "ds"]], found[other][["unique_id", "cutoff", "ds"]]
        )


def test_a_gate_without_checks_lets_nobody_through() -> None:
    assert not gate.passed([])
