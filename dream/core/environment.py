"""What rollouts and methods need of an environment: a Protocol, so that `core` depends on no family.

`dream.envs.MetaEnv` satisfies it, and so does anything that wraps one.
"""

from __future__ import annotations

from typing import Any, Protocol

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray


class Hindsight(Protocol):
    """See `dream.envs.hindsight`: arrays for B members."""

    @property
    def valid(self) -> NDArray[np.bool_]:
        """(B,) there is such a problem and instruction."""
        ...

    @property
    def problem_id(self) -> NDArray[np.int64]:
        """(B,) the problem."""
        ...

    @property
    def instruction(self) -> NDArray[np.int64]:
        """(B, I) the instruction."""
        ...

    @property
    def reward(self) -> NDArray[np.float32]:
        """(B,) of the last step."""
        ...

    @property
    def terminated(self) -> NDArray[np.bool_]:
        """(B,) the last step would have ended the episode."""
        ...


class Problems(Protocol):
    """The problems of a family and their splits."""

    @property
    def factors(self) -> tuple[int, ...]:
        """Number of values of each of the F factors of a problem."""
        ...

    @property
    def factor_table(self) -> NDArray[np.int64]:
        """(problems, F) int64, the factors of every problem."""
        ...

    @property
    def description(self) -> NDArray[np.float32] | None:
        """(problems, K) float32, numbers that describe every problem, where they take the place of factors for f."""
        ...

    def sample(self, split: str, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """n problem ids of a split, (n,) int64, each id as often as every other (to within one)."""
        ...


class Environment(Protocol):
    """B problems of one family, stepped in lockstep. A finished member waits until the next `reset`."""

    @property
    def num_envs(self) -> int:
        """B, members."""
        ...

    @property
    def horizon(self) -> int:
        """Steps after which an episode is truncated."""
        ...

    @property
    def end_action(self) -> int | None:
        """The action that ends the episode, if there is one."""
        ...

    @property
    def problems(self) -> Problems:
        """The problems of the family."""
        ...

    @property
    def single_observation_space(self) -> gym.spaces.Space[Any]:
        """Space of one member's observation."""
        ...

    @property
    def single_action_space(self) -> Any:
        """Space of one member's action: Discrete, MultiDiscrete or a bounded Box."""
        ...

    @property
    def instruction_space(self) -> gym.spaces.MultiDiscrete:
        """Space of one instruction, (I,) ints."""
        ...

    @property
    def np_random(self) -> np.random.Generator:
        """The generator of starts and instructions, seeded by `reset(seed=...)`."""
        ...

    def sample_instruction(self, problem_id: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """One instruction for each problem, (N,) -> (N, I) int64."""
        ...

    def hindsight(self) -> Hindsight | None:
        """What the execution episodes that just ended would have been right for; None: the family does not tell."""
        ...

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start one episode in every member.

        Args:
            seed: of `np_random`, or None to leave it as it is.
            options: "problem_id" (B,), "phase" ("explore" or "execute") and "instruction" (B, I) or None.

        Returns:
            obs (B, ...) and info, with info["instruction"] (B, I).
        """
        ...

    def step(self, actions: NDArray[Any], /) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Actions (B, ...) -> obs (B, ...), reward (B,), terminated (B,), truncated (B,), info."""
        ...
