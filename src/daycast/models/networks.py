"""One recurrent network: an encoder over the lookback, then a head or a decoder over the horizon.

Shapes use the letters of ``core.frame``, and ``C`` channels of the past (targets, then past covariates), ``K`` targets
of one sample, ``P`` numbers of each target, ``T`` steps of the encoder (L, or fewer after a front end with a stride),
``M`` units of its last layer.

Nothing here draws from torch's global generator, which threads share; see ``stack``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from daycast.models import layers
from daycast.models.attention import Attention
from daycast.models.cells import Recurrent, State, tensors
from daycast.models.convolutions import DilatedCausal, StridedConv
from daycast.models.emissions import emission
from daycast.models.stack import Dropout, Noise, Shape, Stack, front_end

__all__ = ["Dropout", "Network", "Noise", "Shape", "Sizes", "Stack", "build", "initialise"]

MAPPED = ("dense", "every_step")
"""Outputs that are a linear map of the encoder's, without known features of the steps ahead."""


@dataclass(frozen=True)
class Sizes:
    """What fixes a network's tensors beside its configuration.

    Attributes:
        channels: C, channels of the past beside the known features.
        known: F, known-future features.
        static: S, static covariates.
        targets: K, targets of one sample.
        horizon: H, steps ahead.
        series: V, series with a learned vector each; 0 without an embedding.
    """

    channels: int
    known: int
    static: int
    targets: int
    horizon: int
    series: int = 0


class Network(nn.Module):
    """Encoder over the lookback, then the configured output.

    ``direct``: one small network, shared by all steps, reads the encoder's last output, the known features of a step
    and a learned vector of that step. ``heads``: the same with another layer, and to its first one each step adds a map
    of its own, as tomorrow hangs on other things than a day in two weeks. ``seq2seq``: a decoder of the same cells
    starts from the encoder's states and walks over the horizon, given the known features of a step and its own forecast
    of the step before; the same small network reads what it puts out and, with attention, the encoder's outputs as the
    decoder weighs them. ``dense``: one linear map from the encoder's last output to all steps. ``every_step``: the same
    map, which training also reads at every earlier output, each to forecast the H steps after its own.

    For each target it gives P numbers, of which ``emission`` knows the meaning.

    With an embedding, a learned vector of the sample's series stands beside the static covariates. The static input
    then ends with the series' number below V; V itself is a series never trained on, which gets the mean of all.
    """

    def __init__(self, shape: Shape, sizes: Sizes, seed: int) -> None:
        super().__init__()
        ahead = sizes.known + sizes.static + shape.embedding
        self.shape, self.sizes, self.noise = shape, sizes, Noise(seed)
        self.emission = emission(shape.loss, shape.quantiles)
        self.vectors = nn.Parameter(torch.zeros(sizes.series, shape.embedding)) if shape.embedding else None
        self.front = front_end(shape.front, sizes.channels + ahead)
        self.encoder = Stack(self.front.filters if self.front else sizes.channels + ahead, shape, self.noise)
        width, numbers = self.encoder.width, sizes.targets * self.emission.numbers
        self.decoder: Stack | None = None
        self.attention: Attention | None = None
        if shape.output == "seq2seq":
            self.decoder = Stack(ahead + sizes.targets, shape.decoding(), self.noise)
            self.attention = None if shape.attention is None else Attention(shape.attention, width)
        if shape.output in MAPPED:
            numbers *= sizes.horizon
        else:
            self.mix = nn.Linear(width * (2 if self.attention else 1) + ahead, width)
            self.step = nn.Parameter(torch.zeros(sizes.horizon, width))
        if shape.output == "heads":
            self.own = nn.Parameter(torch.zeros(sizes.horizon, width, width + ahead))
            self.second = nn.Linear(width, width)
        self.dropout = Dropout(shape.dropout, self.noise)
        self.out = nn.Linear(width, numbers)

    def forward(self, past: Tensor, future: Tensor, static: Tensor) -> Tensor:
        """Point forecasts ``(B, H, K)`` from ``past (B, L, C+F)``, ``future (B, H, F)`` and ``static (B, S)``, or
        ``(B, S+1)`` with an embedding.

        H is at most the horizon the network was made for.
        """
        return self.emission.point(self.numbers(past, future, static))

    def quantiles(self, past: Tensor, future: Tensor, static: Tensor, levels: Sequence[float]) -> Tensor:
        """Quantiles ``(B, H, K, Q)`` at Q levels in transformed units, never crossing; arguments as of ``forward``.

        Those of a decoder hold given its point forecasts of the steps before, so they don't widen with them.

        Raises:
            ModelError: the network has no distribution, or not these levels.
        """
        return self.emission.quantiles(self.numbers(past, future, static), levels)

    def loss(self, past: Tensor, future: Tensor, static: Tensor, target: Tensor) -> Tensor:
        """The loss, a scalar, against ``target (B, H, K)``; in training, a decoder may be told of it.

        An ``every_step`` network also takes the targets of all steps of the lookback, ``(B, L, H, K)``; those that are
        missing (NaN) don't count.
        """
        if target.dim() == 3:
            return self.emission.loss(self.numbers(past, future, static, target if self.training else None), target)
        numbers = self.at_every_step(past, future, static)
        stride = self.front.stride if isinstance(self.front, StridedConv) else 1
        target = target[:, -1 - (numbers.shape[1] - 1) * stride :: stride]
        known = torch.isfinite(target)
        return self.emission.loss(numbers[known], target[known])

    def at_every_step(self, past: Tensor, future: Tensor, static: Tensor) -> Tensor:
        """Numbers ``(B, T, H, K, P)`` of an ``every_step`` network: of the H steps after each of the encoder's.

        The encoder's last step is the last of the lookback, and each one before it as many earlier as the front end's
        stride. None of them sees what comes after its own.
        """
        return self._mapped(self._encode(past, future, self._told(static))[0])

    def numbers(self, past: Tensor, future: Tensor, static: Tensor, truth: Tensor | None = None) -> Tensor:
        """Numbers ``(B, H, K, P)``; arguments as of ``forward``, and ``truth (B, H, K)`` to force a decoder with."""
        static = self._told(static)
        outputs, last, states = self._encode(past, future, static)
        steps = future.shape[1]
        if self.shape.output in MAPPED:
            return self._mapped(last)[:, 0, :steps]
        ahead = torch.cat([future, static[:, None, :].expand(-1, steps, -1)], dim=2)
        if self.decoder is None:
            return self._read(last.expand(-1, steps, -1), ahead, self.step[:steps])
        keys = None if self.attention is None else self.attention.keys(outputs)
        value, made = past[:, -1:, : self.sizes.targets], []
        for h in range(steps):
            here = ahead[:, h : h + 1]
            output, states = self.decoder(torch.cat([here, value], dim=2), states)
            if self.attention is not None:
                output = torch.cat([output, self.attention(output, keys, outputs)], dim=2)
            made.append(self._read(output, here, self.step[h]))
            value = self.emission.point(made[-1])
            if truth is not None and self.shape.teacher_forcing:
                told = self.noise.chosen(value[:, :, :1], self.shape.teacher_forcing)
                value = torch.where(told.bool(), truth[:, h : h + 1], value)
        return torch.cat(made, dim=1)

    def _told(self, static: Tensor) -> Tensor:
        """The static input with the series' vector ``(B, S+E)`` in place of its number."""
        if self.vectors is None:
            return static
        vectors = torch.cat([self.vectors, self.vectors.mean(dim=0, keepdim=True)])
        return torch.cat([static[:, :-1], vectors[static[:, -1].long()]], dim=1)

    @torch.no_grad()
    def forget(self, series: Sequence[int]) -> None:
        """Give these series, which were never trained on, the mean of the other vectors."""
        if self.vectors is not None and len(series) and len(series) < len(self.vectors):
            gone = torch.zeros(len(self.vectors), dtype=torch.bool)
            gone[list(series)] = True
            self.vectors[gone] = self.vectors[~gone].mean(dim=0)

    def _encode(self, past: Tensor, future: Tensor, static: Tensor) -> tuple[Tensor, Tensor, list[State]]:
        """The encoder's outputs ``(B, T, M)``, what it ends with ``(B, 1, M)`` and its layers' last states."""
        if self.shape.lead:
            known = torch.cat([past[:, 1:, self.sizes.channels :], future[:, :1]], dim=1)
            past = torch.cat([past[:, :, : self.sizes.channels], known], dim=2)
        x = torch.cat([past, static[:, None, :].expand(-1, past.shape[1], -1)], dim=2)
        outputs, states = self.encoder(x if self.front is None else self.front(x))
        # Read both ways, half of the last output has seen the last step alone, and the last state everything.
        last = tensors(states[-1])[0].transpose(0, 1) if self.shape.bidirectional else outputs[:, -1:]
        return outputs, last, states

    def _mapped(self, output: Tensor) -> Tensor:
        """Numbers ``(B, T, H, K, P)`` from the encoder's outputs ``(B, T, M)``, by one linear map."""
        sizes = (self.sizes.horizon, self.sizes.targets, self.emission.numbers)
        return self.out(self.dropout(output)).unflatten(2, sizes)

    def _read(self, output: Tensor, ahead: Tensor, step: Tensor) -> Tensor:
        """Numbers ``(B, H, K, P)`` from outputs ``(B, H, M)``, features ``(B, H, F+S)`` and steps ``(H, M)``."""
        x = torch.cat([self.dropout(output), ahead], dim=2)
        mixed = self.mix(x) + step
        if self.shape.output == "heads":
            own = torch.einsum("bhi,hmi->bhm", x, self.own[: x.shape[1]])
            mixed = self.second(self.dropout(torch.relu(mixed + own)))
        mixed = torch.relu(mixed)
        return self.out(self.dropout(mixed)).unflatten(2, (self.sizes.targets, self.emission.numbers))


