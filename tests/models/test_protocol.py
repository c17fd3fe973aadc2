"""What published networks see, and that they see nothing else."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from synthetic import table, weekly

from daycast.config.reproduce import Training
from daycast.errors import ConfigError
from daycast.models import protocol

SPAN = (pd.Timestamp("2015-01-10"), pd.Timestamp("2015-07-01"))
AT = pd.date_range("2015-07-05", periods=9)


def training(**changes):
    recipe = {
        "optimizer": "adam",
        "momentum": 0.0,
        "learning_rate": 0.01,
        "loss": "mse",
        "batch_size": 16,
        "buffer": None,
    }
    values = {
        "inputs": ["s0"],
        "targets": ["s0"],
        "known": [],
        "lags": [],
        "lookback": 10,
        "scale": "minmax",
        "architecture": {"kind": "lags"},
        "recipe": {**recipe, "buffer": None, "max_epochs": 12, "patience": None},
    }
    return Training.model_validate_json(json.dumps({**values, **changes}))


def made(of, asked=(AT, 1), **changes):
    return protocol.train(of, training(**changes), SPAN, asked, 1)


def test_forecasts_come_in_raw_units_for_every_origin_and_target():
    of = table(weekly(3))
    found = made(of, (AT, 3), inputs=["s1", "s0", "s2"], targets=["s1", "s0"])
    assert found.forecasts.shape == (9, 2, 3)
    assert 100 < found.forecasts.min() < found.forecasts.max() < 300
    assert found.report["windows"] == (SPAN[1] - SPAN[0]).days + 1 - 10 - 2
    assert found.report["epochs"] == found.report["best_epoch"] == 12


@pytest.mark.parametrize("scale", ["millions", "minmax"])
def test_nothing_that_came_after_a_cutoff_moves_its_forecast(scale):
    y = weekly(2)
    later = y.copy()
    cut = (AT[0] - pd.Timestamp("2015-01-01")).days + 1
    later[:, cut:] = later[:, cut:][:, ::-1] * 3
    changes = {"inputs": ["s0", "s1"], "known": ["day"], "lags": [28, 5], "scale": scale}
    one, other = (made(table(values), **changes).forecasts for values in (y, later))
    assert (one[0] == other[0]).all()
    assert (one[1:] != other[1:]).any()


def test_a_step_is_told_what_is_known_of_the_day_after_it():
    flag = np.random.default_rng(0).integers(0, 2, 400).astype(float)
    y = 100 + 50 * flag[None] + np.random.default_rng(1).normal(0, 1, (1, 400))
    of, asked = table(y, flag), slice((AT[0] - pd.Timestamp("2015-01-01")).days + 1, None)
    long = {**training().recipe.model_dump(), "max_epochs": 60}
    came = y[0, asked][:9]
    told, untold = (abs(made(of, known=k, recipe=long).forecasts[:, 0, 0] - came).mean() for k in (["flag"], []))
    assert told < 5 < 15 < untold


def test_a_lag_is_of_the_day_that_is_forecast():
    rng = np.random.default_rng(3)
    y = np.tile(rng.normal(100, 20, 30), 14)[None]  # each day as 30 days before
    long = {**training().recipe.model_dump(), "max_epochs": 80}
    came = y[0][(AT[0] - pd.Timestamp("2015-01-01")).days + 1 :][:9]
    near, far = (
        abs(made(table(y), lags=g, lookback=1, recipe=long).forecasts[:, 0, 0] - came).mean() for g in ([30], [29])
    )
    assert near < 5
    assert far > 2 * near


def test_windows_outside_the_data_and_unknown_columns_are_told():
    of = table(weekly(1))
    with pytest.raises(ConfigError, match="windows"):
        made(of, (pd.date_range("2014-12-01", periods=3), 1))
    with pytest.raises(ConfigError, match="windows"):
        protocol.train(of, training(scale="millions"), (SPAN[0], SPAN[0]), (AT, 1), 1)
    with pytest.raises(ConfigError, match="holiday"):
        made(of, known=["holiday"])
