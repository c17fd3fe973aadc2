"""What a network's numbers mean: forecasts, quantiles, parameters of a distribution, or the odds of an event; and the
loss of each.

Shapes: ``x (..., P)``, P numbers of each target; ``target (...)``; ``Q`` levels. Losses are means over all targets,
in transformed units.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from daycast.errors import ModelError

SMALLEST = 1e-4
"""Least scale of a distribution, in transformed units: below it a likelihood could grow without end."""


def mape(forecast: Tensor, target: Tensor) -> Tensor:
    """Mean absolute error as a share of the target, whose size counts as 1e-7 at least."""
    return ((forecast - target).abs() / target.abs().clamp_min(1e-7)).mean()


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "huber": functional.huber_loss,
    "mae": functional.l1_loss,
    "mse": functional.mse_loss,
    "mape": mape,
}
"""Losses of point forecasts, of (forecast, target)."""


class Emission(Protocol):
    """The meaning of P numbers.

    Attributes:
        numbers: P.
    """

    @property
    def numbers(self) -> int: ...

    def point(self, x: Tensor) -> Tensor:
        """Point forecasts ``(...)``."""
        ...

    def loss(self, x: Tensor, target: Tensor) -> Tensor:
        """A scalar."""
        ...

    def quantiles(self, x: Tensor, levels: Sequence[float]) -> Tensor:
        """``(..., Q)``, never falling from one level to a higher one.

        Raises:
            ModelError: it knows no such quantiles.
        """
        ...


@dataclass(frozen=True)
class Point:
    """One number, the forecast."""

    kind: str
    numbers: int = 1

    def point(self, x: Tensor) -> Tensor:
        return x[..., 0]

    def loss(self, x: Tensor, target: Tensor) -> Tensor:
        return LOSSES[self.kind](x[..., 0].float(), target)

    def quantiles(self, x: Tensor, levels: Sequence[float]) -> Tensor:  # noqa: ARG002
        raise ModelError(
            "a network with a distribution", f"one trained on {self.kind}", "set loss to pinball, gaussian or student_t"
        )


@dataclass(frozen=True)
class Pinball:
    """Quantiles at fixed levels. The median is a number itself, and each number from it outwards a step, through a
    softplus, from the quantile before: so they can't cross. The loss is the mean over levels."""

    levels: tuple[float, ...]

    @property
    def numbers(self) -> int:
        return len(self.levels)

    def point(self, x: Tensor) -> Tensor:
        return x[..., self.levels.index(0.5)]

    def _ordered(self, x: Tensor) -> Tensor:
        middle = self.levels.index(0.5)
        median, steps = x[..., middle], functional.softplus(x)
        # Added up one by one: torch's cumulative sum is not deterministic on a GPU, and refused there.
        above = list(accumulate(steps[..., middle + 1 :].unbind(-1)))
        below = list(accumulate(steps[..., :middle].flip(-1).unbind(-1)))
        return torch.stack(
            [*(median - far for far in reversed(below)), median, *(median + far for far in above)], dim=-1
        )

    def loss(self, x: Tensor, target: Tensor) -> Tensor:
        over = target[..., None] - self._ordered(x.float())
        levels = torch.tensor(self.levels, device=x.device)
        return torch.maximum(levels * over, (levels - 1) * over).mean()

    def quantiles(self, x: Tensor, levels: Sequence[float]) -> Tensor:
        if not set(levels) <= set(self.levels):
            raise ModelError(
                f"levels that the network was trained for: {self.levels}",
                f"{tuple(levels)}",
                "ask for those, or train with model.quantiles that hold yours",
            )
        return self._ordered(x)[..., [self.levels.index(level) for level in levels]]


@dataclass(frozen=True)
class Gaussian:
    """Mean and deviation of a normal distribution; the loss is its negative log likelihood."""

    numbers: int = 2

    def point(self, x: Tensor) -> Tensor:
        return x[..., 0]

    def _scale(self, x: Tensor) -> Tensor:
        return functional.softplus(x[..., 1]) + SMALLEST

    def loss(self, x: Tensor, target: Tensor) -> Tensor:
        x = x.float()
        scale = self._scale(x)
        return (((target - x[..., 0]) / scale).square() / 2 + scale.log()).mean() + math.log(2 * math.pi) / 2

    def quantiles(self, x: Tensor, levels: Sequence[float]) -> Tensor:
        units = torch.special.ndtri(torch.tensor(levels, dtype=torch.float64)).to(x)
        return x[..., :1] + self._scale(x)[..., None] * units


@dataclass(frozen=True)
class StudentT:
    """Location, scale and degrees of freedom of Student's t, which heavy tails don't drag along; the loss is its
    negative log likelihood. The degrees are above 2, so there is a variance."""

    numbers: int = 3

    def point(self, x: Tensor) -> Tensor:
        return x[..., 0]

    def _shape(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Scale and degrees of freedom, ``(...)`` each."""
        # More degrees are a normal distribution, and in float32 their gamma functions lose the likelihood's digits.
        degrees = (functional.softplus(x[..., 2]) + 2).clamp(max=1000.0)
        return functional.softplus(x[..., 1]) + SMALLEST, degrees

    def loss(self, x: Tensor, target: Tensor) -> Tensor:
        x = x.float()
        scale, degrees = self._shape(x)
        z = (target - x[..., 0]) / scale
        norm = torch.lgamma(degrees / 2) - torch.lgamma((degrees + 1) / 2) + (degrees * math.pi).log() / 2 + scale.log()
        return (norm + (degrees + 1) / 2 * torch.log1p(z.square() / degrees)).mean()

    def quantiles(self, x: Tensor, levels: Sequence[float]) -> Tensor:
        from scipy.stats import t  # torch has no inverse of its distribution function

        scale, degrees = self._shape(x.detach())
        units = t.ppf(torch.tensor(levels, dtype=torch.float64).numpy(), degrees.double().cpu().numpy()[..., None])
        return x[..., :1] + scale[..., None] * torch.from_numpy(units).to(x)


@dataclass(frozen=True)
class LogOdds:
    """The logarithm of an event's odds, whose forecast is its probability; the loss is the cross-entropy in nats with a
    target of 1 where the event came and 0 where it did not."""

    numbers: int = 1

    def point(self, x: Tensor) -> Tensor:
        return torch.sigmoid(x[..., 0])

    def loss(self, x: Tensor, target: Tensor) -> Tensor:
        # Of the logits: the logarithm of a probability that rounds to 0 would be infinite.
        return functional.binary_cross_entropy_with_logits(x[..., 0].float(), target.float())

    def quantiles(self, x: Tensor, levels: Sequence[float]) -> Tensor:  # noqa: ARG002
        raise ModelError("a network of values", "one of probabilities", "ask it for `predict` alone")


def emission(loss: str, levels: tuple[float, ...]) -> Emission:
    """What the configured loss makes of a network's numbers; ``levels`` are those of ``pinball``."""
    if loss == "pinball":
        return Pinball(levels)
    if loss == "gaussian":
        return Gaussian()
    if loss == "cross_entropy":
        return LogOdds()
    return StudentT() if loss == "student_t" else Point(loss)
