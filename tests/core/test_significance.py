import numpy as np
import pandas as pd
import pytest
from scipy.stats import t

from daycast.core import metrics
from daycast.core.significance import FEWEST, lead

ONE = {"a": 1.0}
RNG = np.random.default_rng(4)


def rows(errors, horizon=1, every=1, series="a", level=100.0):
    """Rows of one series whose forecasts are ``errors (O,)`` too high, at every step."""
    start = pd.date_range("2024-01-01", periods=len(errors), freq=f"{every}D")
    made = [
        {
            "unique_id": series,
            "cutoff": day,
            "ds": day + pd.Timedelta(days=h),
            "step": h,
            "y": level,
            "y_hat": level + e,
        }
        for day, e in zip(start, errors, strict=True)
        for h in range(1, horizon + 1)
    ]
    return pd.DataFrame(made)


def test_of_independent_differences_it_is_the_bound_of_the_t_test():
    errors, others = RNG.exponential(10, 60), RNG.exponential(13, 60)
    found = lead(rows(errors), rows(others), ONE, "mae", 0.01)
    assert (found.origins, found.block, found.confidence) == (60, 1, 0.99)
    difference = others - errors
    low = difference.mean() - t.isf(0.01, 59) * difference.std(ddof=1) / np.sqrt(60)
    assert found.low == pytest.approx(low / others.mean(), abs=0.03 * difference.std() / np.sqrt(60))
    assert found.sure == (low > 0)


def test_of_few_origins_it_is_the_bound_of_the_t_test_too():
    errors, others = np.asarray([10.0, 12, 9, 14, 11, 10]), np.asarray([15.0, 14, 16, 15, 19, 12])
    difference = others - errors
    low = difference.mean() - t.isf(0.01, 5) * difference.std(ddof=1) / np.sqrt(6)
    found = lead(rows(errors), rows(others), ONE, "mae", 0.01).low
    assert found == pytest.approx(low / others.mean(), abs=0.05 * difference.std() / others.mean())


@pytest.mark.parametrize("metric", ["mae", "rmse", "mape", "smape", "mase"])
def test_with_even_odds_the_bound_is_the_improvement_on_the_leaderboard(metric):
    scales = {"a": 1.0, "b": 50.0}

    def both():
        return pd.concat([rows(RNG.normal(0, 5, 30), series="a"), rows(RNG.normal(0, 80, 30), series="b", level=999)])

    one, other = both(), both()
    scores = [metrics.score(r, scales).overall[metric] for r in (one, other)]
    assert lead(one, other, scales, metric, 0.5).low == pytest.approx(1 - scores[0] / scores[1])


@pytest.mark.parametrize("noise", [1.0, 0.1])
def test_a_lead_that_comes_and_goes_with_the_week_is_told_from_ninety_days(noise):
    """As by a model that knows the week over one that does not: each week is as sure as the one before."""
    week = np.tile([0.0, 0.0, 0.0, 0.0, 0.0, 60.0, 90.0], 13)[:90]
    errors, others = 10 + RNG.normal(0, noise, 90), 10 + week + RNG.normal(0, noise, 90)
    found = lead(rows(errors), rows(others), ONE, "mae", 0.1)
    assert found.block <= 90 / FEWEST
    assert found.sure
    assert not lead(rows(others), rows(errors), ONE, "mae", 0.1).sure


def test_the_surer_one_wants_to_be_the_lower_is_the_bound():
    errors, others = rows(RNG.exponential(10, 40)), rows(RNG.exponential(30, 40))
    bounds = [lead(errors, others, ONE, "mae", level).low for level in (0.4, 0.05, 0.05 / 8, 1e-9)]
    assert bounds == sorted(bounds, reverse=True)
    assert len(set(bounds)) == len(bounds)
    assert bounds[0] < 1 - metrics.score(errors, ONE).overall["mae"] / metrics.score(others, ONE).overall["mae"]


@pytest.mark.parametrize("metric", ["mae", "rmse", "mape", "smape", "mase"])
def test_what_is_hard_for_both_does_not_count_against_either(metric):
    hard = RNG.exponential(30, 40)
    easier = hard * RNG.uniform(0.9, 0.99, 40)
    assert lead(rows(easier), rows(hard), ONE, metric, 0.01).sure
    assert not lead(rows(hard), rows(easier), ONE, metric, 0.01).sure
    assert not lead(rows(RNG.permutation(easier)), rows(hard), ONE, metric, 0.01).sure  # the same errors on other days


