"""Counts: the explorer is rewarded for rare observations, rare over all training trials and within this one.

    r_t = N(o_t+1)^(-1/2) n_t(o_t+1)^(-1/2)

N is the number of visits of an observation in training, the bonus of Strehl and Littman (2008) and Bellemare et al.
(2016, arXiv 1606.01868); n_t is the number within the trial. The product is what Henaff, Jiang and Raileanu recommend
for problems that differ from episode to episode ("A study of global and episodic bonuses for exploration in contextual
MDPs", 2023, arXiv 2306.03236). What is counted are the cells of `dream.exploration.hashing`.
"""

from __future__ import annotations

import gymnasium as gym
import torch
from torch import Tensor

from dream.core.trial import Episodes, Trials
from dream.exploration.base import Belief, ExplorationReward
from dream.exploration.hashing import CELLS, ObservationHash


class Counts(ExplorationReward):
    """Global times episodic count bonus. It has no parameters; the table is saved with the weights."""

    table: Tensor

    def __init__(self, space: gym.Space):
        super().__init__()
        self.cell = ObservationHash(space)
        self.register_buffer("table", torch.zeros(CELLS, dtype=torch.int64))

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
        return self.cell(explore.next_obs), explore.transition
