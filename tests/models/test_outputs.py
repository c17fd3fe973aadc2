"""What each output of a network is told and gives, by its tensors; that they learn is in ``test_variants.py``."""

import math

import pytest
import torch

from daycast.config import Conv, Dilated
from daycast.models import networks
from daycast.models.cells import tensors
from daycast.models.layers import LAYERS
from daycast.models.networks import Network, Shape, Sizes

SIZES = Sizes(channels=3, known=4, static=2, targets=2, horizon=5)
LOOKBACK = 11
CONV = Conv(kind="conv", filters=6, kernel=4, stride=3)
DILATED = Dilated(kind="dilated", filters=6, kernel=2, dilations=(1, 2))
MIXED = {"cell": ("lstm", "rnn", "ln_lstm"), "layers": 3, "hidden": (6, 4, 5)}
OUTPUTS = ("direct", "heads", "seq2seq", "dense", "every_step")
VARIANTS = [
    *({"output": output} for output in OUTPUTS),
    *({"output": output, "front": CONV} for output in OUTPUTS),
    *({"output": output, "bidirectional": True, "cell": cell} for output in OUTPUTS[:3] for cell in ("lstm", "gru")),
    *({"output": output, **MIXED} for output in OUTPUTS),
    *({"output": output, "layers": 0, "front": DILATED} for output in ("direct", "dense", "every_step")),
    {"output": "seq2seq", "attention": "dot", **MIXED, "bidirectional": True},
    {"output": "seq2seq", "attention": "additive", "front": CONV, "teacher_forcing": 0.5},
    {"output": "direct", "loss": "pinball", "quantiles": (0.1, 0.5, 0.9), "embedding": 3},
    {"output": "seq2seq", "loss": "student_t", "embedding": 3, "lead": 1},
    {"output": "every_step", "loss": "gaussian", "embedding": 3, "lead": 1, "front": DILATED},
]
NUMBERS = {"pinball": 3, "gaussian": 2, "student_t": 3}
COUNTS = {
    "rnn": lambda i, m: m * (m + i) + 2 * m,
    "lstm": lambda i, m: 4 * (m * (m + i) + 2 * m),
    "gru": lambda i, m: 3 * (m * (m + i) + 2 * m),
    "ln_lstm": lambda i, m: 4 * (m * (m + i) + 2 * m) + 2 * m,
}


def name(variant):
    return "-".join(str(getattr(value, "kind", value)) for value in variant.values())


VARIANT = pytest.mark.parametrize("variant", VARIANTS, ids=name)


def shape(**changes) -> Shape:
    return Shape(**{"cell": "gru", "output": "direct", "hidden": 6, "layers": 1, "dropout": 0.0, **changes})


def made(seed=1, **changes) -> Network:
    of = shape(**changes)
    return networks.build(of, sizes(of), seed).eval()


def sizes(of: Shape) -> Sizes:
    return Sizes(3, 4, 2, 2, 5, series=7 if of.embedding else 0)


def drawn(network, batch=4, steps=5, seed=0):
    g = torch.Generator().manual_seed(seed)
    static = torch.randn(batch, 2, generator=g)
    if network.shape.embedding:
        static = torch.cat([static, torch.arange(batch, dtype=torch.float32)[:, None]], dim=1)
    past = torch.randn(batch, LOOKBACK, 7, generator=g)
    return past, torch.randn(batch, steps, 4, generator=g), static


def targets(batch=4, seed=3):
    g = torch.Generator().manual_seed(seed)
    return torch.randn(batch, 5, 2, generator=g), torch.randn(batch, LOOKBACK, 5, 2, generator=g)


