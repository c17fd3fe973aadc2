"""Convolutions over the lookback, before a recurrence or instead of one.

Shapes: ``x (B, T, I)``, I inputs at T steps; M filters. No output sees a step after its own.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from daycast.errors import ModelError


class StridedConv(nn.Module):
    """A convolution with a ReLU that leaves every ``stride``-th step: shorter sequences for the layer after it.

    Without padding, so T steps give ``(T - kernel) // stride + 1`` outputs, as with Keras' ``valid``. But where the
    stride leaves a remainder Keras drops the newest steps, and here the oldest go: the last output sees the last
    ``kernel`` steps, the one before it those ``stride`` earlier, and so on.
    """

    def __init__(self, inputs: int, filters: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.filters, self.kernel, self.stride = filters, kernel, stride
        self.conv = nn.Conv1d(inputs, filters, kernel, stride)

    def length(self, steps: int) -> int:
        """T', outputs from T steps. Raises ``ModelError`` if the kernel does not fit into them."""
        if steps < self.kernel:
            raise ModelError(
                f"at least as many steps as the convolution's kernel has: {self.kernel}",
                f"{steps}",
                "lengthen the lookback or shorten the kernel",
            )
        return (steps - self.kernel) // self.stride + 1

    def forward(self, x: Tensor) -> Tensor:
        """From ``x (B, T, I)`` outputs ``(B, T', M)``."""
        used = (self.length(x.shape[1]) - 1) * self.stride + self.kernel
        return torch.relu(self.conv(x[:, -used:].transpose(1, 2))).transpose(1, 2)

    def initialise(self, generator: torch.Generator) -> None:
        """Draw the weights from ``generator``."""
        _draw(self.conv, generator)


class DilatedCausal(nn.Module):
    """Causal convolutions with gaps, each with a ReLU, one on the other: WaveNet without its gates and residuals.

    Taps of one convolution lie ``dilation`` steps apart, so an output sees the ``receptive_field`` steps that end with
    its own. What lies before the first step counts as zero (van den Oord et al. 2016, https://arxiv.org/abs/1609.03499).

    Args:
        filters: M of every convolution.
        dilations: one convolution for each; the default gives a receptive field of 31 steps.
    """

    def __init__(
        self, inputs: int, filters: int, kernel: int = 2, dilations: Sequence[int] = (1, 2, 4, 8, 1, 2, 4, 8)
    ) -> None:
        super().__init__()
        self.filters = filters
        widths = [inputs] + [filters] * (len(dilations) - 1)
        self.convs = nn.ModuleList(
            nn.Conv1d(width, filters, kernel, dilation=d) for width, d in zip(widths, dilations, strict=True)
        )
        self.pads = [(kernel - 1) * d for d in dilations]
        self.receptive_field = 1 + sum(self.pads)

    def forward(self, x: Tensor) -> Tensor:
        """From ``x (B, T, I)`` outputs ``(B, T, M)``."""
        x = x.transpose(1, 2)
        for conv, pad in zip(self.convs, self.pads, strict=True):
            x = torch.relu(conv(functional.pad(x, (pad, 0))))
        return x.transpose(1, 2)

    def initialise(self, generator: torch.Generator) -> None:
        """Draw the weights from ``generator``."""
        for conv in self.convs:
            _draw(conv, generator)


@torch.no_grad()
def _draw(conv: nn.Module, generator: torch.Generator) -> None:
    """Weights uniform with variance 2 / (inputs · kernel), which ReLUs keep (He et al. 2015,
    https://arxiv.org/abs/1502.01852); biases zero."""
    nn.init.kaiming_uniform_(conv.get_parameter("weight"), nonlinearity="relu", generator=generator)
    nn.init.zeros_(conv.get_parameter("bias"))
