import math
from statistics import NormalDist

import numpy as np
import pandas as pd
import pytest

from daycast.core.conformal import LEVELS
from daycast.core.intervals import central, crps_weights, scores

NORMAL = NormalDist()


def columns(levels) -> list[str]:
    return [f"q{level:g}" for level in levels]


def normal_rows(levels, n: int = 20_000, spread: float = 1.0) -> pd.DataFrame:
    """Draws of a standard normal, with the quantiles of one ``spread`` times as wide."""
    rows = pd.DataFrame({"unique_id": "a", "y": 10 + np.random.default_rng(0).normal(size=n)})
    return rows.assign(
        **{name: 10 + spread * NORMAL.inv_cdf(q) for name, q in zip(columns(levels), levels, strict=True)}
    )


def test_central_intervals_are_those_whose_ends_lie_as_far_from_the_median():
    assert central(columns(LEVELS)) == {"80": ("q0.1", "q0.9"), "95": ("q0.025", "q0.975")}
    assert central(["q0.0125", "q0.05", "q0.3", "q0.5", "q0.9", "q0.95", "q0.9875"]) == {
        "90": ("q0.05", "q0.95"),
        "97.5": ("q0.0125", "q0.9875"),
    }
    assert central(["q0.5"]) == {}


def test_any_central_interval_has_its_coverage_and_width():
    levels = (0.0125, 0.25, 0.75, 0.9875)
    found = scores(normal_rows(levels), ["unique_id"]).loc["a"]
    assert found["coverage_50"] == pytest.approx(0.5, abs=0.01)
    assert found["coverage_97.5"] == pytest.approx(0.975, abs=0.005)
    assert found["width_50"] == pytest.approx(2 * NORMAL.inv_cdf(0.75))
    assert found["relative_width_97.5"] == pytest.approx(0.2 * NORMAL.inv_cdf(0.9875), rel=0.01)
    assert "coverage_80" not in found


@pytest.mark.parametrize(("levels", "share"), [(LEVELS, 0.882), (np.arange(1, 20) / 20, 0.996)])
def test_crps_of_a_normal_is_as_much_too_small_as_is_said_of_its_levels(levels, share):
    found = scores(normal_rows(levels), ["unique_id"]).loc["a"]
    assert found["crps"] * math.sqrt(math.pi) == pytest.approx(share, abs=0.015)  # E|X - X'| / 2 = 1 / sqrt(pi)


def test_the_true_quantiles_score_better_than_narrower_and_wider_ones():
    by_spread = {s: scores(normal_rows(LEVELS, spread=s), ["unique_id"]).loc["a"] for s in (0.7, 1.0, 1.4)}
    for name in ("crps", "pinball", "pinball_0.025", "pinball_0.9"):
        assert by_spread[1.0][name] < min(by_spread[0.7][name], by_spread[1.4][name])


def test_crps_weights_are_twice_those_of_the_trapezoid_rule_from_end_to_end():
    np.testing.assert_allclose(crps_weights(columns(LEVELS)), [0.1, 0.475, 0.8, 0.475, 0.1])
    np.testing.assert_allclose(crps_weights(columns(np.arange(1, 10) / 10)), [0.2] * 9)
    np.testing.assert_allclose(crps_weights(["q0.5"]), [1.0])


def test_series_of_zeros_have_no_relative_width():
    found = scores(normal_rows(LEVELS, 10).assign(y=0.0), ["unique_id"]).loc["a"]
    assert math.isnan(found["relative_width_80"])
    assert found["width_80"] > 0


def test_one_sided_quantiles_have_a_loss_and_no_interval():
    found = scores(normal_rows((0.9, 0.95), 10), ["unique_id"])
    assert list(found.columns) == ["pinball", "crps", "pinball_0.9", "pinball_0.95"]