@pytest.mark.parametrize("metric", ["pinball", "crps"])
def test_quantiles_are_compared_where_both_have_them(metric):
    def fan(width):
        made = rows(RNG.normal(0, 5, 40))
        made = made.assign(**{"q0.1": made["y_hat"] - width, "q0.5": made["y_hat"], "q0.9": made["y_hat"] + width})
        made.loc[:9, ["q0.1", "q0.5", "q0.9"]] = np.nan
        return made

    found = lead(fan(6.0), fan(60.0), ONE, metric, 0.01)
    assert (found.sure, found.origins) == (True, 30)


def test_of_models_that_are_equally_good_one_leads_as_seldom_as_the_level_says():
    pairs = np.random.default_rng(0).normal(0, 1, (40, 2, 25))
    sure = [lead(rows(a), rows(b), ONE, "mae", 0.2).sure for a, b in pairs]
    assert 2 <= sum(sure) <= 14


def test_differences_that_hang_together_tell_less():
    slow = np.repeat(RNG.normal(2, 6, 30), 8) + 20
    mixed = RNG.permutation(slow)
    base = rows(np.full(240, 20.0))
    together, apart = (lead(base, rows(e), ONE, "mae", 0.05) for e in (slow, mixed))
    assert together.block > apart.block
    assert together.low < apart.low


def test_origins_whose_forecasts_overlap_are_drawn_together():
    errors, others = RNG.exponential(10, 84), RNG.exponential(12, 84)
    found = lead(rows(errors, horizon=14), rows(others, horizon=14), ONE, "mae", 0.05)
    assert found.block == 14
    assert lead(rows(errors, 14, every=14), rows(others, 14, every=14), ONE, "mae", 0.05).block < 14


@pytest.mark.parametrize("origins", range(1, 8))
def test_too_few_blocks_can_not_tell_however_clear_it_looks(origins):
    found = lead(rows(np.full(origins, 1.0)), rows(np.arange(origins) + 50.0), ONE, "mae", 0.05)
    assert (found.low is not None) == found.sure == (origins >= FEWEST)
    assert (found.origins, found.block) == (origins, 1)


def test_origins_that_overlap_are_fewer_than_they_look():
    errors, others = np.full(16, 1.0), np.arange(16) + 50.0
    found = lead(rows(errors, 7, every=2), rows(others, 7, every=2), ONE, "mae", 0.05)
    assert (found.low, found.origins, found.block) == (None, 16, 4)
    assert lead(rows(errors, 7, every=3), rows(others, 7, every=3), ONE, "mae", 0.05).sure  # blocks of 3


def test_series_of_one_origin_do_not_make_up_for_origins():
    many = [f"s{i}" for i in range(50)]
    good, bad = (pd.concat([rows([e], 14, series=s) for s in many]) for e in (1.0, 9.0))
    assert lead(good, bad, dict.fromkeys(many, 1.0), "mase", 0.05).low is None


def test_origins_of_which_nothing_was_observed_are_none():
    good, bad = rows(np.full(7, 1.0)), rows(np.full(7, 3.0))
    good.loc[:2, "y"] = bad.loc[:2, "y"] = np.nan
    found = lead(good, bad, ONE, "mae", 0.05)
    assert (found.low, found.origins) == (None, 4)


def test_every_series_counts_alike_by_its_scale():
    scales = {"small": 1.0, "large": 1000.0, "flat": 0.0}
    small, large = RNG.uniform(1, 2, 20), RNG.normal(0, 3000, 20)

    def both(factor, much):
        flat = rows(np.full(20, 1e9), series="flat")  # without a scale, so in no MASE
        return pd.concat([rows(small * factor, series="small"), rows(large + much, series="large"), flat])

    found = lead(both(1.0, 0.0), both(2.0, 0.0), scales, "mase", 0.05)
    assert found.sure
    ahead = metrics.score(both(2.0, 0.0), scales).overall["mase"]
    assert found.low < small.mean() / 2 / ahead  # half of it: the large series has no difference
    assert not lead(both(1.0, 0.0), both(1.0, 0.0), scales, "mase", 0.05).sure


def test_nothing_leads_over_a_forecast_without_an_error():
    found = lead(rows(RNG.exponential(1, 9)), rows(np.zeros(9)), ONE, "mae", 0.05)
    assert (found.low, found.sure) == (0.0, False)


def test_it_is_the_same_for_the_same_rows_in_any_order():
    good, bad = rows(RNG.exponential(10, 30), 3, every=3), rows(RNG.exponential(20, 30), 3, every=3)
    assert lead(good.sample(frac=1, random_state=1), bad, ONE, "rmse", 0.05) == lead(good, bad, ONE, "rmse", 0.05)
