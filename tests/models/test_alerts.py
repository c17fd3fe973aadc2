"""Probabilities of low days, on made-up series whose low days have a known cause, or none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from tests.conftest import ROOT
from tests.models import synthetic
from tests.models.test_tabular import PROFILE, SHARED

from daycast import config
from daycast.core import leakage, lows, probabilities
from daycast.core.frame import Table
from daycast.core.split import origins
from daycast.errors import ModelError
from daycast.models import alerts, learners
from daycast.models.budget import Clock

LOW = {"drop": 0.3, "by": ("day",), "window": 4, "statistic": "median"}
HORIZON, STEPS, FIT = 2, 900, 640
NETWORK = {"profile": PROFILE, "cell": "lstm", "hidden": 16, "loss": "cross_entropy", "weight_decay": 0.01}


def alert(seeds: int = 1, **changes: Any) -> config.Alert:
    """An alert section of a tiny network; ``changes`` of the network."""
    network = synthetic.network().model_dump() | NETWORK | changes
    logistic = {**SHARED, "family": "logistic", "penalty": 0.01}
    told = {"name": "test", "low": LOW, "model": "network", "threshold": 0.5, "seeds": seeds}
    return config.Alert.model_validate({**told, "logistic": logistic, "network": network})


def table(caused: bool) -> Table:
    """Two noisy series that lose half on a tenth of the days: on flagged ones, or on days that nothing tells of."""
    rng = np.random.default_rng(4)
    low, flag = rng.random((2, STEPS)) < 0.1
    y = 200 + 15 * rng.normal(size=(2, STEPS)) + 20 * (np.arange(STEPS) % 7)
    y[:, flag if caused else low] /= 2
    return synthetic.table(y, flag.astype(float))


def scores(made: Table, section: config.Alert, names: tuple[str, ...], **changes: Any) -> pd.DataFrame:
    """Scores of models fitted on the first ``FIT`` days, by all later origins, over both series."""
    panel, rule = made.panel, section.low.rule()
    at = np.arange(FIT - 1, len(panel.ds) - HORIZON)
    low = lows.known(panel, None, rule).ahead(at, HORIZON)
    parts = []
    for name in names:
        model = alerts.build(name, section, synthetic.context(HORIZON, **changes))
        model.fit(panel.until(panel.ds[FIT - 1]))
        told = model.predict(origins(made, panel.ds[at], HORIZON))
        assert ((told >= 0) & (told <= 1)).all()
        o, n, h = (index.ravel() for index in np.indices(told.shape))
        where = {"unique_id": np.char.mod("s%d", n), "cutoff": panel.ds[at][o], "step": h + 1, "model": name}
        parts.append(pd.DataFrame({**where, "probability": told.ravel(), "low": low.ravel()}))
    rows = probabilities.comparable(pd.concat(parts)).assign(unique_id="all")
    return probabilities.score(rows, 0.5).set_index("model")


def test_a_known_cause_is_learned_and_the_base_rate_beaten_by_far():
    found = scores(table(caused=True), alert(), alerts.MODELS, max_epochs=20, patience=20)
    assert (found.loc[["logistic", "network"], "skill"] > 0.7).all(), found
    assert (found.loc[["logistic", "network"], "average_precision"] > 0.9).all(), found
    assert found.loc["base_rate", "average_precision"] < 0.2


def test_where_nothing_tells_nothing_is_gained():
    found = scores(table(caused=False), alert(), alerts.MODELS, max_epochs=4, patience=4)
    assert (found.loc[["logistic", "network"], "skill"] < 0.03).all(), found
    assert (found.loc[["logistic", "network"], "average_precision"] < 0.25).all(), found


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("base_rate", {}),
        ("logistic", {}),
        ("network", {}),
        ("network", {"profile": None}),
        ("network", {"inputs": "each", "seeds": 2}),
        ("network", {"output": "every_step", "lead": 1}),
    ],
    ids=str,
)
def test_no_probability_moves_by_a_bit_when_all_that_came_later_is_scrambled(
    name: str, changes: dict[str, Any]
) -> None:
    made = table(caused=True)
    short = Table(made.panel.until(made.panel.ds[399]), made.future(made.panel.ds[399], 28))
    section, context = alert(**changes), synthetic.context(HORIZON, max_epochs=1)
    cutoffs = short.panel.ds[[299, 320, 390]]
    found = leakage.audit(lambda _: alerts.build(name, section, context), short, cutoffs[0], cutoffs, HORIZON, seed=1)
    assert found.passed, found.summary()
    assert found.compared == 2 * 3 * 3 * 2 * HORIZON


def test_the_base_rate_is_the_share_of_low_days_up_to_the_cutoff():
    made = table(caused=True)
    history = made.panel.until(made.panel.ds[FIT - 1])
    model = alerts.build("base_rate", alert(), synthetic.context(HORIZON))
    model.fit(history)
    told = model.predict([synthetic.origin(made, horizon=HORIZON)])
    low = lows.known(history, None, alert().low.rule()).ahead(np.arange(FIT), HORIZON)
    assert told[0] == pytest.approx(np.repeat(np.nanmean(low, axis=(0, 2))[:, None], HORIZON, axis=1))


def test_a_series_without_a_single_low_day_gets_next_to_none_by_logistic_regression():
    made = table(caused=True)
    y = made.panel.y.copy()
    y[0] = 200.0
    still = Table(synthetic.table(np.column_stack([y, y[:, :28]]), np.zeros(STEPS)).panel, made.beyond)
    model = alerts.build("logistic", alert(), synthetic.context(HORIZON))
    model.fit(still.panel)
    told = model.predict([synthetic.origin(still, horizon=HORIZON)])
    assert (told[0, 0] < 0.002).all()


def test_a_network_comes_back_from_its_state():
    made = table(caused=True)
    made_of = alert(), synthetic.context(HORIZON, max_epochs=1)
    model, other = (alerts.build("network", *made_of) for _ in range(2))
    model.fit(made.panel.until(made.panel.ds[299]))
    other.restore(*model.state())  # type: ignore[attr-defined]
    asked = [synthetic.origin(made, horizon=HORIZON)]
    np.testing.assert_array_equal(other.predict(asked), model.predict(asked))


def test_an_unknown_or_unfitted_model_is_refused():
    with pytest.raises(ModelError, match="base_rate, logistic, network"):
        alerts.build("forest", alert(), synthetic.context(HORIZON))
    model = alerts.build("base_rate", alert(), synthetic.context(HORIZON))
    with pytest.raises(ModelError, match="never fitted"):
        model.predict([synthetic.origin(table(caused=True), horizon=HORIZON)])


def test_the_shipped_network_is_the_textbooks_classifier():
    told = yaml.safe_load((Path(ROOT) / "conf/alert/default.yaml").read_text())["network"]
    assert (told["cell"], told["hidden"], told["loss"]) == ("lstm", 100, "cross_entropy")


def test_of_a_series_with_nothing_to_learn_from_no_probability_is_told():
    made = table(caused=True)
    late = made.panel.y.copy()
    late[1, : len(made.panel.ds) - 30] = np.nan
    made = replace(made, panel=replace(made.panel, y=late))
    model = alerts.build("logistic", alert(), synthetic.context(HORIZON))
    assert model.fit(made.panel.until(made.panel.ds[-40])).facts["fallback"] == 1
    found = model.predict(origins(made, made.panel.ds[-5:], HORIZON))
    assert np.isnan(found[:, 1]).all()
    assert ((found[:, 0] > 0) & (found[:, 0] < 1)).all()


def test_a_step_without_a_day_to_learn_from_has_the_odds_of_all_days():
    learner = learners.LogOdds(alert().logistic, synthetic.context(3))
    x = np.column_stack([np.ones(9), np.arange(9.0)])
    y = np.array([1.0, 0, 0, 0, 1, 0, 0, 0, 0])
    assert learner.learn(x, y, ("step", "other"), Clock(None))
    np.testing.assert_allclose(learner.answer(np.array([[2.0, 5.0], [3.0, 0.0]])), (2 + 0.5) / (9 + 1))
