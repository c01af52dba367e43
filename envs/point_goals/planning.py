"""The bounds of point-goals: the best way to a goal, and the best place to wait when the goal is not known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

GRID = 0.02
"""Distance between the first places tried by `best_wait`; each refinement divides it by `FINER`."""
FINER = 4
REFINEMENTS = 5
KEPT = 12
"""Places whose neighbourhood is refined."""


def reward_at(place: NDArray[np.float64], goal: NDArray[np.float64], goal_radius: float) -> NDArray[np.float64]:
    """1 minus the distance to the goal within its radius, else 0, (..., 2), (..., 2) -> (...)."""
    away = place - goal
    distance = np.sqrt(away[..., 0] * away[..., 0] + away[..., 1] * away[..., 1])
    return np.where(distance <= goal_radius, 1 - distance, 0.0)


def way_to(targets: NDArray[np.float64], max_step: float, horizon: int) -> NDArray[np.float64]:
    """Where the robot is after each step on its way from the origin to the targets (N, 2): (N, horizon, 2)."""
    reach = max_step * np.arange(1, horizon + 1)[:, None]
    return np.clip(targets[:, None], -reach, reach)


def best_wait(
    goals: NDArray[np.float64], goal_radius: float, max_step: float, horizon: int
) -> tuple[NDArray[np.float64], float]:
    """The place (2,) to walk to and wait at with the largest mean return over the goals (N, 2), and this return."""
    arrived = min(horizon, int(np.ceil((1 + goal_radius) / max_step)))
    """Steps after which no place that is tried is still ahead."""

    def returns(places: NDArray[np.float64]) -> NDArray[np.float64]:
        total = np.zeros(len(places))
        for number, step in enumerate(way_to(places, max_step, arrived).swapaxes(0, 1), start=1):
            if (step**2).sum(axis=1).max() >= (1 - goal_radius) ** 2:
                times = 1 + horizon - arrived if number == arrived else 1
                total += times * reward_at(step[:, None], goals, goal_radius).mean(axis=1)
        return total

    places, width = _square(1 + goal_radius, GRID), GRID
    near = np.abs(np.sqrt((places**2).sum(axis=1)) - 1) <= goal_radius
    places = places[near & (places[:, 1] >= -goal_radius)]  # elsewhere there is no reward
    value = returns(places)
    for _ in range(REFINEMENTS):
        best = places[np.argsort(-value, kind="stable")[:KEPT]]
        width /= FINER
        places = (best[:, None] + _square(width * FINER, width)).reshape(-1, 2)
        value = returns(places)
    winner = int(value.argmax())
    return places[winner], float(value[winner])


def _square(half: float, width: float) -> NDArray[np.float64]:
    """Places of a square grid from -half to half in both directions, (M, 2)."""
    count = round(half / width)
    line = width * np.arange(-count, count + 1)
    return np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).reshape(-1, 2)
