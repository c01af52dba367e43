"""The networks of a decoupled pair."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dream.config import TrainConfig
from dream.core.acting import random_actions
from dream.core.actions import Actions
from dream.core.bottleneck import ProblemEncoder, TrajectoryEncoder, prefix_at
from dream.core.environment import Environment
from dream.core.ppo import ValueNorm
from dream.core.trial import Episodes
from dream.execution.executor import LearnedExecutor
from dream.exploration.learned import LearnedExplorer
from dream.exploration.posterior import GaussianPosterior
from dream.methods.encoding import described_by, observation_space, policy_space
from dream.methods.rules import ExploreRule


class PairNetworks(nn.Module):
    """f, g, the executor, and what explores: a learned explorer, a posterior to sample from, or neither.

    Args:
        env: of the family.
        config: of the run.
        explore: how it explores.
    """

    def __init__(self, env: Environment, config: TrainConfig, explore: ExploreRule):
        super().__init__()
        space, actions = observation_space(env, config), Actions(env.single_action_space)
        width, memory_size, z_dim = config.network.width, config.network.memory_size, config.bottleneck.z_dim
        self.f = ProblemEncoder(
            env.problems.factors,
            width=width,
            z_dim=z_dim,
            initial_scale=config.bottleneck.init_scale,
            numbers=described_by(env),
        )
        self.g = TrajectoryEncoder(
            space,
            actions,
            width=width,
            memory_size=memory_size,
            z_dim=z_dim,
            single=config.learning.transition_batch_size > 0,
        )
        self.executor = LearnedExecutor(
            policy_space(env, config, "executor"),
            env.instruction_space,
            actions,
            learner=config.executor.learner,
            width=width,
            memory_size=memory_size,
            z_dim=z_dim,
            asks=config.network.instruction == "query",
            sees_action=config.executor.previous_action == "observed",
            initial=random_actions(env),
        )
        self.explorer = (
            LearnedExplorer(
                policy_space(env, config, "explorer"),
                actions,
                learner=config.explorer.learner,
                own_frames=config.explorer.learner == "ppo" or config.explorer.observation is not None,
                width=width,
                memory_size=memory_size,
                initial=random_actions(env),
            )
            if explore == "learned"
            else None
        )
        self.posterior = GaussianPosterior(width, z_dim) if explore == "posterior" else None
        on_policy = config.explorer.learner == "ppo" and explore == "learned"
        self.explorer_returns = ValueNorm() if on_policy else None
        self.executor_returns = ValueNorm() if config.executor.learner == "ppo" else None

    @torch.no_grad()
    def decode(self, explore: Episodes, steps: Tensor, noise: Tensor | None = None) -> Tensor:
        """The executor's z after the first `steps` (N,) of N explorations, (N, Z): g(tau_:t).

        With a posterior and noise (N, Z), after a part of the exploration z is a sample from the posterior instead, so
        that the executor of posterior sampling learns how far to trust its samples.
        """
        transitions = self.g.transitions(explore)
        z = prefix_at(self.g.read(transitions), steps)
        if self.posterior is not None and noise is not None:
            sampled = self.posterior.sample(transitions, explore, noise, steps)
            z = torch.where((steps < explore.length)[:, None], sampled, z)
        return z
