"""Scripted policies for dark rooms, and what explorations found."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dream.envs import grid
from dream.spaces import Arrays


class DarkRooms(Protocol):
    """What the scripts need of the family (envs/dark_rooms/family.py)."""

    grid_size: int
    horizon: int
    start: grid.Cell


def summary_of_finds(env: DarkRooms, obs: Arrays, mask: NDArray[np.bool_]) -> dict[str, NDArray[np.float64]]:
    """What N streams stepped on, from obs (N, T + 1, ...) by part and mask (N, T).

    Returns:
        cells_visited: distinct cells; treasures_found and penalties_found: distinct cells with a value above and below
        0; best_found: the largest value, 0 if none is above; total_value: the sum of all values, each time counted: the
        reward of the same steps in execution. Each (N,).
    """
    seen = grid.frames_seen(mask)
    cell, found = grid.cells_of(obs["cell"], env.grid_size), np.where(seen, obs["found"][..., 0], 0.0)
    shape = (len(mask), env.grid_size**2)

    def cells_with(chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
        marked = np.zeros(shape, np.bool_)
        rows, slots = np.nonzero(chosen & seen)
        marked[rows, cell[rows, slots]] = True
        return marked.sum(axis=1).astype(np.float64)

    return {
        "cells_visited": cells_with(seen),
        "treasures_found": cells_with(found > 0),
        "penalties_found": cells_with(found < 0),
        "best_found": np.maximum(found.max(axis=1), 0.0),
        "total_value": found.sum(axis=1).astype(np.float64),
    }


class WalkExpert:
    """Follows planned walks; `MetaEnv.expert`.

    A cell with another value than believed does not change the plan: what was there is consumed either way.

    Args:
        walks: (N, horizon) actions.
    """

    def __init__(self, walks: NDArray[np.int64]) -> None:
        self._walks, self._step = walks, 0

    def act(self, obs: Arrays) -> NDArray[np.int64]:
        """Actions (N,); afterwards it waits."""
        step, self._step = self._step, self._step + 1
        return self._walks[:, step] if step < self._walks.shape[1] else np.full(len(self._walks), grid.NO_OP)


class Sweeper:
    """Steps on a new cell in every step: up, then a spiral around the start as far as the steps reach.

    The horizon is too short to see the whole room, and a new script begins in every episode, so with several episodes
    it sees the same cells again.

    Args:
        env: the family.
        num: N members.
    """

    def __init__(self, env: DarkRooms, num: int) -> None:
        self._walk = np.broadcast_to(spiral(env.grid_size, env.start, env.horizon), (num, env.horizon))
        self._step = 0

    def act(self, obs: Arrays) -> NDArray[np.int64]:
        """Actions (N,)."""
        step, self._step = self._step, self._step + 1
        return self._walk[:, min(step, self._walk.shape[1] - 1)]


def spiral(size: int, start: grid.Cell, steps: int) -> NDArray[np.int64]:
    """Actions (steps,) of a spiral around a cell; where it would leave the room, it waits."""
    x, y = start
    actions: list[int] = []
    for turn in range(2 * size):
        for _ in range(turn // 2 + 1):
            action = (grid.UP, grid.RIGHT, grid.DOWN, grid.LEFT)[turn % 4]
            dx, dy = grid.MOVES[action]
            if not (0 <= x + dx < size and 0 <= y + dy < size):
                return np.array([*actions, *[grid.NO_OP] * steps], np.int64)[:steps]
            x, y = x + dx, y + dy
            actions.append(action)
    return np.array([*actions, *[grid.NO_OP] * steps], np.int64)[:steps]


def tell(obs: Arrays, action: NDArray[np.integer]) -> list[str]:
    """One episode in words, from obs (T + 1, ...) by part and action (T,): walks, and what was found."""
    cells, found = obs["cell"].tolist(), obs["found"][:, 0].tolist()
    phrases: list[str] = []
    walking = False
    for t, number in enumerate(action.tolist()):
        x, y = cells[t + 1]
        if found[t + 1]:
            what = "a treasure" if found[t + 1] > 0 else "a penalty"
            phrases.append(f"found {what} of {found[t + 1]:+.2f} at ({x}, {y})")
            walking = False
        elif number == grid.NO_OP:
            phrases.append(grid.WORDS[grid.NO_OP])
            walking = False
        else:
            if walking:
                phrases.pop()
            phrases.append(f"walked to ({x}, {y})")
            walking = True
    return phrases
