"""Exact planning in dark rooms: the walk that collects the most, treasures being consumed when stepped on."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from dream.envs import grid

ACTIONS = 5
"""left, up, right, down, no-op: the first actions of the grids."""
_MOST_BYTES = 32 * 1024 * 1024
_UNDO = (grid.NO_OP, grid.LEFT, grid.UP, grid.RIGHT, grid.DOWN)
"""Actions in the order in which a plan is followed backwards: waiting comes last in a walk."""


def best_walks(
    cells: NDArray[np.int64], values: NDArray[np.floating], size: int, start: int, horizon: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The best return of `horizon` steps from `start` in rooms whose treasures are known, and a walk that earns it.

    What a walk earned depends on the set of treasures it stepped on alone. Forward dynamic programming over (cell,
    set) finds every set that can be collected in time, those with penalties that stand in the way included.

    Args:
        cells: (N, n) cells of the treasures, distinct in each room and none at the start.
        values: (N, n) their values.
        size: cells on a side.
        start: cell of the first observation.
        horizon: steps.

    Returns:
        (N,) returns and (N, horizon) actions.
    """
    count, treasures = cells.shape
    totals = np.zeros((count, 1))
    for j in range(treasures):  # totals[:, S], the value of each set: bit j of S is treasure j
        totals = np.concatenate([totals, totals + values[:, j : j + 1]], axis=1)
    returns, walks = np.zeros(count), np.zeros((count, horizon), np.int64)
    chunk = max(1, _MOST_BYTES // ((horizon + 1) * size**2 * 2**treasures))
    for first in range(0, count, chunk):
        rows = slice(first, first + chunk)
        reached = _reached(cells[rows], size, start, horizon)
        returns[rows], walks[rows] = _best(reached, cells[rows], totals[rows], size)
    return returns, walks


def _reached(cells: NDArray[np.int64], size: int, start: int, horizon: int) -> NDArray[np.bool_]:
    """(horizon + 1, N, size, size, sets): whether a walk of t steps can be at (x, y) and hold exactly this set."""
    count, treasures = cells.shape
    rows, reached = np.arange(count), np.zeros((horizon + 1, count, size, size, 2**treasures), np.bool_)
    reached[0, :, start // size, start % size, 0] = True
    for before, after in pairwise(reached):
        after |= before
        after[:, 1:] |= before[:, :-1]
        after[:, :-1] |= before[:, 1:]
        after[:, :, 1:] |= before[:, :, :-1]
        after[:, :, :-1] |= before[:, :, 1:]
        for j in range(treasures):
            x, y = np.divmod(cells[:, j], size)
            there = after[rows, x, y].reshape(count, -1, 2, 2**j)  # the axis of length 2 is bit j
            there[:, :, 1] |= there[:, :, 0]
            there[:, :, 0] = False
            after[rows, x, y] = there.reshape(count, -1)
    return reached


def _best(
    reached: NDArray[np.bool_], cells: NDArray[np.int64], totals: NDArray[np.float64], size: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The best set of each room (N,), and the actions (N, horizon) that collect it, found backwards."""
    horizon, (count, treasures) = len(reached) - 1, cells.shape
    flat = reached.reshape(horizon + 1, count, size**2, -1)
    rows = np.arange(count)
    collected = np.where(flat[-1].any(axis=1), totals, -np.inf).argmax(axis=1)
    returns = totals[rows, collected]
    cell = flat[-1][rows, :, collected].argmax(axis=1)
    bits = np.zeros((count, size**2), np.int64)  # the set that holds only the treasure of a cell
    bits[rows[:, None], cells] = 1 << np.arange(treasures)
    step = grid.move_table(size)[:ACTIONS]
    walks = np.zeros((count, horizon), np.int64)
    for t in range(horizon, 0, -1):
        found = np.zeros(count, np.bool_)
        here, old_cell, old_set = bits[rows, cell], cell.copy(), collected.copy()
        for action in _UNDO:
            for before in (old_set, old_set & ~here):  # collected earlier, or by this step
                for origin in _origins(step[action], old_cell):
                    leads = (origin >= 0) & (before | here == old_set)
                    now = ~found & leads & flat[t - 1][rows, np.maximum(origin, 0), before]
                    walks[now, t - 1], cell[now], collected[now] = action, origin[now], before[now]
                    found |= now
    return returns, walks


def _origins(move: NDArray[np.int64], cell: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """The one or two cells (N,) from which a move (cells,) leads to each cell (N,); -1 where there is none."""
    sources = np.full((2, len(move)), -1)
    for origin, target in enumerate(move.tolist()):
        sources[int(sources[0, target] >= 0), target] = origin
    return [row[cell] for row in sources]
