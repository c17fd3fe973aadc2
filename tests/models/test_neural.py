import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from synthetic import context, network, origin, table, weekly

from daycast import config
from daycast.core import forecast
from daycast.errors import HistoryError, ModelError
from daycast.models import inference
from daycast.models.baselines import SeasonalNaive
from daycast.models.neural import NeuralForecaster

DIFFERENCE = {"kind": "difference", "lags": (7,)}
STANDARD = {"kind": "scale", "method": "standard"}
AS_IS = {"kind": "scale", "method": "none"}


def weights(model):
    return model.state()[1]


def same(a, b):
    return all(np.array_equal(a[name], b[name]) for name in a)


@pytest.fixture(scope="module")
def made():
    return table(weekly(steps=500))


@pytest.fixture(scope="module")
def fitted(made):
    """Fitted up to 60 steps before the panel's end."""
    model = NeuralForecaster(network(dropout=0.1), context())
    model.fit(made.panel.until(made.panel.ds[-61]))
    return model


@pytest.mark.parametrize(
    ("cell", "output", "inputs"),
    [
        ("gru", "direct", "joint"),
        ("lstm", "seq2seq", "joint"),
        ("lstm", "direct", "each"),
        ("gru", "seq2seq", "each"),
    ],
)
def test_a_network_beats_the_seasonal_naive_on_a_week_with_memory(cell, output, inputs):
    y = weekly(n=2, steps=760, noise=5.0)
    made = table(y, ahead=28)
    model = NeuralForecaster(
        network(cell=cell, output=output, inputs=inputs, hidden=12), context(horizon=3, max_epochs=14, patience=14)
    )
    model.fit(made.panel.until(made.panel.ds[-121]))
    origins = [origin(made, back, horizon=3) for back in range(3, 120)]
    steps = len(made.panel.ds)
    actual = np.stack([y[:, steps - back : steps - back + 3] for back in range(3, 120)])
    naive = SeasonalNaive(config.SeasonalNaive(family="seasonal_naive", lag=7), context())
    error, naive_error = (np.abs(m.predict(origins) - actual).mean() for m in (model, naive))
    assert error < 0.85 * naive_error


def test_while_it_learns_it_forecasts_with_each_epoch_s_weights_and_learns_the_same(made):
    told, quiet = (NeuralForecaster(network(dropout=0.1, weights="last"), context()) for _ in range(2))
    seen = []
    told.fit(made.panel, on_epoch=lambda *_: seen.append(told.predict([origin(made)])))
    quiet.fit(made.panel)
    assert same(weights(told), weights(quiet))
    assert len(seen) == 3
    assert np.abs(np.diff(seen, axis=0)).max(axis=(1, 2, 3)).min() > 0
    np.testing.assert_array_equal(seen[-1], told.predict([origin(made)]))


@pytest.mark.parametrize("output", ["direct", "seq2seq"])
def test_an_effect_seen_only_through_a_known_feature_is_learnt(output):
    rng = np.random.default_rng(4)
    flag = (rng.random(600) < 0.2).astype(float)
    y = weekly(n=1, steps=600, noise=1.0) - 60 * flag
    made = table(y, flag=flag)
    model = NeuralForecaster(network(output=output, hidden=12), context(max_epochs=14, patience=14))
    model.fit(made.panel)
    at = origin(made)
    effects = []
    for step in range(7):
        known = np.repeat(at.future.known[None], 2, axis=0)
        known[:, step, -1] = [0.0, 1.0]
        off, on = model.predict([replace(at, future=replace(at.future, known=k)) for k in known])[:, 0, step]
        effects.append(on - off)
    assert np.abs(np.array(effects) + 60).max() < 20


def test_the_same_seed_and_data_give_the_same_bits_and_another_seed_gives_others(made):
    one, two, other = (NeuralForecaster(network(dropout=0.2, layers=2), context(seed=s)) for s in (1, 1, 2))
    reports = [model.fit(made.panel) for model in (one, two, other)]
    assert same(weights(one), weights(two))
    assert reports[0] == reports[1] != reports[2]
    at = [origin(made)]
    np.testing.assert_array_equal(one.predict(at), two.predict(at))
    assert not np.array_equal(one.predict(at), other.predict(at))


def test_fits_running_at_the_same_time_give_the_bits_they_give_alone(made):
    def build(seed):
        return NeuralForecaster(network(dropout=0.3, layers=2, cell="lstm"), context(seed=seed))

    alone = [build(seed) for seed in (1, 2)]
    for model in alone:
        model.fit(made.panel)
    together = [build(seed) for seed in (1, 2)]
    meet = threading.Barrier(2)
    overlaps = []

    def fit(model):
        # Both have to end an epoch before either goes on: the fits do overlap, whatever the scheduler does.
        model.fit(made.panel, on_epoch=lambda *_: overlaps.append(meet.wait(timeout=60)))

    threads = [threading.Thread(target=fit, args=(model,)) for model in together]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(overlaps) == 6
    assert all(same(weights(a), weights(b)) for a, b in zip(alone, together, strict=True))


