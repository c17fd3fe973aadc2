import math

import numpy as np
import pandas as pd
import pytest

from daycast.core import reproduce

NAN = float("nan")
ABOUT = ("row", "what it is", "rail mae")


def rows(errors, cutoffs=3) -> pd.DataFrame:
    """Forecasts of ``rail`` and ``bus``, as far off at each step as told; those of ``bus`` twice as far."""
    start = pd.Timestamp("2019-03-01")
    made = [
        {
            "unique_id": name,
            "cutoff": start + pd.Timedelta(days=c),
            "ds": start + pd.Timedelta(days=c + step),
            "step": step,
            "y": 100.0,
            "y_hat": 100.0 + error * (2 if name == "bus" else 1),
            "q0.1": 0.0,
        }
        for name in ("rail", "bus")
        for c in range(cutoffs)
        for step, error in enumerate(errors, start=1)
    ]
    return pd.DataFrame(made)


def test_ours_is_told_as_mean_and_spread_of_the_seeds_and_how_far_off_it_is():
    line = reproduce.line(ABOUT, (10.0, None), [9.0, 12.0, 12.0], True, (8.0, "gru"))
    assert (line.mean, line.low, line.high, line.seeds) == (11.0, 9.0, 12.0, 3)
    assert line.spread == pytest.approx(math.sqrt(3))
    assert line.off == pytest.approx(0.1)
    assert (line.tuned, line.by) == (8.0, "gru")


def test_a_model_without_a_seed_has_no_spread():
    line = reproduce.line(ABOUT, (10.0, None), [10.0], False, (NAN, ""))
    assert (line.mean, line.seeds, line.off) == (10.0, 0, 0.0)
    assert math.isnan(line.spread)


@pytest.mark.parametrize(("published", "ours"), [(None, [9.0]), (10.0, []), (0.0, [1.0])])
def test_without_a_published_figure_or_ours_nothing_is_off(published, ours):
    line = reproduce.line(ABOUT, (published, None), ours, True, (NAN, ""))
    assert math.isnan(line.off)
    assert math.isnan(line.mean) is (not ours)
    assert math.isnan(line.published) is (published is None)


@pytest.mark.parametrize(
    ("published", "measured", "off"),
    [(10.0, 8.0, 0.2), (10.0, None, 0.2), (None, 8.0, 0.5), (None, None, None)],
)
def test_ours_is_off_from_what_was_published_or_else_from_what_was_measured(published, measured, off):
    made = reproduce.line(ABOUT, (published, measured), [12.0], False, (NAN, ""))
    assert made.off == pytest.approx(off) if off is not None else math.isnan(made.off)
    assert made.published == published if published is not None else math.isnan(made.published)
    assert made.measured == measured if measured is not None else math.isnan(made.measured)
    assert math.isnan(reproduce.line(ABOUT, (published, measured), [], False, (9.0, "gru")).off)


def test_the_published_windows_have_95_origins_one_day_ahead_and_82_two_weeks_ahead():
    first, last = pd.Timestamp("2019-02-26"), pd.Timestamp("2019-05-31")
    assert len(reproduce.cutoffs(first, last, 1)) == 95
    days = reproduce.cutoffs(first, last, 14)
    assert (len(days), days[0], days[-1]) == (82, pd.Timestamp("2019-02-25"), pd.Timestamp("2019-05-17"))


def test_a_figure_is_of_one_series_at_one_step_or_the_mean_over_steps():
    made, at = rows([1.0, 3.0]), reproduce.cutoffs(pd.Timestamp("2019-03-02"), pd.Timestamp("2019-03-05"), 2)
    assert reproduce.figure(made, at, "rail", None, "mae") == 2.0
    assert reproduce.figure(made, at, "rail", 2, "mae") == 3.0
    assert reproduce.figure(made, at, "bus", None, "mae") == 4.0
    assert reproduce.figure(made, at, "rail", 1, "mape") == pytest.approx(0.01)


def test_rows_of_other_origins_do_not_count_and_a_missing_origin_is_no_figure():
    made = rows([1.0])
    made.loc[made["cutoff"] == made["cutoff"].max(), "y_hat"] = 1e6
    two = reproduce.cutoffs(pd.Timestamp("2019-03-02"), pd.Timestamp("2019-03-03"), 1)
    assert reproduce.figure(made, two, "rail", None, "mae") == 1.0
    more = reproduce.cutoffs(pd.Timestamp("2019-03-02"), pd.Timestamp("2019-03-09"), 1)
    assert math.isnan(reproduce.figure(made, more, "rail", None, "mae"))
    assert math.isnan(reproduce.figure(made, two, "tram", None, "mae"))


def test_the_noise_is_of_integers_and_deviates_as_it_should():
    values = reproduce.noise(1, 100_000)
    assert set(np.unique(values)) == set(map(float, range(10)))
    assert np.std(values) == pytest.approx(reproduce.NOISE_DEVIATION, abs=0.01)
    assert np.mean(values) == pytest.approx(reproduce.NOISE_MEAN, abs=0.02)
    assert np.array_equal(values, reproduce.noise(1, 100_000))
    assert not np.array_equal(values[:100], reproduce.noise(2, 100))
