"""Attention of a decoder over the encoder's outputs.

Shapes: ``B`` samples, ``T`` steps of the encoder, ``M`` units of encoder and decoder.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn


class Attention(nn.Module):
    """The mean of the encoder's outputs, weighted by how well each fits a decoder's output.

    With the query q and an output k, the weights are the softmax over steps of

        ``dot``       q · k / sqrt(M)             (Luong et al. 2015, https://arxiv.org/abs/1508.04025, and Vaswani
                                                  et al. 2017, https://arxiv.org/abs/1706.03762, for the root)
        ``additive``  v · tanh(A q + B k + b)     (Bahdanau et al. 2015, https://arxiv.org/abs/1409.0473)
    """

    def __init__(self, kind: Literal["dot", "additive"], width: int) -> None:
        super().__init__()
        self.kind, self.width = kind, width
        if kind == "additive":
            self.query = nn.Linear(width, width, bias=False)
            self.key = nn.Linear(width, width)
            self.score = nn.Linear(width, 1, bias=False)

    def keys(self, outputs: Tensor) -> Tensor:
        """What of the outputs ``(B, T, M)`` is the same for all queries, ``(B, T, M)``."""
        return self.key(outputs) if self.kind == "additive" else outputs

    def weights(self, query: Tensor, keys: Tensor) -> Tensor:
        """``(B, T)``, summing to one over T, of a query ``(B, 1, M)``."""
        if self.kind == "additive":
            scores = self.score(torch.tanh(self.query(query) + keys))[:, :, 0]
        else:
            scores = (keys @ query.transpose(1, 2))[:, :, 0] / math.sqrt(self.width)
        return torch.softmax(scores, dim=1)

    def forward(self, query: Tensor, keys: Tensor, outputs: Tensor) -> Tensor:
        """The weighted mean of the outputs, ``(B, 1, M)``."""
        return self.weights(query, keys)[:, None] @ outputs
