"""Networks trained as a publication did it: its optimiser, its constant step size, its way of stopping.

Kept apart from ``models.module``, which trains better; here nothing is improved. The networks are those of
``models.networks`` wherever these can express what was published, with the initial weights of Keras, in which it was
made. Shapes use the letters of ``core.frame``, and ``K`` targets of one sample, ``C`` channels of the past, ``T`` steps
at which a network puts something out.

Nothing here draws from torch's global generator; see ``models.stack``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from daycast.config.reproduce import Architecture, Bare, Lags, Recipe
from daycast.core import stepwise
from daycast.core.windows import Single, Windows
from daycast.errors import ModelError
from daycast.models import layers
from daycast.models.cells import Recurrent
from daycast.models.convolutions import StridedConv
from daycast.models.emissions import LOSSES
from daycast.models.networks import Network, Noise, Shape, Sizes, Stack

OnEpoch = Callable[[int, int], None]
"""Called after each epoch with (epoch from 1, most epochs); what it raises ends the training."""


class Samples(NamedTuple):
    """``past (B, L, C)``, and ``target (B, L, H, K)``: the H steps after each step of it."""

    past: Tensor
    target: Tensor

    @classmethod
    def of(cls, windows: Windows, index: NDArray[Any]) -> Samples:
        """The windows numbered ``index (B,)``."""
        return cls(torch.from_numpy(windows.batch(index).past), torch.from_numpy(stepwise.targets(windows, index)))

    def chosen(self, index: Tensor) -> Samples:
        """Those numbered ``index (B,)``."""
        return Samples(self.past[index], self.target[index])


class LagsMap(nn.Module):
    """One linear map of all that the lookback holds, to ``(B, 1, H, K)``."""

    def __init__(self, lookback: int, sizes: Sizes) -> None:
        super().__init__()
        self.shape = (1, sizes.horizon, sizes.targets)
        self.out = nn.Linear(lookback * sizes.channels, sizes.horizon * sizes.targets)

    def forward(self, past: Tensor) -> Tensor:
        return self.out(past.flatten(1)).unflatten(1, self.shape)


class LastState(nn.Module):
    """A recurrent layer of K units whose last state is the forecast one step ahead, ``(B, 1, 1, K)``."""

    def __init__(self, cell: str, sizes: Sizes, seed: int) -> None:
        super().__init__()
        self.encoder = Stack(sizes.channels, Shape(cell, "dense", sizes.targets, 1, 0.0), Noise(seed))

    def forward(self, past: Tensor) -> Tensor:
        return self.encoder(past)[0][:, -1:, None]


class Encoder(nn.Module):
    """A network of the house, to ``(B, T, H, K)``: T is 1 where it forecasts from its last output alone."""

    def __init__(self, shape: Shape, sizes: Sizes, seed: int) -> None:
        super().__init__()
        self.network, self.horizon = Network(shape, sizes, seed), sizes.horizon

    def forward(self, past: Tensor) -> Tensor:
        future, static = past.new_zeros(len(past), self.horizon, 0), past.new_zeros(len(past), 0)
        if self.network.shape.output == "every_step":
            return self.network.at_every_step(past, future, static)[..., 0]
        return self.network(past, future, static)[:, None]


@dataclass(frozen=True)
class Trained:
    """What a training came to.

    Attributes:
        network: with the weights that were kept, not training any more.
        losses: training loss by epoch, in scaled units.
        watched: MAE on the watched windows by epoch, in scaled units; empty if none were.
        best_epoch: the epoch whose weights were kept, from 1.
    """

    network: nn.Module
    losses: tuple[float, ...]
    watched: tuple[float, ...]
    best_epoch: int

    @torch.inference_mode()
    def forecast(self, past: Tensor) -> Single:
        """``(B, H, K)`` in scaled units: what it puts out at the last step of ``past (B, L, C)``."""
        return self.network(past)[:, -1].numpy()


def build(architecture: Architecture, lookback: int, sizes: Sizes, seed: int) -> nn.Module:
    """The network with weights drawn from ``seed`` alone, from the distributions that Keras draws from.

    Raises:
        ModelError: a bare layer should forecast more than one step.
    """
    if isinstance(architecture, Bare) and sizes.horizon > 1:
        raise ModelError("a window of horizon 1 for a bare layer", f"horizon {sizes.horizon}", "choose another window")
    with torch.device("meta"):  # allocates and draws nothing
        network = _network(architecture, lookback, sizes, seed)
    network.to_empty(device="cpu")
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, (nn.RNNBase, Recurrent)):
            layers.initialise(module, generator)
            _one_bias(module)
        elif isinstance(module, (nn.Linear, nn.Conv1d)):
            nn.init.xavier_uniform_(module.weight, generator=generator)
            nn.init.zeros_(module.bias)
    return network


def _one_bias(layer: nn.Module) -> None:
    """Leave a simple layer or an LSTM of torch's one bias, as Keras has it: the second would be a second step of it."""
    if isinstance(layer, (nn.RNN, nn.LSTM)):
        layer.bias_hh_l0.requires_grad_(False)


