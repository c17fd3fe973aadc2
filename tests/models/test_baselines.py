import math
import time
from dataclasses import replace

import numpy as np
import pytest
from chicago import mae, origins, ridership
from synthetic import context, origin, table

from daycast import config
from daycast.config.models import Mean as MeanSection
from daycast.core.forecast import Forecaster, predict
from daycast.core.frame import Future, Table
from daycast.errors import ConfigError
from daycast.models.baselines import DayTypeNaive, Mean, Naive, SeasonalNaive


def naive():
    return Naive(config.Naive(family="naive"), context())


def seasonal(lag=None):
    return SeasonalNaive(config.SeasonalNaive(family="seasonal_naive", lag=lag), context())


def day_type(column="day", window=1):
    return DayTypeNaive(config.DayTypeNaive(family="day_type_naive", column=column, window=window), context())


def mean(window=None):
    return Mean(MeanSection(family="mean", window=window), context())


ALL = [naive(), mean(), mean(5), seasonal(), seasonal(30), day_type(), day_type(window=3)]


def gappy(steps=80, ahead=28, share=0.4, seed=0):
    """Five series of noise: full, with scattered holes, starting late, ending early, never observed."""
    rng = np.random.default_rng(seed)
    y = rng.normal(100, 10, (5, steps + ahead))
    y[1, rng.random(steps + ahead) < share] = np.nan
    y[2, : steps - 10] = np.nan
    y[3, steps - 12 :] = np.nan
    y[4] = np.nan
    return table(y, ahead=ahead)


def last_seen(values):
    seen = [v for v in values if not math.isnan(v)]
    return seen[-1] if seen else math.nan


def seasonal_oracle(values, lag, horizon):
    """The docstring's rule, one value at a time."""
    out = []
    for h in range(1, horizon + 1):
        at = len(values) - 1 + h - lag * math.ceil(h / lag)
        while at >= 0 and math.isnan(values[at]):
            at -= lag
        out.append(values[at] if at >= 0 else last_seen(values))
    return out


def day_type_oracle(values, past, ahead, window):
    out = []
    for level in ahead:
        same = [v for v, code in zip(values, past, strict=True) if code == level and not math.isnan(v)]
        out.append(sum(same[-window:]) / len(same[-window:]) if same else last_seen(values))
    return out


def test_naive_repeats_the_last_observed_value():
    one = origin(gappy(), horizon=5)
    expected = [[last_seen(row)] * 5 for row in one.history.y.tolist()]
    np.testing.assert_array_equal(naive().predict([one])[0], expected)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("lag", [1, 7, 10, 79, 80, 81, 364])
def test_seasonal_naive_agrees_with_a_slow_oracle_on_holes_and_short_histories(lag, seed):
    one = origin(gappy(seed=seed), back=seed, horizon=20)
    expected = [seasonal_oracle(row, lag, 20) for row in one.history.y.tolist()]
    np.testing.assert_array_equal(seasonal(lag).predict([one])[0], expected)


def test_seasonal_naive_takes_the_season_of_the_dataset_where_no_lag_is_set():
    one = origin(gappy(), horizon=9)
    np.testing.assert_array_equal(seasonal().predict([one]), seasonal(7).predict([one]))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("window", [1, 2, 4, 50])
def test_day_type_naive_agrees_with_a_slow_oracle_on_holes(window, seed):
    one = origin(gappy(seed=seed), back=2 * seed, horizon=20)
    past, ahead = one.history.levels("day")[0], one.future.levels("day")[0]
    expected = [day_type_oracle(row, past, ahead, window) for row in one.history.y.tolist()]
    np.testing.assert_allclose(day_type(window=window).predict([one])[0], expected, rtol=1e-14)


@pytest.mark.parametrize("seed", range(3))
def test_of_several_columns_all_must_be_equal(seed):
    made, rng = gappy(seed=seed), np.random.default_rng(seed)
    kinds = np.eye(2)[rng.integers(0, 2, len(made.panel.ds) + len(made.beyond.ds))]
    steps, names = len(made.panel.ds), (*made.panel.known_names, "kind=a", "kind=b")
    known = np.column_stack([np.concatenate([made.panel.known, made.beyond.known]), kinds])
    spec = replace(made.panel.spec, known={**made.panel.spec.known, "kind": ("a", "b")})
    two = Table(
        replace(made.panel, spec=spec, known=known[:steps], known_names=names),
        Future(made.beyond.ds, known[steps:], names),
    )
    one = origin(two, back=3, horizon=20)
    past, ahead = (2 * of.levels("day")[0] + of.levels("kind")[0] for of in (one.history, one.future))
    expected = [day_type_oracle(row, past, ahead, 2) for row in one.history.y.tolist()]
    found = day_type(("day", "kind"), window=2).predict([one])[0]
    np.testing.assert_allclose(found, expected, rtol=1e-14)
    np.testing.assert_array_equal(day_type(("day",), window=2).predict([one]), day_type(window=2).predict([one]))


