import json
import warnings
from dataclasses import replace

import numpy as np
import pytest
import yaml
from chicago import mae, origins, ridership
from safetensors.numpy import load, save
from synthetic import context, origin, table, weekly

from daycast import config, models
from daycast.core.forecast import Forecaster, predict
from daycast.errors import ConfigError, ModelError
from daycast.models import statespace
from daycast.models.arima import AutoArima, Sarima
from daycast.models.baselines import seasonal_naive
from daycast.models.budget import Clock, OverBudgetError


def sarima_config(**changes):
    values = {
        "family": "sarima",
        "order": (1, 0, 0),
        "seasonal_order": (0, 1, 1),
        "known": (),
        "scale": True,
        "update": "filter",
        "train_steps": None,
    }
    return config.Sarima.model_validate({**values, **changes})


def sarima(**changes):
    return Sarima(sarima_config(**changes), context())


def auto(**changes):
    values = {"family": "auto_arima", "known": ("flag",), "train_steps": None, **changes}
    return AutoArima(config.AutoArima.model_validate(values), context())


def flagged(steps=300, n=2, seed=0, holes=True, **changes):
    """Weekly series; on flagged days 60 is missing from them; some values are not observed."""
    rng = np.random.default_rng(seed)
    flag = (rng.random(steps) < 0.1).astype(float)
    y = weekly(n, steps, seed) - 60 * flag
    if holes:
        y[rng.random(y.shape) < 0.05] = np.nan
    return table(y, flag, **changes)


@pytest.fixture(scope="module")
def made():
    return flagged()


CASES = {
    "sarima": sarima(known=("flag",)),
    "sarima with a mean": sarima(order=(2, 0, 1), seasonal_order=(0, 0, 0), known=("flag", "day")),
    "sarima, first differences": sarima(order=(0, 1, 1), seasonal_order=(0, 0, 1)),
    "sarima, refit": sarima(order=(1, 0, 0), seasonal_order=(0, 0, 0), known=("flag",), update="refit"),
    "auto_arima": auto(train_steps=200),
}


@pytest.fixture(scope="module", params=CASES, ids=list(CASES))
def fitted(request, made):
    model = CASES[request.param]
    report = model.fit(made.panel.until(made.panel.ds[220]))
    assert report.facts["fallback"] == 0
    return model


def by_statsmodels(model, made, n, cutoff, horizon):
    """Forecasts of series n by statsmodels' own results object, filtered from the fit's start up to the cutoff."""
    from statsmodels.tsa.statespace.sarimax import SARIMAX

    values, arrays = model.state()
    orders, scale = values["series"][n]["orders"], arrays["scale"][n]
    parameters = arrays["parameters"][n][~np.isnan(arrays["parameters"][n])]
    start = made.panel.ds.get_loc(values["start"])
    known = np.concatenate([made.panel.known, made.beyond.known])
    x = known[:, [made.panel.known_names.index(name) for name in values["regressors"]]]
    if orders[0][1] + orders[1][1] == 0:
        x = np.column_stack([np.ones(len(x)), x])
    seen, ahead = slice(start, cutoff + 1), slice(cutoff + 1, cutoff + 1 + horizon)
    space = SARIMAX(
        made.panel.y[n, seen] / scale,
        exog=x[seen] if x.shape[1] else None,
        order=orders[0],
        seasonal_order=(*orders[1], 7),
    )
    exog = x[ahead] if x.shape[1] else None
    return space.filter(parameters).forecast(horizon, exog=exog) * scale


def test_forecasts_agree_with_the_results_object_of_statsmodels(fitted, made):
    if fitted is CASES["sarima, refit"]:
        fitted = sarima(known=("flag",), seasonal_order=(0, 0, 0))  # its first fit's parameters, kept
        fitted.fit(made.panel.until(made.panel.ds[220]))
    for back in (0, 30, 51):
        one = origin(made, back=back, horizon=14)
        expected = [by_statsmodels(fitted, made, n, len(one.history.ds) - 1, 14) for n in (0, 1)]
        np.testing.assert_allclose(fitted.predict([one])[0], expected, rtol=1e-9)


