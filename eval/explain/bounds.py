"""Untrained explorers and an untrained executor: bounds to compare trained ones with.

They have the same methods as trained ones: `explore` of an `Explorer`, `execute` of an `Executor`.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dream.core.acting import random_actions
from dream.core.actions import Actions
from dream.core.rollout import Now, Policy, PolicyState, no_steps, rollout
from dream.core.trial import Episodes, Trials, all_steps, concatenate
from dream.envs import Expert, MetaEnv, Watcher
from dream.spaces import each

Playable = MetaEnv | Watcher
"""An environment, or a `Watcher` that records what happens in one."""


class Explorer(Protocol):
    """A trained method, or one of the bounds."""

    def explore(
        self, env: Playable, problem_id: NDArray[np.int64], generator: torch.Generator | None = None
    ) -> Episodes:
        """Explorations of B problems, B streams. The problem ids only select the problems."""
        ...


class Executor(Protocol):
    """A trained method, or the expert."""

    def execute(
        self, env: Playable, problem_id: NDArray[np.int64], explore: Episodes, generator: torch.Generator | None = None
    ) -> Trials:
        """Trials of B problems after given explorations, whichever explorer made them.

        Instructions are drawn with `env.sample_instruction(problem_id, env.np_random)`, one for each episode.
        """
        ...


class NoExplorer:
    """Ends exploration before its first step."""

    def explore(
        self, env: Playable, problem_id: NDArray[np.int64], generator: torch.Generator | None = None
    ) -> Episodes:
        """B streams of zero steps."""
        return no_steps(env, problem_id, phase="explore")


class RandomExplorer:
    """Acts at random like the method `random`: uniformly, but the action that ends the episode is rare.

    Args:
        episodes: k, exploration episodes of a trial.
    """

    def __init__(self, episodes: int = 1) -> None:
        self.episodes = episodes

    def explore(
        self, env: Playable, problem_id: NDArray[np.int64], generator: torch.Generator | None = None
    ) -> Episodes:
        """B streams; the generator draws the actions."""
        weight, actions = random_actions(env), Actions(env.single_action_space)

        def policy(now: Now, state: PolicyState) -> tuple[Tensor, PolicyState]:
            return actions.random(weight, len(now.active), generator), None

        return rollout(env, policy, problem_id, phase="explore", episodes=self.episodes)


class ScriptedExplorer:
    """Collects all relevant information with the family's own script (`MetaEnv.scripted_explorer`).

    Args:
        episodes: k, exploration episodes of a trial; each restarts the script.
    """

    def __init__(self, episodes: int = 1) -> None:
        self.episodes = episodes

    def explore(
        self, env: Playable, problem_id: NDArray[np.int64], generator: torch.Generator | None = None
    ) -> Episodes:
        """B streams. Raises NotImplementedError where the family has no script."""
        script: Expert = env.scripted_explorer(env.num_envs)
        actions = Actions(env.single_action_space)

        def policy(now: Now, state: PolicyState) -> tuple[Tensor, PolicyState]:
            nonlocal script
            if bool(now.start.all()):  # members start an episode together
                script = env.scripted_explorer(env.num_envs)
            return _ask(script, now, actions), None

        return rollout(env, policy, problem_id, phase="explore", episodes=self.episodes)


class ExpertExecutor:
    """Given the problem, executes optimally (`MetaEnv.expert`); ignores the exploration.

    Args:
        episodes: n, execution episodes of a trial.
    """

    def __init__(self, episodes: int = 1) -> None:
        self.episodes = episodes

    def execute(
        self, env: Playable, problem_id: NDArray[np.int64], explore: Episodes, generator: torch.Generator | None = None
    ) -> Trials:
        """Trials of B problems. Raises NotImplementedError where the family has no expert."""
        every: Episodes | None = None
        for _ in range(self.episodes):
            instruction = env.sample_instruction(problem_id, env.np_random)
            policy = _following(env.expert(problem_id, instruction), Actions(env.single_action_space))
            episode = rollout(env, policy, problem_id, phase="execute", instruction=instruction)
            every = episode if every is None else concatenate(every, episode)
        assert every is not None
        members = len(problem_id)
        by_trial = torch.arange(self.episodes * members).view(self.episodes, members).T.flatten()
        used_id = torch.ones(members, dtype=torch.bool)
        return Trials(torch.from_numpy(problem_id), explore, every.select(by_trial), all_steps(explore, used_id))


def bound_explorers(env: Playable, episodes: int = 1) -> dict[str, Explorer]:
    """Untrained explorers of a family: random, none, and scripted where the family has a script.

    Args:
        env: any number of members.
        episodes: k, exploration episodes of a trial.
    """
    found: dict[str, Explorer] = {"random": RandomExplorer(episodes), "none": NoExplorer()}
    try:
        env.scripted_explorer(env.num_envs)
    except NotImplementedError:
        return found
    return found | {"scripted": ScriptedExplorer(episodes)}


def bound_executors(env: Playable, episodes: int = 1) -> dict[str, Executor]:
    """{"expert": executor}, empty where the family has no expert.

    Args:
        env: any number of members.
        episodes: n, execution episodes of a trial.
    """
    somewhere = np.resize(env.problems.ids("train"), env.num_envs)
    try:
        env.expert(somewhere, env.sample_instruction(somewhere, np.random.default_rng(0)))
    except NotImplementedError:
        return {}
    return {"expert": ExpertExecutor(episodes)}


def _following(expert: Expert, actions: Actions) -> Policy:
    def policy(now: Now, state: PolicyState) -> tuple[Tensor, PolicyState]:
        return _ask(expert, now, actions), None

    return policy


def _ask(expert: Expert, now: Now, actions: Actions) -> Tensor:
    return actions.stored(expert.act(each(lambda part: part.numpy(), now.obs)))
