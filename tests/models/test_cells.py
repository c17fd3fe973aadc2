import itertools
import math

import numpy as np
import pytest
import torch
from safetensors.torch import load, save
from torch import nn

from daycast.models.cells import LSTM
from daycast.models.layers import LAYERS

INPUTS, HIDDEN = 3, 4
CUSTOM = sorted(set(LAYERS) - {"rnn", "lstm", "gru"})
OPTIONS = ("normalised", "peephole", "coupled", "hard")
NAMED = {"lstm": (), "ln_lstm": ("normalised",), **{f"{o}_lstm": (o,) for o in OPTIONS[1:]}}


def filled(layer: nn.Module, dtype=torch.float64) -> nn.Module:
    """Every weight drawn, those included that a fresh layer holds at zero or one."""
    g = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in layer.parameters():
            weight.copy_(0.7 * torch.randn(weight.shape, generator=g))
    return layer.to(dtype)


def made(name: str, dtype=torch.float64) -> nn.Module:
    return filled(LAYERS[name](INPUTS, HIDDEN), dtype)


def drawn(batch=3, steps=7, dtype=torch.float64):
    g = torch.Generator().manual_seed(2)
    draw = lambda *shape: torch.randn(*shape, generator=g, dtype=torch.float64).to(dtype)  # noqa: E731
    return draw(batch, steps, INPUTS), (draw(1, batch, HIDDEN), draw(1, batch, HIDDEN))


# The oracle: the equations of the docstrings, one sample, one step, one unit at a time.


def logistic(v):
    return 1 / (1 + math.exp(-v))


def hard(v):
    return min(max(v + 3, 0), 6) / 6


def normalised(values, gain, bias):
    mean = sum(values) / len(values)
    variance = sum((v - mean) ** 2 for v in values) / len(values)
    return [g * (v - mean) / math.sqrt(variance + 1e-5) + b for v, g, b in zip(values, gain, bias, strict=True)]


def dot(row, values):
    return sum(float(w) * float(v) for w, v in zip(row, values, strict=True))


def rnn_step(p, x, state, norm):
    (h,) = state
    summed = [dot(w, x) + dot(u, h) for w, u in zip(p["weight_ih"], p["weight_hh"], strict=True)]
    a = normalised(summed, p["gain"], p["bias"]) if norm else [v + b for v, b in zip(summed, p["bias"], strict=True)]
    return ([math.tanh(v) for v in a],)


def gru_step(p, x, state, norm):
    (h,), m = state, HIDDEN
    wx, uh = [dot(w, x) for w in p["weight_ih"]], [dot(u, h) for u in p["weight_hh"]]
    rz = [wx[k] + uh[k] for k in range(2 * m)]
    if norm:
        rz = normalised(rz, p["gain"][: 2 * m], p["bias"][: 2 * m])
    else:
        rz = [v + b for v, b in zip(rz, p["bias"], strict=False)]
    r, z = [logistic(v) for v in rz[:m]], [logistic(v) for v in rz[m:]]
    if norm:
        n = normalised([wx[2 * m + u] + r[u] * uh[2 * m + u] for u in range(m)], p["gain"][2 * m :], p["bias"][2 * m :])
    else:
        n = [wx[2 * m + u] + p["bias"][2 * m + u] + r[u] * (uh[2 * m + u] + p["bias_n"][u]) for u in range(m)]
    return ([(1 - z[u]) * math.tanh(n[u]) + z[u] * h[u] for u in range(m)],)


def lstm_step(p, x, state, options):
    (h, c), m = state, HIDDEN
    names, sigmoid = "fgo" if "coupled" in options else "ifgo", hard if "hard" in options else logistic
    summed = [dot(w, x) + dot(u, h) for w, u in zip(p["weight_ih"], p["weight_hh"], strict=True)]
    if "normalised" in options:
        summed = normalised(summed, p["gain"], p["bias"])
    else:
        summed = [v + b for v, b in zip(summed, p["bias"], strict=True)]
    a = {gate: summed[k * m : (k + 1) * m] for k, gate in enumerate(names)}
    seen = dict(zip(names.replace("g", ""), p["peephole"] if "peephole" in options else np.zeros((3, m)), strict=False))
    cell, opened = [], []
    for u in range(m):
        f = sigmoid(a["f"][u] + seen["f"][u] * c[u])
        i = 1 - f if "coupled" in options else sigmoid(a["i"][u] + seen["i"][u] * c[u])
        cell.append(f * c[u] + i * math.tanh(a["g"][u]))
        opened.append(sigmoid(a["o"][u] + seen["o"][u] * cell[u]))
    read = normalised(cell, p["cell_gain"], p["cell_bias"]) if "normalised" in options else cell
    return [o * math.tanh(v) for o, v in zip(opened, read, strict=True)], cell


