"""A causal transformer as memory over a stream.

Pre-norm blocks (Xiong et al., 2020, arXiv 2002.04745; Parisotto et al., 2020, arXiv 1910.06764, on why the order
matters in RL) with rotary positions (Su et al., 2021, arXiv 2104.09864): attention depends on how many steps ago
something happened, and the number of parameters does not depend on the length of a trial.
"""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

TransformerState = tuple[Tensor, ...]
"""Number of steps so far (B,) int64, then keys and values of each block, (B, length, width) each."""


class TransformerMemory(nn.Module):
    """A causal transformer: each step attends to itself and to every step before it.

    Args:
        width: of features and output; a multiple of 2 * heads.
        length: largest number of observations in a stream. It sizes the state of `step`, not the weights.
        layers: number of blocks.
        heads: of each attention.

    Raises:
        ValueError: heads do not divide the width into even parts.
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
        rotation = rotations(torch.arange(features.shape[1], device=features.device), self.frequency)
        h = features
        for block in self.blocks:
            h = block(h, rotation)
        return self.norm(h)

    def step(self, features: Tensor, state: TransformerState | None) -> tuple[Tensor, TransformerState]:
        """One step: (B, width), state or None at the beginning -> (B, width), new state.

        Members may be at different steps. The given state is not modified.
        """
        if state is None:
            cache = features.new_zeros(len(features), self.length, self.out_features)
            state = (torch.zeros(len(features), dtype=torch.int64, device=features.device),)
            state += (cache,) * (2 * len(self.blocks))
        step = state[0]
        rotation = rotations(step, self.frequency)
        visible = torch.arange(self.length, device=step.device) <= step[:, None]
        h, new_state = features, [step + 1]
        for block, keys, values in zip(self.blocks, state[1::2], state[2::2], strict=True):
            h, keys, values = block.step(h, rotation, step, visible, keys, values)  # type: ignore[operator]
            new_state += [keys, values]
        return self.norm(h), tuple(new_state)


class _Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)). Both residual branches start small."""

    def __init__(self, width: int, heads: int, scale: float):
        super().__init__()
        self.heads = heads
        self.norm, self.mlp_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.project, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp_in, self.mlp_out = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        with torch.no_grad():
            self.out.weight.mul_(scale)
            self.mlp_out.weight.mul_(scale)

    def forward(self, h: Tensor, rotation: Tensor) -> Tensor:
        """(N, T, width), (T, 2, 1, half) -> (N, T, width)."""
        projected = self.project(self.norm(h)).chunk(3, -1)
        query, key, value = (rearrange(part, "n t (heads d) -> n t heads d", heads=self.heads) for part in projected)
        query, key = rotate(query, rotation), rotate(key, rotation)
        query, key, value = (rearrange(part, "n t heads d -> n heads t d") for part in (query, key, value))
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        return self._residual(h, rearrange(mixed, "n heads t d -> n t (heads d)"))

    def step(
        self, h: Tensor, rotation: Tensor, step: Tensor, visible: Tensor, keys: Tensor, values: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """One step of B members.

        Args:
            h: (B, width).
            rotation: (B, 2, 1, half) of each member's step.
            step: (B,) int64, the slot of the caches that this step fills.
            visible: (B, length) bool, the slots to attend to.
            keys, values: (B, length, width) caches.

        Returns:
            (B, width) and the new caches.
        """
        query, key, value = self.project(self.norm(h)).chunk(3, -1)
        split = "b (heads d) -> b heads d"
        query = rotate(rearrange(query, split, heads=self.heads), rotation)
        key = rotate(rearrange(key, split, heads=self.heads), rotation).flatten(-2)
        slot = step[:, None, None].expand(-1, 1, h.shape[-1])
        keys, values = keys.scatter(1, slot, key[:, None]), values.scatter(1, slot, value[:, None])
        cached = "b length (heads d) -> b heads length d"
        mixed = F.scaled_dot_product_attention(
            query[:, :, None],
            rearrange(keys, cached, heads=self.heads),
            rearrange(values, cached, heads=self.heads),
            attn_mask=visible[:, None, None],
        )
        return self._residual(h, mixed.flatten(1)), keys, values

    def _residual(self, h: Tensor, mixed: Tensor) -> Tensor:
        h = h + self.out(mixed)
        return h + self.mlp_out(F.gelu(self.mlp_in(self.mlp_norm(h))))


def rotations(step: Tensor, frequency: Tensor) -> Tensor:
    """Cosine and sine of the rotary angles of steps (M,): (M, 2, 1, half), the same for all heads."""
    angle = step[:, None] * frequency
    return torch.stack([angle.cos(), angle.sin()], 1)[:, :, None]


def rotate(h: Tensor, rotation: Tensor) -> Tensor:
    """Rotate pairs of components by angles: (..., heads, 2 * half) by (..., 2, 1, half)."""
    a, b = h.chunk(2, -1)
    cos, sin = rotation.unbind(-3)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], -1)
