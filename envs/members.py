"""Gymnasium envs side by side, as `GymnasiumAdapter` steps them: in a Python loop, or in worker processes.

Both have the same methods, and what is computed for a member is the same code, so the results are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from dream.envs.canonical import canonical_actions, canonical_observations, floats_as_declared
from dream.envs.verify import refuse_observation
from dream.errors import UserError
from dream.spaces import Arrays, each, zeros

Codes = Mapping[str, Any] | Sequence[int] | None


class Members:
    """Envs of some members, stepped one after the other.

    Args:
        make_env: makes one env.
        count: M, the members.
        family: for messages.
        horizon: steps that an env must allow.
        codes: of images whose pixels are categories, see `canonical_observations`.

    Raises:
        ValueError: spaces without canonical form, or a time limit of the env that is shorter than the horizon.
    """

    def __init__(
        self, make_env: Callable[[], gym.Env[Any, Any]], count: int, family: str, horizon: int, codes: Codes = None
    ) -> None:
        self.envs = [make_env()]
        """The envs; all but the first are made by the first `reset`."""
        self.make_env, self.count, self.family, self.horizon = make_env, count, family, horizon
        first = self.envs[0]
        self.action_space: Any
        self.observation_space, self._observed = canonical_observations(first.observation_space, codes)
        self.action_space, self._own_action = canonical_actions(first.action_space)
        self.render_mode = first.render_mode
        limit = first.spec.max_episode_steps if first.spec else None
        if limit is not None and limit < horizon:
            raise ValueError(
                f"the time limit of {first.spec.id if first.spec else first} is {limit} steps, shorter than the "
                f"horizon of {horizon}: give horizon={limit}, or gymnasium.make(..., max_episode_steps={horizon})"
            )
        self.reads_problem = False
        """Whether an env's `reset` looked at options["problem_id"]."""
        self._obs = zeros(self.observation_space, count)
        self._problem_id, self._elapsed = np.zeros(count, np.int64), np.zeros(count, np.int64)

    def reset(
        self,
        phase: str,
        starts: NDArray[np.bool_],
        seeds: NDArray[np.int64],
        problem_id: NDArray[np.int64],
        instruction: NDArray[np.int64],
    ) -> Arrays:
        """Start an episode in the members of `starts` (M,), with (M,) seeds and problems and (M, I) instructions.

        Returns the observations of all members, (M, ...). Raises UserError for one outside the env's space.
        """
        for member in np.flatnonzero(starts).tolist():
            while len(self.envs) <= member:
                self.envs.append(self.make_env())
            self._problem_id[member], self._elapsed[member] = problem_id[member], 0
            options = _Options(problem_id=int(problem_id[member]), phase=phase, instruction=instruction[member].copy())
            obs, _ = self.envs[member].reset(seed=int(seeds[member]), options=options)
            self.reads_problem |= options.read_problem
            self._observe(obs, member)
        return self._obs

    def step(
        self, actions: NDArray[Any], active: NDArray[np.bool_]
    ) -> tuple[Arrays, NDArray[np.float32], NDArray[np.bool_]]:
        """Step the members that are active, (M, ...), (M,) -> obs (M, ...), reward (M,), terminated (M,).

        Raises:
            UserError: an observation outside the env's space, or an episode that the env truncates before the horizon.
        """
        rewards, terminated = np.zeros(self.count, np.float32), np.zeros(self.count, np.bool_)
        for member in np.flatnonzero(active).tolist():
            action = self._own_action(actions[member])
            if isinstance(action, np.integer):
                action = int(action)
            obs, reward, ended, out_of_time, _ = self.envs[member].step(action)
            self._elapsed[member] += 1
            step = int(self._elapsed[member])
            if out_of_time and not ended and step < self.horizon:
                raise UserError(
                    f"{self.family} has a time limit of its own that ended an episode at step {step}, before the "
                    f"horizon of {self.horizon}: give horizon={step}, or lift its limit"
                )
            self._observe(obs, member)
            rewards[member], terminated[member] = reward, ended
        return self._obs, rewards, terminated

    def frames(self, members: Sequence[int]) -> list[NDArray[np.uint8]]:
        """The envs' own pictures, (H, W, 3) uint8 each."""
        return [np.asarray(self.envs[member].render(), np.uint8) for member in members]

    def close(self) -> None:
        """Close every env."""
        for env in self.envs:
            env.close()

    def _observe(self, obs: Any, member: int) -> None:
        """Keep an env's observation in canonical form. Raises UserError if it is not in the env's own space."""
        space = self.envs[member].observation_space
        obs = floats_as_declared(space, obs)
        if not space.contains(obs):
            refuse_observation(self.family, space, obs, int(self._problem_id[member]), int(self._elapsed[member]))
        each(lambda kept, new: kept.__setitem__(member, new), self._obs, self._observed(obs))


class _Options(dict[str, Any]):
    """Reset options that note whether "problem_id" was read, by itself or with all of them."""

    read_problem = False

    def __getitem__(self, key: str) -> Any:
        self.read_problem |= key == "problem_id"
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        self.read_problem |= key == "problem_id"
        return super().get(key, default)

    def pop(self, key: str, *default: Any) -> Any:
        self.read_problem |= key == "problem_id"
        return super().pop(key, *default)

    def __iter__(self) -> Iterator[str]:
        self.read_problem = True
        return super().__iter__()

    def items(self) -> Any:
        self.read_problem = True
        return super().items()

    def copy(self) -> dict[str, Any]:
        self.read_problem = True
        return dict(super().items())
