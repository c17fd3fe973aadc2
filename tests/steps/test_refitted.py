"""How far a model that is fitted again is off, in panels whose series differ in size."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from daycast.steps.rescore import farthest

DAYS, ALLOWED = 60, 1e-3


def two_fits(**sizes: float) -> pd.DataFrame:
    """Forecasts of series by their mean size, the same by both fits."""
    rng = np.random.default_rng(1)
    parts = [
        pd.DataFrame({"unique_id": name, "y_hat": size * rng.uniform(0.5, 1.5, DAYS)}) for name, size in sizes.items()
    ]
    rows = pd.concat(parts, ignore_index=True)
    return rows.assign(y_hat_again=rows["y_hat"])


def changed(rows: pd.DataFrame, name: str, by: float) -> pd.DataFrame:
    """With one forecast of a series off by as much, in raw units."""
    again = rows["y_hat_again"].copy()
    again[rows.index[rows["unique_id"] == name][DAYS // 2]] += by
    return rows.assign(y_hat_again=again)


def test_a_leak_that_only_a_small_series_shows_is_as_far_off_as_one_of_a_large_one() -> None:
    rows = two_fits(airport=50_000.0, village=50.0)
    leaked = changed(rows, "village", 5.0)
    apart = (leaked["y_hat"] - leaked["y_hat_again"]).abs()
    assert apart.max() / leaked["y_hat"].mean() < ALLOWED  # of the mean of all, it would not be seen
    off, worst = farthest(leaked)
    assert worst == "village"
    assert off == pytest.approx(5 / rows.loc[rows["unique_id"] == "village", "y_hat"].mean())
    off, worst = farthest(changed(leaked, "airport", 10_000.0))
    assert worst == "airport"
    assert off == pytest.approx(10_000 / rows.loc[rows["unique_id"] == "airport", "y_hat"].mean())


def test_a_series_of_nothing_counts_by_what_it_would_be_among_all_and_not_by_rounding() -> None:
    rows = two_fits(airport=50_000.0, closed=0.0)
    assert farthest(rows)[0] == 0
    assert farthest(changed(rows, "closed", 1e-7))[0] < ALLOWED
    off, worst = farthest(changed(rows, "closed", 1.0))
    assert worst == "closed"
    assert ALLOWED < off < math.inf
    assert farthest(two_fits(closed=0.0))[0] == 0
    assert farthest(changed(two_fits(closed=0.0), "closed", 1e-7))[0] == math.inf  # there is nothing to measure by


@pytest.mark.parametrize("fit", ["y_hat", "y_hat_again"])
def test_a_forecast_that_one_of_the_fits_has_not_is_farthest(fit: str) -> None:
    rows = two_fits(airport=50_000.0, village=50.0)
    rows.loc[rows.index[-1], fit] = float("nan")
    assert farthest(rows) == (math.inf, "village")
