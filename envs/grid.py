"""What the grid families share: nine actions, moves that stop at the border, and the cost of a step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dream.envs.words import counted

ACTION_NAMES: Final = ("left", "up", "right", "down", "no-op", "ride", "end-episode", "pick up", "drop")
LEFT, UP, RIGHT, DOWN, NO_OP, RIDE, END, PICK_UP, DROP = range(9)
MOVES: Final = ((-1, 0), (0, 1), (1, 0), (0, -1), (0, 0), (0, 0), (0, 0), (0, 0), (0, 0))
"""(dx, dy) of every action."""

NOTHING, BUS_STOP, BOWL, DRAWER = range(4)
"""Values of the status component of an observation."""

WORDS: Final = {
    NO_OP: "waited",
    RIDE: "found nothing to ride",
    END: "ended the episode",
    PICK_UP: "found nothing to pick up",
    DROP: "found nothing to drop",
}
"""Words for actions without effect."""

STEP_COST: Final = 0.1

Cell = tuple[int, int]


def cell_index(cell: Cell, grid_size: int) -> int:
    """Number of the cell (x, y): x * grid_size + y."""
    return cell[0] * grid_size + cell[1]


def move_table(grid_size: int) -> NDArray[np.int64]:
    """(9, cells): the cell after each action in each cell; rides, pick-ups and drops do not move the agent."""
    x, y = np.divmod(np.arange(grid_size**2), grid_size)
    moved = [np.clip(x + dx, 0, grid_size - 1) * grid_size + np.clip(y + dy, 0, grid_size - 1) for dx, dy in MOVES]
    return np.stack(moved).astype(np.int64)


def coordinates(grid_size: int) -> NDArray[np.int16]:
    """(cells, 2) x and y of every cell."""
    return np.stack(np.divmod(np.arange(grid_size**2), grid_size), axis=1).astype(np.int16)


def rewards_of_ending(horizon: int) -> NDArray[np.float32]:
    """(horizon + 1,) float32, by step: -0.1 for ending there, and as much again for each step that is then unused."""
    return (-STEP_COST * (1 + horizon - np.arange(horizon + 1))).astype(np.float32)


def step_reward(actions: NDArray[np.int64], reward_of_ending: NDArray[np.float32]) -> NDArray[np.float32]:
    """(B,) float32: -0.1 for a step, the given reward (B,) for the action that ends the episode."""
    return np.where(actions == END, reward_of_ending, np.float32(-STEP_COST))


def positions(obs: NDArray[Any]) -> NDArray[np.float64]:
    """The cell of observations that begin with it, (..., D) -> (..., 2) x and y."""
    return obs[..., :2].astype(np.float64)


def map_extent(grid_size: int) -> tuple[float, float, float, float]:
    """Left, right, bottom and top edge of a grid whose cells are centred on whole numbers."""
    return (-0.5, grid_size - 0.5, -0.5, grid_size - 0.5)


def tell(
    obs: NDArray[Any], action: NDArray[np.integer], place: Callable[[int], str], other: Callable[[int], str]
) -> list[str]:
    """One episode in words; consecutive moves are one walk.

    Args:
        obs: (T + 1, D), beginning with the cell.
        action: (T,) ints.
        place: the place of observation t in words, such as "the bowl".
        other: action t in words, if it is not a move.
    """
    phrases: list[str] = []
    for t, number in enumerate(action.tolist()):
        walks = number in (LEFT, UP, RIGHT, DOWN)
        if walks and t > 0 and action[t - 1] in (LEFT, UP, RIGHT, DOWN):
            phrases.pop()
        phrases.append(f"walked to {place(t + 1)}" if walks else other(t))
    return counted(phrases)


def cells_of(obs: NDArray[Any], grid_size: int) -> NDArray[np.int64]:
    """The cell of observations that begin with it, as a number, (..., D) -> (...)."""
    return obs[..., 0].astype(np.int64) * grid_size + obs[..., 1]


def frames_seen(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(N, T) steps of streams -> (N, T + 1): which observations exist, the first one always."""
    return np.concatenate([np.ones((len(mask), 1), np.bool_), mask], axis=1)


def toward(cell: NDArray[np.integer], goal: NDArray[np.integer]) -> NDArray[np.int64]:
    """A step from cells (N, 2) towards goals (N, 2), x before y: actions (N,), no-op at the goal."""
    dx, dy = (goal - cell).T
    across, along = np.where(dx > 0, RIGHT, LEFT), np.where(dy > 0, UP, DOWN)
    return np.where(dx != 0, across, np.where(dy != 0, along, NO_OP))
