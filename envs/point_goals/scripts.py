"""A scripted policy for point-goals: to the goal, and wait there."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class GoalExpert:
    """Walks to the goals believed in and waits there.

    It keeps its belief for the whole episode, as PEARL keeps its z: a signal that contradicts it is for the next one.

    Args:
        goals: (N, 2) places.
        max_step: longest step in x and in y.
    """

    def __init__(self, goals: NDArray[np.float64], max_step: float) -> None:
        self._goals, self._max_step = goals, max_step

    def act(self, obs: NDArray[Any]) -> NDArray[np.float32]:
        """Actions (N, 2) on observations (N, 3)."""
        return np.clip((self._goals - obs[:, :2]) / self._max_step, -1, 1, dtype=np.float32, casting="same_kind")
