"""`MetaEnv`, the interface of every problem family: B problems side by side. numpy and gymnasium only, no torch.

What families share (checking arguments, freezing finished members, the time limit, the two phases) is in `reset` and
`step`; a family implements `_begin`, `_advance` and `sample_instruction`. What it may say beyond that is in
`dream.envs.insight` (bounds and explanations) and `dream.envs.drawing` (pictures).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from dream.envs.drawing import Drawn
from dream.envs.hindsight import Hindsight
from dream.envs.insight import Insight
from dream.envs.problems import PHASES, Phase, ProblemSet
from dream.envs.verify import check_observations, check_rewards, checked_actions, checked_instructions, checked_mask
from dream.envs.words import plain
from dream.spaces import Arrays, check_canonical, choose, copied


class MetaEnv(Insight, Drawn, VectorEnv[Arrays, NDArray[Any], NDArray[Any]], ABC):
    """B problems of one family. Autoreset is disabled: a member whose episode ended is frozen until `reset`.

    `reset(seed=None, options=None)` starts an episode in every member, or in those of "reset_mask". Options:
        "problem_id": (B,) ints; by default each member gets a problem of the training split, drawn uniformly.
        "phase": "explore" or "execute" (the default), the same for all members.
        "instruction": (B, I) ints; by default (or None) drawn by `sample_instruction`. An exploration episode has no
            instruction (zeros) and no reward.
        "reset_mask": (B,) bool, gymnasium's partial reset: the other members go on with their episodes, in the same
            phase.
        Returns obs (B, ...) and info with "problem_id" (B,) int64 and "instruction" (B, I) int64.
    `step(actions (B, ...))` returns obs, reward (B,) float32, terminated (B,) bool, truncated (B,) bool, and info with
        "active" (B,) bool: the member made a transition in this step. The end of an episode is reported once. From
        then on the member is frozen: its last observation, reward 0, and terminated, truncated and active False.
        `envs.active` is True for the members that still play: `while envs.active.any(): envs.step(...)`.

    Observations: integers (MultiDiscrete, int16), images (Box, uint8), numbers (Box, float32) or a dictionary of these
    (Dict); actions: Discrete, MultiDiscrete or a bounded Box. `dream.spaces` says more.
    All randomness comes from `self.np_random`, seeded by reset(seed=...).
    """

    metadata: dict[str, Any] = {
        "render_modes": ["rgb_array"],
        "render_fps": 4,
        "autoreset_mode": AutoresetMode.DISABLED,
    }
    autoreset_mode = AutoresetMode.DISABLED

    # Facts about a family, on its class
    default_settings: ClassVar[Mapping[str, Any]] = {}
    """Settings of a training run that differ from the defaults, by dotted name, such as {"steps": 60_000}."""
    bound_settings: ClassVar[Mapping[str, Any]] = {}
    """Settings of a bound that is given the problem, which it needs to be one on test problems too."""
    reference_parameters: ClassVar[Mapping[str, Any] | None] = None
    """Parameters of a slower reference implementation, where there is one; see `dream bench`."""

    horizon: int
    """Steps of an episode before it is truncated."""
    training_horizon: int | None = None
    """Steps of an execution of training before it is truncated, where that is fewer."""
    single_action_space: Any
    """Discrete, MultiDiscrete or a bounded Box."""
    instruction_space: gym.spaces.MultiDiscrete
    """Space of one instruction, (I,) ints."""
    action_names: tuple[str, ...]
    """Of the Discrete actions, or of the K components of an action."""
    end_action: int | None
    """The Discrete action that ends the episode, where the family has one."""
    training: bool = False
    """Whether a policy is trained on these episodes: then some may start part-way. Those that judge it never do."""

    phase: Phase
    """The phase, the same for all members."""
    problem_id: NDArray[np.int64]
    """(B,) problem of each member."""
    instruction: NDArray[np.int64]
    """(B, I) instruction of each member, zeros while exploring."""
    elapsed: NDArray[np.int64]
    """(B,) steps since the start of each member's episode; -1 before the first reset."""
    active: NDArray[np.bool_]
    """(B,) the member's episode has not ended."""

    def __init__(
        self,
        num_envs: int,
        *,
        problems: ProblemSet,
        horizon: int,
        observation_space: gym.Space[Any],
        instruction_space: gym.spaces.MultiDiscrete,
        action_names: Sequence[str],
        end_action: int | None = None,
        action_space: gym.spaces.MultiDiscrete | gym.spaces.Box | None = None,
        render_mode: str | None = None,
    ) -> None:
        """Spaces are those of one member; by default there is a Discrete action for each of `action_names`.

        Raises:
            ValueError: num_envs < 1, horizon < 1, an unknown render mode, or action names that do not fit the actions.
            UserError: spaces that are not canonical (`dream.spaces`).
        """
        if num_envs < 1:
            raise ValueError(f"num_envs is {num_envs}: give at least 1")
        if horizon < 1:
            raise ValueError(f"horizon is {horizon}: give at least 1")
        if render_mode not in (None, "rgb_array"):
            raise ValueError(f"render_mode is {render_mode!r}: the only mode is 'rgb_array'")
        self.num_envs, self.horizon, self.render_mode = num_envs, horizon, render_mode
        self.problems, self.family = problems, plain(problems.family)
        self.action_names, self.end_action = tuple(plain(name) for name in action_names), end_action
        self.instruction_space = instruction_space
        self.single_observation_space = observation_space
        self.single_action_space = action_space or gym.spaces.Discrete(len(self.action_names))
        if action_space is not None and (action_space.shape != (len(self.action_names),) or end_action is not None):
            raise ValueError(
                f"actions {action_space} with the names {self.action_names} and the end action {end_action}: give one "
                "name for each component and no end action"
            )
        check_canonical(observation_space, self.single_action_space)
        self.observation_space = batch_space(observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        # The families of the toolkit are verified by its tests; what others return is verified at every step.
        self._verify = not type(self).__module__.startswith("dream.")
        self.phase = "execute"
        self.problem_id = np.zeros(num_envs, np.int64)
        self.instruction = np.zeros((num_envs, *instruction_space.shape), np.int64)
        self.elapsed = np.full(num_envs, -1)
        self.active, self.acted, self.out_of_time = (np.zeros(num_envs, np.bool_) for _ in range(3))

    # What a family implements

    @abstractmethod
    def _begin(self, members: NDArray[np.int64]) -> Arrays:
        """Put these members (M,) at the start of an episode of `problem_id`, `phase` and `instruction`.

        Returns the observations of all members (B, ...); those of the others are ignored.
        """

    @abstractmethod
    def _advance(self, actions: NDArray[Any]) -> tuple[Arrays, NDArray[np.float32], NDArray[np.bool_]]:
        """Advance every member by one step, actions (B, ...) -> new obs (B, ...), reward (B,) float32, terminated (B,).

        `elapsed` counts this step already. Frozen members may be advanced, too: their results are ignored, as
        is the reward while exploring. `step` handles `end_action` (though not a cost that the family puts on it).
        """

    @abstractmethod
    def sample_instruction(self, problem_id: NDArray[np.integer], rng: np.random.Generator) -> NDArray[np.int64]:
        """Draw an instruction for each problem from its own distribution, (N,) -> (N, I) int64."""

    def check_instruction(self, problem_id: NDArray[np.int64], instruction: NDArray[np.int64]) -> None:
        """Raise ValueError if a problem (N,) never gives this instruction (N, I), which is known to fit the space."""

    def hindsight(self) -> Hindsight | None:
        """What the execution episodes that just ended would have been right for; None: the family does not tell.

        Read in training only, to learn more from sparse rewards.
        """
        return None

    # What every family shares

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Arrays, dict[str, Any]]:
        """Start episodes; see the class. Raises ValueError for options that do not fit."""
        super().reset(seed=seed)
        given = dict(options or {})
        phase = given.pop("phase", self.phase if given.get("reset_mask") is not None else "execute")
        starts = checked_mask(given.pop("reset_mask", None), self.num_envs)
        everyone = bool(starts.all())
        if self.elapsed[0] < 0 and not everyone:
            raise ValueError("reset_mask leaves members out that were never reset: reset all members first")
        ids, instruction = given.pop("problem_id", None), given.pop("instruction", None)
        if given:
            raise ValueError(
                f"unknown reset option {next(iter(given))!r}: {self.family} takes problem_id, phase, instruction and "
                "reset_mask"
            )
        if phase not in PHASES:
            raise ValueError(f"phase is {phase!r}: choose 'explore' or 'execute'")
        if not everyone and phase != self.phase:
            raise ValueError(f"phase is {phase!r} for some members while others {self.phase}: reset all of them")
        if ids is None:
            train = self.problems.ids("train")
            ids = train[self.np_random.integers(len(train), size=self.num_envs)]
        ids = np.where(starts, self.problems.checked(ids, self.num_envs), self.problem_id)
        if phase == "explore":
            if instruction is not None and np.any(instruction):
                raise ValueError("an exploration episode has no instruction: leave it out or give zeros")
            goal = np.zeros_like(self.instruction)
        elif instruction is None:
            goal = self.sample_instruction(ids, self.np_random)
        else:
            goal = self._checked_instructions(ids, instruction, starts)
        self.problem_id, self.phase = ids, phase
        self.instruction = goal if everyone else np.where(starts[:, None], goal, self.instruction)
        self.elapsed = np.where(starts, 0, self.elapsed)
        self.active, self.acted = self.active | starts, self.acted & ~starts
        self.out_of_time = self.out_of_time & ~starts
        self._all_active = bool(self.active.all())
        shorter = self.training_horizon if self.training and phase == "execute" else None
        self._time_limit = self.horizon if shorter is None else min(shorter, self.horizon)
        self._before_limit = self._time_limit - int(self.elapsed.max())
        self.last_reward = np.zeros(self.num_envs, np.float32) if everyone else np.where(starts, 0, self.last_reward)
        obs = self._begin(np.flatnonzero(starts))
        if self._verify:
            check_observations(self.family, self.single_observation_space, obs, self.problem_id, self.elapsed)
        self.last_obs = obs if everyone else choose(starts, obs, self.last_obs)
        return copied(self.last_obs), {"problem_id": ids.copy(), "instruction": self.instruction.copy()}

    def step(
        self, actions: NDArray[Any]
    ) -> tuple[Arrays, NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """One step of every active member; see the class. Raises ValueError for actions (B, ...) that do not fit."""
        if self.elapsed[0] < 0:
            raise RuntimeError("step was called before reset: call reset first")
        actions = checked_actions(self.family, actions, self.num_envs, self.single_action_space)
        self.last_actions = actions
        active = self.acted = self.active
        truncated = np.zeros(self.num_envs, np.bool_)
        if not self._all_active and not active.any():
            self.last_reward = np.zeros(self.num_envs, np.float32)
            nothing = self.last_reward.copy(), truncated.copy(), truncated
            return copied(self.last_obs), *nothing, {"active": active.copy()}
        self.elapsed += 1 if self._all_active else active
        obs, reward, terminated = self._advance(actions)
        if self._verify:
            check_observations(self.family, self.single_observation_space, obs, self.problem_id, self.elapsed)
            check_rewards(self.family, reward, self.problem_id, self.elapsed)
        if self.end_action is not None:
            terminated = terminated | (actions == self.end_action)
        else:
            terminated = terminated.copy()
        if self.phase == "explore":
            reward = np.zeros(self.num_envs, np.float32)
        if not self._all_active:
            obs = choose(active, obs, self.last_obs)
            reward = np.where(active, reward, np.float32(0))
            terminated &= active
            self.active = active & ~terminated
        else:
            self.active = ~terminated
        self._before_limit -= 1  # steps until the first member can be out of time
        if self._before_limit <= 0:
            truncated = self.active & (self.elapsed >= self._time_limit)
            self.active = self.active & ~truncated
            self.out_of_time = self.out_of_time | truncated
        self._all_active = bool(self.active.all())
        self.last_obs, self.last_reward = obs, reward
        return copied(obs), reward.copy(), terminated, truncated, {"active": active.copy()}

    @property
    def spec(self) -> EnvSpec | None:
        """gymnasium's description of the environment; it knows the horizon."""
        return self._spec

    @spec.setter
    def spec(self, value: EnvSpec | None) -> None:
        self._spec = value and replace(value, max_episode_steps=self.horizon)

    _spec: EnvSpec | None = None

    def _checked_instructions(
        self, ids: NDArray[np.int64], instruction: Any, starts: NDArray[np.bool_] | slice = slice(None)
    ) -> NDArray[np.int64]:
        """The instructions of these problems (N,) as (N, I) int64, checked where `starts`; or a ValueError."""
        given = checked_instructions(self.family, self.instruction_space, instruction, len(ids), starts)
        self.check_instruction(ids[starts], given[starts])
        return given
