"""Random network distillation: the explorer is rewarded for observations that a predictor has not learned yet.

Burda, Edwards, Storkey, Klimov, "Exploration by Random Network Distillation" (2019, arXiv 1810.12894), section 2.2: a
fixed random network phi maps observations to features, a predictor phi^ is trained to match them, and

    r_t = |phi^(o_t+1) - phi(o_t+1)|^2

As in the paper the reward is divided by a running scale (here for every exploration reward). The paper also normalises
observations, because otherwise the features of all of them are nearly the same; here layer norm in both networks does
that. Unlike in the paper the bonus ends with the trial. Rewards are computed when a trial is replayed, so they fall as
the predictor learns. The predictor does not depend on the problem: an observation that is new in this problem but
common in others is not novel.
"""

from __future__ import annotations

import gymnasium as gym
from torch import Tensor

from dream.core.trial import Trials
from dream.exploration.base import Belief, ExplorationReward
from dream.exploration.features import ObservationFeatures, mean_over


class RandomNetworkDistillation(ExplorationReward):
    """r_t = mean squared error of the predictor for the observation after step t."""

    def __init__(self, space: gym.Space, width: int):
        super().__init__()
        self.target = ObservationFeatures(space, width).requires_grad_(False)
        self.predictor = ObservationFeatures(space, width)

    def forward(self, trials: Trials, belief: Belief) -> tuple[Tensor, Tensor]:
        """Reward (N, T) and loss ()."""
        explore = trials.explore
        obs, step = explore.next_obs, explore.transition
        error = (self.predictor(obs, step) - self.target(obs, step)).square().mean(-1)
        return error.detach() * step, mean_over(error, step.to(error.dtype))
