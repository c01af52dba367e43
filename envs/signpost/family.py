"""Signpost: one bit (or a few) to discover. A toy on which a working method learns within seconds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from dream.envs.base import MetaEnv
from dream.envs.insight import Expert, Part
from dream.envs.problems import ProblemSet
from dream.envs.single_instruction import SingleInstruction
from dream.spaces import integer_space

LEFT, RIGHT, PRESS_A = range(3)
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class Signpost(SingleInstruction, MetaEnv):
    """A corridor of five cells with a sign at its right end; obs (x, sign), start x = 4 - distance.

    sign is problem_id + 1 at x = 4 in the exploration phase, else 0. In execution the right button (A for problem 0, B
    for problem 1) gives reward 1, any other button -1, and each ends the episode; steps are free. The optimal return is
    1, without exploration 0. All problems are in every split; the instruction is always 0. The actions are left, right,
    one for each button, end-episode.

    Args:
        num_envs: members.
        buttons: 2 to 26, the number of problems. With more buttons a random one is worth less, so the reward for
            reading the sign comes later, and until then a policy that is trained end to end unlearns both.
        distance: 0 to 4, steps from the start to the sign. At 0 it is read at the start, without exploring.
        render_mode: None or "rgb_array".

    Raises:
        ValueError: another number of buttons or steps.
    """

    summary = "read one bit off a sign, then press the right one of two buttons (2 problems, for tests)"
    picture = "dream.envs.signpost.picture:draw"
    default_settings: ClassVar[Mapping[str, Any]] = {"steps": 60_000}
    length = 5

    def __init__(self, num_envs: int, buttons: int = 2, distance: int = 2, render_mode: str | None = None) -> None:
        if not 2 <= buttons <= len(LETTERS):
            raise ValueError(f"buttons is {buttons}: give 2 to {len(LETTERS)}")
        if not 0 <= distance < self.length:
            raise ValueError(f"distance is {distance}: give 0 to {self.length - 1}")
        self.buttons, self.distance, self.letters = buttons, distance, LETTERS[:buttons]
        ids = np.arange(buttons)
        given = {"buttons": (buttons, 2), "distance": (distance, 2)}
        parameters = {name: value for name, (value, default) in given.items() if value != default}
        splits = {"train": ids, "validation": ids, "test": ids}
        self._x = np.zeros(num_envs, np.int64)
        super().__init__(
            num_envs,
            problems=ProblemSet("signpost", parameters, buttons, splits, (buttons,), ids[:, None]),
            horizon=6,
            observation_space=integer_space([self.length, buttons + 1]),
            instruction_space=gym.spaces.MultiDiscrete([1]),
            action_names=("left", "right", *(f"press {letter}" for letter in self.letters), "end-episode"),
            end_action=PRESS_A + buttons,
            render_mode=render_mode,
        )

    def optimal_return(self, problem_id: NDArray[np.integer], instruction: NDArray[np.integer]) -> NDArray[np.float64]:
        """1, by pressing the right button at once, (N,), (N, 1) -> (N,)."""
        ids = self.problems.checked(problem_id)
        self._checked_instructions(ids, instruction)
        return np.ones(len(ids))

    def no_exploration_return(self, split: str = "all") -> float:
        """0, by pressing nothing or a random button. Raises ValueError for a split that does not exist."""
        self.problems.ids(split)
        return 0.0

    def informative(self) -> NDArray[np.bool_]:
        """Whether the sign is read, (B,)."""
        return self._readable()

    def parts(self) -> tuple[Part, ...]:
        """Which button is right."""
        return (Part("right button", np.arange(self.buttons), self.buttons, True, tuple(self.letters)),)

    def revealed(
        self, problem_id: int, obs: NDArray[Any], action: NDArray[np.integer], scene: Mapping[str, NDArray[Any]]
    ) -> NDArray[np.bool_]:
        """The sign shows which button is right, (T + 1, 1); arguments as for `MetaEnv`."""
        return np.asarray(obs[:, 1:2] > 0)

    def exploration_summary(
        self,
        problem_id: NDArray[np.integer],
        obs: NDArray[Any],
        action: NDArray[np.integer],
        mask: NDArray[np.bool_],
    ) -> dict[str, NDArray[np.float64]]:
        """read_sign: 1 if it was read, else 0; arguments as for `MetaEnv`."""
        read = (obs[:, 0, 1] > 0) | np.any((obs[:, 1:, 1] > 0) & mask, axis=1)
        return {"read_sign": read.astype(np.float64)}

    def positions(self, obs: NDArray[Any]) -> NDArray[np.float64]:
        """x in the corridor, and 0, (..., 2) -> (..., 2)."""
        return np.stack([obs[..., 0], np.zeros_like(obs[..., 0])], axis=-1).astype(np.float64)

    @property
    def map_extent(self) -> tuple[float, float, float, float]:
        """The corridor, whose cells are centred on whole numbers."""
        return (-0.5, self.length - 0.5, -0.5, 0.5)

    def expert(self, problem_id: NDArray[np.integer], instruction: NDArray[np.integer]) -> Expert:
        """Presses the right button at once. Arguments and errors as for `MetaEnv`."""
        return _Presser(self.problems.checked(problem_id), end=PRESS_A + self.buttons)

    def scripted_explorer(self, num: int) -> Expert:
        """Walks to the sign."""
        return _Walker(end=PRESS_A + self.buttons)

    def _begin(self, members: NDArray[np.int64]) -> NDArray[Any]:
        self._x[members] = self.length - 1 - self.distance
        return self._observe()

    def _advance(self, actions: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[np.float32], NDArray[np.bool_]]:
        moved = self._x + (actions == RIGHT) - (actions == LEFT)
        self._x = np.minimum(np.maximum(moved, 0), self.length - 1)
        pressed = (actions >= PRESS_A) & (actions < PRESS_A + self.buttons)
        right = actions - PRESS_A == self.problem_id
        reward = pressed * (2 * right - 1).astype(np.float32)
        return self._observe(), reward, pressed & (self.phase == "execute")

    def _observe(self) -> NDArray[np.int16]:
        obs = np.empty((self.num_envs, 2), np.int16)
        obs[:, 0] = self._x
        obs[:, 1] = self._readable() * (self.problem_id + 1)
        return obs

    def _readable(self) -> NDArray[np.bool_]:
        return (self._x == self.length - 1) & (self.phase == "explore")


class _Presser:
    """Presses the button of the believed problems (N,), then ends."""

    def __init__(self, problem_id: NDArray[np.int64], end: int) -> None:
        self._next, self._end = PRESS_A + problem_id, end

    def act(self, obs: NDArray[Any]) -> NDArray[np.int64]:
        """Actions (N,) on observations (N, 2)."""
        action, self._next = self._next, np.full_like(self._next, self._end)
        return action


class _Walker:
    """Walks right until the sign is read, then ends."""

    def __init__(self, end: int) -> None:
        self._end = end

    def act(self, obs: NDArray[Any]) -> NDArray[np.int64]:
        """Actions (N,) on observations (N, 2)."""
        return np.where(obs[:, 1] > 0, self._end, RIGHT)
