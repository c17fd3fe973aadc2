"""Attention against the formulas of its docstring, one sample and one step at a time."""

import math

import numpy as np
import pytest
import torch

from daycast.models import networks
from daycast.models.attention import Attention
from daycast.models.networks import Shape, Sizes

WIDTH, STEPS, BATCH = 4, 6, 3
KINDS = ("dot", "additive")


def made(kind):
    attention, g = Attention(kind, WIDTH).double(), torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in attention.parameters():
            weight.copy_(torch.randn(weight.shape, generator=g))
    return attention


def drawn():
    g = torch.Generator().manual_seed(2)
    return [torch.randn(BATCH, steps, WIDTH, generator=g, dtype=torch.float64) for steps in (1, STEPS)]


def slowly(attention, query, outputs):
    p = {name: value.detach().numpy() for name, value in attention.named_parameters()}
    weights = np.empty((BATCH, STEPS))
    for b in range(BATCH):
        q = query[b, 0].numpy()
        for t in range(STEPS):
            k = outputs[b, t].numpy()
            if attention.kind == "dot":
                score = sum(a * c for a, c in zip(q, k, strict=True)) / math.sqrt(WIDTH)
            else:
                inside = p["query.weight"] @ q + p["key.weight"] @ k + p["key.bias"]
                score = (p["score.weight"] @ np.tanh(inside))[0]
            weights[b, t] = math.exp(score)
        weights[b] /= weights[b].sum()
    means = np.array([sum(w * o for w, o in zip(weights[b], outputs[b].numpy(), strict=True)) for b in range(BATCH)])
    return weights, means[:, None]


@pytest.mark.parametrize("kind", KINDS)
def test_weights_and_mean_are_those_of_the_formula(kind):
    attention, (query, outputs) = made(kind), drawn()
    keys = attention.keys(outputs)
    weights, mean = slowly(attention, query, outputs)
    np.testing.assert_allclose(attention.weights(query, keys).detach(), weights, rtol=1e-12)
    np.testing.assert_allclose(attention(query, keys, outputs).detach(), mean, rtol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_sum_to_one_however_far_apart_the_scores_are(kind):
    attention, (query, outputs) = made(kind), drawn()
    weights = attention.weights(query * 1e4, attention.keys(outputs * 1e4))
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(BATCH, dtype=torch.float64))
    assert (weights >= 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_gradient_reaches_every_weight_of_a_network_with_attention_and_all_of_them_are_set(kind):
    shape = Shape("gru", "seq2seq", 6, 1, 0.0, attention=kind)
    network = networks.build(shape, Sizes(2, 3, 0, 1, 4), seed=1)
    g = torch.Generator().manual_seed(0)
    network(torch.randn(8, 9, 5, generator=g), torch.randn(8, 4, 3, generator=g), torch.zeros(8, 0)).sum().backward()
    assert [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []
    extra = 6 * 6 + 6 * 6 + 6 + 6 if kind == "additive" else 0
    plain = networks.build(Shape("gru", "seq2seq", 6, 1, 0.0), Sizes(2, 3, 0, 1, 4), seed=1)
    count = [sum(p.numel() for p in of.parameters()) for of in (network, plain)]
    assert count[0] - count[1] == 6 * 6 + extra  # the mean of the outputs beside the decoder's own


@pytest.mark.parametrize("kind", KINDS)
def test_a_decoder_with_attention_looks_back_at_every_output_of_the_encoder(kind):
    network = networks.build(Shape("gru", "seq2seq", 6, 1, 0.0, attention=kind), Sizes(1, 0, 0, 1, 2), seed=1)
    outputs = torch.randn(2, 9, 6, generator=torch.Generator().manual_seed(0))
    state = torch.zeros(1, 2, 6)
    network._encode = lambda *_: (outputs.requires_grad_(), outputs[:, -1:], [state])
    network(torch.zeros(2, 9, 1), torch.zeros(2, 2, 0), torch.zeros(2, 0)).sum().backward()
    seen = outputs.grad.abs().sum(dim=2)
    assert (seen > 0).all()
