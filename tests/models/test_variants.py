"""Every kind of output, front end and loss as a forecaster: that it learns, forgets nothing and peeks nowhere."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from synthetic import context, grown, network, origin, table, weekly
from tests.models.test_tabular import PROFILE

from daycast import config, models
from daycast.core import forecast, leakage
from daycast.core.frame import Table
from daycast.errors import ModelError
from daycast.models.baselines import SeasonalNaive
from daycast.models.neural import NeuralForecaster
from daycast.models.recipe import Transforms

CONV = {"kind": "conv", "filters": 8, "kernel": 3, "stride": 2}
DILATED = {"kind": "dilated", "filters": 8, "kernel": 2, "dilations": (1, 2, 4)}
MEAN = ({"kind": "scale", "method": "mean"},)
ROBUST = ({"kind": "scale", "method": "robust"},)
LEVELS = (0.1, 0.5, 0.9)
VARIANTS = {
    "dense": {"output": "dense"},
    "every step": {"output": "every_step"},
    "one step, iterated": {"horizon": 1},
    "one step at every step": {"horizon": 1, "output": "every_step", "lead": 1},
    "teacher forcing": {"output": "seq2seq", "teacher_forcing": 0.5},
    "attention": {"output": "seq2seq", "attention": "dot"},
    "additive attention": {"output": "seq2seq", "attention": "additive", "cell": "lstm"},
    "both ways": {"bidirectional": True, "output": "seq2seq"},
    "mixed stack": {"cell": ("lstm", "rnn", "lstm"), "hidden": (10, 8, 8), "layers": 3, "dropout": 0.05},
    "convolution": {"front": CONV, "cell": "ln_gru"},
    "dilated": {"front": DILATED, "layers": 0, "output": "every_step"},
    "pinball": {"loss": "pinball", "quantiles": LEVELS},
    "gaussian": {"loss": "gaussian"},
    "student t": {"loss": "student_t", "output": "every_step"},
    "shares": {"loss": "mape", "transforms": MEAN, "batch_size": 16},
    "embedding": {"inputs": "each", "embedding": 3},
    "last weights": {"weights": "last", "lead": 1},
    # Steps ahead whose analogs it is not told can't be measured from them.
    "deviations": {"profile": {**PROFILE, "analogs": 0}, "output": "every_step"},
    "deviations of each": {"profile": PROFILE, "inputs": "each", "embedding": 2, "output": "seq2seq"},
}
VARIANT = pytest.mark.parametrize("variant", VARIANTS)


def build(variant, seed=1, **changes):
    return models.build(network(**{"hidden": 12, **VARIANTS[variant]}), context(horizon=3, seed=seed, **changes))


@pytest.fixture(scope="module")
def made() -> Table:
    return table(weekly(n=2, steps=648, noise=5.0))


@pytest.fixture(scope="module")
def short() -> Table:
    return table(weekly(n=2, steps=248), ahead=28)


@VARIANT
def test_it_beats_the_seasonal_naive_on_a_week_with_memory(made, variant):
    model = build(variant, max_epochs=14, patience=14)
    model.fit(made.panel.until(made.panel.ds[-121]))
    origins = [origin(made, back, horizon=3) for back in range(3, 120, 2)]
    ends = [len(o.history.ds) for o in origins]
    actual = np.stack([made.panel.y[:, end : end + 3] for end in ends])
    naive = SeasonalNaive(config.SeasonalNaive(family="seasonal_naive", lag=7), context())
    error, naive_error = (np.abs(forecast.predict(m, origins) - actual).mean() for m in (model, naive))
    assert error < 0.85 * naive_error


@VARIANT
def test_it_comes_back_from_its_files_to_the_bit_and_the_same_seed_learns_the_same_bits(short, variant, tmp_path):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one, two = (build(variant, max_epochs=1) for _ in range(2))
    assert one.fit(short.panel) == two.fit(short.panel)
    assert torch.equal(torch.get_rng_state(), before)
    at = [origin(short, back, horizon=5) for back in (0, 9)]
    expected = forecast.predict(one, at)
    np.testing.assert_array_equal(forecast.predict(two, at), expected)
    models.save(one, tmp_path / "model")
    loaded = models.load(tmp_path / "model")
    assert loaded.horizon == one.horizon == (VARIANTS[variant].get("horizon") or 3)
    np.testing.assert_array_equal(forecast.predict(loaded, at), expected)


@VARIANT
def test_nothing_after_the_cutoff_moves_a_forecast_by_a_bit(short, variant):
    cuts = short.panel.ds[[-31, -20]]
    found = leakage.audit(lambda _: build(variant, max_epochs=1), short, cuts[0], cuts, 3, 1, scrambles=("scaled",))
    assert found.passed, found.summary()


def test_weights_of_the_last_epoch_are_kept_without_patience(made):
    wild = {"learning_rate": 0.3, "schedule": "constant"}
    last, best = (
        NeuralForecaster(network(weights=kept, **wild), context(max_epochs=12, patience=2)) for kept in ("last", "best")
    )
    reports = [model.fit(made.panel) for model in (last, best)]
    curve = reports[0].curves["val_loss"]
    assert len(curve) == 12 > len(reports[1].curves["val_loss"])
    assert reports[0].facts["best_epoch"] == 12
    assert reports[0].facts["best_val_loss"] == curve[-1] > min(curve)
    windows = best.prepare_windows(made.panel)[1].split(60)[1]
    batch = [torch.from_numpy(a) for a in windows.batch(np.arange(len(windows)))]
    with torch.inference_mode():
        assert last._network.loss(*batch).item() == pytest.approx(curve[-1], rel=1e-5)


def test_one_step_iterated_feeds_each_forecast_back(made):
    model = build("one step, iterated", max_epochs=2)
    model.fit(made.panel)
    at = origin(made, horizon=3)
    expected, history = [], at.history
    for step in range(3):
        future = at.future.tail(step) if step else at.future
        expected.append(model.predict([forecast.Origin(history, future.head(1))])[0])
        history = history.extended(expected[-1], future.head(1))
    np.testing.assert_array_equal(forecast.predict(model, [at])[0], np.concatenate(expected, axis=1))


@pytest.fixture(scope="module")
def panel_model():
    y = weekly(n=4, steps=528, noise=5.0) * np.array([1, 10, 0.1, 3])[:, None]
    made = table(y[:3], past=np.random.default_rng(1).normal(size=(3, 500, 1)), past_names=("load",))
    model = build("embedding", max_epochs=8, patience=8)
    model.fit(made.panel.until(made.panel.ds[-61]))
    return model, made, y[3, :500]


def test_a_new_series_is_forecast_like_the_others_and_moves_none_of_them(panel_model):
    model, made, new = panel_model
    more = replace(made, panel=grown(made.panel, new, "new"))
    before, after = (model.predict([origin(t, back, 3) for back in (50, 20, 3)]) for t in (made, more))
    np.testing.assert_allclose(after[:, :3], before, rtol=1e-6)
    actual = np.stack([new[500 - back : 500 - back + 3] for back in (50, 20, 3)])
    assert np.abs(after[:, 3] - actual).mean() < 0.1 * actual.mean()


def test_a_new_series_has_the_mean_vector_and_a_scale_of_its_own_past(panel_model):
    model, made, new = panel_model
    more = replace(made, panel=grown(made.panel, new, "new"))
    asked = [origin(more, back, 3) for back in (20, 3)]
    alone = np.concatenate([model.predict([one]) for one in asked])
    np.testing.assert_array_equal(model.predict(asked), alone)
    later = new.copy()
    later[-20:] = later[-20:] * 50
    moved = replace(made, panel=grown(made.panel, later, "new"))
    np.testing.assert_array_equal(model.predict([origin(moved, 20, 3), origin(moved, 3, 3)])[0], alone[0])
    tenfold = replace(made, panel=grown(made.panel, 10 * new, "new"))
    np.testing.assert_allclose(model.predict([origin(tenfold, 20, 3)])[0, 3], 10 * alone[0, 3], rtol=1e-5)


def test_a_series_that_the_fit_had_no_value_of_is_forecast_from_its_own_level():
    y = 50 * weekly(n=3, steps=460)
    days = y.shape[1] - 28
    y[2, : days - 20] = np.nan  # opens after the fit, but was listed in it
    made = table(y)
    model = NeuralForecaster(network(inputs="each"), context(max_epochs=4, patience=4))
    model.fit(made.panel.until(made.panel.ds[-41]))
    asked = [origin(made, back, 3) for back in (10, 0)]
    found = model.predict(asked)
    assert np.abs(found[1, 2] - y[2, days : days + 3]).mean() < 0.25 * y[2, days:].mean()
    later = y.copy()
    later[2, days - 9 : days] *= 50  # not known at the first origin
    moved = table(later)
    np.testing.assert_array_equal(model.predict([origin(moved, 10, 3), origin(moved, 0, 3)])[0], found[0])
    alone = NeuralForecaster(network(inputs="each"), context(max_epochs=4, patience=4))
    alone.fit(made.panel.only(("s0", "s1")).until(made.panel.ds[-41]))
    np.testing.assert_allclose(alone.predict(asked), found, rtol=1e-6)


def test_that_a_listed_series_opens_later_moves_no_forecast_made_before():
    y = 50 * weekly(n=3, steps=460)
    y[2, : y.shape[1] - 28 - 20] = np.nan
    made = table(y)
    cutoffs = made.panel.ds[[-26, -13, -4]]  # one of them before it opens
    audited = leakage.audit(
        lambda _: NeuralForecaster(network(inputs="each"), context(max_epochs=1, patience=1)),
        made, made.panel.ds[-41], cutoffs, 3, seed=1,
    )  # fmt: skip
    assert audited.passed, audited.summary()


def test_a_newcomer_has_the_scale_of_its_newest_values_or_else_of_all_it_has():
    recipe = replace(build("embedding").recipe, train_steps=50)
    rng = np.random.default_rng(4)
    y = np.concatenate([rng.normal(100, 1, (2, 60)), rng.normal(9000, 1, (2, 50))], axis=1)
    y[1, 60:] = np.nan
    found = recipe.recent(y)
    assert np.isnan(found[0, :60]).all()
    np.testing.assert_array_equal(found[0, 60:], y[0, 60:])
    np.testing.assert_array_equal(found[1], y[1])
    made = table(np.concatenate([weekly(n=1, steps=110), y]), ahead=0)
    none = Transforms.of(recipe, made.panel.only(("s0",))).of_series(recipe, ("s0",), made.panel)
    assert none.y.states[0]["shift"][1] == pytest.approx(9000, abs=5)
    assert none.y.states[0]["shift"][2] == pytest.approx(100, abs=5)


def test_series_may_go_or_change_their_order_and_keep_their_forecasts(panel_model):
    model, made, _ = panel_model
    whole = model.predict([origin(made, 5, 3)])[0]
    fewer = replace(made, panel=made.panel.only(("s2", "s0")))
    np.testing.assert_allclose(model.predict([origin(fewer, 5, 3)])[0], whole[[2, 0]], rtol=1e-6)


def test_a_transform_of_other_series_keeps_what_was_learnt_of_those_it_knows():
    rng = np.random.default_rng(3)
    made = table(weekly(n=4, steps=128), past=rng.normal(size=(4, 100, 2)) * 7, past_names=("load", "price"))
    recipe = build("embedding").recipe
    fitted = Transforms.of(recipe, made.panel.only(("s0", "s1", "s2")))
    at = made.panel.until(made.panel.ds[-31])
    found = fitted.of_series(recipe, ("s0", "s1", "s2"), at.only(("s2", "s3", "s0")))
    whole, new = Transforms.of(recipe, made.panel), Transforms.of(recipe, at.only(("s3",)))
    for one, all_of, fresh, rows in (
        (found.y, whole.y, new.y, [[2], None, [0]]),
        (found.past, whole.past, new.past, [[4, 5], None, [0, 1]]),
    ):
        for name, values in one.states[0].items():
            expected = [
                value
                for place in rows
                for value in (fresh.states[0][name] if place is None else [all_of.states[0][name][r] for r in place])
            ]
            assert values == pytest.approx(expected, rel=1e-12)  # sums over arrays of another layout


def test_a_loaded_panel_model_knows_its_series_and_takes_new_ones(panel_model, tmp_path):
    model, made, new = panel_model
    models.save(model, tmp_path / "model")
    more = replace(made, panel=grown(made.panel, new, "new"))
    at = [origin(more, 5, 3)]
    np.testing.assert_array_equal(models.load(tmp_path / "model").predict(at), model.predict(at))


def test_other_covariates_are_refused_of_a_panel_too(panel_model):
    model, made, _ = panel_model
    renamed = replace(made, panel=replace(made.panel, past_names=("other",)))
    with pytest.raises(ModelError, match=r"past: without \['load'\], with \['other'\]"):
        model.predict([origin(renamed, 5, 3)])


def test_vectors_tell_series_apart_that_nothing_else_does():
    rng = np.random.default_rng(2)
    signs = np.array([1.0, -1.0])
    # The flag's effect goes up in one series and down in the other; on other days both look alike.
    flag = (rng.random(600) < 0.2).astype(float)
    y = 100 + rng.normal(0, 1, (2, 600)) + 20 * signs[:, None] * flag
    made = table(y, flag=flag)
    at = [origin(made, back, 1) for back in range(1, 100)]
    at = [o for o in at if o.future.known[0, -1] and not o.history.known[-1, -1]]
    actual = np.stack([made.panel.y[:, len(o.history.ds)] for o in at])
    setting = {"inputs": "each", "lookback": 1, "known": ("flag",), "transforms": ROBUST, "batch_size": 32}
    errors = []
    for size in (0, 2):
        model = NeuralForecaster(network(embedding=size, **setting), context(horizon=1, max_epochs=14, patience=14))
        model.fit(made.panel.until(made.panel.ds[-101]))
        errors.append(np.abs(model.predict(at)[..., 0] - actual).mean())
    assert errors[0] > 15
    assert errors[1] < 4


def test_a_series_without_a_window_to_learn_from_gets_the_mean_vector():
    y = weekly(n=3, steps=428)
    y[1, :380] = np.nan
    model = build("embedding", max_epochs=2)
    model.fit(table(y).panel)
    vectors = model._network.vectors.detach()
    torch.testing.assert_close(vectors[1], vectors[[0, 2]].mean(dim=0))


def test_shares_of_values_that_reach_zero_are_refused(short):
    y = short.panel.y.copy()
    y[0, 3] = 0.0
    with pytest.raises(ModelError, match=r"model\.loss: mape"):
        build("shares").fit(replace(short.panel, y=y))


@pytest.mark.parametrize("variant", ["pinball", "gaussian", "student t", "deviations of each"])
def test_quantiles_in_raw_units_cover_their_shares_and_surround_the_forecast(made, variant):
    setting = {**VARIANTS[variant], **({"loss": "gaussian"} if "deviations" in variant else {})}
    model = models.build(network(hidden=12, **setting), context(horizon=3, max_epochs=14, patience=14))
    model.fit(made.panel.until(made.panel.ds[-121]))
    origins = [origin(made, back, horizon=3) for back in range(3, 120)]
    actual = np.stack([made.panel.y[:, len(o.history.ds) :][:, :3] for o in origins])
    quantiles = model.quantiles(origins, LEVELS)
    assert quantiles.shape == (*actual.shape, 3)
    assert (np.diff(quantiles, axis=-1) > 0).all()
    np.testing.assert_allclose(quantiles[..., 1], model.predict(origins), rtol=1e-6)
    below = (actual[..., None] < quantiles).mean(axis=(0, 1, 2))
    np.testing.assert_allclose(below, LEVELS, atol=0.13)


def test_quantiles_that_would_be_added_up_and_those_of_no_distribution_are_refused(short):
    steps = ({"kind": "difference", "lags": (2,)}, {"kind": "scale", "method": "standard"})
    model = models.build(network(loss="gaussian", transforms=steps), context(horizon=3, max_epochs=1))
    model.fit(short.panel)
    with pytest.raises(ModelError, match="lags of at least 3"):
        model.quantiles([origin(short, horizon=3)], LEVELS)
    assert model.quantiles([origin(short, horizon=2)], LEVELS).shape == (1, 2, 2, 3)
    plain = build("dense", max_epochs=1)
    plain.fit(short.panel)
    with pytest.raises(ModelError, match="pinball, gaussian or student_t"):
        plain.quantiles([origin(short, horizon=3)], LEVELS)
