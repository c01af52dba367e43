"""Observations -> cells of a table, in which they are counted.

    integers, codes   a cell each where there are at most as many as cells, else multiply-shift hashing
    image             signs of random projections of its colours on a coarse grid, minus the mean colour, which would
                      otherwise determine most signs
    numbers           signs of random projections of the standardised numbers and a 1
    parts             multiply-shift hashing of the cells of all parts

Signs of random projections are SimHash (Tang et al., 2017, arXiv 1611.04717, eq. 2). They depend on the direction of a
vector only, so numbers get the 1: the signs then tell on which side of random hyperplanes a point lies. The statistics
that standardise numbers stay as they are once they hold `SETTLED` observations; otherwise old counts would belong to
other observations than new ones.
"""

from __future__ import annotations

import math
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from dream.core.observations import RunningNorm
from dream.core.trial import Observations
from dream.spaces import is_image, parts_of

BITS = 16
"""Of a cell's number."""
CELLS = 2**BITS
"""Of the table. If there are more observations, a hash shares the cells among them."""
GRID = (6, 8)
"""A frame is hashed by its mean colours on a grid of this many cells."""
SEED = 0
"""Of the random projections: all runs use the same hash."""
SETTLED = 10_000
"""Observations after which the statistics of numbers stay."""


class ObservationHash(nn.Module):
    """Observations -> cells 0 .. CELLS - 1, int64."""

    def __init__(self, space: gym.Space[Any]):
        super().__init__()
        self._names = list(space.spaces) if isinstance(space, gym.spaces.Dict) else None
        self.parts = nn.ModuleList(_hash(part, name) for name, part in parts_of(space).items())
        self.joined = None if self._names is None else _Integers([part.cells for part in self.parts])  # type: ignore[misc]

    def forward(self, obs: Observations) -> Tensor:
        """(N, T, observation) -> (N, T)."""
        if self._names is None or self.joined is None:
            return self.parts[0](obs)
        cells = [part(obs[name]) for part, name in zip(self.parts, self._names, strict=True)]
        return self.joined(torch.stack(cells, -1))


class _Integers(nn.Module):
    """Integers with so many values each."""

    factor: Tensor

    def __init__(self, sizes: list[int]):
        super().__init__()
        self.exact = math.prod(sizes) <= CELLS
        self.cells = math.prod(sizes) if self.exact else CELLS
        if self.exact:
            factor = torch.tensor([math.prod(sizes[:i]) for i in range(len(sizes))])
        else:  # multiply-shift hashing: one odd factor per component, then the high bits of the sum
            drawn = np.random.default_rng(SEED).integers(2**62, size=len(sizes))
            factor = torch.from_numpy(2 * drawn + 1)
        self.register_buffer("factor", factor, persistent=False)

    def forward(self, integers: Tensor) -> Tensor:
        """(..., D) -> (...)."""
        key = (integers.long() * self.factor).sum(-1)
        return key if self.exact else (key >> 48) % CELLS


class _Codes(_Integers):
    """An image of codes."""

    def __init__(self, space: gym.spaces.MultiDiscrete):
        super().__init__(space.nvec.ravel().tolist())

    def forward(self, integers: Tensor) -> Tensor:
        """(..., H, W, C) -> (...)."""
        return super().forward(integers.flatten(-3))


class _Signs(nn.Module):
    """SimHash of vectors (..., D)."""

    projection: Tensor
    cells = CELLS

    def __init__(self, size: int):
        super().__init__()
        projection = torch.randn(size, BITS, generator=torch.Generator().manual_seed(SEED))
        self.register_buffer("projection", projection, persistent=False)

    def forward(self, vectors: Tensor) -> Tensor:
        """(..., D) -> (...)."""
        place = 2 ** torch.arange(BITS, device=vectors.device)
        return ((vectors @ self.projection > 0) * place).sum(-1)


class _Frames(_Signs):
    """Images."""

    def __init__(self, space: gym.Space[Any]):
        super().__init__(space.shape[-1] * GRID[0] * GRID[1])  # type: ignore[index]

    def forward(self, frames: Tensor) -> Tensor:
        """(N, T, H, W, C) -> (N, T)."""
        colours = F.adaptive_avg_pool2d(rearrange(frames, "n t h w c -> (n t) c h w").float(), GRID)
        return super().forward((colours - colours.mean((2, 3), keepdim=True)).flatten(1)).view(frames.shape[:2])


class _Numbers(_Signs):
    """Numbers, standardised."""

    def __init__(self, space: gym.Space[Any], name: str):
        size = space.shape[0]  # type: ignore[index]
        super().__init__(size + 1)
        self.norm = RunningNorm(size, name, until=SETTLED)

    def forward(self, numbers: Tensor) -> Tensor:
        """(..., D) -> (...)."""
        standard = self.norm(numbers)
        return super().forward(torch.cat([standard, torch.ones_like(standard[..., :1])], -1))


def _hash(space: gym.Space[Any], name: str) -> nn.Module:
    """For a space without parts, which is the part `name`."""
    if isinstance(space, gym.spaces.MultiDiscrete):
        return _Codes(space) if space.nvec.ndim > 1 else _Integers(space.nvec.tolist())
    return _Frames(space) if is_image(space) else _Numbers(space, name)
