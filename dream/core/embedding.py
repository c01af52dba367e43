"""Integers and actions -> features."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dream.core.actions import Actions


class DiscreteEncoder(nn.Module):
    """Sum of one embedding per integer component: a linear layer on their one-hots, without building them."""

    offset: Tensor

    def __init__(self, sizes: Sequence[int], width: int):
        super().__init__()
        self.sizes = tuple(int(size) for size in sizes)
        self.table = nn.Parameter(torch.randn(sum(self.sizes), width) / len(self.sizes) ** 0.5)
        offset = np.concatenate([[0], np.cumsum(self.sizes)[:-1]]).astype(np.int64)
        self.register_buffer("offset", torch.from_numpy(offset), persistent=False)

    def forward(self, values: Tensor) -> Tensor:
        """(..., D) ints -> (..., width)."""
        return F.embedding(values.long() + self.offset, self.table).sum(-2)


def action_encoder(actions: Actions, width: int) -> nn.Module:
    """The first layer of a network on previous actions as `Actions.inputs` gives them: (..., K) -> (..., width)."""
    return nn.Linear(actions.numbers, width) if actions.numbers else DiscreteEncoder(actions.integer_sizes, width)
