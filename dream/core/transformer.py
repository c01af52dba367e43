"""A causal transformer as memory over a stream, exchangeable with `Recurrent`.

Pre-norm blocks (Xiong et al., 2020, arXiv 2002.04745; Parisotto et al., 2020, arXiv 1910.06764, on why the order
matters in RL) with rotary positions (Su et al., 2021, arXiv 2104.09864): attention sees how long ago something was, and
no number of parameters depends on the length of a trial.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

TransformerMemory = tuple[Tensor, ...]
"""Steps seen so far (B,) int64, then keys and values of each block, (B, length, width) each."""


class Transformer(nn.Module):
    """Memory over a stream: what a step attends to is itself and everything before it.

    Args:
        width: of features and output; a multiple of 2 * heads.
        length: most observations in a stream. It sizes the memory of `step`, not the weights.
        layers: blocks.
        heads: of each attention.
    """

    frequency: Tensor

    def __init__(self, width: int, length: int, *, layers: int = 2, heads: int = 4):
        super().__init__()
        if width % (2 * heads):
            raise ValueError(f"a transformer of {heads} heads needs a width that is a multiple of {2 * heads}: {width}")
        self.length, self.out_features = length, width
        self.blocks = nn.ModuleList(_Block(width, heads, 1.0 / (2 * layers) ** 0.5) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        half = width // heads // 2
        self.register_buffer("frequency", 10_000.0 ** (-torch.arange(half) / half), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """Whole streams from their beginning: (N, T, width) -> (N, T, width)."""
        turns = self._turns(torch.arange(features.shape[1], device=features.device))
        h = features
        for block in self.blocks:
            h = block(h, turns)
        return self.norm(h)

    def step(self, features: Tensor, memory: TransformerMemory | None) -> tuple[Tensor, TransformerMemory]:
        """One step: (B, width), memory or None at the beginning -> (B, width), memory.

        Members may have seen more or less than each other. The memory given is left as it was.
        """
        if memory is None:
            cache = features.new_zeros(len(features), self.length, self.out_features)
            memory = (torch.zeros(len(features), dtype=torch.int64, device=features.device),)
            memory += (cache,) * (2 * len(self.blocks))
        at = memory[0]
        turns = self._turns(at)
        seen = torch.arange(self.length, device=at.device) <= at[:, None]
        h, kept = features, [at + 1]
        for block, key, value in zip(self.blocks, memory[1::2], memory[2::2], strict=True):
            h, key, value = block.step(h, turns, at, seen, key, value)  # type: ignore[operator]
            kept += [key, value]
        return self.norm(h), tuple(kept)

    def _turns(self, place: Tensor) -> Tensor:
        """Cosine and sine of the angles at places (M,): (M, 2, 1, half), the same for all heads."""
        angle = place[:, None] * self.frequency
        return torch.stack([angle.cos(), angle.sin()], 1)[:, :, None]


class _Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)). What is added starts small: at first features pass through."""

    def __init__(self, width: int, heads: int, scale: float):
        super().__init__()
        self.heads = heads
        self.norm, self.mlp_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.project, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp_in, self.mlp_out = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        with torch.no_grad():
            self.out.weight.mul_(scale)
            self.mlp_out.weight.mul_(scale)

    def forward(self, h: Tensor, turns: Tensor) -> Tensor:
        """(N, T, width), (T, 2, 1, half) -> (N, T, width)."""
        query, key, value = (self._split(part) for part in self.project(self.norm(h)).chunk(3, -1))
        query, key = _turn(query, turns), _turn(key, turns)
        mixed = F.scaled_dot_product_attention(
            query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2), is_causal=True
        )
        return self._finish(h, mixed.transpose(1, 2).flatten(-2))

    def step(
        self, h: Tensor, turns: Tensor, at: Tensor, seen: Tensor, keys: Tensor, values: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(B, width), (B, 2, 1, half), (B,), (B, length), caches (B, length, width) -> (B, width) and new caches."""
        query, key, value = self.project(self.norm(h)).chunk(3, -1)
        query, key = _turn(self._split(query), turns), _turn(self._split(key), turns).flatten(-2)
        slot = at[:, None, None].expand(-1, 1, h.shape[-1])
        keys, values = keys.scatter(1, slot, key[:, None]), values.scatter(1, slot, value[:, None])
        mixed = F.scaled_dot_product_attention(
            query[:, :, None],
            self._split(keys).transpose(1, 2),
            self._split(values).transpose(1, 2),
            attn_mask=seen[:, None, None],
        )
        return self._finish(h, mixed.flatten(1)), keys, values

    def _finish(self, h: Tensor, mixed: Tensor) -> Tensor:
        h = h + self.out(mixed)
        return h + self.mlp_out(F.gelu(self.mlp_in(self.mlp_norm(h))))

    def _split(self, h: Tensor) -> Tensor:
        """(..., width) -> (..., heads, width / heads)."""
        return h.unflatten(-1, (self.heads, -1))


def _turn(h: Tensor, turns: Tensor) -> Tensor:
    """Rotate pairs of components by angles: (..., heads, 2 * half) by (..., 2, 1, half)."""
    a, b = h.chunk(2, -1)
    cos, sin = turns.unbind(-3)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], -1)
