import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from daycast.core import split as splitting
from daycast.core.backtest import forecasts, with_actuals
from daycast.core.conformal import ENOUGH, LEVELS, SHARE, calibrated, head_offsets, offsets, uncrossed
from daycast.core.forecast import band, quantile_columns
from daycast.core.split import Plan
from daycast.errors import ModelError
from tests.core.builders import SeasonalNaive, noise_table

EIGHTY = (0.1, 0.5, 0.9)
NAMES = ["q0.025", "q0.1", "q0.5", "q0.9", "q0.975"]


def residual_rows(counts: dict[tuple[str, int], int], seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    blocks = [
        pd.DataFrame({"unique_id": name, "step": step, "y_hat": 10.0, "y": 10.0 + step * rng.normal(size=count)})
        for (name, step), count in counts.items()
    ]
    return pd.concat(blocks, ignore_index=True).sample(frac=1, random_state=seed)


def slow(residuals, levels=LEVELS) -> list[float]:
    """Conformal quantiles by counting: the tightest residual that keeps the promise among n + 1 places."""
    ordered, n = sorted(residuals), len(residuals)
    out = []
    for level in levels:
        if level == 0.5:
            out.append(float(np.median(ordered)))
        elif level < 0.5:  # k of n + 1 places lie below the k-th smallest
            out.append(max(r for k, r in enumerate(ordered, 1) if k / (n + 1) <= level + 1e-12))
        else:
            out.append(min(r for k, r in enumerate(ordered, 1) if k / (n + 1) >= level - 1e-12))
    return out


@pytest.mark.parametrize("n", [39, 40, 41, 59, 79, 200])
def test_offsets_are_order_statistics_of_a_steps_own_residuals_where_there_are_enough(n):
    rows = residual_rows({("a", 1): n, ("a", 2): n + 5})
    found = offsets(rows)
    assert found.index.names == ["unique_id", "step"]
    assert list(found.columns) == NAMES
    for step in (1, 2):
        own = rows[rows["step"] == step]
        np.testing.assert_allclose(found.loc[("a", step)], slow(own["y"] - own["y_hat"]), rtol=1e-12)


def test_a_step_with_too_few_residuals_takes_those_of_all_steps_of_its_series():
    rows = residual_rows({("a", 1): 39, ("a", 2): 38, ("b", 1): 20, ("b", 2): 19})
    found = offsets(rows)
    residual = rows["y"] - rows["y_hat"]
    for name in "ab":
        np.testing.assert_allclose(found.loc[(name, 2)], slow(residual[rows["unique_id"] == name]))
    np.testing.assert_array_equal(found.loc[("b", 1)], found.loc[("b", 2)])
    own = slow(residual[(rows["unique_id"] == "a") & (rows["step"] == 1)])
    np.testing.assert_allclose(found.loc[("a", 1)], own)


def test_a_step_has_no_quantiles_of_its_own_below_twenty_residuals_even_if_its_levels_need_fewer():
    rows = residual_rows({("a", 1): ENOUGH - 1, ("a", 2): ENOUGH})
    found = offsets(rows, EIGHTY)
    residual = rows["y"] - rows["y_hat"]
    np.testing.assert_allclose(found.loc[("a", 1)], slow(residual, EIGHTY))
    np.testing.assert_allclose(found.loc[("a", 2)], slow(residual[rows["step"] == 2], EIGHTY))


def test_a_series_with_fewer_residuals_than_its_outermost_level_needs_has_no_offset_at_all():
    rows = residual_rows({("a", 1): 20, ("a", 2): 18, ("b", 1): 20, ("b", 2): 19})
    found = offsets(rows)
    assert found.isna().all(axis=1).groupby(level=0).all().to_dict() == {"a": True, "b": False}
    assert found.notna().any(axis=1).groupby(level=0).all().to_dict() == {"a": False, "b": True}
    assert offsets(rows, EIGHTY).notna().all(axis=None)


def test_missing_actuals_are_no_residuals():
    rows = residual_rows({("a", 1): 60, ("a", 2): 50}).reset_index(drop=True)
    rows.loc[rows.index[rows["step"] == 1][:3], "y"] = np.nan
    own = (rows["y"] - rows["y_hat"])[rows["step"] == 1].dropna()
    np.testing.assert_allclose(offsets(rows).loc[("a", 1)], slow(own))


def test_a_series_or_step_without_residuals_still_has_its_rows():
    rows = residual_rows({("a", 1): 50, ("a", 2): 5, ("b", 1): 50})
    rows.loc[rows["step"] == 2, "y"] = np.nan
    rows.loc[rows["unique_id"] == "b", "y"] = np.nan
    found = offsets(rows)
    assert list(found.index) == [("a", 1), ("a", 2), ("b", 1)]
    np.testing.assert_array_equal(found.loc[("a", 2)], found.loc[("a", 1)])
    assert found.loc[("b", 1)].isna().all()


def test_nothing_observed_at_all_leaves_no_offsets():
    assert offsets(residual_rows({("a", 1): 50}).assign(y=np.nan)).isna().all(axis=None)


def test_offsets_are_sorted_whatever_the_order_of_levels():
    found = offsets(residual_rows({("a", 1): 50}), levels=(0.9, 0.25, 0.5))
    assert list(found.columns) == ["q0.25", "q0.5", "q0.9"]
    assert found.loc[("a", 1)].is_monotonic_increasing


@pytest.mark.parametrize("scale", ["additive", "relative"])
@pytest.mark.parametrize("seed", range(3))
def test_bands_never_cross_even_with_equal_residuals(seed, scale):
    rows = residual_rows({("a", 1): 55, ("a", 2): 7}, seed)
    rows["y"] = rows["y"].round(0) + 0.1  # many equal residuals, none a round number in binary
    levels = tuple(np.linspace(0.02, 0.98, 49).round(2))
    banded = band(rows.drop(columns="y"), offsets(rows, levels, scale))
    assert (np.diff(banded.filter(regex="^q").to_numpy(), axis=1) >= 0).all()


@pytest.mark.parametrize("levels", [(), (0.0, 0.5), (0.5, 1.0), (0.5, 0.5)])
def test_levels_that_are_none_are_refused(levels):
    with pytest.raises(ModelError):
        offsets(residual_rows({("a", 1): 5}), levels)


@pytest.mark.parametrize("n", [39, 50, 99])
def test_exchangeable_errors_are_covered_as_promised_however_few_and_however_skewed(n):
    rng = np.random.default_rng(n)
    tests, draws = 4000, 50
    y = rng.exponential(size=(tests, n)) ** 2  # a series a test, heavy-tailed and far from symmetric
    names = np.char.mod("%05d", np.arange(tests))
    rows = pd.DataFrame({"unique_id": np.repeat(names, n), "step": 1, "y_hat": 0.0, "y": y.ravel()})
    found = offsets(rows).to_numpy()
    came = rng.exponential(size=(tests, draws, 1)) ** 2
    below = (came <= found[:, None, :]).mean(axis=(0, 1))
    tolerance = 0.005
    for share, level in zip(below, LEVELS, strict=True):
        # Theory: the k-th smallest of n covers k / (n + 1), so at most 1 / (n + 1) beside the level, on the safe side.
        safe = math.copysign(1 / (n + 1), level - 0.5) if level != 0.5 else 0.0
        assert min(0, safe) - tolerance <= share - level <= max(0, safe) + tolerance


def test_offsets_of_validation_folds_cover_about_what_they_say_on_the_test():
    table = noise_table(500, names=("a",))
    laid = splitting.split(table.panel, Plan(7, 1, 150, None, None, None, None, 2, 100))
    validation = pd.concat([with_actuals(forecasts(SeasonalNaive(), table, f), table) for f in laid.validation])
    test = band(with_actuals(forecasts(SeasonalNaive(), table, laid.test), table), offsets(validation))
    for low, high, share in (("q0.1", "q0.9", 0.8), ("q0.025", "q0.975", 0.95)):
        assert ((test["y"] >= test[low]) & (test["y"] <= test[high])).mean() == pytest.approx(share, abs=0.06)


def growing(seed: int = 0, n: int = 4000) -> pd.DataFrame:
    """Forecasts of very different sizes, whose errors are in proportion."""
    rng = np.random.default_rng(seed)
    size = np.where(np.arange(n) % 7 < 2, 10.0, 100.0)
    return pd.DataFrame({"unique_id": "a", "step": 1, "y_hat": size, "y": size * (1 + 0.1 * rng.normal(size=n))})


def test_relative_offsets_are_shares_of_the_forecast():
    rows = growing()
    found = offsets(rows, scale="relative")
    assert list(found.columns) == [*NAMES, "least"]
    np.testing.assert_allclose(found[NAMES].iloc[0], slow(rows["y"] / rows["y_hat"] - 1), rtol=1e-9)
    banded = band(rows, found)
    assert "least" not in banded
    width = (banded["q0.9"] - banded["q0.1"]) / banded["y_hat"]
    np.testing.assert_allclose(width, width[0])
    later = band(growing(1), found)
    inside = (later["y"] >= later["q0.1"]) & (later["y"] <= later["q0.9"])
    assert inside.groupby(later["y_hat"]).mean().between(0.76, 0.84).all()


def test_a_forecast_near_zero_is_as_wide_as_the_least_size_and_not_without_width():
    rows = growing()
    rows.loc[:9, "y_hat"] = 0.0
    found = offsets(rows, scale="relative")
    least = SHARE * rows["y_hat"].mean()
    assert found["least"].tolist() == [pytest.approx(least)]
    banded = band(rows, found)
    np.testing.assert_allclose(banded["q0.9"][:10], found["q0.9"].iloc[0] * least)


def test_a_series_of_zero_forecasts_has_no_relative_offsets():
    found = offsets(residual_rows({("a", 1): 50}).assign(y_hat=0.0), scale="relative")
    assert found.isna().all(axis=None)
    assert band(pd.DataFrame({"unique_id": ["a"], "step": 1, "y_hat": 0.0}), found)[NAMES].isna().all(axis=None)


def headed(n: int = 300, seed: int = 0, shift: float = 0.0) -> pd.DataFrame:
    """Rows of a model whose quantiles know that the spread varies, but are all too narrow by half."""
    rng = np.random.default_rng(seed)
    spread = rng.choice([1.0, 10.0], size=n)
    normal = np.array([-1.95996, -1.28155, 0.0, 1.28155, 1.95996])
    rows = pd.DataFrame({"unique_id": "a", "step": 1 + np.arange(n) % 2, "y_hat": 50.0})
    rows["y"] = 50 + shift + spread * rng.normal(size=n)
    return rows.assign(**{name: 50 + 0.5 * z * spread for name, z in zip(NAMES, normal, strict=True)})


def test_offsets_of_predicted_quantiles_are_order_statistics_of_what_each_missed_by():
    rows = headed()
    found = head_offsets(rows)
    for step in (1, 2):
        own = rows[rows["step"] == step]
        expected = [slow(own["y"] - own[name], (float(name[1:]),))[0] for name in NAMES]
        np.testing.assert_allclose(found.loc[("a", step)], expected)


def test_predicted_quantiles_cover_as_promised_once_calibrated_and_stay_wider_where_the_model_said_so():
    found = head_offsets(headed(2000, shift=3.0))
    later = headed(2000, seed=1, shift=3.0)
    raw = ((later["y"] >= later["q0.1"]) & (later["y"] <= later["q0.9"])).mean()
    assert raw < 0.6
    made = calibrated(later, found)
    for low, high, share in (("q0.1", "q0.9", 0.8), ("q0.025", "q0.975", 0.95)):
        assert ((made["y"] >= made[low]) & (made["y"] <= made[high])).mean() == pytest.approx(share, abs=0.03)
    np.testing.assert_array_equal(made["y_hat"], later["y_hat"])
    assert ((made["q0.9"] - made["q0.1"]) - (later["q0.9"] - later["q0.1"])).std() < 1.0


def test_calibrated_quantiles_are_held_at_the_floor_and_never_cross():
    rows = headed(200)
    crossing = pd.DataFrame([[9.0, 0.0, 0.0, 0.0, -9.0]] * 2, columns=NAMES, index=head_offsets(rows).index)
    made = calibrated(rows, crossing, floor=48.0)
    values = made[NAMES].to_numpy()
    assert values.min() == 48.0
    assert (np.diff(values, axis=1) >= 0).all()


def test_predicted_quantiles_of_a_step_without_offsets_become_missing():
    rows = headed(200)
    made = calibrated(rows, head_offsets(rows[rows["step"] == 1]))
    assert made[NAMES].isna().all(axis=1).groupby(made["step"]).mean().to_dict() == {1: 0.0, 2: 1.0}


def test_offsets_of_quantiles_that_are_not_there_are_refused():
    with pytest.raises(ModelError):
        head_offsets(residual_rows({("a", 1): 50}))


def pinball(y: float, quantiles: np.ndarray) -> float:
    return float(np.mean([max(q * (y - v), (q - 1) * (y - v)) for q, v in zip(LEVELS, quantiles, strict=True)]))


@settings(max_examples=60, deadline=None)
@given(arrays.arrays(np.float64, (4, 5), elements=st.floats(-1e6, 1e6)), st.floats(-1e6, 1e6))
def test_uncrossing_sorts_each_row_and_never_costs_pinball(values, y):
    rows = pd.DataFrame(values, columns=NAMES).assign(y_hat=1.0)
    found = uncrossed(rows)
    assert list(found.columns) == list(rows.columns)
    np.testing.assert_array_equal(found["y_hat"], rows["y_hat"])
    for before, after in zip(values, found[NAMES].to_numpy(), strict=True):
        assert after.tolist() == sorted(before)
        assert pinball(y, after) <= pinball(y, before) + 1e-6
        assert (after[0], after[4]) == (before.min(), before.max())


def test_uncrossing_leaves_rows_in_order_and_rows_without_quantiles_alone():
    rows = pd.DataFrame([[1.0, 2, 3, 4, 5], [np.nan] * 5, [2.0, 1, np.nan, 4, 5]], columns=NAMES)
    pd.testing.assert_frame_equal(uncrossed(rows), rows)
    bare = pd.DataFrame({"y_hat": [1.0]})
    assert quantile_columns(uncrossed(bare)) == []
