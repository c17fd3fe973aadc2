"""Trees and the linear model on the signals of made-up series that the profile alone can't tell."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import yaml
from tests.models import synthetic

from daycast import config, models
from daycast.core import leakage, signals
from daycast.core.forecast import predict
from daycast.errors import HistoryError, ModelError

PROFILE = {
    "by": ("day",),
    "window": 4,
    "statistic": "median",
    "enough": None,
    "newest": 2,
    "analogs": 1,
    "year": 84,
    "means": (3, 7),
    "growth": (7,),
    "closed": None,
}
SHARED = {
    "inputs": "joint",
    "transforms": ({"kind": "scale", "method": "none", "log1p": True},),
    "profile": PROFILE,
    "lags": 2,
    "max_rows": 100_000,
    "known": None,
    "train_steps": None,
}
TREES = {
    "family": "lightgbm",
    "loss": "mae",
    "rounds": 40,
    "learning_rate": 0.1,
    "leaves": 7,
    "min_leaf": 10,
    "feature_share": 0.8,
    "row_share": 0.8,
    "bags": 2,
}
RIDGE = {"family": "linear", "penalty": 0.01}
FAMILIES = pytest.mark.parametrize("family", [TREES, RIDGE], ids=["lightgbm", "linear"])


def model(family: dict[str, Any], horizon: int = 7, **changes: Any) -> Any:
    kind = config.LightGbm if family is TREES else config.Linear
    return models.build(kind.model_validate({**SHARED, **family, **changes}), synthetic.context(horizon))


def mae(forecaster: Any, made: Any, backs: range, steps: int) -> float:
    origins = [synthetic.origin(made, back, steps) for back in backs]
    forecasts = predict(forecaster, origins)
    ends = [len(o.history.ds) for o in origins]
    actual = np.stack([made.panel.y[:, end : end + steps] for end in ends])
    return float(np.abs(forecasts - actual).mean())


@FAMILIES
@pytest.mark.parametrize("inputs", ["joint", "each"])
def test_it_uses_what_yesterday_tells_beyond_the_profile(family, inputs):
    made = synthetic.table(synthetic.weekly(2, 900), ahead=0)
    forecaster = model(family, 1, inputs=inputs)
    forecaster.fit(made.panel.until(made.panel.ds[700]))
    naive = models.build(config.SeasonalNaive(family="seasonal_naive", lag=7), synthetic.context(1))
    backs = range(1, 190)
    assert mae(forecaster, made, backs, 1) < 0.8 * mae(naive, made, backs, 1)


@FAMILIES
def test_it_passes_the_audit_of_leakage(family):
    made = synthetic.table(synthetic.weekly(2, 400))
    ds = made.panel.ds
    result = leakage.audit(lambda _: model(family), made, ds[300], ds[[300, 320, 341]], 7, seed=1)
    assert result.passed, result.summary()


@FAMILIES
def test_an_origin_gets_the_same_bits_alone_and_among_others(family):
    made = synthetic.table(synthetic.weekly(2, 400))
    forecaster = model(family)
    forecaster.fit(made.panel.until(made.panel.ds[300]))
    origins = [synthetic.origin(made, back) for back in (0, 20, 7)]
    together = forecaster.predict(origins)
    for origin, forecast in zip(origins, together, strict=True):
        np.testing.assert_array_equal(forecaster.predict([origin])[0], forecast)


@FAMILIES
@pytest.mark.parametrize("inputs", ["joint", "each"])
def test_a_saved_model_forecasts_the_same_bits(family, inputs, tmp_path):
    made = synthetic.table(synthetic.weekly(2, 400))
    forecaster = model(family, inputs=inputs)
    report = forecaster.fit(made.panel)
    models.save(forecaster, tmp_path / "model")
    origins = [synthetic.origin(made)]
    np.testing.assert_array_equal(models.load(tmp_path / "model").predict(origins), forecaster.predict(origins))
    assert report.facts["learners"] == (2 if inputs == "joint" else 1)


@FAMILIES
def test_missing_values_are_learned_around_and_forecast_from(family):
    y = synthetic.weekly(2, 400)
    y[0, 100:130] = np.nan
    y[1, -40:-28] = np.nan
    y[1, :150] = np.nan
    made = synthetic.table(y)
    forecaster = model(family)
    forecaster.fit(made.panel)
    assert np.isfinite(forecaster.predict([synthetic.origin(made)])).all()


@FAMILIES
def test_a_series_never_observed_gets_no_forecast_and_harms_no_other(family):
    y = synthetic.weekly(3, 300)
    y[1] = np.nan
    made = synthetic.table(y)
    forecaster = model(family, inputs="each")
    forecaster.fit(made.panel)
    forecast = forecaster.predict([synthetic.origin(made)])[0]
    assert np.isnan(forecast[1]).all()
    assert np.isfinite(forecast[[0, 2]]).all()


@FAMILIES
def test_rows_beyond_the_most_are_thinned_out(family):
    made = synthetic.table(synthetic.weekly(2, 400))
    facts = model(family, inputs="each", max_rows=500).fit(made.panel).facts
    assert 400 <= facts["rows"] <= 500


def test_the_newest_rows_alone_can_be_learned_from():
    made = synthetic.table(synthetic.weekly(1, 400), ahead=0)
    facts = model(RIDGE, 1, train_steps=100).fit(made.panel).facts
    assert facts["rows"] == 99


@FAMILIES
def test_a_history_without_anything_to_learn_is_refused(family):
    with pytest.raises(HistoryError):
        model(family).fit(synthetic.table(np.full((1, 100), np.nan)).panel)


@FAMILIES
@pytest.mark.parametrize("seen", [0, 1])
def test_a_series_with_nothing_to_learn_from_is_forecast_by_its_profile_and_counted(family, seen, tmp_path):
    y = synthetic.weekly(3, 400)
    days = y.shape[1] - 28
    y[1, : days - 20 - seen] = np.nan
    made = synthetic.table(y)
    forecaster = model(family)
    facts = forecaster.fit(made.panel.until(made.panel.ds[-21])).facts
    assert (facts["learners"], facts["fallback"]) == (2, 1)
    asked = [synthetic.origin(made)]
    found = predict(forecaster, asked)
    history = made.panel
    told = signals.signals(history, made.future(history.cutoff, 7), np.log1p(history.y), forecaster._recipe, 7)
    profile = np.expm1(told.base(np.full(7, days - 1), days + np.arange(7)))
    np.testing.assert_allclose(found[0, 1], profile[1])
    assert np.abs(found[0, [0, 2]] - profile[[0, 2]]).min() > 0
    models.save(forecaster, tmp_path / "model")
    np.testing.assert_array_equal(predict(models.load(tmp_path / "model"), asked), found)


@FAMILIES
def test_steps_ahead_that_no_row_tells_of_are_forecast_by_the_profile(family):
    y = synthetic.weekly(2, 400)
    days = y.shape[1] - 28
    y[1, : days - 12] = np.nan
    made = synthetic.table(y)
    forecaster = model(family, 7)
    history = made.panel.until(made.panel.ds[-10])
    assert forecaster.fit(history).facts["fallback"] == 0  # three values: steps 1 and 2
    found = predict(forecaster, [synthetic.origin(made, 9)])[0]
    told = signals.signals(history, made.future(history.cutoff, 7), np.log1p(history.y), forecaster._recipe, 7)
    profile = np.expm1(told.base(np.full(7, len(history.ds) - 1), len(history.ds) + np.arange(7)))
    assert np.isfinite(found).all()
    if family is RIDGE:  # trees take the step for a number like any other
        np.testing.assert_allclose(found[1, 2:], profile[1, 2:])
        assert not np.isclose(found[1, :2], profile[1, :2]).any()


@FAMILIES
def test_what_a_series_begins_with_on_a_holiday_is_nothing_to_learn_from(family):
    made = synthetic.celebrated(synthetic.table(synthetic.weekly(1, 200)), range(10))
    late = made.panel.y.copy()
    late[:, :10] = np.nan
    rows = [model(family, 3).fit(replace(made.panel, y=y)).facts["rows"] for y in (made.panel.y, late)]
    assert rows[0] == rows[1] > 400


@FAMILIES
def test_that_a_listed_series_opens_later_moves_no_forecast_made_before(family):
    y = synthetic.weekly(3, 460)
    y[2, : y.shape[1] - 28 - 20] = np.nan
    made, standard = synthetic.table(y), ({"kind": "scale", "method": "standard", "log1p": False},)
    cutoffs = made.panel.ds[[-26, -13, -4]]  # one of them before it opens
    audited = leakage.audit(
        lambda _: model(family, inputs="each", transforms=standard), made, made.panel.ds[-41], cutoffs, 7, seed=1
    )
    assert audited.passed, audited.summary()


@FAMILIES
def test_other_series_or_features_than_those_fitted_on_are_refused(family):
    made = synthetic.table(synthetic.weekly(2, 300))
    forecaster = model(family)
    with pytest.raises(ModelError, match="never fitted"):
        forecaster.predict([synthetic.origin(made)])
    forecaster.fit(made.panel)
    with pytest.raises(ModelError, match="2 series"):
        forecaster.predict([synthetic.origin(synthetic.table(synthetic.weekly(3, 300)))])
    flagged = synthetic.table(synthetic.weekly(2, 300), np.zeros(300))
    with pytest.raises(ModelError, match="flag"):
        forecaster.predict([synthetic.origin(flagged)])


@FAMILIES
def test_a_model_of_all_series_takes_new_ones_and_lets_others_go(family):
    y = synthetic.weekly(4, 400)
    made = synthetic.table(y[:3])
    forecaster = model(family, inputs="each", transforms=({"kind": "scale", "method": "standard", "log1p": False},))
    forecaster.fit(made.panel.until(made.panel.ds[-61]))
    days = made.panel.y.shape[1]
    born = np.where(np.arange(days) < days - 25, np.nan, 10 * y[3, :days])  # five days old at the first origin
    more = replace(made, panel=synthetic.grown(made.panel, born, "new"))
    asked = [synthetic.origin(more, back, 3) for back in (20, 3)]
    found = forecaster.predict(asked)
    np.testing.assert_array_equal(found[:, :3], forecaster.predict([synthetic.origin(made, b, 3) for b in (20, 3)]))
    assert np.abs(found[:, 3] - 10 * y[3, days - 20 : days - 17]).mean() < 0.25 * 10 * y[3].mean()
    fewer = replace(made, panel=made.panel.only(("s2", "s0")))
    np.testing.assert_array_equal(forecaster.predict([synthetic.origin(fewer, 3, 3)])[0], found[1, [2, 0]])
    later = born.copy()
    later[-19:] *= 50
    moved = replace(made, panel=synthetic.grown(made.panel, later, "new"))
    np.testing.assert_array_equal(forecaster.predict([synthetic.origin(moved, b, 3) for b in (20, 3)])[0], found[0])


@FAMILIES
def test_a_learner_over_its_time_budget_answers_with_what_it_has(family, tmp_path):
    made = synthetic.table(synthetic.weekly(2, 400))
    asked = [synthetic.origin(made)]
    hasty, patient, boundless = (model(family, budget_s=budget) for budget in (1e-9, 600.0, None))
    late = [forecaster.fit(made.panel).facts["over_budget"] for forecaster in (hasty, patient, boundless)]
    assert late == [2, 0, 0]
    np.testing.assert_array_equal(patient.predict(asked), boundless.predict(asked))
    models.save(hasty, tmp_path / "model")
    found = hasty.predict(asked)
    np.testing.assert_array_equal(models.load(tmp_path / "model").predict(asked), found)
    history, future = asked[0].history, asked[0].future
    told = signals.signals(history, future, np.log1p(history.y), hasty._recipe, 7)
    days = len(history.ds) + np.arange(7)
    profile = np.expm1(told.base(np.full(7, len(history.ds) - 1), days))
    if family is RIDGE:  # of no step anything was learned
        np.testing.assert_allclose(found[0], profile)
    else:
        one = model(TREES, rounds=1, bags=1)
        one.fit(made.panel)
        np.testing.assert_array_equal(found, one.predict(asked))
        assert not np.allclose(found[0], profile)


def shipped_of_panels(name: str, root: Any) -> Any:
    """A shipped model of panels for made-up series, fast."""
    told = yaml.safe_load((root / "conf/model" / f"{name}.yaml").read_text())[name] | {"search": {}}
    told["profile"] |= {"by": ["day"], "year": 84}
    told |= {"rounds": 30, "bags": 1} if name == "lightgbm_panel" else {}
    kind = config.LightGbm if name == "lightgbm_panel" else config.Recurrent
    return models.build(kind.model_validate_json(json.dumps(told)), synthetic.context(7))


PANELS = pytest.mark.parametrize("name", ["lightgbm_panel", "gru_profile_panel"])


@PANELS
@pytest.mark.parametrize("age", [1, 3, 8])
def test_a_series_that_began_on_a_holiday_has_a_forecast_by_the_shipped_models_of_panels(name, age, root):
    made = synthetic.celebrated(synthetic.table(synthetic.weekly(3, 400)), range(360, 372))
    forecaster = shipped_of_panels(name, root)
    forecaster.fit(made.panel)
    days = made.panel.y.shape[1]
    born = np.where(np.arange(days) < days - age, np.nan, 7 * made.panel.y[-1])
    found = predict(forecaster, [synthetic.origin(replace(made, panel=synthetic.grown(made.panel, born, "new")))])
    assert np.abs(found[0, 3] / (7 * made.panel.y[-1, -age:].mean()) - 1).max() < 0.5


@PANELS
def test_a_series_of_a_fortnight_has_its_week_by_the_shipped_models_of_panels(name, root):
    forecaster = shipped_of_panels(name, root)
    made = synthetic.table(synthetic.weekly(4, 400, noise=1.0) + 40 * (np.arange(400) % 7 > 4))
    forecaster.fit(made.panel)
    days = made.panel.y.shape[1]
    born = np.where(np.arange(days) < days - 14, np.nan, made.panel.y[-1])
    more = replace(made, panel=synthetic.grown(made.panel, born, "new"))
    old, new = forecaster.predict([synthetic.origin(more)])[0][[-2, -1]]
    assert np.ptp(old) > 40
    assert np.abs(new - old).max() < 0.2 * np.ptp(old)


def test_a_booster_whose_text_was_damaged_is_an_error_of_the_model():
    made = synthetic.table(synthetic.weekly(2, 400), ahead=0)
    forecaster = model(TREES)
    forecaster.fit(made.panel)
    values, arrays = forecaster.state()
    for damaged in (slice(0, 60), slice(400, 460), slice(None)):
        broken = {name: array.copy() for name, array in arrays.items()}
        for array in broken.values():
            array[damaged] = ord("x")
        with pytest.raises(ModelError, match="a booster that LightGBM can read"):
            model(TREES).restore(values, broken)
