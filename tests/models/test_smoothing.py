import json
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import yaml
from chicago import mae, origins, ridership
from pydantic import ValidationError
from safetensors.numpy import load, save
from synthetic import context, origin, table, weekly

from daycast import config, models
from daycast.core.fill import seasonal_fill
from daycast.core.forecast import Forecaster, predict
from daycast.core.leakage import audit
from daycast.errors import ModelError
from daycast.models.baselines import seasonal_naive
from daycast.models.budget import UNLIMITED
from daycast.models.exponential import decomposed, search, started, states
from daycast.models.smoothing import AutoEts, Mstl


def ets_config(**changes):
    return config.AutoEts.model_validate({"family": "auto_ets", "train_steps": None, **changes})


def mstl_config(**changes):
    return config.Mstl.model_validate({"family": "mstl", "season_lengths": None, "train_steps": None, **changes})


def ets(**changes):
    return AutoEts(ets_config(**changes), context())


def mstl(**changes):
    return Mstl(mstl_config(**changes), context())


def gappy(steps=300, n=2, seed=0):
    """Weekly series; some values are not observed, and the second one starts later, in the middle of a week."""
    rng = np.random.default_rng(seed)
    y = weekly(n, steps, seed)
    y[rng.random(y.shape) < 0.05] = np.nan
    y[1:, :25] = np.nan
    return table(y)


@pytest.fixture(scope="module")
def made():
    return gappy()


CASES = {
    "auto_ets": ets(train_steps=200),
    "auto_ets on all rows": ets(),
    "mstl": mstl(),
    "mstl of two seasons": mstl(season_lengths=(28, 7)),
}
FIT = 220


@pytest.fixture(scope="module", params=CASES, ids=list(CASES))
def fitted(request, made):
    model = CASES[request.param]
    report = model.fit(made.panel.until(made.panel.ds[FIT]))
    assert report.facts["fallback"] == 0
    return model


def whole(steps=250, seed=3):
    """One weekly series without gaps."""
    return table(weekly(1, steps, seed))


