"""Intrinsic curiosity: the explorer is rewarded for transitions whose outcome a forward model cannot predict.

Pathak, Agrawal, Efros, Darrell, "Curiosity-driven Exploration by Self-supervised Prediction" (2017, arXiv 1705.05363).
Features phi are learned with an inverse model (which action led from o_t to o_t+1?), so they represent what the agent
can influence. A forward model predicts the next features:

    r_t = |phi^(phi(o_t), a_t) - phi(o_t+1)|^2 / 2                       eq. 6
    loss = (1 - beta) L_inverse + beta L_forward, beta = 0.2             eq. 7

L_inverse is the cross-entropy of a Discrete action, as in the paper; of MultiDiscrete actions the sum of those of all
integers; of a Box |a^ - a|^2 / 2, with actions in units of their bounds.
"""

from __future__ import annotations

import gymnasium as gym
import torch
from torch import Tensor, nn

from dream.core.actions import Actions
from dream.core.distributions import log_prob
from dream.core.trial import Trials
from dream.exploration.base import Belief, ExplorationReward
from dream.exploration.features import ObservationFeatures, mean_over

BETA = 0.2
"""Weight of the forward loss against the inverse loss, as in the paper."""


class IntrinsicCuriosity(ExplorationReward):
    """r_t = half the squared error of the forward model in the space of the inverse model's features."""

    def __init__(self, space: gym.Space, actions: Actions, width: int):
        super().__init__()
        self.actions = actions
        described = sum(actions.sizes) + actions.numbers
        self.features = ObservationFeatures(space, width)
        self.inverse = nn.Sequential(nn.Linear(2 * width, width), nn.ReLU(), nn.Linear(width, described))
        self.forward_model = nn.Sequential(nn.Linear(width + described, width), nn.ReLU(), nn.Linear(width, width))

    def forward(self, trials: Trials, belief: Belief) -> tuple[Tensor, Tensor]:
        """Reward (N, T) and loss ()."""
        explore = trials.explore
        phi = self.features(explore.obs, explore.observed)
        before, after = phi[:, :-1], phi[:, 1:]
        action = self.actions.taken(explore.action)  # reset steps have no weight in the loss
        inverse = self._inverse_loss(self.inverse(torch.cat([before, after], -1)), action)
        given = torch.cat([before, self.actions.features(action)], -1)
        error = 0.5 * (self.forward_model(given) - after).square().sum(-1)
        weight = explore.transition.to(phi.dtype)
        loss = (1.0 - BETA) * mean_over(inverse, weight) + BETA * mean_over(error, weight)
        return error.detach() * weight, loss

    def _inverse_loss(self, predicted: Tensor, action: Tensor) -> Tensor:
        """Logits of integers or predicted numbers (N, T, F), actions (N, T, ...) -> (N, T)."""
        if self.actions.numbers:
            return 0.5 * (predicted - action).square().sum(-1)
        return -log_prob(predicted, action, self.actions)
