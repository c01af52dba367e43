"""Prediction gain: the explorer is rewarded for what the problem predicts better than the trajectory alone.

Zhang, Wang, Hu, Chen, Fan, Zhang, "MetaCURE: Meta Reinforcement Learning with Empowerment-Driven Exploration" (ICML
2021, arXiv 2006.08170). The explorer maximises the information I(tau; mu), the sum over steps of the difference between
the prediction errors of (r, o') given the trajectory so far, and given the trajectory and the problem:

    r_t = -log p(r_t, o_t+1 | tau_:t, o_t, a_t) + log p(r_t, o_t+1 | tau_:t, mu, o_t, a_t)

The paper's second predictor is given the problem without the trajectory. That is the same where the observation is the
state, as in its tasks, but not for pixels: a memory of where the agent came from predicts the next frame better, so a
predictor with the problem but without memory would have the larger error at every step. Here both predictors are one
network, with the code of the problem added or not. The difference then measures the problem alone, not what two
networks happen to learn differently, which for frames is far larger than the effect of a few words on a wall.

No family has rewards while exploring, so what is left to predict is o', as in `dream.core.decoding`. Unlike DREAM's
reward, this one rewards whatever distinguishes problems, relevant to the task or not. The trajectory has an encoder of
its own, because g keeps only what the task needs.
"""

from __future__ import annotations

from collections.abc import Sequence

import gymnasium as gym
from torch import Tensor, nn
from torch.nn import functional as F

from dream.core.actions import Actions
from dream.core.bottleneck import ProblemEncoder, TrajectoryEncoder
from dream.core.decoding import Gaussian, ObservationLikelihood
from dream.core.embedding import action_encoder
from dream.core.networks import normed_relu
from dream.core.observations import observation_encoder
from dream.core.trial import Episodes, Observations, Trials
from dream.exploration.base import Belief, ExplorationReward
from dream.exploration.features import mean_over

GRID = (15, 20)
"""Frames are predicted as their mean colours on a grid of this many cells."""
DEVIATION = 0.1
"""Standard deviation of the Gaussians over these colours, which range from 0 to 1, and over standardised numbers."""


def colours(pixels: Tensor) -> Tensor:
    """Mean colours from 0 to 1: (M, C, H, W) float32 from 0 to 255 -> (M, C, 15, 20)."""
    return F.adaptive_avg_pool2d(pixels / 255.0, GRID)


class Prediction(nn.Module):
    """log p(o' | o, a, context), the likelihood of the next observation."""

    def __init__(self, space: gym.Space, actions: Actions, z_dim: int, width: int):
        super().__init__()
        self.likelihood = ObservationLikelihood(space, Gaussian(DEVIATION, GRID, colours))
        self.before = observation_encoder(space, width)
        self.actions = actions
        self.action = action_encoder(actions, width)
        self.context = nn.Linear(z_dim, 2 * width)
        self.hidden = nn.Linear(width, width)
        self.out = nn.Linear(width, self.likelihood.outputs)

    def forward(
        self, frame_features: Tensor, action: Tensor, contexts: Sequence[Tensor], after: Observations
    ) -> list[Tensor]:
        """log p of the next observations given each of several contexts, in nats, for Gaussians up to a constant.

        Args:
            frame_features: (N, T, D) of the observation before.
            action: (N, T, ...).
            contexts: (N, T, Z) each.
            after: (N, T, observation), the next observation.

        Returns:
            (N, T) for each context.
        """
        h = self.before(frame_features) + self.action(self.actions.inputs(action))
        h = F.layer_norm(h, h.shape[-1:])
        found = []
        for context in contexts:
            scale, shift = self.context(context).chunk(2, -1)
            predicted = self.out(normed_relu(self.hidden(normed_relu(h * (1.0 + scale) + shift))))
            found.append(-self.likelihood(predicted, after))
        return found


class PredictionGain(ExplorationReward):
    """r_t = log p(o_t+1 | tau_:t, mu, a_t) - log p(o_t+1 | tau_:t, a_t), in nats."""

    factor_table: Tensor

    def __init__(
        self,
        space: gym.Space,
        actions: Actions,
        factors: Sequence[int],
        factor_table: Tensor,
        *,
        width: int,
        memory_size: int,
        numbers: int = 0,
    ):
        super().__init__()
        z_dim = width
        self.problem = ProblemEncoder(factors, width=width, z_dim=z_dim, initial_scale=1.0, numbers=numbers)
        self.trajectory = TrajectoryEncoder(space, actions, width=width, memory_size=memory_size, z_dim=z_dim)
        self.prediction = Prediction(space, actions, z_dim, width)
        self.register_buffer("factor_table", factor_table, persistent=False)

    def forward(self, trials: Trials, belief: Belief) -> tuple[Tensor, Tensor]:
        """Reward (N, T) and loss ()."""
        explore = trials.explore
        informed, uninformed = self._log_likelihoods(trials.problem_id, explore)
        weight = explore.transition.to(informed.dtype)
        loss = -mean_over(informed + uninformed, weight) / self._unit
        return (informed - uninformed).detach() * weight, loss

    def _log_likelihoods(self, problem_id: Tensor, explore: Episodes) -> tuple[Tensor, Tensor]:
        """(N, T) of each next observation, given trajectory and problem, and given the trajectory only."""
        features = self.trajectory.encode_frames(explore)
        trajectory = self.trajectory(explore, features)[:, :-1]
        problem = self.problem(self.factor_table.index_select(0, problem_id))[:, None]
        contexts = (trajectory + problem, trajectory)
        informed, uninformed = self.prediction(features[:, :-1], explore.action, contexts, explore.next_obs)
        return informed, uninformed

    @property
    def _unit(self) -> float:
        """The loss is divided by this: the nats of a frame are in the thousands."""
        continuous = self.prediction.likelihood.continuous
        return continuous / (2.0 * DEVIATION**2) if continuous else 1.0