def build(shape: Shape, sizes: Sizes, seed: int) -> Network:
    """A network with weights drawn from ``seed`` alone."""
    with torch.device("meta"):  # allocates and draws nothing
        network = Network(shape, sizes, seed)
    network.to_empty(device="cpu")
    initialise(network, torch.Generator().manual_seed(seed))
    return network


@torch.no_grad()
def initialise(network: Network, generator: torch.Generator) -> None:
    """Draw all weights from ``generator``.

    Recurrent layers and convolutions as they say themselves. Linear maps: uniform within one over the root of their
    inputs. The steps' and series' vectors, the steps' own maps and the biases of linear maps start at zero, and so does
    the last map of a network that learns deviations: what it measures them from is its first forecast.
    """
    if network.shape.output not in MAPPED:
        nn.init.zeros_(network.step)
    if network.shape.output == "heads":
        nn.init.zeros_(network.own)
    if network.vectors is not None:
        nn.init.zeros_(network.vectors)
    for module in network.modules():
        if isinstance(module, (nn.RNNBase, Recurrent)):
            layers.initialise(module, generator)
        elif isinstance(module, (StridedConv, DilatedCausal)):
            module.initialise(generator)
        elif isinstance(module, nn.Linear):
            bound = 1 / math.sqrt(module.in_features)
            nn.init.uniform_(module.weight, -bound, bound, generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    if network.shape.deviations:
        nn.init.zeros_(network.out.weight)
