"""The card of a version: what it says, how it takes the gate's word, and how it is shortened."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from daycast.core.card import Card, judged, markdown, short, weak_spots
from daycast.core.gate import Check

DS = pd.date_range("2019-12-20", periods=14)
CHECKS = (
    Check("coverage", True, 0.8, 0.65, "80.0% of the values inside"),
    Check("size", False, 600.0, 500.0, "600 MB | 500 allowed"),
)


def rows(errors: dict[str, float], level: float = 100.0) -> pd.DataFrame:
    """Two series, one ten times the other, forecast exactly but for these days (ISO), by shares of their level."""
    off = np.array([errors.get(str(day.date()), 0.0) for day in DS])
    parts = [
        pd.DataFrame({"unique_id": name, "ds": DS, "y": scale * level, "y_hat": scale * level * (1 + off)})
        for name, scale in (("bus", 1.0), ("rail", 10.0))
    ]
    return pd.concat(parts, ignore_index=True)


KINDS = pd.DataFrame(
    {"weekday": DS.strftime("%a"), "event": ["christmas" if d.day == 25 else "" for d in DS]}, index=DS
)


@pytest.fixture
def card() -> Card:
    board = pd.DataFrame(
        {
            "model": ["gru", "seasonal_naive", "naive"],
            "rank": [1, 2, 3],
            "mae": [1500.0, 2000.0, 3000.0],
            "mase": [0.5, 1.0, 2.0],
            "coverage_80": [0.79, 0.82, 0.7],
        }
    )
    return Card(
        title="gru of cta",
        summary="Number 1 of 3.",
        data={"dataset": "CTA", "past covariates": ""},
        protocol={"judged by": "mase"},
        model="family: recurrent\nlookback: 56\n" + "known: [day_type, holiday]\n" * 5,
        board=board,
        name="gru",
        baselines=frozenset({"seasonal_naive", "naive"}),
        by_step=pd.DataFrame({"step": [1, 2], "mae": [1.0, 2.0], "coverage_80": [0.75, 0.83]}),
        weak=weak_spots(rows({"2019-12-25": 0.5}), KINDS),
        metric="mase",
        seeds=(0.52, 0.54),
        commands={"train it again": "daycast reproduce-run abc"},
    )


def test_the_worst_days_are_by_shares_so_that_large_series_do_not_drown_small_ones() -> None:
    made = rows({"2019-12-25": 0.5, "2019-12-31": 0.2})
    made.loc[(made["unique_id"] == "bus") & (made["ds"] == "2019-12-23"), "y_hat"] *= 3  # 200 % of the small one
    weak = weak_spots(made, KINDS)
    assert [str(day.date()) for day in weak.days["ds"][:3]] == ["2019-12-23", "2019-12-25", "2019-12-31"]
    assert weak.days["error"][:3].tolist() == pytest.approx([1.0, 0.5, 0.2])
    assert weak.days["about"][1] == "weekday Wed, event christmas"
    assert weak.error == pytest.approx(1.7 / 14)


def test_a_kind_of_day_is_told_only_if_it_is_worse_and_there_are_enough_of_it() -> None:
    errors = {str(day.date()): 0.1 for day in DS if day.day_name() in ("Fri", "Friday")}
    kinds = KINDS.assign(part=["late" if i > 10 else "" for i in range(len(DS))])
    weak = weak_spots(rows(errors | {"2019-12-25": 0.5, str(DS[13].date()): 0.4}), kinds)
    assert weak.kinds["kind"].tolist() == ["part late"]  # Christmas is one day, each weekday two
    assert weak.kinds["timestamps"].tolist() == [3]


def test_days_that_were_not_observed_are_no_weak_spots() -> None:
    made = rows({"2019-12-25": 0.5})
    made.loc[made["ds"] == "2019-12-25", "y"] = np.nan
    assert weak_spots(made, KINDS).days["error"].max() == 0


def test_a_card_has_the_scores_of_all_and_the_gain_on_each_baseline(card: Card) -> None:
    text = markdown(card)
    assert "| **gru** |  | 1,500 | 0.500 | 0.790 |" in text
    assert "| naive | baseline | 3,000 | 2.000 | 0.700 |" in text
    assert "+50.0 % on seasonal_naive, +75.0 % on naive" in text
    assert "80 % intervals held 79.0% of what came" in text
    assert "least 75.0% (step 1), most 83.0% (step 2)" in text
    assert "0.520, 0.540 (mean 0.530, standard deviation 0.0141); of their mean forecast 0.500" in text
    assert "past covariates" not in text


def test_a_card_says_so_where_there_is_one_seed_or_no_interval(card: Card) -> None:
    text = markdown(replace(card, seeds=(), by_step=card.by_step.drop(columns="coverage_80")))
    assert "No spread is known: one seed" in text
    assert "it has no intervals" in text


def test_the_gate_stands_first_on_a_card_and_its_newest_word_counts(card: Card) -> None:
    text = judged(judged(markdown(card), "Refused: once.", CHECKS), "Refused: twice.", CHECKS)
    assert "once" not in text
    assert text.index("## The gate") < text.index("## Data")
    assert "| **failed** | size | 600 MB / 500 allowed |" in text
    assert judged(text, "Refused: twice.", CHECKS) == text
    assert judged("", "Passed.", CHECKS).count("## The gate") == 1  # of a run that said nothing before


def test_a_short_card_leaves_out_whole_sections_those_that_matter_least_first(card: Card) -> None:
    whole = judged(markdown(card), "Refused.", CHECKS)
    assert short(whole, len(whole)) == whole
    less = short(whole, len(whole) - 1)
    assert len(less) < len(whole)
    assert "## Model" not in less
    assert "Left out here, and in `card.md` of the model's run: Model." in less
    least = short(whole, 400)
    assert len(least) <= 400
    assert "## The gate" in least
    assert "## Scores" not in least
