"""HyperX: the explorer is rewarded for the novelty of observation and belief together, annealed to zero.

Zintgraf, Feng, Lu, Igl, Hartikainen, Hofmann, Whiteson, "Exploration in Approximate Hyper-State Space for Meta
Reinforcement Learning" (ICML 2021, arXiv 2010.01062). A hyper-state s+ is a state with a belief over problems. The
agent optimises the return of the task and an exploration bonus whose weight is annealed to zero:

    r_t+ = r_t + lambda(t) |phi^(s+_t+1) - phi(s+_t+1)|^2    (random network distillation)

Here the belief is g(tau). The return of the task is that of the following execution minus the expected return
(dream/exploration/outcome.py), because exploration episodes have no reward. The paper's second bonus, the
reconstruction error of VariBAD's decoder, has no counterpart in a pair without decoder and is left out.
"""

from __future__ import annotations

from collections.abc import Sequence

import gymnasium as gym
import torch
from torch import Tensor, nn

from dream.core.networks import normed_relu
from dream.core.trial import Observations, Trials
from dream.exploration.base import Belief, ExplorationReward
from dream.exploration.features import ObservationFeatures, mean_over
from dream.exploration.outcome import Improvement

ANNEALED = 0.5
"""Share of the training steps over which the weight of novelty falls linearly from 1 to 0."""


class _HyperState(nn.Module):
    """Features of an observation and a belief together."""

    def __init__(self, space: gym.Space, z_dim: int, width: int):
        super().__init__()
        self.obs = ObservationFeatures(space, width)
        self.belief = nn.Linear(z_dim, width)
        self.out = nn.Linear(width, width)

    def forward(self, obs: Observations, belief: Tensor, observed: Tensor) -> Tensor:
        """(N, T, observation), (N, T, Z), (N, T) -> (N, T, width)."""
        return self.out(normed_relu(self.obs(obs, observed) + self.belief(belief)))


class HyperStateNovelty(ExplorationReward):
    """Annealed novelty of (o, g(tau)) at every step, plus the improvement of the execution at the last step."""

    scale: Tensor

    def __init__(self, space: gym.Space, instruction: Sequence[int], z_dim: int, width: int):
        super().__init__()
        self.target = _HyperState(space, z_dim, width).requires_grad_(False)
        self.predictor = _HyperState(space, z_dim, width)
        self.improvement = Improvement(instruction, width)
        self.register_buffer("scale", torch.zeros(()))

    def forward(self, trials: Trials, belief: Belief) -> tuple[Tensor, Tensor]:
        """Reward (N, T) and loss ()."""
        explore = trials.explore
        obs, step, after = explore.next_obs, explore.transition, belief.prefixes[:, 1:]
        error = (self.predictor(obs, after, step) - self.target(obs, after, step)).square().mean(-1)
        novelty = error.detach() * step
        total = novelty.sum(1).mean()
        if self.training:
            self.scale.copy_(torch.where(self.scale > 0, self.scale.lerp(total, 0.01), total))
        weight = max(0.0, 1.0 - belief.progress / ANNEALED)
        improvement, loss = self.improvement(trials, belief)
        reward = weight * novelty / self.scale.clamp(min=1e-8) + improvement
        return reward, loss + mean_over(error, step.to(error.dtype))
