"""Networks made as published: their size, their seeds, and when they stop."""

from __future__ import annotations

import json
import math

import pytest
import torch

from daycast.config.reproduce import Bare, Lags, Recipe, Stacked
from daycast.errors import ModelError
from daycast.models import published
from daycast.models.networks import Sizes
from daycast.models.published import Samples

LOOKBACK = 12


def recipe(**changes):
    values = {
        "optimizer": "sgd",
        "momentum": 0.9,
        "learning_rate": 0.05,
        "loss": "huber",
        "batch_size": 8,
        "buffer": None,
    }
    return Recipe(**{**values, "buffer": None, "max_epochs": 6, "patience": 3, **changes})


def stacked(**changes):
    values = {"kind": "network", "cell": "rnn", "hidden": 4, "layers": 1, "front": None, "dropout": 0.0}
    return Stacked.model_validate_json(json.dumps({**values, "output": "dense", **changes}))


def waves(count=40, horizon=1, seed=0):
    """Windows of a wave with noise."""
    steps = LOOKBACK + horizon
    generator = torch.Generator().manual_seed(seed)
    y = torch.sin(torch.arange(count + steps) * 0.9) + torch.randn(count + steps, generator=generator) * 0.1
    every = y.unfold(0, horizon, 1)
    past = torch.stack([y[i : i + LOOKBACK] for i in range(count)])
    target = torch.stack([every[i + 1 : i + 1 + LOOKBACK] for i in range(count)])
    return Samples(past[..., None], target[..., None])


def trained(architecture=None, seed=1, watched=None, horizon=1, **changes):
    network = published.build(architecture or stacked(), LOOKBACK, Sizes(1, 0, 0, 1, horizon), seed)
    learned = waves(horizon=horizon)
    return published.train(network, recipe(**changes), learned, watched or waves(seed=9, horizon=horizon), seed)


def free(architecture, sizes, lookback=56):
    network = published.build(architecture, lookback, sizes, 1)
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


@pytest.mark.parametrize(
    ("architecture", "sizes", "parameters"),
    [
        (Lags(kind="lags"), Sizes(1, 0, 0, 1, 1), 57),
        (Bare(kind="bare", cell="rnn"), Sizes(1, 0, 0, 1, 1), 3),
        (stacked(hidden=32), Sizes(1, 0, 0, 1, 1), 32 * (1 + 32 + 1) + 33),
        (stacked(hidden=32, layers=3), Sizes(1, 0, 0, 1, 1), 32 * 34 + 2 * 32 * 65 + 33),
        (stacked(hidden=32), Sizes(5, 0, 0, 2, 1), 32 * (5 + 32 + 1) + 66),
        (stacked(hidden=32, output="every_step"), Sizes(5, 0, 0, 1, 14), 32 * 38 + 33 * 14),
        (stacked(cell="lstm", hidden=32, output="every_step"), Sizes(5, 0, 0, 1, 14), 4 * 32 * 38 + 33 * 14),
        (stacked(cell="gru", hidden=32, output="every_step"), Sizes(5, 0, 0, 1, 14), 3 * 32 * 39 + 33 * 14),
    ],
)
def test_networks_have_the_parameters_that_keras_gives_them(architecture, sizes, parameters):
    assert free(architecture, sizes) == parameters


def test_a_training_stops_when_its_patience_is_spent_and_keeps_the_best_epoch():
    found = trained(learning_rate=1e-12, max_epochs=50, patience=4)  # nothing moves, so nothing gets better
    assert (len(found.losses), found.best_epoch) == (5, 1)


def test_the_weights_of_the_best_epoch_are_kept():
    watched = waves(seed=9)
    found = trained(watched=watched, learning_rate=0.3, max_epochs=25, patience=25)
    assert found.best_epoch == found.watched.index(min(found.watched)) + 1 < 25
    mae = abs(found.forecast(watched.past) - watched.target[:, -1].numpy()).mean()
    assert mae == pytest.approx(min(found.watched), rel=1e-5)


