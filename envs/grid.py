"""What the grid families share: nine actions, moves that clamp at the border, and the price of a step."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

ACTION_NAMES: Final = ("left", "up", "right", "down", "no-op", "ride", "end-episode", "pick up", "drop")
LEFT, UP, RIGHT, DOWN, NO_OP, RIDE, END, PICK_UP, DROP = range(9)
MOVES: Final = ((-1, 0), (0, 1), (1, 0), (0, -1), (0, 0), (0, 0), (0, 0), (0, 0), (0, 0))
"""(dx, dy) of every action."""

NOTHING, BUS_STOP, BOWL, DRAWER = range(4)
"""Values of the status component of an observation."""

STEP_COST: Final = 0.1

Cell = tuple[int, int]


def cell_index(cell: Cell, grid_size: int) -> int:
    """Number of the cell (x, y): x * grid_size + y."""
    return cell[0] * grid_size + cell[1]


def move_table(grid_size: int) -> NDArray[np.int64]:
    """(9, cells): where each action takes you from each cell; rides, pick-ups and drops do not move you."""
    x, y = np.divmod(np.arange(grid_size**2), grid_size)
    moved = [np.clip(x + dx, 0, grid_size - 1) * grid_size + np.clip(y + dy, 0, grid_size - 1) for dx, dy in MOVES]
    return np.stack(moved).astype(np.int64)


def coordinates(grid_size: int) -> NDArray[np.int16]:
    """(cells, 2) x and y of every cell."""
    return np.stack(np.divmod(np.arange(grid_size**2), grid_size), axis=1).astype(np.int16)


def price_of_step(actions: NDArray[np.int64], steps_left: int) -> NDArray[np.float32]:
    """(B,) float32: -0.1 a step; ending early costs as much again for every one of the `steps_left` not used."""
    return np.where(actions == END, np.float32(-STEP_COST * (1 + steps_left)), np.float32(-STEP_COST))
