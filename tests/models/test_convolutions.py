import math

import pytest
import torch

from daycast.errors import ModelError
from daycast.models.convolutions import DilatedCausal, StridedConv

INPUTS, FILTERS = 3, 5


def drawn(batch=2, steps=20):
    return torch.randn(batch, steps, INPUTS, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


def made(kind, *args, seed=1, **kwargs):
    """As ``networks.build`` makes it; what ``initialise`` left out would stay NaN."""
    with torch.device("meta"):
        layer = kind(INPUTS, FILTERS, *args, **kwargs)
    layer.to_empty(device="cpu").double()
    for tensor in layer.state_dict().values():
        tensor.fill_(torch.nan)
    layer.initialise(torch.Generator().manual_seed(seed))
    with torch.no_grad():  # biases that are seen
        for name, p in layer.named_parameters():
            if name.endswith("bias"):
                p.add_(torch.linspace(-0.3, 0.3, FILTERS))
    return layer


def tapped(x, conv, ends, dilation=1):
    """One convolution and its ReLU, filter by filter, tap by tap, at outputs that end at these steps of one sample."""
    kernel = conv.weight.shape[2]
    outputs = torch.zeros(len(ends), FILTERS, dtype=torch.float64)
    for row, end in enumerate(ends):
        for m in range(FILTERS):
            value = conv.bias[m].item()
            for k in range(kernel):
                step = end - (kernel - 1 - k) * dilation
                if step >= 0:
                    value += sum(conv.weight[m, i, k].item() * x[step, i].item() for i in range(x.shape[1]))
            outputs[row, m] = max(value, 0.0)
    return outputs


def seen(layer, x):
    """Which steps (rows) move which outputs (columns); all is made positive, so that no ReLU hides one."""
    with torch.no_grad():
        for p in layer.parameters():
            p.abs_()
    x = x.abs().requires_grad_()
    outputs = layer(x)[0].sum(dim=1)
    rows = [torch.autograd.grad(value, x, retain_graph=True)[0][0].abs().sum(dim=1) > 0 for value in outputs]
    return torch.stack(rows, dim=1)


@pytest.mark.parametrize(("kernel", "stride"), [(4, 2), (4, 3), (1, 1), (3, 1), (2, 5), (20, 7)])
def test_a_strided_convolution_is_aligned_to_the_newest_step(kernel, stride):
    layer, x = made(StridedConv, kernel, stride), drawn()
    outputs = layer(x)
    length = (20 - kernel) // stride + 1
    assert outputs.shape == (2, length, FILTERS)
    assert layer.length(20) == length
    ends = [19 - stride * j for j in reversed(range(length))]
    for b in range(2):
        torch.testing.assert_close(outputs[b], tapped(x[b], layer.conv, ends), rtol=0, atol=1e-12)


@pytest.mark.parametrize("steps", [4, 5, 6, 7, 8, 9])
def test_a_strided_convolution_drops_the_oldest_steps_if_any(steps):
    columns = seen(made(StridedConv, 4, 3), drawn(1, steps))
    assert columns[:, -1].nonzero().flatten().tolist() == list(range(steps - 4, steps))
    dropped = (steps - 4) % 3
    assert columns.any(dim=1).tolist() == [False] * dropped + [True] * (steps - dropped)


def test_a_strided_convolution_longer_than_its_input_is_refused():
    with pytest.raises(ModelError, match="kernel has: 4"):
        made(StridedConv, 4, 2)(drawn(2, 3))


@pytest.mark.parametrize(("kernel", "dilations"), [(2, (1, 2, 4)), (3, (1, 3)), (2, (1,)), (1, (1, 2)), (2, (2, 1, 2))])
def test_dilated_convolutions_are_taps_so_many_steps_apart(kernel, dilations):
    layer, x = made(DilatedCausal, kernel, dilations), drawn(2, 12)
    outputs = layer(x)
    for b in range(2):
        expected = x[b]
        for conv, dilation in zip(layer.convs, dilations, strict=True):
            expected = tapped(expected, conv, list(range(12)), dilation)
        torch.testing.assert_close(outputs[b], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("kernel", "dilations", "field"),
    [(2, (1, 2, 4, 8), 16), (2, (1, 2, 4, 8) * 2, 31), (3, (1, 2, 4), 15), (2, (3, 5), 9), (1, (1, 1), 1)],
)
def test_an_output_sees_its_own_step_and_none_later_or_before_the_receptive_field(kernel, dilations, field):
    layer = made(DilatedCausal, kernel, dilations)
    columns = seen(layer, drawn(1, 40))
    assert layer.receptive_field == field
    for t in range(40):
        steps = columns[:, t].nonzero().flatten().tolist()
        assert max(steps) == t
        assert min(steps) == t - field + 1 if t >= field - 1 else min(steps) >= 0
        if dilations == (1, 2, 4, 8):
            assert steps == list(range(max(0, t - 15), t + 1))


def test_by_default_dilated_convolutions_are_the_published_stack():
    layer = DilatedCausal(5, 32)
    assert [(c.kernel_size, c.dilation, c.in_channels) for c in layer.convs] == [
        ((2,), (d,), 5 if i == 0 else 32) for i, d in enumerate([1, 2, 4, 8, 1, 2, 4, 8])
    ]
    assert sum(p.numel() for p in layer.parameters()) == (2 * 5 * 32 + 32) + 7 * (2 * 32 * 32 + 32)


@pytest.mark.parametrize(("batch", "steps"), [(1, 1), (1, 20), (3, 1)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dilated_convolutions_take_a_single_step_or_sample(batch, steps, dtype):
    outputs = made(DilatedCausal).to(dtype)(drawn(batch, steps).to(dtype))
    assert outputs.shape == (batch, steps, FILTERS)
    assert outputs.dtype == dtype


@pytest.mark.parametrize(("kind", "args"), [(StridedConv, (4, 2)), (DilatedCausal, ())])
def test_the_generator_alone_decides_on_the_filters(kind, args):
    before = torch.get_rng_state()
    first, again, other = (made(kind, *args, seed=seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not any(torch.equal(first[key], other[key]) for key in first if key.endswith("weight"))
    assert torch.equal(torch.get_rng_state(), before)


def test_filters_fill_the_range_that_keeps_the_variance_through_relus_and_biases_start_at_zero():
    strided, dilated = StridedConv(INPUTS, 50, 4, 2), DilatedCausal(INPUTS, 50, 2, (1, 2))
    for layer in (strided, dilated):
        layer.initialise(torch.Generator().manual_seed(1))
    for conv, fan in ((strided.conv, INPUTS * 4), (dilated.convs[0], INPUTS * 2), (dilated.convs[1], 50 * 2)):
        bound = math.sqrt(6 / fan)
        assert 0.98 * bound < conv.weight.abs().max() <= bound
        assert not conv.bias.any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_strided_convolution_takes_a_single_sample_of_just_its_kernel(dtype):
    outputs = made(StridedConv, 4, 3).to(dtype)(drawn(1, 4).to(dtype))
    assert (outputs.shape, outputs.dtype) == ((1, 1, FILTERS), dtype)


@pytest.mark.parametrize(("kind", "args"), [(StridedConv, (4, 2)), (DilatedCausal, ())])
def test_filters_saved_and_loaded_give_the_same_bits(kind, args):
    layer, other = made(kind, *args), kind(INPUTS, FILTERS, *args).double()
    other.load_state_dict(layer.state_dict())
    assert torch.equal(layer(drawn()), other(drawn()))


@pytest.mark.parametrize(("kind", "args"), [(StridedConv, (4, 2)), (DilatedCausal, (2, (1, 2)))])
def test_gradients_of_filters_are_those_of_finite_differences(kind, args):
    layer, x = made(kind, *args), drawn(1, 7)
    names = [name for name, _ in layer.named_parameters()]
    values = [v.detach().clone().requires_grad_() for v in (x, *layer.parameters())]

    def run(x, *rest):
        return torch.func.functional_call(layer, dict(zip(names, rest, strict=True)), (x,))

    assert torch.autograd.gradcheck(run, values)