def test_without_patience_all_epochs_run_and_the_window_is_not_looked_at():
    one, other = (trained(patience=None, watched=waves(seed=seed)) for seed in (2, 3))
    assert len(one.losses) == one.best_epoch == 6
    assert one.watched == ()
    past = waves(seed=4).past
    assert (one.forecast(past) == other.forecast(past)).all()


@pytest.mark.parametrize("changes", [{}, {"optimizer": "adam", "momentum": 0.0, "learning_rate": 0.01, "loss": "mse"}])
def test_a_seed_gives_the_same_bits_and_another_one_others(changes):
    before = torch.get_rng_state()
    past = waves(seed=4).past
    architecture = stacked(cell="lstm", layers=2, dropout=0.3)
    one, again, other = (trained(architecture, seed, **changes).forecast(past) for seed in (1, 1, 2))
    assert (one == again).all()
    assert (one != other).any()
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    "architecture",
    [
        stacked(output="every_step"),
        stacked(output="every_step", cell="gru", front={"kind": "conv", "filters": 3, "kernel": 4, "stride": 2}),
        stacked(
            output="every_step", layers=0, front={"kind": "dilated", "filters": 3, "kernel": 2, "dilations": [1, 2]}
        ),
        Lags(kind="lags"),
    ],
    ids=["every step", "strided", "dilated", "lags"],
)
def test_several_steps_are_forecast_and_learned(architecture):
    found = trained(architecture, horizon=3, max_epochs=30, patience=None, learning_rate=0.1)
    assert found.forecast(waves(horizon=3).past).shape == (40, 3, 1)
    assert found.losses[-1] < 0.7 * found.losses[0]


def test_a_strided_front_is_taught_the_targets_of_its_own_steps():
    front = {"kind": "conv", "filters": 2, "kernel": 4, "stride": 2}
    network = published.build(stacked(output="every_step", front=front), LOOKBACK, Sizes(1, 0, 0, 1, 1), 1)
    made = network(torch.zeros(1, LOOKBACK, 1))
    steps = torch.arange(float(LOOKBACK)).reshape(1, LOOKBACK, 1, 1)
    assert published._aligned(network, made, steps).flatten().tolist() == [3, 5, 7, 9, 11]


def test_a_bare_layer_is_refused_more_than_one_step():
    with pytest.raises(ModelError, match="horizon 2"):
        published.build(Bare(kind="bare", cell="rnn"), LOOKBACK, Sizes(1, 0, 0, 1, 2), 1)


def test_a_loss_that_is_not_finite_is_an_error():
    with pytest.raises(ModelError, match="learning_rate"):
        trained(Lags(kind="lags"), learning_rate=1e30, loss="mse")


def test_what_an_epoch_raises_ends_the_training():
    def stop(epoch, epochs):
        assert epochs == 6
        if epoch == 2:
            raise KeyboardInterrupt

    network = published.build(stacked(), LOOKBACK, Sizes(1, 0, 0, 1, 1), 1)
    with pytest.raises(KeyboardInterrupt):
        published.train(network, recipe(), waves(), waves(), 1, stop)


def test_curves_are_finite():
    found = trained()
    assert all(map(math.isfinite, (*found.losses, *found.watched)))


def test_a_buffer_draws_each_sample_once_and_none_much_before_its_time():
    order = published._order(100, 10, torch.Generator().manual_seed(1)).tolist()
    assert sorted(order) == list(range(100))
    assert order != list(range(100))
    assert all(sample < place + 10 for place, sample in enumerate(order))
    assert published._order(100, 10, torch.Generator().manual_seed(1)).tolist() == order


@pytest.mark.parametrize("buffer", [None, 7, 8])
def test_a_buffer_for_all_is_a_plain_shuffle(buffer):
    order = published._order(7, buffer, torch.Generator().manual_seed(1))
    assert torch.equal(order, torch.randperm(7, generator=torch.Generator().manual_seed(1)))
