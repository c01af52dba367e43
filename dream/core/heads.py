"""The last layers of a policy, one head for each learner.

A head returns one tensor (..., O), its output: action values for `q`; for `ppo` the parameters of a distribution over
actions (`dream.core.distributions`), then the value of the observation.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dream.core.actions import Actions
from dream.core.distributions import parameters_of

LearnerName = Literal["q", "ppo"]


class DuelingHead(nn.Module):
    """Q = V + A - mean_a A, the mean taken per state (Wang et al., 2016, arXiv 1511.06581, eq. 9)."""

    def __init__(self, features: int, width: int, actions: int):
        super().__init__()
        self.hidden = nn.Linear(features, width)
        self.value = nn.Linear(width, 1)
        self.advantage = nn.Linear(width, actions)

    def forward(self, features: Tensor) -> Tensor:
        """(..., features) -> (..., actions)."""
        h = F.relu(self.hidden(features))
        advantage = self.advantage(h)
        return self.value(h) + advantage - advantage.mean(-1, keepdim=True)


class ActorCriticHead(nn.Module):
    """A distribution over actions and a value, from a hidden layer each.

    The policy begins nearly independent of its input (last layer scaled by 0.01, Andrychowicz et al., 2021, arXiv
    2006.05990) at given probabilities, so that the action that ends an episode may begin rare. The logarithm of a
    Gaussian's deviation is a parameter that does not depend on the observation.

    Args:
        features: size of the input.
        width: units of the hidden layers.
        actions: of the environment.
        initial: (A,) initial probabilities of Discrete actions; uniform if None.
    """

    def __init__(self, features: int, width: int, actions: Actions, initial: Tensor | None = None):
        super().__init__()
        self.hidden, self.value_hidden = nn.Linear(features, width), nn.Linear(features, width)
        self.value = nn.Linear(width, 1)
        self.policy = nn.Linear(width, sum(actions.sizes) + actions.numbers)
        self.log_deviation = nn.Parameter(torch.full((actions.numbers,), -0.5)) if actions.numbers else None
        assert self.policy.out_features + actions.numbers == parameters_of(actions)
        with torch.no_grad():
            self.policy.weight.mul_(0.01)
            self.policy.bias.zero_()
            if initial is not None and actions.discrete:
                self.policy.bias.copy_(initial.log())

    def forward(self, features: Tensor) -> Tensor:
        """(..., features) -> (..., parameters + 1)."""
        chosen = self.policy(torch.tanh(self.hidden(features)))
        value = self.value(torch.tanh(self.value_hidden(features)))
        if self.log_deviation is None:
            return torch.cat([chosen, value], -1)
        deviation = self.log_deviation.expand(*chosen.shape[:-1], -1)
        return torch.cat([chosen, deviation, value], -1)


def make_head(
    learner: LearnerName, features: int, width: int, actions: Actions, initial: Tensor | None = None
) -> nn.Module:
    """The head of a policy for a learner; arguments as for `ActorCriticHead`."""
    if learner == "q":
        return DuelingHead(features, width, actions.count)
    return ActorCriticHead(features, width, actions, initial)