def test_auto_arima_forecasts_what_statsforecast_itself_would():
    from statsforecast.arima import auto_arima_f, forecast_arima, forward_arima

    made = flagged(steps=240, n=1, holes=False)
    model = auto()
    model.fit(made.panel.until(made.panel.ds[180]))
    scale = model.state()[1]["scale"][0]
    y, x = made.panel.y[0] / scale, made.panel.known[:, [7]]
    one = origin(made, back=10, horizon=5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = auto_arima_f(y[:181], xreg=x[:181], period=7, approximation=True, allowdrift=False, **statespace.BOUNDS)
        later = forward_arima(found, y=y[:-10], xreg=x[:-10])
        expected = forecast_arima(later, 5, xreg=one.future.known[:, [7]])["mean"] * scale
    np.testing.assert_allclose(model.predict([one])[0, 0], expected, rtol=1e-5)  # their diffuse starts differ


def test_what_comes_after_the_cutoff_changes_no_bit(fitted, made):
    asked = [origin(made, back=b, horizon=7) for b in (40, 20, 0)]
    before = fitted.predict(asked)
    y = made.panel.y.copy()
    y[:, -40:] = np.random.default_rng(1).permuted(y[:, -40:], axis=1) * 1e3
    other = replace(made, panel=replace(made.panel, y=y))
    after = fitted.predict([origin(other, back=b, horizon=7) for b in (40, 20, 0)])
    np.testing.assert_array_equal(after[0], before[0])
    assert (after[1:] != before[1:]).any()  # the data did change


def test_what_comes_after_the_cutoff_of_the_fit_is_not_learned(fitted, made):
    y = made.panel.y.copy()
    y[:, 221:] = 1e6
    again = type(fitted)(fitted._config, context())
    again.fit(replace(made.panel, y=y).until(made.panel.ds[220]))
    np.testing.assert_array_equal(again.state()[1]["parameters"], fitted.state()[1]["parameters"])


def test_origins_asked_together_alone_or_from_a_copy_get_the_same_bits(fitted, made):
    asked = [origin(made, back=b, horizon=7) for b in (3, 40, 0, 17)]
    together = fitted.predict(asked)
    for one, row in zip(asked, together, strict=True):
        np.testing.assert_array_equal(fitted.predict([one])[0], row)
        panel = one.history
        copied = replace(one, history=replace(panel, y=panel.y.copy(), known=panel.known.copy()))
        np.testing.assert_array_equal(fitted.predict([copied])[0], row)


def test_histories_that_differ_are_filtered_apart(made):
    model = sarima(known=("flag",))
    model.fit(made.panel.until(made.panel.ds[220]))
    one = origin(made, back=5)
    changed = replace(one, history=replace(one.history, y=one.history.y + 50))
    both = model.predict([one, changed])
    np.testing.assert_array_equal(both[1], model.predict([changed])[0])
    assert (both[0] != both[1]).all()


def test_a_model_restored_from_json_and_arrays_forecasts_the_same_bits(fitted, made):
    values, arrays = fitted.state()
    again = type(fitted)(fitted._config, context())
    again.restore(json.loads(json.dumps(values)), load(save(arrays)))
    asked = [origin(made, back=b, horizon=7) for b in (20, 0)]
    np.testing.assert_array_equal(again.predict(asked), fitted.predict(asked))
    assert json.dumps(again.state()[0]) == json.dumps(values)


def test_a_saved_model_is_loaded_with_its_fallbacks(tmp_path):
    y = weekly(3, 150)
    y[1] = 5.0
    made = table(y)
    model = models.build(sarima_config(), context())
    model.fit(made.panel)
    models.save(model, tmp_path / "model")
    one = origin(made)
    np.testing.assert_array_equal(models.load(tmp_path / "model").predict([one]), model.predict([one]))


def test_models_are_forecasters_that_answer_any_horizon_directly(fitted, made):
    one = origin(made, horizon=28)
    assert isinstance(fitted, Forecaster)
    np.testing.assert_array_equal(predict(fitted, [one]), fitted.predict([one]))


def test_the_parameters_that_made_the_data_are_found():
    rng = np.random.default_rng(3)
    level, y = 0.0, np.empty(1500)
    flag = (rng.random(1500) < 0.2).astype(float)
    for t in range(1500):
        level = 0.7 * level + rng.normal(0, 2)
        y[t] = 50 + level - 30 * flag[t]
    model = sarima(seasonal_order=(0, 0, 0), known=("flag",))
    report = model.fit(table(y[None], flag).panel)
    values, arrays = model.state()
    mean, effect = arrays["parameters"][0, :2] * arrays["scale"][0]
    assert (report.facts["converged"], report.facts["orders"]) == (1, "(1,0,0)(0,0,0)[7] x1")
    assert (round(mean), round(effect)) == (50, -30)
    assert arrays["parameters"][0, 2] == pytest.approx(0.7, abs=0.06)
    assert values["regressors"] == ["flag"]


def test_the_first_level_of_a_categorical_column_is_left_out(made):
    model = sarima(known=("day", "flag"), seasonal_order=(0, 0, 0))
    model.fit(made.panel)
    names = [f"day={d}" for d in ("Tue", "Wed", "Thu", "Fri", "Sat", "Sun")]
    assert model.state()[0]["regressors"] == [*names, "flag"]


def test_only_the_last_train_steps_are_learned_from_and_looked_at(made):
    y = made.panel.y.copy()
    y[:, :100] = np.nan
    other = replace(made, panel=replace(made.panel, y=y))
    for model in (sarima(train_steps=90), auto(train_steps=90), sarima(train_steps=90, update="refit")):
        answers = []
        for data in (made, other):
            model.fit(data.panel.until(data.panel.ds[249]))
            answers.append(model.predict([origin(data, back=b) for b in (22, 0)]))
        np.testing.assert_array_equal(*answers)


def test_refit_is_a_fresh_fit_at_every_origin(made):
    refit, one = sarima(update="refit", train_steps=150), origin(made)
    refit.fit(made.panel.until(made.panel.ds[200]))
    fresh = sarima(train_steps=150)
    fresh.fit(one.history)
    np.testing.assert_array_equal(refit.predict([one]), fresh.predict([one]))
    kept = sarima(train_steps=150)
    kept.fit(made.panel.until(made.panel.ds[200]))
    assert (refit.predict([one]) != kept.predict([one])).any()


def test_refit_uses_nothing_older_than_the_first_fit_did(made):
    refit, one = sarima(update="refit"), origin(made)
    begin = made.panel.ds[60]
    refit.fit(made.panel.until(made.panel.ds[200]).since(begin))
    fresh = sarima()
    fresh.fit(one.history.since(begin))
    np.testing.assert_array_equal(refit.predict([one]), fresh.predict([one]))


def test_scaled_forecasts_do_not_depend_on_the_unit(made):
    # By a power of two, which rounds nothing: the likelihood has more than one peak, and a last bit may choose another.
    larger = replace(made, panel=replace(made.panel, y=made.panel.y * 1024))
    for model in (sarima(known=("flag",)), auto()):
        answers = []
        for data in (made, larger):
            model.fit(data.panel)
            answers.append(model.predict([origin(data)]))
        np.testing.assert_array_equal(answers[1], answers[0] * 1024)


def hopeless(steps=150):
    """Series: fine, constant, mostly unobserved, exactly periodic, never observed, two values."""
    y = weekly(6, steps)
    y[1] = 5.0
    y[2, :-50] = np.nan
    y[2, -40:-28] = np.nan
    y[3] = np.arange(steps) % 7
    y[4] = np.nan
    y[5] = (np.arange(steps) == 70) * 3.0
    return table(y)


@pytest.mark.parametrize("model", [sarima(), sarima(update="refit"), auto(known=())], ids=["filter", "refit", "auto"])
def test_series_that_cannot_be_estimated_get_the_seasonal_naive_forecast_and_are_counted(model):
    made = hopeless()
    facts = model.fit(made.panel).facts
    assert (facts["series"], facts["fallback"]) == (6, 4)
    one = origin(made, horizon=10)
    forecast, naive = model.predict([one])[0], seasonal_naive(one.history.y, 7, 10)
    np.testing.assert_array_equal(forecast[[1, 2, 4]], naive[[1, 2, 4]])
    np.testing.assert_allclose(forecast[[3, 5]], naive[[3, 5]], atol=0.5)
    assert np.isfinite(forecast[[0, 1, 2, 3, 5]]).all()
    assert np.isnan(forecast[4]).all()
    assert (forecast[0] != naive[0]).any()


def test_a_series_the_fit_has_not_seen_and_too_short_a_history_get_the_seasonal_naive_forecast(made):
    model = sarima()
    model.fit(made.panel.only(("s0",)))
    one, short = origin(made), replace(origin(made, back=280 - 28), future=origin(made).future)
    forecast = model.predict([one])[0]
    np.testing.assert_array_equal(forecast[1], seasonal_naive(one.history.y, 7, 7)[1])
    assert (forecast[0] != seasonal_naive(one.history.y, 7, 7)[0]).any()
    assert len(short.history.ds) < model.min_history
    np.testing.assert_array_equal(model.predict([short])[0], seasonal_naive(short.history.y, 7, 7))


def test_an_origin_before_the_fit_is_answered_from_the_history_there_is(made):
    model = sarima(train_steps=60)
    model.fit(made.panel)
    early = origin(made, back=150)
    forecast = model.predict([early])
    assert np.isfinite(forecast).all()
    assert (forecast[0] != seasonal_naive(early.history.y, 7, 7)).any()


def test_a_model_that_cannot_forecast_its_own_past_is_refused(made):
    y, x = made.panel.y[0], made.panel.known[:, [7]]
    model = statespace.estimate(y, x, 7, 10.0, ((1, 0, 0), (0, 1, 1)))
    assert model is not None
    assert statespace._sound(model, y, x)
    for spoilt in (model.parameters + np.array([1e3, 0, 0, 0]), model.parameters * np.nan):
        assert not statespace._sound(replace(model, parameters=spoilt), y, x)


def test_a_fit_that_does_not_converge_is_told_as_a_fact_and_not_as_a_warning(made, monkeypatch):
    monkeypatch.setattr(statespace, "MAX_ITERATIONS", 1)
    facts = sarima().fit(made.panel).facts
    assert (facts["converged"], facts["not_converged"], facts["fallback"]) == (0, 2, 0)


def test_a_search_takes_regressors_that_explain_each_other():
    made = flagged(steps=200, n=1)
    doubled = replace(
        made.panel,
        known=np.column_stack([made.panel.known, made.panel.known[:, 7], np.ones(len(made.panel.ds))]),
        known_names=(*made.panel.known_names, "again", "always"),
    )
    plain, more = auto(), auto(known=("flag", "again", "always"))
    plain.fit(made.panel)
    more.fit(doubled)
    assert more.state()[0]["series"] == plain.state()[0]["series"]
    found = plain.state()[1]["parameters"][0]
    first = list(found).index(found[found < -1][0])  # the flag's effect is far below -1, nothing else is
    assert more.state()[0]["regressors"] == ["flag", "again"]  # one that never changes is no regressor
    np.testing.assert_allclose(more.state()[1]["parameters"][0], np.insert(found, first + 1, 0))


@pytest.mark.parametrize("orders", [((1, 0, 1), (0, 1, 1)), ((1, 0, 0), (0, 0, 0)), ((0, 1, 1), (0, 0, 1))])
def test_effects_and_the_rest_found_in_turn_are_as_likely_as_those_found_at_once(orders, monkeypatch):
    made = flagged(n=1)
    flag = made.panel.known[:, 7]
    y, x = made.panel.y[0], np.column_stack([np.roll(flag, 3), flag])  # the first one explains nothing
    at_once = statespace.estimate(y, x, 7, 30.0, orders)
    monkeypatch.setattr(statespace, "MOST_AT_ONCE", 1)
    in_turn = statespace.estimate(y, x, 7, 30.0, orders)
    space = statespace._space(y / 30.0, x, 7, orders)
    assert in_turn.converged
    assert space.loglike(in_turn.parameters) > space.loglike(at_once.parameters) - statespace.STILL
    np.testing.assert_allclose(in_turn.parameters, at_once.parameters, atol=0.02)
    assert -2.2 < in_turn.parameters[1 + (orders[0][1] + orders[1][1] == 0)] < -1.8  # 60 less on flagged days


def test_regressors_in_turn_keep_the_budget_and_tell_when_they_have_not_settled(monkeypatch):
    made = flagged(n=1)
    y, x, orders = made.panel.y[0], made.panel.known[:, [2, 7]], ((1, 0, 0), (0, 1, 1))
    monkeypatch.setattr(statespace, "MOST_AT_ONCE", 1)
    with pytest.raises(OverBudgetError):
        statespace.estimate(y, x, 7, 30.0, orders, Clock(0.0))
    monkeypatch.setattr(statespace, "MAX_ROUNDS", 1)
    assert not statespace.estimate(y, x, 7, 30.0, orders).converged


def test_a_random_walk_is_differenced_by_the_search():
    y = np.random.default_rng(0).normal(0, 1, (1, 400)).cumsum(axis=1)
    model = auto(known=())
    model.fit(table(y).panel)
    (_, d, _), (_, seasonal_d, _) = model.state()[0]["series"][0]["orders"]
    assert (d, seasonal_d) == (1, 0)


def test_a_stationary_series_found_by_the_search_returns_to_its_mean():
    made = table(50 + np.random.default_rng(0).normal(0, 1, (1, 400)))
    model = auto(known=())
    assert model.fit(made.panel).facts["fallback"] == 0
    np.testing.assert_allclose(model.predict([origin(made, horizon=28)])[0, 0, -1], 50, atol=0.5)


@pytest.mark.parametrize(
    ("season", "changes"),
    [
        (1, {"seasonal_order": (0, 1, 1)}),
        (7, {"order": (7, 0, 0), "seasonal_order": (1, 0, 0)}),
        (7, {"order": (0, 0, 8), "seasonal_order": (0, 1, 1)}),
    ],
)
def test_orders_that_the_season_does_not_allow_are_refused(season, changes):
    with pytest.raises(ConfigError, match="season_length"):
        Sarima(sarima_config(**changes), replace(context(), season_length=season))


def test_a_dataset_without_a_season_is_forecast_by_plain_arima():
    made = flagged()
    model = Sarima(sarima_config(order=(1, 1, 1), seasonal_order=(0, 0, 0)), replace(context(), season_length=1))
    assert model.fit(made.panel).facts["fallback"] == 0
    assert np.isfinite(model.predict([origin(made)])).all()


def test_unknown_regressors_missing_ones_and_an_unfitted_model_are_refused(made):
    with pytest.raises(ConfigError, match=r"known columns among \['day', 'flag'\]"):
        sarima(known=("weather",)).fit(made.panel)
    with pytest.raises(ModelError, match="never fitted"):
        sarima().predict([origin(made)])
    with pytest.raises(ModelError, match="never fitted"):
        sarima().state()
    model = sarima(known=("flag",))
    model.fit(made.panel)
    with pytest.raises(ModelError, match=r"data without \['flag'\]"):
        model.predict([origin(table(weekly(2, 200)))])


def test_the_published_sarima_of_chicago_rail_is_met_to_the_ride(real_data):
    made = ridership(real_data, start="2019-01-01")
    made = replace(made, panel=made.panel.only(("rail",)))
    model = sarima(update="refit", scale=False)  # raw units, where the figure depends on how far the optimiser gets
    asked = origins(made, "2019-03-01", "2019-05-31")
    model.fit(asked[0].history)
    assert round(mae(made, asked, model.predict(asked))["rail"]) == 32041


@pytest.mark.parametrize(
    ("name", "one_day", "two_weeks"), [("sarima", 24343, 27301), ("auto_arima", 23032, 29836)], ids=str
)
def test_the_shipped_models_keep_their_errors_on_chicago_rail(real_data, root, name, one_day, two_weeks):
    made = ridership(real_data)
    shipped = yaml.safe_load((root / "conf" / "model" / f"{name}.yaml").read_text())[name]
    kind = config.Sarima if name == "sarima" else config.AutoArima
    model = models.build(kind.model_validate_json(json.dumps(shipped)), context())
    asked = {h: origins(made, "2019-02-26", "2019-05-31", h) for h in (1, 14)}
    facts = model.fit(made.panel.until(made.panel.ds[made.panel.ds <= "2018-12-31"][-1])).facts
    assert facts["fallback"] == 0
    found = {h: mae(made, o, predict(model, o))["rail"] for h, o in asked.items()}
    assert found == {1: pytest.approx(one_day, rel=0.01), 14: pytest.approx(two_weeks, rel=0.01)}
