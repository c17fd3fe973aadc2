"""Recurrent layers that torch has no kernel of, written out.

Their interface is that of torch's layers with ``batch_first``: ``layer(x, start)`` reads ``x (B, T, I)``, from the
state ``start`` or from zeros, and gives the outputs ``(B, T, M)`` and the last state. Letters of ``core.frame``; ``I``
inputs, ``M`` hidden units, ``T`` steps, ``σ`` the logistic function, ``⊙`` the product unit by unit.

They make one matrix product of the whole sequence's inputs, then one a step for all gates, and leave gradients to
autograd: ``benchmarks/cells.py`` has times, and what faster ways would cost.

Layer normalisation is, with gains ``g`` and biases ``b``,

    LN(a) = g ⊙ (a - mean(a)) / sqrt(var(a) + 1e-5) + b

over a vector of pre-activations: inputs and recurrent part summed, which is equation 4 of Ba et al. 2016
(https://arxiv.org/abs/1607.06450). Their supplement normalises the two parts apart; of an input of one channel that
would leave nothing but the sign. Of a single unit normalisation leaves nothing at all, so M is 2 at least.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

Step = Callable[[Tensor, tuple[Tensor, ...]], tuple[Tensor, ...]]
"""From the inputs' part of a step's pre-activations ``(B, gates · M)`` and a state the next state, hidden first."""

State = Tensor | tuple[Tensor, Tensor]
"""Last state of one layer: ``(1, B, M)``, or the pair (hidden, cell) of an LSTM."""


def tensors(state: State) -> tuple[Tensor, ...]:
    """The one or two tensors of a state, hidden first."""
    return state if isinstance(state, tuple) else (state,)


def joined(parts: Sequence[Tensor]) -> State:
    """The state of one or two tensors."""
    return parts[0] if len(parts) == 1 else (parts[0], parts[1])


def draw(weight_ih: Tensor, weight_hh: Tensor, generator: torch.Generator) -> None:
    """Fill input weights Glorot-uniform and recurrent weights orthogonal, gate by gate of ``weight_hh``'s width."""
    width = weight_hh.shape[1]
    for gate in torch.split(weight_ih, width):
        nn.init.xavier_uniform_(gate, generator=generator)
    for gate in torch.split(weight_hh, width):
        nn.init.orthogonal_(gate, generator=generator)


class Recurrent(nn.Module):
    """The walk over the steps that these layers share.

    Computes in its weights' precision, under autocast too: what is added up over many steps should not be rounded at
    each. ``hidden`` is M.

    Attributes:
        weight_ih: ``(gates · M, I)``, of the inputs, gates one after another.
        weight_hh: ``(gates · M, M)``, of the hidden state.
        bias: ``(gates · M,)``, one where torch has two; ``b`` of the layer normalisation if there is one.
        gain: ``(gates · M,)``, ``g`` of the layer normalisation, or None.
    """

    states = 1
    """Tensors in a state: 1, or 2 with a cell."""

    def __init__(self, inputs: int, hidden: int, gates: int, normalised: bool) -> None:
        super().__init__()
        self.hidden = hidden
        self.weight_ih = nn.Parameter(torch.empty(gates * hidden, inputs))
        self.weight_hh = nn.Parameter(torch.empty(gates * hidden, hidden))
        self.bias = nn.Parameter(torch.empty(gates * hidden))
        self.gain = nn.Parameter(torch.empty(gates * hidden)) if normalised else None

    def forward(self, x: Tensor, start: State | None = None) -> tuple[Tensor, State]:
        """Outputs ``(B, T, M)`` and the last state from ``x (B, T, I)``, T ≥ 1."""
        with torch.autocast(x.device.type, enabled=False):
            x = x.to(self.weight_ih.dtype)
            if start is None:
                state = (x.new_zeros(len(x), self.hidden),) * self.states
            else:
                state = tuple(part[0].to(x.dtype) for part in tensors(start))
            inputs = functional.linear(x.transpose(0, 1), self.weight_ih, self.bias if self.gain is None else None)
            step, outputs = self.step(), []
            for projected in inputs.unbind(0):
                state = step(projected, state)
                outputs.append(state[0])
        return torch.stack(outputs, dim=1), joined([part[None] for part in state])

    def step(self) -> Step:
        """The equations of one step.

        Views of weights are taken once a walk: taken at every step, they were up to half of a small layer's time.
        """
        raise NotImplementedError

    def norm(self, first: int = 0, last: int | None = None) -> Callable[[Tensor], Tensor]:
        """LN of the pre-activations numbered ``first`` to ``last``, or of all; in a layer without, nothing is done."""
        if self.gain is None:
            return lambda a: a
        gain, bias = self.gain[first:last], self.bias[first:last]
        return lambda a: functional.layer_norm(a, gain.shape, gain, bias)

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        """Draw the weights from ``generator``; biases are zero and gains one."""
        draw(self.weight_ih, self.weight_hh, generator)
        nn.init.zeros_(self.bias)
        if self.gain is not None:
            nn.init.ones_(self.gain)


