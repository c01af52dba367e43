"""Scripted policies for sign: the shortest way to an object, and to a pose from which the sign can be read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dream.envs.sign.compiled import CompiledWorlds
from dream.envs.sign.fast import END
from dream.envs.sign.layout import COLOURS
from dream.envs.sign.planning import search, sign_pixels

ENOUGH_PIXELS = 120.0
"""Pixels of the sign from which on the networks nearly always read it (docs/sign.md)."""
MOST_STEPS = 14
"""Largest number of steps of an explorer; in MiniWorld's room no start needed more than 12."""


class SignFamily(Protocol):
    """What the scripts need of the family (envs/sign/family.py)."""

    horizon: int
    elapsed: NDArray[np.int64]

    @property
    def worlds(self) -> CompiledWorlds:
        """All worlds."""

    @property
    def world(self) -> NDArray[np.int64]:
        """(B,) the world of every member."""

    @property
    def pose(self) -> NDArray[np.float64]:
        """(B, 3) x, z and heading of every member."""


class _Planned(ABC):
    """Follows a path planned for each member from its first pose, then ends the episode.

    Frames do not show where an episode starts, so the script reads the poses from the environment at its first call.
    It is for one episode of all members of `env`, from the first step on.
    """

    def __init__(self, env: SignFamily) -> None:
        self.env = env
        self._ways: list[list[int]] | None = None

    def act(self, obs: NDArray[Any]) -> NDArray[np.int64]:
        """Actions (B,); the frames are ignored."""
        if self._ways is None:
            self._ways = [self._way(member, start) for member, start in enumerate(self.env.pose)]
        steps = self.env.elapsed.tolist()
        return np.array([way[step] if step < len(way) else END for way, step in zip(self._ways, steps, strict=True)])

    @abstractmethod
    def _way(self, member: int, start: NDArray[np.float64]) -> list[int]:
        """Actions of a member from a pose (3,)."""


class SignExpert(_Planned):
    """Takes the shortest way to the object of the believed colours (B,) and the instructed kinds (B, 1)."""

    def __init__(self, env: SignFamily, problem_id: NDArray[np.int64], instruction: NDArray[np.int64]) -> None:
        super().__init__(env)
        self._objects = instruction[:, 0] * len(COLOURS) + problem_id % len(COLOURS)

    def _way(self, member: int, start: NDArray[np.float64]) -> list[int]:
        found = search(self.env.worlds.obstacles, int(self.env.world[member]), start, self.env.horizon)
        nearest = found.nearest(found.touched == self._objects[member])
        return found.way(nearest) if nearest >= 0 else []


class SignExplorer(_Planned):
    """Takes the shortest way, by breadth-first search, to a pose that shows `enough` pixels of the sign.

    `act` raises RuntimeError where there is no such pose within 14 steps of a start.
    """

    def __init__(self, env: SignFamily, enough: float = ENOUGH_PIXELS) -> None:
        super().__init__(env)
        self.enough = enough

    def _way(self, member: int, start: NDArray[np.float64]) -> list[int]:
        worlds, world = self.env.worlds, int(self.env.world[member])
        found = search(worlds.obstacles, world, start, MOST_STEPS)
        for steps in range(MOST_STEPS + 1):  # rendering is slow: no further than needed
            there = np.flatnonzero((found.steps == steps) & (found.touched < 0))
            seen = there[sign_pixels(worlds, world, found.pose[there]) >= self.enough]
            if len(seen):
                return found.way(int(seen[0]))
        raise RuntimeError(f"no pose within {MOST_STEPS} steps of {start} shows {self.enough} pixels of the sign")
