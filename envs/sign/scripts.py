"""Sign, played by script: the shortest way to an object, and to where the sign is seen well."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dream.envs.sign.fast import END
from dream.envs.sign.layout import COLOURS
from dream.envs.sign.planning import search, sign_pixels

if TYPE_CHECKING:
    from dream.envs.sign.family import SignFamily

ENOUGH_PIXELS = 120.0
"""Pixels of the sign with which the networks read it nearly always (docs/sign.md)."""
MOST_STEPS = 12
"""Steps that an explorer may take: more were never needed."""


class _Planned(ABC):
    """A way planned for each member from its first pose, then the end.

    Frames do not tell where an episode starts, so the script knows the map and looks at the poses of the environment
    when it is first asked: it is for one episode of all members of `env`, from the first step on.
    """

    def __init__(self, env: SignFamily) -> None:
        self.env = env
        self._ways: list[list[int]] | None = None

    def act(self, obs: NDArray[Any]) -> NDArray[np.int64]:
        """Actions (B,); the frames are not looked at."""
        if self._ways is None:
            self._ways = [self._way(member, start) for member, start in enumerate(self.env.pose)]
        steps = self.env.elapsed.tolist()
        return np.array([way[step] if step < len(way) else END for way, step in zip(self._ways, steps, strict=True)])

    @abstractmethod
    def _way(self, member: int, start: NDArray[np.float64]) -> list[int]:
        """Actions of a member from a pose (3,)."""


class SignExpert(_Planned):
    """The shortest way to the object of the colours (B,) believed in and the kinds (B, 1) asked for."""

    def __init__(self, env: SignFamily, problem_id: NDArray[np.int64], instruction: NDArray[np.int64]) -> None:
        super().__init__(env)
        self._objects = instruction[:, 0] * len(COLOURS) + problem_id

    def _way(self, member: int, start: NDArray[np.float64]) -> list[int]:
        found = search(self.env.layout, start, self.env.horizon, goals=len(self.env.layout.objects))
        nearest = found.nearest(found.touched == self._objects[member])
        return found.way(nearest) if nearest >= 0 else []


class SignExplorer(_Planned):
    """The shortest way, by breadth-first search, to where the sign shows `enough` pixels.

    Raises RuntimeError, when asked to act, where they are not to be seen within 12 steps of a start.
    """

    def __init__(self, env: SignFamily, enough: float = ENOUGH_PIXELS) -> None:
        super().__init__(env)
        self.enough = enough

    def _way(self, member: int, start: NDArray[np.float64]) -> list[int]:
        found = search(self.env.layout, start, MOST_STEPS)
        for steps in range(MOST_STEPS + 1):  # rendering is what takes time: no further than is needed
            there = np.flatnonzero((found.steps == steps) & (found.touched < 0))
            seen = there[sign_pixels(self.env.layout, found.pose[there]) >= self.enough]
            if len(seen):
                return found.way(int(seen[0]))
        raise RuntimeError(f"{self.enough} pixels of the sign are not to be seen within {MOST_STEPS} steps of {start}")
