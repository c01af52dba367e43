"""Turns any gymnasium env whose reset takes a problem id into a `MetaEnv`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from dream.envs.base import MetaEnv, integer_space
from dream.envs.problems import ProblemSet

SampleInstruction = Callable[[NDArray[np.integer], np.random.Generator], NDArray[np.int64]]


class GymnasiumAdapter(MetaEnv):
    """Copies of a gymnasium env side by side, one per member, stepped in a Python loop.

    Each episode starts with `env.reset(seed=..., options={"problem_id": int, "phase": "explore" | "execute",
    "instruction": (I,) int64})`; the env uses what it wants of these. It alone decides what ends an episode: one whose
    goal should not end an exploration episode has to look at the phase. The exploration phase pays nothing, whatever
    the env returns.

    Args:
        make_env: makes one env. Actions: Discrete. Observations: Discrete (shown as (1,) ints), MultiDiscrete of one
            dimension (D,), or images Box uint8 (H, W, 3).
        num_envs: members.
        problems: the problems and their splits, see `split_problems`.
        horizon: steps of an episode; an env with a time limit of its own must not have a shorter one.
        instruction_space: space of an instruction, (I,) ints; by default a single value: an env without instructions.
        sample_instruction: (N,) problems, generator -> (N, I) instructions; by default uniform over the space.
        action_names: by default "action 0", "action 1", ...
        end_action: the action that ends an episode, where the env has one.
        render_mode: None or "rgb_array", which shows the env's own frames if it was made with that mode.

    Raises:
        ValueError: spaces that do not fit. `step` raises RuntimeError when an env's own time limit ends an episode
            before the horizon.
    """

    summary = "a third-party gymnasium env"

    def __init__(
        self,
        make_env: Callable[[], gym.Env[Any, Any]],
        num_envs: int,
        *,
        problems: ProblemSet,
        horizon: int,
        instruction_space: gym.spaces.MultiDiscrete | None = None,
        sample_instruction: SampleInstruction | None = None,
        action_names: Sequence[str] | None = None,
        end_action: int | None = None,
        render_mode: str | None = None,
    ) -> None:
        self.envs = [make_env() for _ in range(max(1, num_envs))]
        actions = self.envs[0].action_space
        if not isinstance(actions, gym.spaces.Discrete):
            raise ValueError(f"action space {actions} cannot be adapted: it must be Discrete")
        if action_names is None:
            action_names = [f"action {i}" for i in range(int(actions.n))]
        if len(action_names) != actions.n:
            raise ValueError(f"{len(action_names)} action names for {actions.n} actions: give one for each")
        super().__init__(
            num_envs,
            problems=problems,
            horizon=horizon,
            observation_space=_adapted_space(self.envs[0].observation_space),
            instruction_space=instruction_space or gym.spaces.MultiDiscrete([1]),
            action_names=action_names,
            end_action=end_action,
            render_mode=render_mode,
        )
        self._first_action = int(actions.start)
        self._sample_instruction = sample_instruction

    def sample_instruction(self, problem_id: NDArray[np.integer], rng: np.random.Generator) -> NDArray[np.int64]:
        """One instruction for each problem, (N,) -> (N, I) int64."""
        if self._sample_instruction is not None:
            return np.asarray(self._sample_instruction(problem_id, rng), np.int64)
        sizes = self.instruction_space.nvec
        return rng.integers(sizes, size=(len(problem_id), *sizes.shape))

    def _begin(self) -> NDArray[Any]:
        seeds = self.np_random.integers(2**31, size=self.num_envs).tolist()
        obs = []
        for env, seed, problem_id, instruction in zip(
            self.envs, seeds, self.problem_id.tolist(), self.instruction, strict=True
        ):
            options = {"problem_id": problem_id, "phase": self.phase, "instruction": instruction.copy()}
            obs.append(env.reset(seed=seed, options=options)[0])
        return self._stack(obs)

    def _advance(self, actions: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[np.float32], NDArray[np.bool_]]:
        obs, reward = self.last_obs.copy(), np.zeros(self.num_envs, np.float32)
        terminated = np.zeros(self.num_envs, np.bool_)
        for member in np.flatnonzero(self._active).tolist():
            action = int(actions[member]) + self._first_action
            seen, paid, ended, out_of_time, _ = self.envs[member].step(action)
            if out_of_time and not ended and self.elapsed < self.horizon:
                raise RuntimeError(
                    f"the env's own time limit ended an episode at step {self.elapsed}, before the horizon of "
                    f"{self.horizon}: give horizon={self.elapsed}, or lift its limit"
                )
            obs[member], reward[member], terminated[member] = self._stack([seen])[0], paid, ended
        return obs, reward, terminated

    def _stack(self, obs: list[Any]) -> NDArray[Any]:
        """Observations of the envs as (n, ...) of the adapted space's type."""
        space = self.envs[0].observation_space
        if isinstance(space, gym.spaces.Discrete):
            return (np.array(obs, np.int64)[:, None] - int(space.start)).astype(np.int16)
        if isinstance(space, gym.spaces.MultiDiscrete):
            return (np.array(obs, np.int64) - space.start).astype(np.int16)
        return np.array(obs, np.uint8)

    def render_members(self, members: Sequence[int] | None = None) -> list[NDArray[np.uint8]]:
        """The envs' own frames where they make any, else `MetaEnv`'s pictures."""
        if self.envs[0].render_mode != "rgb_array":
            return super().render_members(members)
        chosen = range(self.num_envs) if members is None else members
        return [np.asarray(self.envs[member].render(), np.uint8) for member in chosen]

    def close_extras(self, **kwargs: Any) -> None:
        """Close every env."""
        for env in self.envs:
            env.close()


def _adapted_space(space: gym.Space[Any]) -> gym.spaces.MultiDiscrete | gym.spaces.Box:
    if isinstance(space, gym.spaces.Discrete) and space.n <= np.iinfo(np.int16).max:
        return integer_space([int(space.n)])
    if (
        isinstance(space, gym.spaces.MultiDiscrete)
        and space.nvec.ndim == 1
        and space.nvec.max() <= np.iinfo(np.int16).max
    ):
        return integer_space(space.nvec.tolist())
    if isinstance(space, gym.spaces.Box) and space.dtype == np.uint8 and len(space.shape) == 3 and space.shape[2] == 3:
        return space
    raise ValueError(
        f"observation space {space} cannot be adapted: it must be Discrete or MultiDiscrete (D,) with fewer than 32768 "
        "values each, or Box uint8 (H, W, 3)"
    )
