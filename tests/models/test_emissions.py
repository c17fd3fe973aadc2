"""Losses and quantiles against the formulas of numpy and scipy, in float64, which torch is given as well."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import special, stats
from sklearn.metrics import log_loss

from daycast.errors import ModelError
from daycast.models.emissions import LOSSES, SMALLEST, Pinball, emission

LEVELS = (0.05, 0.25, 0.5, 0.8, 0.95)
DISTRIBUTIONS = ("gaussian", "student_t")


def drawn(numbers, size=3.0):
    rng = np.random.default_rng(numbers)
    return size * rng.normal(size=(6, 4, 2, numbers)), size * rng.normal(size=(6, 4, 2))


def softplus(x):
    return np.log1p(np.exp(x))


def distribution(loss, x):
    scale = softplus(x[..., 1]) + SMALLEST
    if loss == "gaussian":
        return stats.norm(x[..., 0], scale)
    return stats.t(softplus(x[..., 2]) + 2, x[..., 0], scale)


def close(found, expected):
    # Losses of distributions are computed in float32 whatever they are given.
    np.testing.assert_allclose(np.asarray(found), expected, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("loss", "formula"),
    [
        ("mae", lambda f, y: np.abs(f - y)),
        ("mse", lambda f, y: (f - y) ** 2),
        ("mape", lambda f, y: np.abs((f - y) / y)),
        ("huber", lambda f, y: special.huber(1.0, f - y)),
    ],
)
def test_a_point_loss_is_the_mean_of_its_formula(loss, formula):
    x, y = drawn(1)
    found = emission(loss, ()).loss(torch.from_numpy(x), torch.from_numpy(y))
    close(found, formula(x[..., 0], y).mean())


def test_a_share_of_zero_has_an_end():
    assert LOSSES["mape"](torch.ones(1), torch.zeros(1)).item() == pytest.approx(1e7)


@pytest.mark.parametrize("loss", DISTRIBUTIONS)
@pytest.mark.parametrize("size", [0.1, 3.0, 30.0])
def test_a_likelihood_is_that_of_scipy(loss, size):
    x, y = drawn(emission(loss, ()).numbers, size)
    found = emission(loss, ()).loss(torch.from_numpy(x), torch.from_numpy(y))
    close(found, -distribution(loss, x).logpdf(y).mean())


@pytest.mark.parametrize("loss", DISTRIBUTIONS)
def test_quantiles_of_a_distribution_are_those_of_scipy(loss):
    x, _ = drawn(emission(loss, ()).numbers)
    found = emission(loss, ()).quantiles(torch.from_numpy(x), LEVELS)
    expected = distribution(loss, x[..., None, :]).ppf(np.array(LEVELS))
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-9)


@pytest.mark.parametrize("loss", [*DISTRIBUTIONS, "pinball"])
def test_the_forecast_is_the_median(loss):
    of = emission(loss, LEVELS if loss == "pinball" else ())
    x = torch.from_numpy(drawn(of.numbers)[0])
    torch.testing.assert_close(of.point(x), of.quantiles(x, (0.5,))[..., 0])


def test_a_scale_of_next_to_nothing_keeps_the_likelihood_finite():
    for loss in DISTRIBUTIONS:
        x = torch.full((1, emission(loss, ()).numbers), -200.0, requires_grad=True)
        value = emission(loss, ()).loss(x, torch.zeros(1))
        value.backward()
        assert torch.isfinite(value)
        assert torch.isfinite(x.grad).all()


def test_the_pinball_loss_is_the_mean_of_its_formula_over_targets_and_levels():
    x, y = drawn(len(LEVELS))
    of = Pinball(LEVELS)
    quantiles = of.quantiles(torch.from_numpy(x), LEVELS).numpy()
    parts = []
    for i, level in enumerate(LEVELS):
        over = y - quantiles[..., i]
        parts.append(np.where(over > 0, level * over, (level - 1) * over))
    close(of.loss(torch.from_numpy(x), torch.from_numpy(y)), np.mean(parts))


def test_each_quantile_is_a_softplus_step_from_the_one_nearer_to_the_median():
    x, _ = drawn(5)
    median, step = x[..., 2], softplus(x)
    expected = [
        median - step[..., 1] - step[..., 0],
        median - step[..., 1],
        median,
        median + step[..., 3],
        median + step[..., 3] + step[..., 4],
    ]
    found = Pinball(LEVELS).quantiles(torch.from_numpy(x), LEVELS).numpy()
    np.testing.assert_allclose(found, np.stack(expected, axis=-1))


@given(arrays.arrays(np.float32, (3, 5), elements=st.floats(-1e6, 1e6, width=32)))
def test_quantiles_never_cross_whatever_the_network_says(x):
    for loss in (*DISTRIBUTIONS, "pinball"):
        of = emission(loss, LEVELS if loss == "pinball" else ())
        quantiles = of.quantiles(torch.from_numpy(x[:, : of.numbers]), LEVELS).numpy()
        assert np.isfinite(quantiles).all()
        assert (np.diff(quantiles, axis=-1) >= 0).all()


@pytest.mark.parametrize("loss", [*DISTRIBUTIONS, "pinball"])
def test_what_is_learnt_of_a_plain_sample_are_its_own_quantiles(loss):
    sample = torch.from_numpy(stats.t(6, 2.0, 0.7).rvs(4000, random_state=1)).float()
    of = emission(loss, LEVELS if loss == "pinball" else ())
    x = torch.zeros(of.numbers, requires_grad=True)
    optimizer = torch.optim.LBFGS([x], max_iter=80, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = of.loss(x.expand(len(sample), -1), sample)
        loss.backward()
        return loss

    optimizer.step(closure)
    found = of.quantiles(x.detach(), LEVELS).numpy()
    # A normal distribution is too wide in the middle and too narrow outside for such a sample.
    np.testing.assert_allclose(found, np.quantile(sample.numpy(), LEVELS), atol=0.2 if loss == "gaussian" else 0.06)


def test_levels_in_any_order_are_given_in_that_order():
    x = torch.from_numpy(drawn(5)[0])
    some = Pinball(LEVELS).quantiles(x, (0.95, 0.05))
    assert torch.equal(some, Pinball(LEVELS).quantiles(x, LEVELS)[..., [4, 0]])


def test_levels_it_was_not_trained_for_and_a_loss_without_a_distribution_are_refused():
    with pytest.raises(ModelError, match=r"model\.quantiles"):
        Pinball(LEVELS).quantiles(torch.zeros(5), (0.5, 0.6))
    with pytest.raises(ModelError, match="pinball, gaussian or student_t"):
        emission("mae", ()).quantiles(torch.zeros(1), (0.5,))


def test_degrees_of_freedom_leave_a_variance():
    x = torch.tensor([[0.0, 1.0, -50.0]], dtype=torch.float64)
    width = emission("student_t", ()).quantiles(x, (0.9,))[0, 0].item()
    assert width == pytest.approx(stats.t(2).ppf(0.9) * (softplus(1.0) + SMALLEST), rel=1e-9)
    assert math.isfinite(width)


def test_cross_entropy_is_that_of_scikit_learn_and_its_forecast_a_probability():
    x, y = drawn(1)
    low = (y > 1).astype(float)
    of = emission("cross_entropy", ())
    told = special.expit(x[..., 0])
    close(of.loss(torch.from_numpy(x), torch.from_numpy(low)), log_loss(low.ravel(), told.ravel()))
    np.testing.assert_allclose(of.point(torch.from_numpy(x)).numpy(), told, rtol=1e-12)


def test_cross_entropy_of_the_surest_mistake_stays_finite():
    x = torch.tensor([[-500.0]], requires_grad=True)
    value = emission("cross_entropy", ()).loss(x, torch.ones(1))
    value.backward()
    assert value.item() == pytest.approx(500.0)
    assert torch.isfinite(x.grad).all()


def test_probabilities_have_no_quantiles():
    with pytest.raises(ModelError, match="one of probabilities"):
        emission("cross_entropy", ()).quantiles(torch.zeros(1), (0.5,))


@pytest.mark.parametrize("raw", [0.0, 900.0, 1e7])
def test_the_likelihood_of_students_t_is_exact_to_three_digits_at_any_degrees(raw):
    x, target = torch.tensor([[[0.3, 1.0, raw]]]), torch.tensor([[1.5]])
    scale = float(torch.nn.functional.softplus(torch.tensor(1.0)))
    degrees = 2 + (raw if raw > 20 else math.log1p(math.exp(raw)))
    expected = -stats.t.logpdf(1.5, degrees, 0.3, scale)
    assert emission("student_t", ()).loss(x, target).item() == pytest.approx(expected, rel=1e-3)