def weights(layer):
    """A layer's weights under the names of ``cells``."""
    arrays = {name.removesuffix("_l0"): p.detach().double().numpy() for name, p in layer.named_parameters()}
    if not isinstance(layer, nn.RNNBase):
        return arrays
    bias = arrays["bias_ih"] + arrays["bias_hh"]
    if isinstance(layer, nn.GRU):
        bias[2 * HIDDEN :] = arrays["bias_ih"][2 * HIDDEN :]
    return arrays | {"bias": bias, "bias_n": arrays["bias_hh"][2 * HIDDEN :]}


def walked(layer, step, extra, x, start):
    """Outputs (B, T, M) and the last state, each part (1, B, M), of the oracle."""
    p, outputs, last = weights(layer), [], []
    for b in range(len(x)):
        state = tuple(part[0, b].tolist() for part in start)
        outputs.append([])
        for row in x[b].tolist():
            state = step(p, row, state, extra)
            outputs[-1].append(state[0])
        last.append(state)
    ends = tuple(torch.tensor([sample[k] for sample in last], dtype=torch.float64)[None] for k in range(len(start)))
    return torch.tensor(outputs, dtype=torch.float64), ends


def oracle(name, layer, x, start):
    if name in NAMED:
        return walked(layer, lstm_step, NAMED[name], x, start)
    step = rnn_step if name.endswith("rnn") else gru_step
    return walked(layer, step, name.startswith("ln_"), x, start)


def handed(parts):
    """The state as a layer takes and gives it."""
    return parts if len(parts) == 2 else parts[0]


def begin(name, pair):
    return pair if name in NAMED else pair[:1]


def near(found, expected, **tolerance):
    outputs, state = found
    torch.testing.assert_close(outputs, expected[0], **tolerance)
    torch.testing.assert_close(state, handed(expected[1]), **tolerance)


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize(("batch", "steps"), [(3, 7), (1, 7), (3, 1), (1, 1)])
def test_a_layer_walks_as_its_equations_say(name, batch, steps):
    layer, (x, pair) = made(name), drawn(batch, steps)
    zeros = tuple(torch.zeros_like(part) for part in begin(name, pair))
    near(layer(x), oracle(name, layer, x, zeros), rtol=0, atol=1e-12)
    start = begin(name, pair)
    near(layer(x, handed(start)), oracle(name, layer, x, start), rtol=0, atol=1e-12)