def by_statsforecast(model, y, fit_row, row, horizon):
    """Forecasts from ``row`` of statsforecast's own model, fitted up to ``fit_row`` and carried on."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(y[: fit_row + 1])
        return model.forward(y[: row + 1], h=horizon)["mean"]


@pytest.mark.parametrize("row", [200, 207, 221])
@pytest.mark.parametrize("level", [0, 1000], ids=["zero-crossing", "positive"])
def test_auto_ets_forecasts_what_statsforecast_itself_would_from_the_fit_and_later(row, level):
    from statsforecast.models import AutoETS

    made = table(weekly(1, 250, 3) - 200 + level)
    model = ets()
    model.fit(made.panel.until(made.panel.ds[200]))
    expected = by_statsforecast(AutoETS(season_length=7), made.panel.y[0], 200, row, 14)
    one = origin(made, back=len(made.panel.ds) - 1 - row, horizon=14)
    np.testing.assert_allclose(model.predict([one])[0, 0], expected, rtol=1e-12)


@pytest.mark.parametrize("row", [200, 207, 221])
def test_mstl_of_short_seasons_forecasts_what_statsforecast_itself_would_from_the_fit_and_later(row):
    from statsforecast.models import MSTL

    made = whole()
    model = mstl(season_lengths=(7, 14))
    model.fit(made.panel.until(made.panel.ds[200]))
    expected = by_statsforecast(MSTL(season_length=[7, 14]), made.panel.y[0], 200, row, 20)
    one = origin(made, back=len(made.panel.ds) - 1 - row, horizon=20)
    np.testing.assert_allclose(model.predict([one])[0, 0], expected, rtol=1e-9)


def test_a_long_season_is_decomposed_at_fewer_points_to_nearly_the_same():
    from statsforecast.mstl import mstl as theirs

    rng = np.random.default_rng(0)
    days = np.arange(4 * 364)
    y = 200 + 30 * np.sin(days * 2 * np.pi / 364) + 20 * (days % 7 > 4) + rng.normal(0, 5, len(days))
    parts, rest = decomposed(y, (7, 364), UNLIMITED)
    expected = theirs(y, [7, 364])
    np.testing.assert_allclose(parts[1], expected["seasonal364"], atol=0.1)
    np.testing.assert_allclose(rest, expected["trend"] + expected["remainder"], atol=0.1)
    np.testing.assert_allclose(parts.sum(axis=0) + rest, y, rtol=1e-12)


def test_gaps_are_filled_from_the_season_and_nothing_is_made_up_before_the_first_value(made):
    model = ets()
    model.fit(made.panel.until(made.panel.ds[FIT]))
    begin = int(np.isfinite(made.panel.y[1]).argmax())
    found = search(seasonal_fill(made.panel.y[1, : FIT + 1], 7)[begin:], 7, UNLIMITED)
    own = model.state()[1]["parameters"][1]
    np.testing.assert_array_equal(own[~np.isnan(own)], found.parameters)
    assert model.state()[0]["series"][1]["begin"] == begin >= 25


def test_what_comes_after_the_cutoff_changes_no_bit(fitted, made):
    asked = [origin(made, back=b, horizon=7) for b in (40, 20, 0)]
    before = fitted.predict(asked)
    y = made.panel.y.copy()
    y[:, -40:] = np.random.default_rng(1).permuted(y[:, -40:], axis=1) * 1e3
    other = replace(made, panel=replace(made.panel, y=y))
    after = fitted.predict([origin(other, back=b, horizon=7) for b in (40, 20, 0)])
    np.testing.assert_array_equal(after[0], before[0])
    assert (after[1:] != before[1:]).any()  # the data did change


@pytest.mark.parametrize("make", [ets, mstl, lambda: mstl(season_lengths=(7, 28), train_steps=150)])
def test_the_leakage_proof_holds(make, made):
    ds = made.panel.ds
    found = audit(lambda _: make(), made, ds[FIT], ds[[FIT, FIT + 20, FIT + 40]], 7, seed=0)
    assert found.passed, found.summary()


def test_origins_asked_together_alone_or_from_a_copy_get_the_same_bits(fitted, made):
    asked = [origin(made, back=b, horizon=7) for b in (3, 40, 0, 17)]
    together = fitted.predict(asked)
    for one, row in zip(asked, together, strict=True):
        np.testing.assert_array_equal(fitted.predict([one])[0], row)
        panel = one.history
        copied = replace(one, history=replace(panel, y=panel.y.copy(), known=panel.known.copy()))
        np.testing.assert_array_equal(fitted.predict([copied])[0], row)


def test_a_model_restored_from_json_and_arrays_forecasts_the_same_bits(fitted, made):
    values, arrays = fitted.state()
    again = type(fitted)(fitted._config, context())
    again.restore(json.loads(json.dumps(values)), load(save(arrays)))
    asked = [origin(made, back=b, horizon=7) for b in (20, 0)]
    np.testing.assert_array_equal(again.predict(asked), fitted.predict(asked))
    assert json.dumps(again.state()[0]) == json.dumps(values)


@pytest.mark.parametrize("section", [ets_config(), mstl_config(season_lengths=(7, 14))], ids=["auto_ets", "mstl"])
def test_a_saved_model_is_loaded_with_its_fallbacks(tmp_path, section):
    y = weekly(3, 150)
    y[1] = 5.0
    made = table(y)
    model = models.build(section, context())
    assert model.fit(made.panel).facts["fallback"] == 1
    models.save(model, tmp_path / "model")
    one = origin(made)
    np.testing.assert_array_equal(models.load(tmp_path / "model").predict([one]), model.predict([one]))


def test_models_are_forecasters_that_answer_any_horizon_directly(fitted, made):
    one = origin(made, horizon=28)
    assert isinstance(fitted, Forecaster)
    np.testing.assert_array_equal(predict(fitted, [one]), fitted.predict([one]))


@pytest.mark.parametrize("make", [ets, mstl], ids=["auto_ets", "mstl"])
def test_only_the_last_train_steps_are_learned_from_and_looked_at(made, make):
    y = made.panel.y.copy()
    y[:, :100] = np.nan
    other = replace(made, panel=replace(made.panel, y=y))
    answers = []
    model = make(train_steps=90)
    for data in (made, other):
        model.fit(data.panel.until(data.panel.ds[249]))
        answers.append(model.predict([origin(data, back=b) for b in (22, 0)]))
    np.testing.assert_array_equal(*answers)


def hopeless(steps=150):
    """Series: fine, constant, mostly unobserved, exactly periodic, never observed, two values, many zeros."""
    y = weekly(7, steps)
    y[1] = 5.0
    y[2, :-50] = np.nan
    y[2, -40:-28] = np.nan
    y[3] = np.arange(steps) % 7
    y[4] = np.nan
    y[5] = (np.arange(steps) == 70) * 3.0
    y[6] = np.random.default_rng(0).poisson(0.4, steps)
    return table(y)


@pytest.mark.parametrize("make", [ets, mstl], ids=["auto_ets", "mstl"])
def test_series_that_cannot_be_estimated_get_the_seasonal_naive_forecast_and_are_counted(make):
    made, model = hopeless(), make()
    facts = model.fit(made.panel).facts
    assert (facts["series"], facts["fallback"], facts["over_budget"]) == (7, 4, 0)  # an exactly periodic series too
    one = origin(made, horizon=10)
    forecast, naive = model.predict([one])[0], seasonal_naive(one.history.y, 7, 10)
    np.testing.assert_array_equal(forecast[[1, 2, 4]], naive[[1, 2, 4]])
    np.testing.assert_array_equal(forecast[3], naive[3])
    np.testing.assert_allclose(forecast[5], naive[5], atol=0.5)
    assert np.isfinite(forecast[[0, 1, 2, 3, 5, 6]]).all()
    assert np.isnan(forecast[4]).all()
    assert (forecast[0] != naive[0]).any()
    assert np.abs(forecast[6] - 0.4).max() < 1


def test_a_series_with_zeros_gets_no_multiplicative_form_and_later_zeros_break_none():
    y = np.exp(weekly(2, 330) / 60)
    y[1, 50] = 0.0
    y[0, 250:253] = 0.0  # after the fit
    made, model = table(y), ets()
    model.fit(made.panel.until(made.panel.ds[220]))
    forms = [one["form"] for one in model.state()[0]["series"]]
    assert "M" in forms[0]
    assert "M" not in forms[1]
    assert np.isfinite(model.predict([origin(made, back=b, horizon=14) for b in (51, 49, 0)])).all()


def test_a_series_the_fit_has_not_seen_and_too_short_a_history_get_the_seasonal_naive_forecast(made):
    for model in (ets(), mstl()):
        model.fit(made.panel.only(("s0",)))
        one, short = origin(made), replace(origin(made, back=len(made.panel.ds) - 20), future=origin(made).future)
        forecast = model.predict([one])[0]
        np.testing.assert_array_equal(forecast[1], seasonal_naive(one.history.y, 7, 7)[1])
        assert (forecast[0] != seasonal_naive(one.history.y, 7, 7)[0]).any()
        assert len(short.history.ds) < model.min_history
        np.testing.assert_array_equal(model.predict([short])[0], seasonal_naive(short.history.y, 7, 7))


@pytest.mark.parametrize("make", [ets, mstl], ids=["auto_ets", "mstl"])
def test_a_history_that_begins_elsewhere_than_the_fit_did_keeps_the_phase_of_its_season(make):
    made = table(weekly(2, 500, noise=0.5))
    model = make(train_steps=200)
    model.fit(made.panel)
    full = origin(made, horizon=14)
    cut = replace(full, history=full.history.since(full.history.ds[-123]))
    early = origin(made, back=252, horizon=14)
    np.testing.assert_allclose(model.predict([cut]), model.predict([full]), rtol=0.02)
    np.testing.assert_allclose(model.predict([early]), model.predict([full]), rtol=0.05)


@pytest.mark.parametrize("level", [0, 1000], ids=["zero-crossing", "positive"])
def test_first_states_are_read_from_the_first_three_seasons_only(level):
    y = weekly(1, 200, noise=1.0)[0] - 200 + level
    model = search(y[:150], 7, UNLIMITED)
    own = started(model, y[4:])
    assert own.form == model.form
    np.testing.assert_array_equal(started(model, y[4 : 4 + 21]).parameters, own.parameters)
    later, ours = states(model, y)[0][-1], states(own, y[4:])[0][-1]
    np.testing.assert_allclose(ours[0], later[0], rtol=0.02, atol=5)


def test_a_multiplicative_season_is_not_read_from_values_that_are_not_positive():
    y = (100 + np.arange(210) / 2) * (1 + 0.5 * np.sin(np.arange(210) * 2 * np.pi / 7))
    y *= np.random.default_rng(0).lognormal(0, 0.05, len(y))
    model = search(y, 7, UNLIMITED)
    assert model.form[2] == "M"
    assert started(model, np.concatenate([[0.0], y])) is None
    made, fitted = table(y[None], ahead=7), ets()
    fitted.fit(made.panel)
    later = made.panel.since(made.panel.ds[70])
    revised = replace(later, y=np.where(np.arange(len(later.ds)) == 2, 0.0, later.y))
    for history, stands_in in ((later, False), (revised, True)):
        forecast = fitted.predict([replace(origin(made), history=history)])[0]
        assert np.array_equal(forecast, seasonal_naive(history.y, 7, 7)) == stands_in


def test_seasons_that_do_not_fit_into_the_data_twice_are_left_out():
    made = whole(steps=200 + 28)
    model = mstl(season_lengths=(7, 120))
    assert model.fit(made.panel).facts["forms"].startswith("STL[7] ETS(")
    longer = mstl(season_lengths=(7, 100))
    assert longer.fit(made.panel).facts["forms"].startswith("STL[7,100] ETS(")
    assert np.isfinite(longer.predict([origin(made, back=50)])).all()  # 150 steps: without the longer season


def test_a_dataset_without_a_season_is_smoothed_without_one():
    made = gappy()
    for kind, section in ((AutoEts, ets_config()), (Mstl, mstl_config())):
        model = kind(section, replace(context(), season_length=1))
        assert model.fit(made.panel).facts["fallback"] == 0
        assert {(one["season"], one["seasons"]) for one in model.state()[0]["series"]} == {(1, ())}
        assert np.isfinite(model.predict([origin(made)])).all()


@pytest.mark.parametrize("lengths", [(), (1,), (7, 7)])
def test_season_lengths_that_make_no_sense_are_refused(lengths):
    with pytest.raises(ValidationError):
        mstl_config(season_lengths=lengths)


def test_an_unfitted_model_is_refused(made):
    for model in (ets(), mstl()):
        with pytest.raises(ModelError, match="never fitted"):
            model.predict([origin(made)])


@pytest.mark.parametrize(
    ("name", "one_day", "two_weeks"), [("auto_ets", 34188, 38840), ("mstl", 26605, 31359)], ids=str
)
def test_the_shipped_models_keep_their_errors_on_chicago_rail(real_data, root, name, one_day, two_weeks):
    made = ridership(real_data)
    made = replace(made, panel=made.panel.only(("rail",)))
    shipped = yaml.safe_load((root / "conf" / "model" / f"{name}.yaml").read_text())[name]
    kind = config.AutoEts if name == "auto_ets" else config.Mstl
    model = models.build(kind.model_validate_json(json.dumps(shipped)), context())
    asked = {h: origins(made, "2019-02-26", "2019-05-31", h) for h in (1, 14)}
    facts = model.fit(made.panel.until(pd.Timestamp("2018-12-31"))).facts
    assert (facts["fallback"], facts["over_budget"]) == (0, 0)
    found = {h: round(mae(made, o, predict(model, o))["rail"]) for h, o in asked.items()}
    assert found == {1: pytest.approx(one_day, rel=0.01), 14: pytest.approx(two_weeks, rel=0.01)}
