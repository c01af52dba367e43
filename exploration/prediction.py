"""Dynamics and reward prediction: the explorer is paid for what its trajectory cannot predict and the problem could.

Zhang, Wang, Hu, Chen, Fan, Zhang, "MetaCURE: Meta Reinforcement Learning with Empowerment-Driven Exploration" (ICML
2021, arXiv 2006.08170). The explorer maximises the information I(tau; mu), the sum over the steps of the difference of
two prediction errors of (r, o'), that of one who has the trajectory so far and that of one who has the problem as well:

    r_t = -log p(r_t, o_t+1 | tau_:t, o_t, a_t) + log p(r_t, o_t+1 | tau_:t, mu, o_t, a_t)

The paper's second predictor has no trajectory, which is the same where the observation is the state, as in its tasks.
From pixels it is not: a memory of where the agent came from predicts the next frame better, and to one who knows the
problem but has no memory every step would look like a loss. Both are one network here, with the code of the problem
added or not: what the difference pays for is then the problem alone, and not what two networks have happened to learn
differently, which in frames is many times more than a few words on a wall.

An exploration pays no rewards in any family here, so what remains is o'. Integers are predicted by a categorical
for each component, frames by a Gaussian for their colours on a coarse grid. Unlike DREAM's reward it pays for whatever
tells problems apart, whether the task needs it or not. The belief is a memory of its own, as g keeps only what the task
needs.
"""

from __future__ import annotations

from collections.abc import Sequence

import gymnasium as gym
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dream.core.bottleneck import ProblemEncoder, TrajectoryEncoder
from dream.core.frames import is_frame
from dream.core.networks import DiscreteEncoder, normed_relu, observation_encoder
from dream.core.trial import Episodes, Trials
from dream.exploration.base import Belief, RewardModel
from dream.exploration.features import mean_over

GRID = (15, 20)
"""Frames are predicted by their mean colours on a grid of this many cells."""
DEVIATION = 0.1
"""Standard deviation of the Gaussian that predicts them, colours from 0 to 1."""


class Prediction(nn.Module):
    """log p(o' | o, a, context), the likelihood of the next observation."""

    def __init__(self, space: gym.Space, actions: int, z_dim: int, width: int):
        super().__init__()
        self.frames = is_frame(space)
        if isinstance(space, gym.spaces.MultiDiscrete):
            self.sizes = [int(n) for n in space.nvec]
        else:
            self.sizes = [space.shape[-1] * GRID[0] * GRID[1]]  # type: ignore[index]
        self.before = observation_encoder(space, width)
        self.action = DiscreteEncoder([actions + 1], width)
        self.context = nn.Linear(z_dim, 2 * width)
        self.hidden = nn.Linear(width, width)
        self.out = nn.Linear(width, sum(self.sizes))

    def forward(self, seen: Tensor, action: Tensor, contexts: Sequence[Tensor], after: Tensor) -> list[Tensor]:
        """Log-likelihood in nats, up to a constant for frames, of the same observations for each of some contexts.

        Args:
            seen: (N, T, D) what `frame_encoder` makes of the observation before.
            action: (N, T).
            contexts: (N, T, Z) each.
            after: (N, T, observation) the next one.

        Returns:
            (N, T) for each context.
        """
        h = self.before(seen) + self.action(action[..., None])
        h = F.layer_norm(h, h.shape[-1:])
        predictions = []
        for context in contexts:
            scale, shift = self.context(context).chunk(2, -1)
            predictions.append(self.out(normed_relu(self.hidden(normed_relu(h * (1.0 + scale) + shift)))))
        if self.frames:
            pixels = after.flatten(0, 1).permute(0, 3, 1, 2).float() / 255.0
            colours = F.adaptive_avg_pool2d(pixels, GRID).flatten(1).view(predictions[0].shape)
            return [-(predicted - colours).square().sum(-1) / (2.0 * DEVIATION**2) for predicted in predictions]
        return [self._log_likelihood(predicted, after) for predicted in predictions]

    def _log_likelihood(self, predicted: Tensor, after: Tensor) -> Tensor:
        """Of integers: (N, T, logits), (N, T, components) -> (N, T)."""
        parts = [
            logits.log_softmax(-1).gather(-1, after[..., i, None].long())[..., 0]
            for i, logits in enumerate(predicted.split(self.sizes, -1))
        ]
        return torch.stack(parts).sum(0)


class PredictionGain(RewardModel):
    """What knowing the problem would add, in nats, to predicting each step from the trajectory before it."""

    factor_table: Tensor

    def __init__(
        self, space: gym.Space, actions: int, factors: Sequence[int], factor_table: Tensor, *, width: int, memory: int
    ):
        super().__init__()
        z_dim = width
        self.problem = ProblemEncoder(factors, width=width, z_dim=z_dim, initial_scale=1.0)
        self.trajectory = TrajectoryEncoder(space, actions, width=width, hidden=memory, z_dim=z_dim)
        self.prediction = Prediction(space, actions, z_dim, width)
        self.register_buffer("factor_table", factor_table, persistent=False)

    def forward(self, trials: Trials, belief: Belief) -> tuple[Tensor, Tensor]:
        """Reward (N, T) and loss ()."""
        explore = trials.explore
        knows, guesses = self._log_likelihoods(trials.problem_id, explore)
        weight = explore.transition.to(knows.dtype)
        loss = -mean_over(knows + guesses, weight) / self._unit
        return ((knows - guesses).detach() * weight), loss

    def _log_likelihoods(self, problem_id: Tensor, explore: Episodes) -> tuple[Tensor, Tensor]:
        """Of each next observation, for the one who knows the problem, too, and the one who has the trajectory only."""
        seen = self.trajectory.see(explore)
        guess = self.trajectory(explore, seen)[:, :-1]
        problem = self.problem(self.factor_table.index_select(0, problem_id))[:, None]
        before, after = seen[:, :-1], explore.obs[:, 1:]
        knows, guesses = self.prediction(before, explore.action, (guess + problem, guess), after)
        return knows, guesses

    @property
    def _unit(self) -> float:
        """What the loss is divided by: the nats of a frame are in the thousands."""
        return self.prediction.sizes[0] / (2.0 * DEVIATION**2) if self.prediction.frames else 1.0