def weights(of: Shape) -> int:
    """By the equations of the layers and maps, with I, M, F + S, V·E as the docstrings have them."""
    ahead, inputs = 4 + 2 + of.embedding, 3 + 4 + 2 + of.embedding
    total = 7 * of.embedding
    if isinstance(of.front, Conv):
        total += 6 * inputs * 4 + 6
    elif isinstance(of.front, Dilated):
        total += 6 * inputs * 2 + 6 + 6 * 6 * 2 + 6
    below = [6 if of.front else inputs, *of.units]
    ways = 2 if of.bidirectional else 1
    total += sum(ways * COUNTS[c](i, m // ways) for c, i, m in zip(of.cells, below, of.units, strict=False))
    width, numbers = below[-1], 2 * NUMBERS.get(of.loss, 1)
    if of.output == "seq2seq":
        total += sum(COUNTS[c](i, m) for c, i, m in zip(of.cells, [ahead + 2, *of.units], of.units, strict=False))
        total += {"additive": 2 * width * width + 2 * width, "dot": 0, None: 0}[of.attention]
    if of.output in ("direct", "heads", "seq2seq"):
        total += (width * (2 if of.attention else 1) + ahead + 1) * width + 5 * width
    else:
        numbers *= 5
    if of.output == "heads":
        total += 5 * width * (width + ahead) + (width + 1) * width
    return total + (width + 1) * numbers


@VARIANT
def test_a_network_has_as_many_weights_as_its_equations(variant):
    network = made(**variant)
    assert sum(p.numel() for p in network.parameters()) == weights(network.shape)


@VARIANT
@pytest.mark.parametrize("steps", [5, 2])
def test_it_gives_every_target_at_every_step_asked_for_and_quantiles_that_never_cross(variant, steps):
    network = made(**variant)
    given = drawn(network, steps=steps)
    assert network(*given).shape == (4, steps, 2)
    if network.shape.loss != "huber":
        quantiles = network.quantiles(*given, (0.1, 0.5, 0.9))
        assert quantiles.shape == (4, steps, 2, 3)
        assert (quantiles.diff(dim=-1) >= 0).all()
        torch.testing.assert_close(quantiles[..., 1], network(*given))


@VARIANT
def test_all_weights_are_set_by_the_seed_alone_and_gradient_reaches_them(variant):
    before = torch.get_rng_state()
    network, again, other = (made(seed, **variant) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), again.parameters(), strict=True))
    assert not torch.equal(network.out.weight, other.out.weight)
    given, (one, every) = drawn(network, batch=7), targets(batch=7)
    network.train().loss(*given, every if network.shape.output == "every_step" else one).backward()
    assert [n for n, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []
    assert torch.equal(torch.get_rng_state(), before)


@VARIANT
def test_a_forecast_hangs_on_the_lookback_and_on_no_other_sample(variant):
    network = made(**variant)
    given = drawn(network)
    forecast = network(*given)
    oldest = LOOKBACK - network.front.receptive_field if not network.shape.layers else int(network.shape.front is CONV)
    for step in (oldest, LOOKBACK - 1):
        past = given[0].clone()
        past[1, step] += 5.0
        moved = (network(past, *given[1:]) != forecast).flatten(1).any(dim=1)
        assert moved.tolist() == [False, True, False, False]


EVERY_STEP = pytest.mark.parametrize(
    "variant",
    [{}, MIXED, {"front": CONV}, {"front": DILATED, "layers": 0}, {"front": DILATED}, {"lead": 1}, {"cell": "ln_gru"}],
    ids=name,
)


def steps_of(network, count):
    """The step of the lookback at which each of the encoder's stands."""
    stride = CONV.stride if network.shape.front is CONV else 1
    return [LOOKBACK - 1 - stride * back for back in reversed(range(count))]


@EVERY_STEP
@pytest.mark.parametrize("changed", range(1, LOOKBACK))
def test_no_step_hears_of_a_later_one_and_each_of_its_own(variant, changed):
    network = made(output="every_step", **variant)
    past, future, static = drawn(network)
    other = past.clone()
    other[:, changed:, :3] = other[:, changed:, :3].flip(1) * 5 + 1
    lead = network.shape.lead
    other[:, changed + lead :, 3:] += 2.0
    one, two = network.at_every_step(past, future, static), network.at_every_step(other, future + 1, static)
    moved = (one != two).flatten(2).any(dim=2).any(dim=0).tolist()
    assert moved == [step >= changed for step in steps_of(network, one.shape[1])]


@EVERY_STEP
def test_its_forecast_is_what_its_last_step_says(variant):
    network = made(output="every_step", **variant)
    given = drawn(network)
    assert torch.equal(network(*given), network.at_every_step(*given)[:, -1, ..., 0])


@EVERY_STEP
def test_its_loss_is_the_mean_over_all_steps_whose_targets_are_known(variant):
    network = made(output="every_step", loss="mae", **variant)
    given, (_, every) = drawn(network), targets()
    every[2, 4] = math.nan
    every[:, 9, 1:, 1] = math.nan
    numbers, errors = network.at_every_step(*given), []
    for place, step in enumerate(steps_of(network, numbers.shape[1])):
        errors += [e for e in (numbers[:, place, ..., 0] - every[:, step]).abs().flatten().tolist() if e == e]
    assert network.loss(*given, every).item() == pytest.approx(sum(errors) / len(errors), rel=1e-5)
    last = (network(*given) - every[:, -1]).abs().mean().item()
    assert network.loss(*given, every[:, -1]).item() == pytest.approx(last, rel=1e-5)


def test_lead_puts_the_known_features_of_the_next_step_beside_each_input():
    network, plain = made(lead=1), made()
    past, future, static = drawn(network)
    shifted = torch.cat([past[:, :, :3], torch.cat([past[:, 1:, 3:], future[:, :1]], dim=1)], dim=2)
    assert torch.equal(network(past, future, static), plain(shifted, future, static))
    other = past.clone()
    other[:, 0, 3:] += 1.0  # the first step's own are told to nobody
    assert torch.equal(network(past, future, static), network(other, future, static))


@pytest.mark.parametrize("front", [None, CONV, DILATED])
def test_dense_is_one_linear_map_of_what_the_encoder_ends_with(front):
    network = made(output="dense", front=front)
    past, future, static = drawn(network)
    x = torch.cat([past, static[:, None].expand(-1, LOOKBACK, -1)], dim=2)
    last = network.encoder(network.front(x) if front else x)[0][:, -1]
    expected = (last @ network.out.weight.T + network.out.bias).reshape(4, 5, 2)
    torch.testing.assert_close(network(past, future, static), expected)
    assert torch.equal(network(past, future, static), network(past, future + 1, static))


@pytest.mark.parametrize("cell", LAYERS)
@pytest.mark.parametrize("output", ["direct", "dense"])
def test_read_both_ways_a_head_sees_the_states_at_both_ends(cell, output):
    network = made(output=output, cell=cell, bidirectional=True)
    past, future, static = drawn(network)
    x = torch.cat([past, static[:, None].expand(-1, LOOKBACK, -1)], dim=2)
    layer = network.encoder.layers[0]
    ends = [tensors(one(x_)[1])[0][0] for one, x_ in ((layer.ahead, x), (layer.back, x.flip(1)))]
    assert torch.equal(network._encode(past, future, static)[1][:, 0], torch.cat(ends, dim=1))


FORCED = pytest.mark.parametrize("variant", [{}, {"attention": "dot"}, {"bidirectional": True}, MIXED], ids=name)


@FORCED
def test_a_decoder_is_told_the_truth_in_training_alone(variant):
    network = made(output="seq2seq", teacher_forcing=1.0, **variant)
    given, (one, _) = drawn(network), targets()
    evaluated = network.eval().loss(*given, one)
    assert evaluated == torch.nn.functional.huber_loss(network(*given), one)
    assert network.train().loss(*given, one) != evaluated


@FORCED
def test_a_forced_decoder_reads_the_true_value_of_the_step_before(variant):
    network = made(output="seq2seq", teacher_forcing=1.0, **variant).train()
    given, (one, _) = drawn(network), targets()
    numbers = network.numbers(*given, one)
    for step in range(5):
        other = one.clone()
        other[:, step] += 1.0
        moved = (network.numbers(*given, other) != numbers).flatten(2).any(dim=2).any(dim=0).tolist()
        assert moved == [False] * (step + 1) + [True] * (4 - step)


def test_a_decoder_without_teacher_forcing_never_hears_the_truth():
    network = made(output="seq2seq").train()
    given, (one, _) = drawn(network), targets()
    assert torch.equal(network.numbers(*given, one), network.numbers(*given))


def test_teacher_forcing_tells_its_share_drawn_by_sample_and_step():
    network = made(output="seq2seq", teacher_forcing=0.3).train()
    given, told = drawn(network, batch=2000), []
    truth = torch.full((2000, 5, 2), 1e6)
    network.decoder.register_forward_hook(lambda _m, inputs, _out: told.append(inputs[0][:, 0, -2:] == 1e6))
    network.numbers(*given, truth)
    assert not told[0].any()
    later = torch.stack(told[1:])
    assert torch.equal(later[..., 0], later[..., 1])
    assert later[..., 0].float().mean().item() == pytest.approx(0.3, abs=0.02)
    assert not torch.equal(later[0], later[1])


def test_each_series_has_its_vector_and_a_new_one_their_mean():
    network = made(embedding=3)
    assert (network.vectors == 0).all()
    with torch.no_grad():
        network.vectors.normal_(generator=torch.Generator().manual_seed(1))
    past, future, static = drawn(network, batch=8)
    alike = (past[:1].expand(8, -1, -1), future[:1].expand(8, -1, -1), static[:1, :2].expand(8, -1))
    forecasts = network(alike[0], alike[1], torch.cat([alike[2], torch.arange(8.0)[:, None]], dim=1))
    assert len({tuple(row) for row in forecasts.detach().flatten(1).tolist()}) == 8
    with torch.no_grad():
        network.vectors[:] = network.vectors.mean(dim=0)
    mean = network(alike[0], alike[1], torch.cat([alike[2], torch.zeros(8, 1)], dim=1))
    torch.testing.assert_close(forecasts[7], mean[7])


def test_only_the_vectors_of_the_series_in_a_batch_are_learnt_and_those_never_seen_become_the_mean():
    network = made(embedding=3)
    given, (one, _) = drawn(network), targets()
    network.loss(*given, one).backward()
    assert network.vectors.grad.abs().sum(dim=1).gt(0).tolist() == [True] * 4 + [False] * 3
    with torch.no_grad():
        network.vectors[:4] = torch.arange(12.0).reshape(4, 3)
    network.forget([4, 5, 6])
    assert network.vectors.tolist() == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10, 11], *[[4.5, 5.5, 6.5]] * 3]
    assert network.vectors.mean(dim=0).tolist() == [4.5, 5.5, 6.5]
    network.forget([])
    made().forget([1])


@pytest.mark.parametrize("loss", ["huber", "pinball", "gaussian", "student_t"])
@pytest.mark.parametrize("output", OUTPUTS)
def test_a_network_of_deviations_starts_from_none_and_still_learns(output, loss):
    levels = (0.1, 0.5, 0.9) if loss == "pinball" else ()
    network = made(output=output, loss=loss, quantiles=levels, deviations=True)
    given, (one, _) = drawn(network), targets()
    assert (network(*given) == 0).all()
    for _ in range(2):
        network.zero_grad()
        network.loss(*given, one).backward()
        with torch.no_grad():
            for p in network.parameters():
                p -= 0.1 * p.grad
    assert all(p.grad.abs().sum() > 0 for p in network.encoder.parameters())
    assert not (network(*given) == 0).any()
