"""Stacks of layers of any kinds, their shapes and their noise."""

import pytest
import torch

from daycast.config import Conv, Dilated
from daycast.models import layers
from daycast.models.convolutions import DilatedCausal, StridedConv
from daycast.models.layers import LAYERS, Bidirectional
from daycast.models.stack import Noise, Shape, Stack, front_end

MIXED = ("lstm", "rnn", "ln_gru", "peephole_lstm")


def made(shape, inputs=3):
    stack, g = Stack(inputs, shape, Noise(0)), torch.Generator().manual_seed(1)
    for layer in stack.modules():
        if isinstance(layer, (torch.nn.RNNBase, layers.Recurrent)):
            layers.initialise(layer, g)
    return stack


def drawn(inputs=3):
    return torch.randn(2, 7, inputs, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("both", [False, True])
def test_layers_of_any_kinds_and_sizes_stand_on_one_another(both):
    shape = Shape(MIXED, "dense", (5, 4, 3, 6), 4, 0.0, bidirectional=both)
    stack, x = made(shape), drawn()
    outputs, states = stack(x)
    below, expected = x, []
    for layer in stack.layers:
        below, state = layer(below)
        expected.append(state)
    assert torch.equal(outputs, below)
    assert stack.width == outputs.shape[2] == 6 * (2 if both else 1)
    for state, other in zip(states, expected, strict=True):
        for part, same in zip(layers.tensors(state), layers.tensors(other), strict=True):
            assert torch.equal(part, same)


def test_a_walk_cut_in_two_goes_on_from_its_states():
    stack, x = made(Shape(MIXED, "seq2seq", 4, 4, 0.0)), drawn()
    whole, _ = stack(x)
    first, states = stack(x[:, :3])
    second, _ = stack(x[:, 3:], states)
    torch.testing.assert_close(torch.cat([first, second], dim=1), whole)


@pytest.mark.parametrize("cell", LAYERS)
def test_a_decoder_takes_on_the_states_of_an_encoder_that_reads_both_ways(cell):
    shape = Shape(cell, "seq2seq", (3, 4), 2, 0.0, bidirectional=True)
    encoder, decoder = made(shape), made(shape.decoding(), inputs=2)
    assert all(isinstance(layer, Bidirectional) for layer in encoder.layers)
    assert not any(isinstance(layer, Bidirectional) for layer in decoder.layers)
    _, states = encoder(drawn())
    assert decoder(drawn(2), states)[0].shape == (2, 7, 8)
    assert decoder.width == encoder.width == 8


def test_without_layers_a_stack_hands_on_what_it_is_given():
    stack, x = made(Shape("gru", "dense", 4, 0, 0.5)), drawn()
    outputs, states = stack.train()(x)
    assert outputs is x
    assert states == []
    assert stack.width == 3


def test_one_value_is_of_all_layers_and_a_list_has_one_for_each():
    assert Shape("gru", "dense", 4, 3, 0.0).cells == ("gru",) * 3
    assert Shape("gru", "dense", 4, 3, 0.0).units == (4, 4, 4)
    assert Shape(("gru", "rnn"), "dense", (4, 5), 2, 0.0, bidirectional=True).units == (8, 10)


def test_noise_of_one_seed_is_the_same_wherever_it_is_drawn_and_goes_on():
    one, again, other = (Noise(seed) for seed in (1, 1, 2))
    like = torch.zeros(50)
    first = one.chosen(like, 0.5)
    assert torch.equal(first, again.chosen(like, 0.5))
    assert not torch.equal(first, other.chosen(like, 0.5))
    assert not torch.equal(first, one.chosen(like, 0.5))
    assert set(first.tolist()) == {0.0, 1.0}


def test_dropout_stands_between_layers_and_not_before_the_first():
    seen = []
    stack = made(Shape("rnn", "dense", 4, 3, 0.5)).train()
    for layer in stack.layers:
        layer.register_forward_hook(lambda _layer, given, _out: seen.append((given[0] == 0).any().item()))
    stack(drawn())
    assert seen == [False, True, True]


def test_the_front_end_is_the_configured_one():
    strided = front_end(Conv(kind="conv", filters=4, kernel=3, stride=2), 5)
    dilated = front_end(Dilated(kind="dilated", filters=4, kernel=2, dilations=(1, 3)), 5)
    assert isinstance(strided, StridedConv)
    assert strided(torch.zeros(2, 9, 5)).shape == (2, 4, 4)
    assert isinstance(dilated, DilatedCausal)
    assert dilated.receptive_field == 5
    assert front_end(None, 5) is None
