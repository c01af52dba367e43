"""The networks of a decoupled pair, and how it explores and executes with them.

No problem id is read here: ids are passed on to the environment, which is to be these problems.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from dream.config import TrainConfig
from dream.core.acting import interleave, random_actions
from dream.core.bottleneck import ProblemEncoder, TrajectoryEncoder
from dream.core.qlearning import epsilon_greedy
from dream.core.rollout import Memory, Now, Policy, no_steps, rollout
from dream.core.trial import Episodes, chain
from dream.execution.executor import Executor
from dream.exploration.learned import LearnedExplorer
from dream.exploration.posterior import GaussianPosterior

ExploreRule = Literal["learned", "random", "none", "posterior"]


class Networks(nn.Module):
    """f, g, the executor and what explores: a learned explorer, a posterior to draw from, or nothing."""

    def __init__(self, env: Any, config: TrainConfig, explore: ExploreRule):
        super().__init__()
        size = config.network
        space, actions = env.single_observation_space, int(env.single_action_space.n)
        z_dim = config.bottleneck.z_dim
        self.f = ProblemEncoder(
            env.problems.factors, width=size.width, z_dim=z_dim, initial_scale=config.bottleneck.init_scale
        )
        self.g = TrajectoryEncoder(
            space,
            actions,
            width=size.width,
            hidden=size.memory_size,
            z_dim=z_dim,
            single=config.learning.transition_batch_size > 0,
        )
        self.executor = Executor(
            space, env.instruction_space, actions, width=size.width, hidden=size.memory_size, z_dim=z_dim
        )
        self.explorer = (
            LearnedExplorer(space, actions, width=size.width, hidden=size.memory_size) if explore == "learned" else None
        )
        self.posterior = GaussianPosterior(size.width, z_dim) if explore == "posterior" else None


class PairActing:
    """Explores and executes with networks that it is given: online ones in training, averaged ones in test trials.

    Args:
        env: of the family.
        config: of the run.
        rule: how it explores.
    """

    def __init__(self, env: Any, config: TrainConfig, rule: ExploreRule):
        self._trial, self._z_dim, self._rule = config.trial, config.bottleneck.z_dim, rule
        self._device = torch.device(config.device)
        self._random_action = random_actions(env)
        self._ends_episode = torch.zeros(int(env.single_action_space.n), dtype=torch.bool, device=self._device)
        if env.end_action is not None:
            self._ends_episode[env.end_action] = True

    @torch.no_grad()
    def explore(
        self,
        env: Any,
        problem_id: np.ndarray,
        networks: Networks,
        epsilon: Tensor,
        generator: torch.Generator | None,
        *,
        may_stop: bool,
    ) -> Episodes:
        """Exploration streams of B problems.

        In training the explorer may not choose to end an episode (random actions may): if it ended too early it would
        never be shown what it misses. What ending is worth is known all the same: nothing.

        Args:
            env: of B members.
            problem_id: (B,) ints.
            networks: that act.
            epsilon: (B,) shares of random actions.
            generator: draws what is random.
            may_stop: whether the explorer may choose to end an episode.
        """
        if self._rule == "none":
            return no_steps(env, problem_id, phase="explore", device=self._device)
        if self._rule == "posterior":
            return self._explore_as_if_true(env, problem_id, networks, epsilon, generator)

        def learned(now: Now, memory: Memory) -> tuple[Tensor, Memory]:
            assert networks.explorer is not None
            seen = networks.g.frames(now.obs, now.active)
            q, memory = networks.explorer.step(seen, now.previous_action, memory)
            if not may_stop:
                q = q.masked_fill(self._ends_episode, -torch.inf)
            return epsilon_greedy(q, epsilon, generator, self._random_action), memory

        def random(now: Now, memory: Memory) -> tuple[Tensor, Memory]:
            drawn = torch.multinomial(self._random_action, len(now.obs), replacement=True, generator=generator)
            return drawn.to(self._device), None

        policy = learned if self._rule == "learned" else random
        episodes = self._trial.explore_episodes
        return rollout(env, policy, problem_id, phase="explore", episodes=episodes, device=self._device)

    @torch.no_grad()
    def execute(
        self,
        env: Any,
        problem_id: np.ndarray,
        networks: Networks,
        z: Tensor,
        epsilon: Tensor,
        generator: torch.Generator | None,
    ) -> Episodes:
        """The execution episodes of B trials on z (B, Z), trial by trial. Other arguments as for `explore`."""
        episodes = []
        for _ in range(self._trial.execute_episodes):
            instruction = env.sample_instruction(problem_id, env.np_random)
            told = torch.from_numpy(instruction).to(self._device)
            policy = self._executing(networks, z, told, epsilon, generator)
            episodes.append(
                rollout(env, policy, problem_id, phase="execute", instruction=instruction, device=self._device)
            )
        return interleave(episodes)

    def _explore_as_if_true(
        self,
        env: Any,
        problem_id: np.ndarray,
        networks: Networks,
        epsilon: Tensor,
        generator: torch.Generator | None,
    ) -> Episodes:
        """Explorations by executing on a z drawn from the posterior, a new one for each episode."""
        assert networks.posterior is not None
        # Not the environment's generator: the instructions of an evaluation are the same whoever explores.
        rng = np.random.default_rng(int(torch.randint(2**31, (), generator=generator)))
        stream: Episodes | None = None
        for _ in range(self._trial.explore_episodes):
            features = None if stream is None else networks.g.transitions(stream)
            noise = torch.randn(len(problem_id), self._z_dim, generator=generator).to(self._device)
            z = networks.posterior.sample(features, stream, noise)
            anyone = env.problems.sample("train", len(problem_id), rng)
            instruction = torch.from_numpy(env.sample_instruction(anyone, rng)).to(self._device)
            policy = self._executing(networks, z, instruction, epsilon, generator)
            episode = rollout(env, policy, problem_id, phase="explore", device=self._device)
            none = int(env.single_action_space.n)
            stream = episode if stream is None else chain(stream, episode, none)
        assert stream is not None
        return stream

    def _executing(
        self, networks: Networks, z: Tensor, instruction: Tensor, epsilon: Tensor, generator: torch.Generator | None
    ) -> Policy:
        def policy(now: Now, memory: Memory) -> tuple[Tensor, Memory]:
            seen = networks.executor.frames(now.obs, now.active)
            q, memory = networks.executor.step(seen, instruction, z, memory)
            return epsilon_greedy(q, epsilon, generator, self._random_action), memory

        return policy
