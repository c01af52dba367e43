"""Counts: the explorer is rewarded for rare observations, rare over all training trials and within this one.

    r_t = N(o_t+1)^(-1/2) n_t(o_t+1)^(-1/2)

N is the number of visits of an observation in training, the bonus of Strehl and Littman (2008) and Bellemare et al.
(2016, arXiv 1606.01868); n_t is the number within the trial. The product is what Henaff, Jiang and Raileanu recommend
for problems that differ from episode to episode ("A study of global and episodic bonuses for exploration in contextual
MDPs", 2023, arXiv 2306.03236). Frames are counted by a hash: the signs of random projections (SimHash, Tang et al.
2017, arXiv 1611.04717, eq. 2) of their colours on a coarse grid, minus the mean colour, which would otherwise
determine most signs.
"""

from __future__ import annotations

import math

import gymnasium as gym
import numpy as np
import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from dream.core.trial import Episodes, Trials
from dream.exploration.base import Belief, ExplorationReward
from dream.spaces import is_image

BITS = 16
"""The table has 2^BITS cells. If there are more integer observations than cells, a hash shares the cells among them."""
GRID = (6, 8)
"""A frame is hashed by its mean colours on a grid of this many cells."""
SEED = 0
"""Of the random projections: all runs use the same hash."""


class ObservationHash(nn.Module):
    """Observations -> cells 0 .. 2^BITS - 1, int64."""

    projection: Tensor

    def __init__(self, space: gym.Space):
        super().__init__()
        self.frames = is_image(space)
        if self.frames:
            generator = torch.Generator().manual_seed(SEED)
            projection = torch.randn(space.shape[-1] * GRID[0] * GRID[1], BITS, generator=generator)  # type: ignore[index]
        elif isinstance(space, gym.spaces.MultiDiscrete):
            sizes = [int(size) for size in space.nvec]
            self.exact = math.prod(sizes) <= 2**BITS
            if self.exact:
                projection = torch.tensor([math.prod(sizes[:i]) for i in range(len(sizes))])
            else:  # multiply-shift hashing: one odd factor per component, then the high bits of the sum
                drawn = np.random.default_rng(SEED).integers(2**62, size=len(sizes))
                projection = torch.from_numpy(2 * drawn + 1)
        else:
            raise TypeError(f"cannot count {space}: use integers (MultiDiscrete) or frames (Box of uint8)")
        self.register_buffer("projection", projection, persistent=False)

    def forward(self, obs: Tensor) -> Tensor:
        """(N, T, observation) -> (N, T)."""
        if not self.frames:
            key = (obs.long() * self.projection).sum(-1)
            return key if self.exact else (key >> 48) % 2**BITS
        colours = F.adaptive_avg_pool2d(rearrange(obs, "n t h w c -> (n t) c h w").float(), GRID)
        bits = (colours - colours.mean((2, 3), keepdim=True)).flatten(1) @ self.projection > 0
        place = 2 ** torch.arange(BITS, device=obs.device)
        return (bits * place).sum(-1).view(obs.shape[:2])


class Counts(ExplorationReward):
    """Global times episodic count bonus. It has no parameters; the table is saved with the weights."""

    table: Tensor

    def __init__(self, space: gym.Space):
        super().__init__()
        self.cell = ObservationHash(space)
        self.register_buffer("table", torch.zeros(2**BITS, dtype=torch.int64))

    def observe(self, trials: Trials) -> None:
        """Count the observation after every exploration step."""
        cell, step = self._cells(trials.explore)
        self.table.scatter_add_(0, cell.flatten(), step.flatten().long())

    def forward(self, trials: Trials, belief: Belief) -> tuple[Tensor, Tensor]:
        """Reward (N, T) and loss 0."""
        cell, step = self._cells(trials.explore)
        visits = self.table[cell].clamp(min=1)
        same = (cell[:, :, None] == cell[:, None]) & step[:, None]  # (N, T, T): step t against every step
        in_trial = same.tril().sum(-1).clamp(min=1)
        return step / (visits * in_trial).float().sqrt(), torch.zeros((), device=cell.device)

    def _cells(self, explore: Episodes) -> tuple[Tensor, Tensor]:
        return self.cell(explore.obs[:, 1:]), explore.transition