def test_a_fit_neither_needs_nor_moves_the_global_generator(made):
    model, again = (NeuralForecaster(network(dropout=0.2), context()) for _ in range(2))
    torch.manual_seed(1)
    before = torch.get_rng_state()
    model.fit(made.panel)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(99)
    again.fit(made.panel)
    assert same(weights(model), weights(again))


def test_a_later_origin_is_forecast_from_its_own_history_without_a_refit(made, fitted):
    before = weights(fitted)
    early, late = origin(made, back=30), origin(made, back=0)
    shifted = replace(late, history=replace(late.history, y=late.history.y + 20))
    first, second, third = (fitted.predict([o])[0] for o in (early, late, shifted))
    assert not np.array_equal(first, second)
    assert (third - second).mean() > 3
    assert same(before, weights(fitted))


def test_nothing_after_the_cutoff_moves_a_forecast_by_a_bit(made):
    cutoff = made.panel.ds[-61]
    y = made.panel.y.copy()
    y[:, -60:] = y[:, -60:][:, ::-1] * 3
    changed = replace(made, panel=replace(made.panel, y=y))
    forecasts = []
    for data in (made, changed):
        model = NeuralForecaster(network(transforms=(DIFFERENCE, STANDARD)), context())
        model.fit(data.panel.until(cutoff))
        forecasts.append(model.predict([origin(data, back=60), origin(data, back=90)]))
    np.testing.assert_array_equal(*forecasts)


@pytest.mark.parametrize("inputs", ["joint", "each"])
def test_a_network_that_says_zero_forecasts_the_anchor_of_its_differences(made, inputs):
    model = NeuralForecaster(network(transforms=(DIFFERENCE, AS_IS), inputs=inputs), context())
    model.fit(made.panel.until(made.panel.ds[-61]))
    values, arrays = model.state()
    model.restore(values, {name: np.zeros_like(array) for name, array in arrays.items()})
    at = [origin(made, back) for back in (0, 5)]
    naive = SeasonalNaive(config.SeasonalNaive(family="seasonal_naive", lag=7), context())
    np.testing.assert_allclose(model.predict(at), naive.predict(at), rtol=1e-12)


def test_a_level_that_drifts_away_is_followed_through_differences():
    y = weekly(n=1, steps=600, noise=1.0) + 3.0 * np.arange(600)
    made = table(y)
    model = NeuralForecaster(network(transforms=(DIFFERENCE, STANDARD)), context())
    model.fit(made.panel.until(made.panel.ds[-151]))
    at = range(7, 150, 7)
    forecasts = model.predict([origin(made, back) for back in at])
    steps = len(made.panel.ds)
    actual = np.stack([y[:, steps - back : steps - back + 7] for back in at])
    assert np.abs(forecasts - actual).mean() < 6


@pytest.mark.parametrize("inputs", ["joint", "each"])
def test_gaps_and_late_starts_are_forecast_and_only_a_series_never_seen_is_not(inputs):
    y = weekly(n=4, steps=428)
    y[0, 100:110] = np.nan
    y[1, 396:400] = np.nan
    y[2, :150] = np.nan
    made = table(y)
    unseen = made.panel.y.copy()
    unseen[3, -40:] = np.nan
    panel = replace(made.panel, y=unseen)
    model = NeuralForecaster(network(inputs=inputs, transforms=(DIFFERENCE, STANDARD)), context())
    model.fit(panel.until(panel.ds[-5]) if inputs == "each" else table(weekly(n=4, steps=428)).panel)
    nothing = unseen.copy()
    nothing[3] = np.nan
    nothing[2, :-3] = np.nan  # three values are fewer than the week that the difference is anchored on
    at = origin(made)
    forecasts = model.predict([replace(at, history=replace(panel, y=v)) for v in (unseen, nothing)])
    assert np.isfinite(forecasts[0]).all()
    assert np.isfinite(forecasts[1, :3]).all()
    assert np.isnan(forecasts[1, 3]).all()