def test_a_level_never_seen_gets_the_last_observed_value():
    one = origin(table(np.arange(3.0 + 28)[None] + 1), horizon=7)  # three days of history, seven levels
    np.testing.assert_array_equal(day_type().predict([one])[0, 0], [3, 3, 3, 3, 1, 2, 3])


@pytest.mark.parametrize("model", ALL)
def test_only_a_series_never_observed_gets_nan(model):
    forecast = model.predict([origin(gappy(), back=b, horizon=28) for b in (0, 1, 5)])
    assert np.isfinite(forecast[:, :4]).all()
    assert np.isnan(forecast[:, 4]).all()


@pytest.mark.parametrize("model", ALL)
def test_what_comes_after_the_cutoff_and_who_is_asked_along_change_no_bit(model):
    made = gappy()
    asked = [origin(made, back=b, horizon=9) for b in (20, 0, 7)]
    together = model.predict(asked)
    scrambled = made.panel.y.copy()
    scrambled[:, -20:] = 1e9
    other = table(np.concatenate([scrambled, scrambled[:, :28]], axis=1))
    np.testing.assert_array_equal(model.predict([origin(other, back=20, horizon=9)])[0], together[0])
    for one, row in zip(asked, together, strict=True):
        np.testing.assert_array_equal(model.predict([one])[0], row)


@pytest.mark.parametrize("model", ALL)
def test_a_long_horizon_is_answered_directly_not_iterated(model):
    one = origin(gappy(ahead=28), horizon=28)
    assert isinstance(model, Forecaster)
    np.testing.assert_array_equal(predict(model, [one]), model.predict([one]))


@pytest.mark.parametrize("column", ["flag", "nowhere"])
def test_day_type_naive_refuses_a_column_that_is_not_categorical(column):
    made = table(np.ones((1, 60)), flag=np.ones(60))
    with pytest.raises(ConfigError, match="categorical known column, of \\['day'\\]"):
        day_type(column).fit(made.panel)


@pytest.mark.parametrize("model", ALL)
def test_the_state_is_empty_as_nothing_is_learned(model):
    made = gappy()
    report = model.fit(made.panel)
    assert (report.facts, report.curves, model.state()) == ({}, {}, ({}, {}))


@pytest.mark.parametrize("model", ALL)
def test_a_year_of_origins_of_a_large_panel_takes_a_moment(model):
    rng = np.random.default_rng(0)
    y = rng.normal(100, 10, (146, 5700 + 14))
    for row in range(40):  # late starts and holes, the slow path
        y[row, : 20 * row] = np.nan
        y[row, -300 - 5 * row : -280 - 5 * row] = np.nan
    y[:4] = np.nan
    made = table(y, ahead=14)
    asked = [origin(made, back=14 + b, horizon=14) for b in range(270)]
    began = time.perf_counter()
    assert model.predict(asked).shape == (270, 146, 14)
    assert time.perf_counter() - began < 5  # about 1 s on a quiet core


@pytest.mark.parametrize(
    ("model", "horizon", "last", "expected"),
    [
        (seasonal(7), 1, "2019-05-31", 41274),
        (seasonal(364), 1, "2019-05-31", 25705),
        (day_type("day_type", 1), 1, "2019-05-31", 30001),
        (seasonal(7), 14, "2019-05-30", 39593),  # the published 81 origins leave out the last possible one
    ],
    ids=["lag 7", "lag 364", "same day type", "lag 7, 14 days"],
)
def test_known_errors_on_chicago_rail_are_met_to_the_ride(real_data, model, horizon, last, expected):
    made = ridership(real_data)
    asked = origins(made, "2019-02-26", last, horizon)
    assert round(mae(made, asked, predict(model, asked))["rail"]) == expected


def test_the_mean_is_of_all_observed_values_or_of_the_last():
    y = np.concatenate([np.array([1.0, np.nan, 3.0, 8.0]), np.zeros(2)])[None]
    one = origin(table(y, ahead=2), horizon=2)
    assert mean().predict([one])[0, 0].tolist() == [4.0, 4.0]
    assert mean(2).predict([one])[0, 0, 0] == 5.5
    assert mean(3).predict([one])[0, 0, 0] == 4.0
