"""Scores of probabilities against their formulas."""

import numpy as np
import pandas as pd
import pytest

from daycast.core import probabilities
from daycast.errors import HistoryError

RNG = np.random.default_rng(5)
N = 60
LOW = (RNG.random(N) < 0.3).astype(float)
TOLD = {"base_rate": np.full(N, 0.25), "sharp": np.clip(0.7 * LOW + 0.3 * RNG.random(N), 0, 1)}


def rows(low=LOW, told=TOLD, series="a"):
    ds = pd.date_range("2020-01-01", periods=N)
    frame = {"unique_id": series, "cutoff": ds - pd.Timedelta(days=1), "ds": ds, "step": 1, "low": low}
    return pd.concat([pd.DataFrame({**frame, "model": m, "probability": p}) for m, p in told.items()])


def slow_average_precision(low, told):
    """Mean over low days of the share of low ones among those told at least as high."""
    return np.mean([low[told >= p].mean() for p in told[low == 1]])


def test_scores_are_those_of_their_formulas():
    scores = probabilities.score(rows(), 0.5).set_index("model")
    p = TOLD["sharp"]
    sharp = scores.loc["sharp"]
    brier = ((p - LOW) ** 2).mean()
    assert sharp["brier"] == pytest.approx(brier)
    assert sharp["skill"] == pytest.approx(1 - brier / ((0.25 - LOW) ** 2).mean())
    assert sharp["average_precision"] == pytest.approx(slow_average_precision(LOW, p))
    assert sharp["log_loss"] == pytest.approx(-np.where(LOW == 1, np.log(p), np.log(1 - p)).mean())
    raised = p >= 0.5
    assert sharp["accuracy"] == pytest.approx((raised == LOW).mean())
    assert sharp["precision"] == pytest.approx(LOW[raised].mean())
    assert sharp["recall"] == pytest.approx(raised[LOW == 1].mean())
    assert (sharp["n"], sharp["share"]) == (N, LOW.mean())


def test_the_bar_of_average_precision_is_the_share_and_that_of_skill_is_zero():
    base = probabilities.score(rows(), 0.5).set_index("model").loc["base_rate"]
    assert base["average_precision"] == pytest.approx(LOW.mean())
    assert base["skill"] == 0
    assert np.isnan(base["precision"])
    assert base["recall"] == 0


def test_each_combination_is_scored_by_itself():
    both = pd.concat([rows(), rows(1 - LOW, series="b")])
    scores = probabilities.score(both, 0.5, ("unique_id", "step"))
    assert scores[["unique_id", "step", "model"]].to_numpy().tolist() == [
        [s, 1, m] for s in ("a", "b") for m in ("base_rate", "sharp")
    ]
    alone = probabilities.score(rows(1 - LOW, series="b"), 0.5)
    assert scores["brier"].to_numpy()[2:] == pytest.approx(alone["brier"].to_numpy())


def test_without_a_low_day_there_is_no_precision_and_against_a_perfect_base_rate_no_skill():
    never = probabilities.score(rows(np.zeros(N), {"base_rate": np.zeros(N), "sharp": TOLD["sharp"]}), 0.5)
    assert never["average_precision"].isna().all()
    assert never["skill"].isna().all()
    assert never["recall"].isna().all()
    assert np.isfinite(never["log_loss"]).all()


def test_all_models_are_scored_at_the_days_that_all_of_them_tell_of():
    gaps, unknown = TOLD["sharp"].copy(), LOW.copy()
    gaps[:10], unknown[50:] = np.nan, np.nan
    kept = probabilities.comparable(rows(unknown, {**TOLD, "sharp": gaps}))
    assert (
        kept.groupby("model")["ds"].agg(["min", "max", "size"]).to_numpy().tolist()
        == [[pd.Timestamp("2020-01-11"), pd.Timestamp("2020-02-19"), 40]] * 2
    )


def test_a_window_of_which_nothing_is_known_is_refused():
    with pytest.raises(HistoryError, match="observed days"):
        probabilities.comparable(rows(np.full(N, np.nan)))
