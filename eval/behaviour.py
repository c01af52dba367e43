"""What explorations did: how long they were and how they ended, what the family counts, and where the agent was."""

from __future__ import annotations

import math

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from dream.envs import MetaEnv
from dream.eval.recording import Recording

CELL = 0.5
"""Side of a cell of the map where positions are no whole numbers, in their units (sign: metres)."""


def behaviour(recording: Recording, env: MetaEnv) -> dict[str, NDArray[np.float64]]:
    """Figures of each exploration, (N,) each, by name.

    length: environment steps. ended: 1 if the last step was the choice to end the episode, where the family has such an
    action; of several episodes, of the last. Then what `Watcher.summary` tells: see the family's `exploration_summary`;
    in_view and in_view_share where the family tells what is informative.
    """
    episodes = recording.episodes
    transition, action = episodes.transition.numpy(), episodes.action.numpy()
    found = {"length": transition.sum(axis=1).astype(np.float64)}
    if env.end_action is not None:
        length = episodes.length.numpy()
        last = action[np.arange(len(action)), np.maximum(length - 1, 0)]
        found["ended"] = ((length > 0) & (last == env.end_action)).astype(np.float64)
    return found | recording.summary


def map_cells(env: MetaEnv) -> tuple[int, int]:
    """Rows (y) and columns (x) of a map of the family's positions: a cell of the grid each, or half a metre.

    Raises NotImplementedError where there are no positions.
    """
    left, right, bottom, top = env.map_extent
    side = 1.0 if isinstance(env.single_observation_space, gym.spaces.MultiDiscrete) else CELL
    return max(1, math.ceil(abs(top - bottom) / side)), max(1, math.ceil(abs(right - left) / side))


def visits(recording: Recording, env: MetaEnv) -> NDArray[np.float64] | None:
    """Visitation map: observations made in each cell, the mean over explorations, first observation included.

    Returns:
        (rows, columns): row 0 has the smallest y, column 0 the smallest x, of `MetaEnv.map_extent`; the sum is the mean
        number of observations. None where the family does not tell where the agent is.
    """
    position = recording.position
    if position is None:
        return None
    left, right, bottom, top = env.map_extent
    rows, columns = map_cells(env)
    x, y = position[~np.isnan(position[..., 0])].T
    edges = np.linspace(min(bottom, top), max(bottom, top), rows + 1), np.linspace(left, right, columns + 1)
    counts, _, _ = np.histogram2d(y, x, bins=edges)
    return counts / len(position)
