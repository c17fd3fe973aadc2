import math

import pytest
import torch
from torch import nn

from daycast.models.layers import LAYERS, Bidirectional, initialise

INPUTS, HIDDEN = 5, 6
LSTMS = [name for name in LAYERS if name.endswith("lstm")]


def made(name: str, seed=1) -> nn.Module:
    """As ``networks.build`` makes it; what ``initialise`` left out would stay NaN."""
    with torch.device("meta"):
        layer = LAYERS[name](INPUTS, HIDDEN)
    layer.to_empty(device="cpu")
    for tensor in layer.state_dict().values():
        tensor.fill_(math.nan)
    initialise(layer, torch.Generator().manual_seed(seed))
    return layer


def drawn(batch=3, steps=7):
    return torch.randn(batch, steps, INPUTS, generator=torch.Generator().manual_seed(2))


def gates(weight):
    return weight.detach().split(HIDDEN)


def bias(layer):
    return (layer.bias_ih_l0 + layer.bias_hh_l0 if isinstance(layer, nn.RNNBase) else layer.bias).detach()


def matrices(layer):
    names = ("weight_ih_l0", "weight_hh_l0") if isinstance(layer, nn.RNNBase) else ("weight_ih", "weight_hh")
    return [layer.get_parameter(name) for name in names]


@pytest.mark.parametrize("name", LAYERS)
def test_every_weight_of_a_layer_made_without_memory_is_set(name):
    layer = made(name)
    assert all(torch.isfinite(value).all() for value in layer.state_dict().values())
    assert torch.isfinite(layer(drawn())[0]).all()


@pytest.mark.parametrize("name", LAYERS)
def test_the_generator_alone_decides_on_the_weights(name):
    before = torch.get_rng_state()
    first, again, other = (made(name, seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not any(torch.equal(first[key], other[key]) for key in first if key.startswith("weight"))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", LAYERS)
def test_input_weights_fill_glorots_range_and_recurrent_ones_are_orthogonal_gate_by_gate(name):
    weight_ih, weight_hh = matrices(made(name))
    bound = math.sqrt(6 / (INPUTS + HIDDEN))
    for gate in gates(weight_ih):
        assert 0.8 * bound < gate.abs().max() <= bound
    for gate in gates(weight_hh):
        torch.testing.assert_close(gate @ gate.T, torch.eye(HIDDEN))


@pytest.mark.parametrize("name", LAYERS)
def test_only_a_forget_gate_starts_with_a_bias(name):
    expected = torch.zeros_like(bias(made(name))).reshape(-1, HIDDEN)
    if name in LSTMS:
        expected[0 if name == "coupled_lstm" else 1] = 1.0
    assert torch.equal(bias(made(name)).reshape(-1, HIDDEN), expected)


@pytest.mark.parametrize("name", ["ln_rnn", "ln_lstm", "ln_gru", "peephole_lstm"])
def test_gains_start_at_one_and_peepholes_and_the_cells_biases_at_zero(name):
    start = {"gain": 1.0, "cell_gain": 1.0, "cell_bias": 0.0, "peephole": 0.0}
    found = {key: value for key, value in made(name).named_parameters() if key in start}
    assert found
    assert all((value == start[key]).all() for key, value in found.items())


@pytest.mark.parametrize("name", LAYERS)
def test_gradient_reaches_every_weight(name):
    layer = made(name)
    layer(drawn())[0].square().sum().backward()
    assert [key for key, p in layer.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []


@pytest.mark.parametrize("name", LAYERS)
def test_a_bidirectional_layer_is_one_ahead_and_one_on_the_reversed_steps(name):
    ahead, back, x = made(name, 1), made(name, 2), drawn()
    outputs, state = Bidirectional(ahead, back)(x)
    (expected, last), (reversed_, reversed_last) = ahead(x), back(x.flip(1))
    assert torch.equal(outputs, torch.cat([expected, reversed_.flip(1)], dim=2))
    if name in LSTMS:
        assert all(torch.equal(s, torch.cat(p, dim=2)) for s, *p in zip(state, last, reversed_last, strict=True))
    else:
        assert torch.equal(state, torch.cat([last, reversed_last], dim=2))


@pytest.mark.parametrize("name", LAYERS)
def test_a_bidirectional_layer_hands_each_of_its_two_a_half_of_the_start(name):
    ahead, back, x = made(name, 1), made(name, 2), drawn()
    _, start = Bidirectional(ahead, back)(x)
    halves = [tuple(p[..., s] for p in start) if name in LSTMS else start[..., s] for s in (slice(6), slice(6, None))]
    expected = torch.cat([ahead(x, halves[0])[0], back(x.flip(1), halves[1])[0].flip(1)], dim=2)
    torch.testing.assert_close(Bidirectional(ahead, back)(x, start)[0], expected)


def test_the_last_state_of_a_bidirectional_layer_has_seen_all_steps_and_its_last_output_has_not():
    layer, x = Bidirectional(made("gru", 1), made("gru", 2)), drawn()
    changed = x.clone()
    changed[:, 0] += 1.0
    (outputs, state), (others, other) = layer(x), layer(changed)
    assert (state != other).all()
    assert (outputs != others)[:, -1].all(dim=0).tolist() == [True] * HIDDEN + [False] * HIDDEN
