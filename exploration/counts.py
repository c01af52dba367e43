"""Counts: the explorer is paid for observations that were seldom seen, in all trials and in this one.

    r_t = N(o_t+1)^(-1/2) n_t(o_t+1)^(-1/2)

N counts how often an observation was reached in training, the bonus of Strehl and Littman (2008) and Bellemare et al.
(2016, arXiv 1606.01868); n_t counts it within the trial. The product is what Henaff, Jiang and Raileanu recommend for
problems that differ from episode to episode ("A study of global and episodic bonuses for exploration in contextual
MDPs", 2023, arXiv 2306.03236). Frames are counted by a hash: the signs of random projections (SimHash, Tang et al.
2017, arXiv 1611.04717, eq. 2) of their colours on a coarse grid, less the mean colour, which would decide most signs.
"""

from __future__ import annotations

import math

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dream.core.frames import is_frame
from dream.core.trial import Episodes, Trials
from dream.exploration.base import Belief, RewardModel

BITS = 16
"""2^BITS cells of the table; integer observations get one each where that is enough, and share them by a hash else."""
GRID = (6, 8)
"""A frame is hashed by its colours on a grid of this many cells."""
SEED = 0
"""Of the random projections: the same in every run, so that hashes mean the same."""


class ObservationHash(nn.Module):
    """Observations -> cells 0 .. 2^BITS - 1, int64."""

    projection: Tensor

    def __init__(self, space: gym.Space):
        super().__init__()
        self.frames = is_frame(space)
        if self.frames:
            generator = torch.Generator().manual_seed(SEED)
            projection = torch.randn(space.shape[-1] * GRID[0] * GRID[1], BITS, generator=generator)  # type: ignore[index]
        elif isinstance(space, gym.spaces.MultiDiscrete):
            sizes = [int(size) for size in space.nvec]
            self.exact = math.prod(sizes) <= 2**BITS
            if self.exact:
                projection = torch.tensor([math.prod(sizes[:i]) for i in range(len(sizes))])
            else:  # multiply-shift hashing: an odd factor for each component, of the sum the high bits
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
        colours = F.adaptive_avg_pool2d(obs.flatten(0, 1).permute(0, 3, 1, 2).float(), GRID)
        bits = (colours - colours.mean((2, 3), keepdim=True)).flatten(1) @ self.projection > 0
        place = 2 ** torch.arange(BITS, device=obs.device)
        return (bits * place).sum(-1).view(obs.shape[:2])


class Counts(RewardModel):
    """Global times episodic count bonus. Nothing is learned; the table is kept with the weights."""

    table: Tensor

    def __init__(self, space: gym.Space):
        super().__init__()
        self.cell = ObservationHash(space)
        self.register_buffer("table", torch.zeros(2**BITS, dtype=torch.int64))

    def observe(self, trials: Trials) -> None:
        """Count every observation that an exploration step led to."""
        cell, step = self._cells(trials.explore)
        self.table.scatter_add_(0, cell.flatten(), step.flatten().long())

    def forward(self, trials: Trials, belief: Belief) -> tuple[Tensor, Tensor]:
        """Reward (N, T) and loss (), which is 0."""
        cell, step = self._cells(trials.explore)
        everywhere = self.table[cell].clamp(min=1)
        same = (cell[:, :, None] == cell[:, None]) & step[:, None]  # (N, T, T): step t, and the steps up to it
        in_trial = same.tril().sum(-1).clamp(min=1)
        return step / (everywhere * in_trial).float().sqrt(), torch.zeros((), device=cell.device)

    def _cells(self, explore: Episodes) -> tuple[Tensor, Tensor]:
        return self.cell(explore.obs[:, 1:]), explore.transition
