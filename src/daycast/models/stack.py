"""Stacked recurrent layers of any kinds, dropout between them, and the front end before them.

Shapes use the letters of ``core.frame``, and ``I`` inputs, ``T`` steps, ``M`` units of the last layer.

Nothing here draws from torch's global generator, which threads share: dropout masks are drawn by ``Noise`` from a
generator of its own, so that fits running at the same time keep their bits.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Literal

import torch
from torch import Tensor, nn

from daycast.config import Conv, Dilated, Recurrent
from daycast.models.cells import State
from daycast.models.convolutions import DilatedCausal, StridedConv
from daycast.models.layers import LAYERS, Bidirectional


@dataclass(frozen=True)
class Shape:
    """The part of the configuration that shapes the network; see ``config.Recurrent``.

    Attributes:
        deviations: whether it learns deviations from a profile, of which zero is the best first guess.
    """

    cell: str | tuple[str, ...]
    output: str
    hidden: int | tuple[int, ...]
    layers: int
    dropout: float
    bidirectional: bool = False
    front: Conv | Dilated | None = None
    lead: int = 0
    teacher_forcing: float = 0.0
    attention: Literal["dot", "additive"] | None = None
    loss: str = "huber"
    quantiles: tuple[float, ...] = ()
    embedding: int = 0
    deviations: bool = False

    @classmethod
    def of(cls, model: Recurrent) -> Shape:
        """The shape of a configured network."""
        names = [field.name for field in fields(cls) if field.name != "deviations"]
        return cls(**{name: getattr(model, name) for name in names}, deviations=model.profile is not None)

    @property
    def cells(self) -> tuple[str, ...]:
        """The kind of each layer."""
        return self.cell if isinstance(self.cell, tuple) else (self.cell,) * self.layers

    @property
    def units(self) -> tuple[int, ...]:
        """The units of each layer, both directions counted."""
        hidden = self.hidden if isinstance(self.hidden, tuple) else (self.hidden,) * self.layers
        return tuple(units * (2 if self.bidirectional else 1) for units in hidden)

    def decoding(self) -> Shape:
        """Of a decoder that carries on the states of such an encoder: it reads one way, with as many units."""
        return replace(self, hidden=self.units, bidirectional=False)


class Noise:
    """Random masks from a generator of its own, one per device."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._generators: dict[torch.device, torch.Generator] = {}

    def chosen(self, like: Tensor, share: float) -> Tensor:
        """Ones with probability ``share`` and zeros otherwise, of the shape of ``like``."""
        if like.device not in self._generators:
            self._generators[like.device] = torch.Generator(like.device).manual_seed(self.seed)
        return torch.empty_like(like).bernoulli_(share, generator=self._generators[like.device])

    def drop(self, x: Tensor, share: float) -> Tensor:
        """``x`` of any shape with each value zeroed with probability ``share`` and the rest scaled to keep the mean."""
        return x * self.chosen(x, 1 - share) / (1 - share)


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

    Attributes:
        width: M.
    """

    def __init__(self, inputs: int, shape: Shape, noise: Noise) -> None:
        super().__init__()
        self.width = (inputs, *shape.units)[-1]
        below = (inputs, *shape.units)
        self.layers = nn.ModuleList(
            _layer(cell, width, units, shape.bidirectional)
            for cell, width, units in zip(shape.cells, below, shape.units, strict=False)
        )
        self.dropout = Dropout(shape.dropout, noise)

    def forward(self, x: Tensor, start: list[State] | None = None) -> tuple[Tensor, list[State]]:
        """From ``x (B, T, I)`` the last layer's outputs ``(B, T, M)`` and each layer's last state.

        In the weights' precision, under autocast too: what is added up over many steps should not be rounded at each,
        and on a GPU autocast takes torch's layers to float16, also where bfloat16 was asked for
        (https://github.com/pytorch/pytorch/pull/42385), in which small gradients vanish.
        """
        states: list[State] = []
        with torch.autocast(x.device.type, enabled=False):
            for i, layer in enumerate(self.layers):
                x = x.to(next(layer.parameters()).dtype)
                x, state = layer(x if i == 0 else self.dropout(x), None if start is None else start[i])
                states.append(state)
        return x, states


def _layer(cell: str, inputs: int, units: int, both_ways: bool) -> nn.Module:
    make = LAYERS[cell]
    return Bidirectional(make(inputs, units // 2), make(inputs, units // 2)) if both_ways else make(inputs, units)


def front_end(front: Conv | Dilated | None, inputs: int) -> StridedConv | DilatedCausal | None:
    """The configured convolutions over ``inputs`` channels; ``None`` for none."""
    if isinstance(front, Conv):
        return StridedConv(inputs, front.filters, front.kernel, front.stride)
    if isinstance(front, Dilated):
        return DilatedCausal(inputs, front.filters, front.kernel, front.dilations)
    return None