def test_past_and_static_covariates_reach_a_global_model(made):
    n, steps = made.panel.y.shape
    past = np.random.default_rng(0).normal(1e4, 1e3, (n, steps, 1))
    panel = replace(made.panel, past=past, past_names=("load",), static=np.eye(n), static_names=("a", "b"))
    model = NeuralForecaster(network(inputs="each"), context())
    model.fit(panel)
    at = origin(replace(made, panel=panel))
    more = replace(at, history=replace(panel, past=past + 1e4))
    swapped = replace(at, history=replace(panel, static=np.eye(n)[::-1]))
    plain, moved, turned = (model.predict([o])[0, 0] for o in (at, more, swapped))
    assert np.isfinite(plain).all()
    assert not np.array_equal(plain, moved)
    assert not np.array_equal(plain, turned)


def test_only_the_most_recent_train_steps_are_learnt_from(made):
    y = made.panel.y.copy()
    y[:, :172] += 1000
    models = [NeuralForecaster(network(train_steps=300), context()) for _ in range(2)]
    for model, values in zip(models, (made.panel.y, y), strict=True):
        model.fit(replace(made.panel, y=values))
    assert same(*(weights(m) for m in models))


def test_windows_prepared_before_give_the_same_bits_as_windows_made_in_the_fit(made):
    here, ahead = (NeuralForecaster(network(transforms=(DIFFERENCE, STANDARD)), context()) for _ in range(2))
    transform, prepared = ahead.prepare_windows(made.panel)
    here.fit(made.panel)
    ahead.fit(made.panel, windows=prepared)
    assert same(weights(here), weights(ahead))
    assert here.state()[0]["transform"] == transform.to_json()


def test_windows_of_another_recipe_or_history_are_refused(made):
    model = NeuralForecaster(network(), context())
    _, prepared = NeuralForecaster(network(lookback=21), context()).prepare_windows(made.panel)
    with pytest.raises(ModelError, match="prepare_windows"):
        model.fit(made.panel, windows=prepared)
    _, prepared = model.prepare_windows(made.panel.until(made.panel.ds[-2]))
    with pytest.raises(ModelError, match="prepare_windows"):
        model.fit(made.panel, windows=prepared)


def test_the_report_counts_what_was_done(made):
    report = NeuralForecaster(network(), context()).fit(made.panel)
    training = 472 - 60 - 14 - 7 + 1
    gru = 3 * 8 * (9 + 8 + 2)
    head = (8 + 7 + 1) * 8 + 7 * 8 + (8 + 1) * 2
    assert report.facts == {
        "epochs": 3,
        "best_epoch": int(np.argmin(report.curves["val_loss"])) + 1,
        "best_val_loss": min(report.curves["val_loss"]),
        "parameters": gru + head,
        "windows": training,
        "validation_windows": 60 - 7 + 1,
        "device": "cpu",
    }


def test_many_origins_are_forecast_in_chunks_without_a_change(made, fitted, monkeypatch):
    at = [origin(made, back) for back in range(5)]
    whole = fitted.predict(at)
    monkeypatch.setattr(inference, "CHUNK", 2)
    np.testing.assert_allclose(fitted.predict(at), whole, rtol=1e-5)


def test_a_horizon_shorter_than_trained_is_the_start_of_it_and_a_longer_one_is_iterated(made, fitted):
    whole = fitted.predict([origin(made)])
    np.testing.assert_allclose(fitted.predict([origin(made, horizon=3)]), whole[:, :, :3], rtol=1e-6)
    longer = forecast.predict(fitted, [origin(made, horizon=20)])
    assert longer.shape == (1, 2, 20)
    np.testing.assert_array_equal(longer[:, :, :7], whole)


def test_the_history_needed_is_the_lookback_and_the_lags(made):
    model = NeuralForecaster(network(transforms=({"kind": "difference", "lags": (7, 1)}, STANDARD)), context())
    model.fit(made.panel)
    assert model.min_history == 14 + 8
    assert np.isfinite(model.predict([origin(made, back=472 - 22)])).all()
    with pytest.raises(HistoryError):
        model.predict([origin(made, back=472 - 21)])


def test_too_little_history_for_validation_is_refused(made):
    with pytest.raises(HistoryError, match="validation_steps"):
        NeuralForecaster(network(), context()).fit(made.panel.until(made.panel.ds[70]))


def test_a_model_that_is_not_fitted_says_so(made):
    model = NeuralForecaster(network(), context())
    for ask in (lambda: model.predict([origin(made)]), model.state):
        with pytest.raises(ModelError, match="fit"):
            ask()


def test_other_series_or_features_than_fitted_are_refused(made, fitted):
    at = origin(made)
    other = replace(at, history=replace(at.history, ids=("s0", "new")))
    with pytest.raises(ModelError, match=r"without \['s1'\], with \['new'\]"):
        fitted.predict([other])
    names = at.history.known_names
    turned = replace(at, history=replace(at.history, known_names=names[::-1]))
    with pytest.raises(ModelError, match="known: another order"):
        fitted.predict([turned])
