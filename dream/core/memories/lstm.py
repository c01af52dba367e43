"""An LSTM with a running maximum beside it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

LSTMState = tuple[Tensor, Tensor, Tensor]
"""h (B, memory_size), c (B, memory_size) and the running maximum (B, width)."""


class LSTMMemory(nn.Module):
    """An LSTM, and the running maximum over time of a linear map of the features.

    The maximum answers "did this ever occur?" and passes the gradient of a rare event straight to the step of the
    event, where an LSTM alone needs thousands of updates before it learns anything (docs/learning.md). The features of
    the current step are passed on unchanged, so memoryless tasks need no memory.

    Args:
        width: of the features.
        memory_size: units of the LSTM.
        forget_bias: initial bias of the forget gate; 1 or more remembers by default (Jozefowicz et al., 2015).
    """

    def __init__(self, width: int, memory_size: int, forget_bias: float = 1.0):
        super().__init__()
        self.lstm = nn.LSTM(width, memory_size, batch_first=True)
        with torch.no_grad():
            self.lstm.get_parameter("bias_ih_l0")[memory_size : 2 * memory_size] = forget_bias
        self.maximum = nn.Linear(width, width)
        self.out_features = 2 * width + memory_size

    def forward(self, features: Tensor) -> Tensor:
        """Whole streams from their beginning: (N, T, width) -> (N, T, out_features)."""
        maximum = self.maximum(features).cummax(dim=1).values
        return torch.cat([features, self.lstm(features)[0], maximum], dim=-1)

    def step(self, features: Tensor, state: LSTMState | None) -> tuple[Tensor, LSTMState]:
        """One step: (B, width), state or None at the beginning -> (B, out_features), new state."""
        maximum, hidden = self.maximum(features), None
        if state is not None:
            h, c, before = state
            hidden, maximum = (h[None], c[None]), torch.maximum(maximum, before)
        out, (h, c) = self.lstm(features[:, None], hidden)
        return torch.cat([features, out[:, 0], maximum], dim=-1), (h[0], c[0], maximum)
