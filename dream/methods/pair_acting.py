"""How a decoupled pair explores and executes.

No problem id is read here: ids are only passed to the environment, where they select the problems.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from dream.config import TrainConfig
from dream.core.acting import ActionChooser, interleave
from dream.core.environment import Environment
from dream.core.hindsight import as_tensors
from dream.core.rollout import Now, Policy, PolicyState, no_steps, rollout
from dream.core.trial import Episodes, Hindsight, chain
from dream.methods.pair_networks import PairNetworks
from dream.methods.rules import ExploreRule


class PairActing:
    """Explores and executes with the networks that it is given: online ones in training, averaged ones at test time.

    Args:
        env: of the family.
        config: of the run.
        rule: how it explores.
    """

    def __init__(self, env: Environment, config: TrainConfig, rule: ExploreRule):
        self._trial, self._z_dim, self._rule = config.trial, config.bottleneck.z_dim, rule
        self._device = torch.device(config.device)
        repeat = config.learning.repeat_action
        self._explorer = ActionChooser(env, config.explorer.learner, self._device, repeat)
        self._executor = ActionChooser(env, config.executor.learner, self._device, repeat)

    @torch.no_grad()
    def explore(
        self,
        env: Environment,
        problem_id: np.ndarray,
        networks: PairNetworks,
        epsilon: Tensor,
        generator: torch.Generator | None,
        *,
        may_stop: bool,
    ) -> Episodes:
        """Exploration streams of B problems.

        In training an explorer that learns by `q` must not choose to end an episode (random actions may): otherwise, if
        it ended too early, it would never observe what it misses. Its value of ending is known to be zero anyway. One
        that learns by `ppo` may: it learns from what it does, and starts by ending rarely.

        Args:
            env: of B members.
            problem_id: (B,) ints.
            networks: that act.
            epsilon: (B,) shares of random actions, see `ActionChooser`.
            generator: draws random actions and posterior samples.
            may_stop: whether an explorer that learns by `q` may choose to end an episode.
        """
        if self._rule == "none":
            return no_steps(env, problem_id, phase="explore", device=self._device)
        if self._rule == "posterior":
            return self._explore_by_posterior_sampling(env, problem_id, networks, epsilon, generator)

        def learned(now: Now, state: PolicyState) -> tuple[Tensor, PolicyState]:
            assert networks.explorer is not None
            features = networks.explorer.encode_frames(now.obs, now.active, networks.g.frames)
            out, state = networks.explorer.step(features, now.previous_action, state)
            previous = now.previous_action
            return self._explorer(out, epsilon, generator, may_end=may_stop, previous=previous), state

        def random(now: Now, state: PolicyState) -> tuple[Tensor, PolicyState]:
            return self._explorer.random(len(now.active), generator, now.previous_action), None

        policy = learned if self._rule == "learned" else random
        episodes = self._trial.explore_episodes
        return rollout(env, policy, problem_id, phase="explore", episodes=episodes, device=self._device)

    @torch.no_grad()
    def execute(
        self,
        env: Environment,
        problem_id: np.ndarray,
        networks: PairNetworks,
        z: Tensor,
        epsilon: Tensor,
        generator: torch.Generator | None,
        *,
        in_hindsight: bool = False,
    ) -> tuple[Episodes, Hindsight | None]:
        """The execution episodes of B trials on z (B, Z), trial by trial. Other arguments as for `explore`.

        With `in_hindsight` also what they would have been right for, if the family tells.
        """
        episodes, told = [], []
        for _ in range(self._trial.execute_episodes):
            instruction = env.sample_instruction(problem_id, env.np_random)
            given = torch.from_numpy(instruction).to(self._device)
            policy = self._execution_policy(networks, z, given, epsilon, generator)
            episodes.append(
                rollout(env, policy, problem_id, phase="execute", instruction=instruction, device=self._device)
            )
            if in_hindsight and (hindsight := env.hindsight()) is not None:
                told.append(hindsight)
        return interleave(episodes), as_tensors(told, self._device) if told else None

    def _explore_by_posterior_sampling(
        self,
        env: Environment,
        problem_id: np.ndarray,
        networks: PairNetworks,
        epsilon: Tensor,
        generator: torch.Generator | None,
    ) -> Episodes:
        """Explorations by executing on a z sampled from the posterior, a new one for each episode."""
        assert networks.posterior is not None
        # Not the environment's generator: the instructions of an evaluation must not depend on the explorer.
        rng = np.random.default_rng(int(torch.randint(2**31, (), generator=generator)))
        stream: Episodes | None = None
        for _ in range(self._trial.explore_episodes):
            transitions = None if stream is None else networks.g.transitions(stream)
            noise = torch.randn(len(problem_id), self._z_dim, generator=generator).to(self._device)
            z = networks.posterior.sample(transitions, stream, noise)
            train = env.problems.sample("train", len(problem_id), rng)
            instruction = torch.from_numpy(env.sample_instruction(train, rng)).to(self._device)
            policy = self._execution_policy(networks, z, instruction, epsilon, generator)
            episode = rollout(env, policy, problem_id, phase="explore", device=self._device)
            stream = episode if stream is None else chain(stream, episode, self._executor.actions)
        assert stream is not None
        return stream

    def _execution_policy(
        self,
        networks: PairNetworks,
        z: Tensor,
        instruction: Tensor,
        epsilon: Tensor,
        generator: torch.Generator | None,
    ) -> Policy:
        def policy(now: Now, state: PolicyState) -> tuple[Tensor, PolicyState]:
            features = networks.executor.frames(now.obs, now.active)
            out, state = networks.executor.step(features, now.previous_action, instruction, z, state)
            return self._executor(out, epsilon, generator, previous=now.previous_action), state

        return policy
