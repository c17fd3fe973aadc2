import pytest
import torch
from torch import nn

from daycast.models import networks
from daycast.models.networks import Dropout, Noise, Shape, Sizes, Stack

SIZES = Sizes(channels=3, known=4, static=2, targets=2, horizon=5)


def shape(cell="gru", output="direct", hidden=6, layers=2, dropout=0.0) -> Shape:
    return Shape(cell, output, hidden, layers, dropout)


def inputs(sizes=SIZES, batch=3, lookback=8, steps=None):
    g = torch.Generator().manual_seed(0)
    return (
        torch.randn(batch, lookback, sizes.channels + sizes.known, generator=g),
        torch.randn(batch, steps or sizes.horizon, sizes.known, generator=g),
        torch.randn(batch, sizes.static, generator=g),
    )


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("output", ["direct", "heads", "seq2seq"])
@pytest.mark.parametrize("sizes", [SIZES, Sizes(1, 0, 0, 1, 5)], ids=["covariates", "alone"])
@pytest.mark.parametrize("steps", [5, 2])
def test_a_network_gives_every_target_at_every_step_asked_for(cell, output, sizes, steps):
    network = networks.build(shape(cell, output), sizes, seed=1)
    assert network(*inputs(sizes, steps=steps)).shape == (3, steps, sizes.targets)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("output", ["direct", "heads", "seq2seq"])
def test_gradient_reaches_every_parameter(cell, output):
    network = networks.build(shape(cell, output), SIZES, seed=1)
    network(*inputs(batch=16)).square().sum().backward()
    dead = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert dead == []


@pytest.mark.parametrize(
    ("output", "later"), [("direct", [False, False]), ("heads", [False, False]), ("seq2seq", [True, True])]
)
def test_a_known_feature_moves_its_own_step_and_only_a_decoder_carries_it_on(output, later):
    network = networks.build(shape(output=output), SIZES, seed=1)
    past, future, static = inputs()
    changed = future.clone()
    changed[:, 2] += 1.0
    moved = (network(past, future, static) != network(past, changed, static)).any(dim=2).any(dim=0).tolist()
    assert moved == [False, False, True, *later]


@pytest.mark.parametrize("output", ["direct", "heads", "seq2seq"])
def test_static_covariates_reach_the_encoder_and_the_steps_ahead(output):
    network = networks.build(shape(output=output), SIZES, seed=1)
    past, future, static = inputs()
    constant = torch.cat([past, static[:, None].expand(-1, 8, -1)], dim=2)
    other = torch.cat([past, static[:, None].expand(-1, 8, -1) + 1], dim=2)
    assert not torch.equal(network.encoder(constant)[0], network.encoder(other)[0])
    for weight in network.encoder.parameters():
        torch.nn.init.zeros_(weight)
    assert not torch.equal(network(past, future, static), network(past, future, static + 1))


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_decoder_carries_on_the_encoders_states_and_reads_its_own_forecasts(cell):
    network = networks.build(shape(cell, "seq2seq", layers=1), SIZES, seed=1)
    past, future, static = inputs()
    ahead = torch.cat([future, static[:, None].expand(-1, 5, -1)], dim=2)
    forecasts = network(past, future, static)
    shifted = torch.cat([past[:, -1:, :2], forecasts[:, :-1]], dim=1)
    start = network.encoder.layers[0](torch.cat([past, static[:, None].expand(-1, 8, -1)], dim=2))[1]
    outputs = network.decoder.layers[0](torch.cat([ahead, shifted], dim=2), start)[0]
    expected = network.out(torch.relu(network.mix(torch.cat([outputs, ahead], dim=2)) + network.step))
    torch.testing.assert_close(forecasts, expected)


def test_the_same_seed_draws_the_same_weights_and_another_seed_draws_others():
    first, again, other = (networks.build(shape("lstm"), SIZES, seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["mix.weight"], other["mix.weight"])


def test_neither_building_nor_dropout_touches_the_global_generator():
    before = torch.get_rng_state()
    network = networks.build(shape(dropout=0.5), SIZES, seed=1)
    network.train()(*inputs())
    assert torch.equal(torch.get_rng_state(), before)


def test_the_forget_gate_of_an_lstm_starts_open_and_all_other_biases_at_zero():
    layer = networks.build(shape("lstm", hidden=6), SIZES, seed=1).encoder.layers[0]
    gates = (layer.bias_ih_l0 + layer.bias_hh_l0).detach().reshape(4, 6)
    assert gates.tolist() == [[0.0] * 6, [1.0] * 6, [0.0] * 6, [0.0] * 6]


def test_recurrent_weights_of_each_gate_start_orthogonal():
    layer = networks.build(shape("gru", hidden=6), SIZES, seed=1).encoder.layers[0]
    for gate in layer.weight_hh_l0.detach().split(6):
        torch.testing.assert_close(gate @ gate.T, torch.eye(6))


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_stack_without_dropout_equals_the_stacked_layers_of_torch(cell):
    stack = Stack(3, shape(cell, layers=2), Noise(0))
    oracle = {"lstm": nn.LSTM, "gru": nn.GRU}[cell](3, 6, num_layers=2, batch_first=True)
    weights = {f"{name.removesuffix('l0')}l{i}": p for i in (0, 1) for name, p in stack.layers[i].named_parameters()}
    oracle.load_state_dict(weights)
    x = torch.randn(4, 9, 3, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(stack(x)[0], oracle(x)[0])


def test_dropout_zeroes_its_share_and_keeps_the_mean_in_training_alone():
    layer, ones = Dropout(0.3, Noise(5)), torch.ones(200, 200)
    dropped = layer.train()(ones)
    assert (dropped == 0).float().mean().item() == pytest.approx(0.3, abs=0.01)
    assert dropped.mean().item() == pytest.approx(1.0, abs=0.02)
    assert torch.equal(layer.eval()(ones), ones)


def test_dropout_between_layers_is_drawn_anew_at_every_call_in_training():
    stack = Stack(3, shape(layers=2, dropout=0.5), Noise(0)).train()
    x = torch.ones(2, 4, 3)
    assert not torch.equal(stack(x)[0], stack(x)[0])
    assert torch.equal(stack.eval()(x)[0], stack(x)[0])