@pytest.mark.parametrize("options", [o for n in range(5) for o in itertools.combinations(OPTIONS, n)], ids="+".join)
def test_options_of_an_lstm_combine_as_its_equations_say(options):
    layer, (x, start) = filled(LSTM(INPUTS, HIDDEN, **dict.fromkeys(options, True))), drawn()
    near(layer(x, start), walked(layer, lstm_step, options, x, start), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", LAYERS)
def test_in_single_precision_a_layer_stays_near_its_equations(name):
    layer, (x, pair) = made(name, torch.float32), drawn(dtype=torch.float32)
    start = begin(name, pair)
    outputs, state = layer(x, handed(start))
    assert outputs.dtype == torch.float32
    near((outputs, state), oracle(name, layer, x, start), rtol=0, atol=2e-6, check_dtype=False)


@pytest.mark.parametrize("name", CUSTOM)
def test_gradients_of_inputs_start_and_weights_are_those_of_finite_differences(name):
    layer, (x, pair) = made(name), drawn(batch=2, steps=3)
    start = begin(name, pair)
    names = [n for n, _ in layer.named_parameters()]

    def run(x, *rest):
        arguments = (x, handed(rest[: len(start)]))
        outputs, state = torch.func.functional_call(layer, dict(zip(names, rest[len(start) :], strict=True)), arguments)
        return outputs, *(state if isinstance(state, tuple) else (state,))

    values = [v.detach().clone().requires_grad_() for v in (x, *start, *layer.parameters())]
    assert torch.autograd.gradcheck(run, values)


@pytest.mark.parametrize("options", [{}, {"peephole": True}], ids=["plain", "peepholes of zero"])
def test_an_lstm_whose_options_do_nothing_is_that_of_torch(options):
    layer, fused, (x, start) = filled(LSTM(INPUTS, HIDDEN, **options)), made("lstm"), drawn()
    p = weights(fused)
    with torch.no_grad():
        for name in ("weight_ih", "weight_hh", "bias"):
            layer.get_parameter(name).copy_(torch.from_numpy(p[name]))
        if options:
            nn.init.zeros_(layer.peephole)
    torch.testing.assert_close(layer(x, start), fused(x, start), rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("rnn", lambda i, m: m * (m + i) + 2 * m),
        ("lstm", lambda i, m: 4 * (m * (m + i) + 2 * m)),
        ("gru", lambda i, m: 3 * (m * (m + i) + 2 * m)),
        ("ln_rnn", lambda i, m: m * (m + i) + 2 * m),
        ("ln_lstm", lambda i, m: 4 * (m * (m + i) + 2 * m) + 2 * m),
        ("ln_gru", lambda i, m: 3 * (m * (m + i) + 2 * m)),
        ("peephole_lstm", lambda i, m: 4 * (m * (m + i) + m) + 3 * m),
        ("coupled_lstm", lambda i, m: 3 * (m * (m + i) + m)),
        ("hard_lstm", lambda i, m: 4 * (m * (m + i) + m)),
    ],
)
def test_a_layer_has_as_many_weights_as_its_equations(name, count):
    for inputs, hidden in [(1, 2), (8, 64), (7, 5)]:
        assert sum(p.numel() for p in LAYERS[name](inputs, hidden).parameters()) == count(inputs, hidden)


@pytest.mark.parametrize("name", LAYERS)
def test_a_step_moves_its_own_output_and_later_ones_alone(name):
    layer, (x, _) = made(name), drawn()
    changed = x.clone()
    changed[:, 4] += 1.0
    moved = (layer(x)[0] != layer(changed)[0]).any(dim=2).all(dim=0)
    assert moved.tolist() == [False] * 4 + [True] * 3


@pytest.mark.parametrize("name", LAYERS)
def test_a_walk_taken_up_again_from_its_state_ends_where_one_walk_does(name):
    layer, (x, _) = made(name), drawn()
    first, state = layer(x[:, :4])
    second, last = layer(x[:, 4:], state)
    torch.testing.assert_close((torch.cat([first, second], dim=1), last), layer(x), rtol=0, atol=1e-14)


@pytest.mark.parametrize("name", LAYERS)
def test_weights_saved_and_loaded_give_the_same_bits(name):
    layer, (x, _) = made(name, torch.float32), drawn(dtype=torch.float32)
    other = LAYERS[name](INPUTS, HIDDEN)
    other.load_state_dict(load(save(layer.state_dict())))
    assert torch.equal(layer(x)[0], other(x)[0])


@pytest.mark.parametrize("name", CUSTOM)
def test_autocast_rounds_nothing(name):
    layer, (x, _) = made(name, torch.float32), drawn(dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs = layer(x)[0]
        assert layer(x.bfloat16())[0].dtype == torch.float32
    assert torch.equal(outputs, layer(x)[0])


@pytest.mark.parametrize("name", ["ln_rnn", "ln_lstm", "ln_gru"])
def test_normalisation_leaves_the_size_of_a_single_input_to_be_seen(name):
    layer = filled(LAYERS[name](1, HIDDEN))
    _, pair = drawn(batch=1)
    small, large = (layer(torch.full((1, 1, 1), v).double(), handed(begin(name, pair)))[0] for v in (1.0, 2.0))
    assert (small - large).abs().max() > 0.01
