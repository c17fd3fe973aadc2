"""One recurrent network: an encoder over the lookback, then a direct head or a decoder over the horizon.

Shapes use the letters of ``core.frame``, and ``C`` channels of the past (targets, then past covariates), ``K`` targets
of one sample, ``M`` hidden units.

Nothing here draws from torch's global generator, which threads share: weights are drawn by ``initialise`` and dropout
masks by ``Noise``, each from a generator of its own, so that fits running at the same time keep their bits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

State = Tensor | tuple[Tensor, Tensor]
"""Last state of one layer: ``(1, B, M)`` of a GRU, or the pair (hidden, cell) of an LSTM."""

CELLS: dict[str, type[nn.LSTM] | type[nn.GRU]] = {"lstm": nn.LSTM, "gru": nn.GRU}


@dataclass(frozen=True)
class Sizes:
    """What fixes a network's tensors beside its configuration.

    Attributes:
        channels: C, channels of the past beside the known features.
        known: F, known-future features.
        static: S, static covariates.
        targets: K, targets of one sample.
        horizon: H, steps ahead.
    """

    channels: int
    known: int
    static: int
    targets: int
    horizon: int


@dataclass(frozen=True)
class Shape:
    """The part of the configuration that shapes the network; see ``config.Recurrent``."""

    cell: Literal["lstm", "gru"]
    output: Literal["direct", "seq2seq"]
    hidden: int
    layers: int
    dropout: float


class Noise:
    """Dropout masks from a generator of its own, one per device."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._generators: dict[torch.device, torch.Generator] = {}

    def drop(self, x: Tensor, share: float) -> Tensor:
        """``x`` of any shape with each value zeroed with probability ``share`` and the rest scaled to keep the mean."""
        if x.device not in self._generators:
            self._generators[x.device] = torch.Generator(x.device).manual_seed(self.seed)
        kept = torch.empty_like(x).bernoulli_(1 - share, generator=self._generators[x.device])
        return x * kept / (1 - share)


class Dropout(nn.Module):
    """Dropout in training; nothing otherwise."""

    def __init__(self, share: float, noise: Noise) -> None:
        super().__init__()
        self.share, self.noise = share, noise

    def forward(self, x: Tensor) -> Tensor:
        return self.noise.drop(x, self.share) if self.training and self.share else x


class Stack(nn.Module):
    """Recurrent layers, dropout between them.

    Layers are separate modules, because torch's own stacked ones take dropout from the global generator.
    """

    def __init__(self, inputs: int, shape: Shape, noise: Noise) -> None:
        super().__init__()
        widths = [inputs] + [shape.hidden] * (shape.layers - 1)
        self.layers = nn.ModuleList(CELLS[shape.cell](w, shape.hidden, batch_first=True) for w in widths)
        self.dropout = Dropout(shape.dropout, noise)

    def forward(self, x: Tensor, start: list[State] | None = None) -> tuple[Tensor, list[State]]:
        """From ``x (B, T, inputs)`` the last layer's outputs ``(B, T, M)`` and each layer's last state."""
        states: list[State] = []
        for i, layer in enumerate(self.layers):
            x, state = layer(x if i == 0 else self.dropout(x), None if start is None else start[i])
            states.append(state)
        return x, states


class Network(nn.Module):
    """Encoder over the lookback, then the configured output.

    ``direct``: one small network, shared by all steps, reads the encoder's last output, the known features of a step
    and a learned vector of that step. ``seq2seq``: a decoder of the same cells starts from the encoder's states and
    walks over the horizon, given the known features of a step and its own forecast of the step before; the same small
    network reads what it puts out.
    """

    def __init__(self, shape: Shape, sizes: Sizes, seed: int) -> None:
        super().__init__()
        noise = Noise(seed)
        ahead = sizes.known + sizes.static
        self.targets = sizes.targets
        self.encoder = Stack(sizes.channels + ahead, shape, noise)
        self.decoder = Stack(ahead + sizes.targets, shape, noise) if shape.output == "seq2seq" else None
        self.mix = nn.Linear(shape.hidden + ahead, shape.hidden)
        self.step = nn.Parameter(torch.zeros(sizes.horizon, shape.hidden))
        self.dropout = Dropout(shape.dropout, noise)
        self.out = nn.Linear(shape.hidden, sizes.targets)

    def forward(self, past: Tensor, future: Tensor, static: Tensor) -> Tensor:
        """Forecasts ``(B, H, K)`` from ``past (B, L, C+F)``, ``future (B, H, F)`` and ``static (B, S)``.

        H is at most the horizon the network was made for.
        """
        constant, steps = static[:, None, :], future.shape[1]
        outputs, states = self.encoder(torch.cat([past, constant.expand(-1, past.shape[1], -1)], dim=2))
        ahead = torch.cat([future, constant.expand(-1, steps, -1)], dim=2)
        if self.decoder is None:
            return self._read(outputs[:, -1:].expand(-1, steps, -1), ahead, self.step[:steps])
        value, forecasts = past[:, -1:, : self.targets], []
        for h in range(steps):
            here = ahead[:, h : h + 1]
            output, states = self.decoder(torch.cat([here, value], dim=2), states)
            value = self._read(output, here, self.step[h])
            forecasts.append(value)
        return torch.cat(forecasts, dim=1)

    def _read(self, output: Tensor, ahead: Tensor, step: Tensor) -> Tensor:
        """Values ``(B, H, K)`` from recurrent outputs ``(B, H, M)``, features ``(B, H, F+S)`` and steps ``(H, M)``."""
        mixed = torch.relu(self.mix(torch.cat([self.dropout(output), ahead], dim=2)) + step)
        return self.out(self.dropout(mixed))


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

    Cells: input weights Glorot-uniform and recurrent weights orthogonal, gate by gate; biases zero, but one for an
    LSTM's forget gate (Jozefowicz et al. 2015, https://proceedings.mlr.press/v37/jozefowicz15.html). Linear maps:
    uniform within one over the root of their inputs.
    """
    nn.init.zeros_(network.step)
    for module in network.modules():
        if isinstance(module, (nn.LSTM, nn.GRU)):
            width = module.hidden_size
            for gate in module.weight_ih_l0.split(width):
                nn.init.xavier_uniform_(gate, generator=generator)
            for gate in module.weight_hh_l0.split(width):
                nn.init.orthogonal_(gate, generator=generator)
            nn.init.zeros_(module.bias_ih_l0)
            nn.init.zeros_(module.bias_hh_l0)
            if isinstance(module, nn.LSTM):  # its gates are i, f, g, o
                module.bias_ih_l0[width : 2 * width] = 1.0
        elif isinstance(module, nn.Linear):
            bound = 1 / math.sqrt(module.in_features)
            nn.init.uniform_(module.weight, -bound, bound, generator=generator)
            nn.init.zeros_(module.bias)