class NormalisedRNN(Recurrent):
    """``h_t = tanh(LN(W x_t + U h_{t-1}))``."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__(inputs, hidden, gates=1, normalised=True)

    def step(self) -> Step:
        u, norm = self.weight_hh.t(), self.norm()
        return lambda projected, state: (torch.tanh(norm(torch.addmm(projected, state[0], u))),)


class NormalisedGRU(Recurrent):
    """torch's GRU with its pre-activations normalised::

        (r, z) = σ(LN(W_rz x_t + U_rz h_{t-1}))             one LN over both
        n      = tanh(LN(W_n x_t + r ⊙ (U_n h_{t-1})))
        h_t    = (1 - z) ⊙ n + z ⊙ h_{t-1}

    Gates r, z, n in the weights.
    """

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__(inputs, hidden, gates=3, normalised=True)

    def step(self) -> Step:
        parts = [2 * self.hidden, self.hidden]
        u, norm_rz, norm_n = self.weight_hh.t(), self.norm(0, parts[0]), self.norm(parts[0])

        def step(projected: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            (h,) = state
            x_rz, x_n = torch.split(projected, parts, dim=1)
            h_rz, h_n = torch.split(torch.mm(h, u), parts, dim=1)
            r, z = torch.sigmoid(norm_rz(x_rz + h_rz)).chunk(2, dim=1)
            n = torch.tanh(norm_n(x_n + r * h_n))
            return (torch.lerp(n, h, z),)

        return step


class LSTM(Recurrent):
    """An LSTM with options, which combine; without any it is torch's.::

        a   = W x_t + U h_{t-1} + b         normalised: LN(W x_t + U h_{t-1}), one LN over all gates
        i   = σ(a_i)                        peephole: σ(a_i + p_i ⊙ c_{t-1});  coupled: 1 - f, and no gate of its own
        f   = σ(a_f)                        peephole: σ(a_f + p_f ⊙ c_{t-1})
        c_t = f ⊙ c_{t-1} + i ⊙ tanh(a_g)
        o   = σ(a_o)                        peephole: σ(a_o + p_o ⊙ c_t)
        h_t = o ⊙ tanh(c_t)                 normalised: o ⊙ tanh(LN(c_t)), with gains and biases of its own

    Gates i, f, g, o in the weights and i, f, o in the peepholes, without i if coupled.

    Peepholes let gates see the cell (Gers & Schmidhuber 2000, https://doi.org/10.1109/IJCNN.2000.861302); coupled gates
    write just as much as they forget (Greff et al. 2017, https://arxiv.org/abs/1503.04069). Hard gates take torch's
    ``hardsigmoid``, ``min(max(x + 3, 0), 6) / 6``, for σ; Keras' was ``min(max(0.2 x + 0.5, 0), 1)`` before version 3.
    """

    states = 2

    def __init__(
        self,
        inputs: int,
        hidden: int,
        *,
        normalised: bool = False,
        peephole: bool = False,
        coupled: bool = False,
        hard: bool = False,
    ) -> None:
        writing = 1 if coupled else 2
        super().__init__(inputs, hidden, gates=writing + 2, normalised=normalised)
        self.writing = writing  # gates before the cell: f, or i and f
        self.peephole = nn.Parameter(torch.empty(writing + 1, hidden)) if peephole else None
        self.cell_gain = nn.Parameter(torch.empty(hidden)) if normalised else None
        self.cell_bias = nn.Parameter(torch.empty(hidden)) if normalised else None
        self.sigmoid: Callable[[Tensor], Tensor] = functional.hardsigmoid if hard else torch.sigmoid

    def step(self) -> Step:
        u, norm = self.weight_hh.t(), self.norm()
        peepholes = None if self.peephole is None else self.peephole.unbind(0)

        def step(projected: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            h, c = state
            *writing, g, o = norm(torch.addmm(projected, h, u)).chunk(self.writing + 2, dim=1)
            if peepholes is not None:
                writing = [a + p * c for a, p in zip(writing, peepholes[:-1], strict=True)]
            *i, f = map(self.sigmoid, writing)
            new = torch.tanh(g)
            c = f * c + i[0] * new if i else torch.lerp(new, c, f)
            o = self.sigmoid(o if peepholes is None else o + peepholes[-1] * c)
            read = c
            if self.cell_gain is not None:
                read = functional.layer_norm(c, c.shape[1:], self.cell_gain, self.cell_bias)
            return o * torch.tanh(read), c

        return step

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        """Draw the weights from ``generator``; biases and peepholes are zero, gains and the forget gate's bias one."""
        super().initialise(generator)
        self.bias[(self.writing - 1) * self.hidden : self.writing * self.hidden] = 1.0
        if self.peephole is not None:
            nn.init.zeros_(self.peephole)
        if self.cell_gain is not None and self.cell_bias is not None:
            nn.init.ones_(self.cell_gain)
            nn.init.zeros_(self.cell_bias)
