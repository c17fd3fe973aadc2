"""Recurrent layers by name, and how two of them read both ways; shapes as in ``cells``."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from daycast.models.cells import LSTM, NormalisedGRU, NormalisedRNN, Recurrent, State, draw, joined, tensors

LAYERS: dict[str, Callable[[int, int], nn.Module]] = {
    "rnn": lambda inputs, hidden: nn.RNN(inputs, hidden, batch_first=True),
    "lstm": lambda inputs, hidden: nn.LSTM(inputs, hidden, batch_first=True),
    "gru": lambda inputs, hidden: nn.GRU(inputs, hidden, batch_first=True),
    "ln_rnn": NormalisedRNN,
    "ln_lstm": lambda inputs, hidden: LSTM(inputs, hidden, normalised=True),
    "ln_gru": NormalisedGRU,
    "peephole_lstm": lambda inputs, hidden: LSTM(inputs, hidden, peephole=True),
    "coupled_lstm": lambda inputs, hidden: LSTM(inputs, hidden, coupled=True),
    "hard_lstm": lambda inputs, hidden: LSTM(inputs, hidden, hard=True),
}
"""Layers by name, made from (inputs, hidden). Their weights hold nothing of use until ``initialise``."""


@torch.no_grad()
def initialise(layer: nn.RNNBase | Recurrent, generator: torch.Generator) -> None:
    """Set all of one layer of ``LAYERS`` with draws from ``generator`` alone.

    Input weights Glorot-uniform and recurrent weights orthogonal, gate by gate; biases zero, but one for an LSTM's
    forget gate (Jozefowicz et al. 2015, https://proceedings.mlr.press/v37/jozefowicz15.html).
    """
    if isinstance(layer, Recurrent):
        layer.initialise(generator)
        return
    weight_ih, weight_hh, bias_ih, bias_hh = layer.all_weights[0]
    draw(weight_ih, weight_hh, generator)
    nn.init.zeros_(bias_ih)
    nn.init.zeros_(bias_hh)
    if isinstance(layer, nn.LSTM):  # its gates are i, f, g, o
        bias_ih[layer.hidden_size : 2 * layer.hidden_size] = 1.0


class Bidirectional(nn.Module):
    """One layer over the steps as they come, another over them reversed, side by side.

    Every output but the last has seen later inputs, so it may only stand in an encoder, whose whole input is known at
    the cutoff.

    Args:
        ahead: the layer that reads from the oldest step on.
        back: the layer that reads from the newest step on; as many units M.
    """

    def __init__(self, ahead: nn.Module, back: nn.Module) -> None:
        super().__init__()
        self.ahead, self.back = ahead, back

    def forward(self, x: Tensor, start: State | None = None) -> tuple[Tensor, State]:
        """Outputs ``(B, T, 2M)`` and the state of 2M units with which the two layers ended, each at its own end.

        That state has seen everything; of the last output, the second half has seen the newest step alone.
        """
        starts: list[State | None] = [None, None]
        if start is not None:
            halves = [part.chunk(2, dim=2) for part in tensors(start)]
            starts = [joined([half[i].contiguous() for half in halves]) for i in (0, 1)]
        ahead, last_ahead = self.ahead(x, starts[0])
        back, last_back = self.back(x.flip(1), starts[1])
        last = [torch.cat(pair, dim=2) for pair in zip(tensors(last_ahead), tensors(last_back), strict=True)]
        return torch.cat([ahead, back.flip(1)], dim=2), joined(last)