def _network(architecture: Architecture, lookback: int, sizes: Sizes, seed: int) -> nn.Module:
    if isinstance(architecture, Lags):
        return LagsMap(lookback, sizes)
    if isinstance(architecture, Bare):
        return LastState(architecture.cell, sizes, seed)
    told = {name: getattr(architecture, name) for name in type(architecture).model_fields if name != "kind"}
    return Encoder(Shape(**told), sizes, seed)


def train(
    network: nn.Module,
    recipe: Recipe,
    learned: Samples,
    watched: Samples,
    seed: int,
    on_epoch: OnEpoch = lambda *_: None,
) -> Trained:
    """Train in place by the recipe; batches are shuffled by ``seed`` alone.

    With a patience, the weights of the epoch with the lowest MAE on ``watched`` are kept, at every step at which the
    network puts something out. Without, ``watched`` is not looked at.

    Raises:
        ModelError: the loss is not finite.
    """
    shuffle = torch.Generator().manual_seed(seed)
    parameters = [p for p in network.parameters() if p.requires_grad]
    optimizer: torch.optim.Optimizer = (
        torch.optim.SGD(parameters, recipe.learning_rate, recipe.momentum)
        if recipe.optimizer == "sgd"
        else torch.optim.Adam(parameters, recipe.learning_rate)
    )
    losses: list[float] = []
    maes: list[float] = []
    best, kept = 0, {}
    for epoch in range(1, recipe.max_epochs + 1):
        order = _order(len(learned.past), recipe.buffer, shuffle).split(recipe.batch_size)
        losses.append(_epoch(network, optimizer, LOSSES[recipe.loss], learned, order))
        if not math.isfinite(losses[-1]):
            raise ModelError("a finite training loss", f"{losses[-1]} in epoch {epoch}", "lower recipe.learning_rate")
        if recipe.patience is not None:
            maes.append(_mae(network, watched))
            if maes[-1] == min(maes) and maes.count(maes[-1]) == 1:
                best, kept = epoch, {name: value.clone() for name, value in network.state_dict().items()}
        on_epoch(epoch, recipe.max_epochs)
        if recipe.patience is not None and epoch - best >= recipe.patience:
            break
    if kept:
        network.load_state_dict(kept)
    return Trained(network.eval(), tuple(losses), tuple(maes), best or len(losses))


def _epoch(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    loss: Callable[[Tensor, Tensor], Tensor],
    learned: Samples,
    order: Sequence[Tensor],
) -> float:
    """One pass over the samples, in batches of these numbers; the mean loss."""
    network.train()
    total = torch.zeros(())
    for part in order:
        batch = learned.chosen(part)
        made = network(batch.past)
        value = loss(made, _aligned(network, made, batch.target))
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        total += value.detach() * len(part)
    return total.item() / len(learned.past)


def _order(count: int, buffer: int | None, shuffle: torch.Generator) -> Tensor:
    """Numbers of all samples ``(count,)`` in random order, or each drawn from the ``buffer`` first that are left.

    The latter is how tf.data shuffles a stream: what comes late in time comes late in every epoch too.
    """
    if buffer is None or buffer >= count:
        return torch.randperm(count, generator=shuffle)
    held = list(range(buffer))
    order = []
    for draw, following in zip(
        torch.rand(count, generator=shuffle).tolist(), range(buffer, count + buffer), strict=True
    ):
        place = int(draw * len(held))
        order.append(held[place])
        if following < count:
            held[place] = following
        else:
            held[place] = held[-1]
            held.pop()
    return torch.tensor(order)


@torch.inference_mode()
def _mae(network: nn.Module, watched: Samples) -> float:
    made = network.eval()(watched.past)
    return (made - _aligned(network, made, watched.target)).abs().mean().item()


def _aligned(network: nn.Module, made: Tensor, target: Tensor) -> Tensor:
    """The targets ``(B, T, H, K)`` of what was put out, from those of every step of the lookback.

    The last belongs to the last step, the one before it to as many steps earlier as a strided front end skips.
    """
    front = network.network.front if isinstance(network, Encoder) else None
    stride = front.stride if isinstance(front, StridedConv) else 1
    return target[:, -1 - (made.shape[1] - 1) * stride :: stride]
