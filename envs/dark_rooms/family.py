"""Dark treasure rooms: find treasures among penalties without light, then collect the best that a short walk can."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from dream.envs import grid
from dream.envs.base import MetaEnv
from dream.envs.dark_rooms.planning import ACTIONS, best_walks
from dream.envs.dark_rooms.scripts import Sweeper, WalkExpert, summary_of_finds, tell
from dream.envs.insight import Expert, Part
from dream.envs.problems import split_problems
from dream.envs.single_instruction import SingleInstruction
from dream.envs.words import counted
from dream.spaces import Arrays, integer_space, number_space

BEST = 2.0
"""Largest value of a treasure."""
MOST_TREASURES = 10
"""Planning goes through all sets of treasures."""
SEED = 2307
"""Of the table of problems."""


@cache
def rooms(count: int, size: int, treasures: int, penalty: float) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The table of problems: cells (count, treasures), distinct and none at the start, and values in [penalty, 2]."""
    rng = np.random.default_rng(SEED)
    free = np.delete(np.arange(size**2), grid.cell_index((size // 2, size // 2), size))
    cells = free[rng.random((count, len(free))).argsort(axis=1, kind="stable")[:, :treasures]]
    values = (penalty + (BEST - penalty) * rng.random((count, treasures))).astype(np.float32)
    for array in (cells, values):
        array.setflags(write=False)  # shared by all environments of a process
    return cells, values


class DarkRooms(SingleInstruction, MetaEnv):
    """A dark room: hidden treasures and penalties; obs cell (x, y) and the value found by the last step.

    The agent starts in the middle of a 9 x 9 grid and makes 9 steps: left, up, right, down, no-op. Eight cells hold a
    value, uniform in [penalty, 2]. A step onto one gives it as reward in execution and consumes it until the episode
    ends. With a penalty below -2 an unknown cell is worth less than nothing, so exploring costs reward where it counts.
    The source is Norman and Clune 2024 (arXiv 2307.02276), Dark Treasure Rooms.

    Args:
        num_envs: members.
        grid_size: odd, at least 3; the start is the middle.
        treasures: 1 to 10 cells with a value.
        penalty: lower end of the values, from -100 to below 2.
        horizon: steps of an episode.
        num_problems: rooms, at least 20; a twentieth are for validation and a tenth for test.
        render_mode: None or "rgb_array".

    Raises:
        ValueError: a parameter that is not allowed.
    """

    summary = "find treasures among penalties in the dark, then collect the best in nine steps"
    picture = "dream.envs.dark_rooms.picture:draw"
    # The outcome of an exploration is known at its end, after 36 steps and 3 resets.
    default_settings: ClassVar[Mapping[str, Any]] = {
        "steps": 3_000_000,
        "trial.explore_episodes": 4,
        "explorer.gamma": 0.99,
    }

    def __init__(
        self,
        num_envs: int,
        grid_size: int = 9,
        treasures: int = 8,
        penalty: float = -4.0,
        horizon: int = 9,
        num_problems: int = 10_000,
        render_mode: str | None = None,
    ) -> None:
        if grid_size < 3 or grid_size % 2 == 0:
            raise ValueError(f"grid_size is {grid_size}: give an odd number of at least 3")
        most = min(MOST_TREASURES, grid_size**2 - 1)
        if not 1 <= treasures <= most:
            raise ValueError(f"treasures is {treasures}: give 1 to {most}")
        if not -100 <= penalty < BEST:
            raise ValueError(f"penalty is {penalty}: give -100 to below {BEST:g}")
        if num_problems < 20:
            raise ValueError(f"num_problems is {num_problems}: give at least 20")
        self.grid_size, self.treasures, self.penalty = grid_size, treasures, float(penalty)
        self.start = (grid_size // 2, grid_size // 2)
        self._start = grid.cell_index(self.start, grid_size)
        self._treasure_cells, self._values = rooms(num_problems, grid_size, treasures, self.penalty)
        self.values = np.zeros((num_problems, grid_size**2), np.float32)
        """(num_problems, cells) value of every cell x * grid_size + y."""
        np.put_along_axis(self.values, self._treasure_cells, self._values, axis=1)
        given = {"grid_size": grid_size, "treasures": treasures, "penalty": self.penalty, "horizon": horizon}
        found = number_space(min(self.penalty, 0.0), BEST, (1,))
        super().__init__(
            num_envs,
            problems=split_problems(
                "dark-rooms", num_problems, parameters=given, description=self.values, test=0.1, validation=0.05
            ),
            horizon=horizon,
            observation_space=gym.spaces.Dict({"cell": integer_space([grid_size, grid_size]), "found": found}),
            instruction_space=gym.spaces.MultiDiscrete([1]),
            action_names=grid.ACTION_NAMES[:ACTIONS],
            render_mode=render_mode,
        )
        self._move, self._xy = grid.move_table(grid_size)[:ACTIONS], grid.coordinates(grid_size)
        self._rows = np.arange(num_envs)
        self._cell = np.full(num_envs, self._start)
        self._left = np.zeros((num_envs, grid_size**2), np.float32)
        self._found = np.zeros(num_envs, np.float32)
        self._best = np.full(num_problems, np.nan)  # planned when first asked for
        self._walks = np.zeros((num_problems, horizon), np.int64)

    def optimal_return(self, problem_id: NDArray[np.integer], instruction: NDArray[np.integer]) -> NDArray[np.float64]:
        """Return of the best walk in the known room, (N,), (N, 1) -> (N,). Errors as for `MetaEnv`."""
        ids = self.problems.checked(problem_id)
        self._checked_instructions(ids, instruction)
        self._plan(ids)
        return self._best[ids]

    def no_exploration_return(self, split: str = "all") -> float:
        """Exact: an unknown cell is worth the mean value times its chance of holding one, and waiting is worth 0.

        That chance is a martingale: whatever a walk has found, the value of the next new cell is on average that of the
        first. So with a mean value of at most 0 the best is to wait; else to enter a new cell in every step, which
        earns steps x treasures / cells x mean. The rooms are those of the distribution that the table was drawn from:
        knowing the table, one value would identify the room. Raises ValueError for a split that does not exist, and
        NotImplementedError for a positive mean in a room too small to always enter a new cell.
        """
        self.problems.ids(split)
        mean = (self.penalty + BEST) / 2
        if mean <= 0:
            return 0.0
        cells = self.grid_size**2 - 1
        if self.horizon > cells:
            raise NotImplementedError(f"{self.horizon} steps in {cells} cells: the best return is not known")
        return self.horizon * self.treasures / cells * mean

    def expert(self, problem_id: NDArray[np.integer], instruction: NDArray[np.integer]) -> Expert:
        """Takes the best walk of the believed rooms. Arguments and errors as for `MetaEnv`."""
        ids = self.problems.checked(problem_id)
        self._checked_instructions(ids, instruction)
        self._plan(ids)
        return WalkExpert(self._walks[ids])

    def scripted_explorer(self, num: int) -> Expert:
        """Steps on a new cell in every step; an episode is too short to find everything."""
        return Sweeper(self, num)

    def parts(self) -> tuple[Part, ...]:
        """What every cell but the start holds: nothing, a penalty or a treasure."""
        names = ("nothing", "penalty", "treasure")
        labels = np.where(self.values > 0, 2, np.where(self.values < 0, 1, 0))
        return tuple(
            Part(f"cell ({x}, {y})", labels[:, cell], len(names), True, names)
            for cell, (x, y) in enumerate(self._xy.tolist())
            if cell != self._start
        )

    def revealed(
        self, problem_id: int, obs: Arrays, action: NDArray[np.integer], scene: Mapping[str, NDArray[Any]]
    ) -> NDArray[np.bool_]:
        """Stepping on a cell shows what it holds, (T + 1, cells but the start); arguments as for `MetaEnv`."""
        cell = grid.cells_of(obs["cell"], self.grid_size)
        return np.delete(cell[:, None] == np.arange(self.grid_size**2), self._start, axis=1)

    def informative(self) -> NDArray[np.bool_]:
        """Whether the last step found something to come back for, (B,)."""
        return self.last_obs["found"][:, 0] > 0

    def exploration_summary(
        self, problem_id: NDArray[np.integer], obs: Arrays, action: NDArray[np.integer], mask: NDArray[np.bool_]
    ) -> dict[str, NDArray[np.float64]]:
        """See `summary_of_finds`; arguments as for `MetaEnv`."""
        return summary_of_finds(self, obs, mask)

    def tell(self, problem_id: int, obs: Arrays, action: NDArray[np.integer]) -> list[str]:
        """Walks and finds; arguments as for `MetaEnv`."""
        return counted(tell(obs, action))

    def positions(self, obs: Arrays) -> NDArray[np.float64]:
        """Cells, observations (...) -> (..., 2)."""
        return grid.positions(obs["cell"])

    @property
    def map_extent(self) -> tuple[float, float, float, float]:
        """The grid, whose cells are centred on whole numbers."""
        return grid.map_extent(self.grid_size)

    def _plan(self, ids: NDArray[np.int64]) -> None:
        """Plan the rooms (N,) that are not planned yet."""
        new = np.unique(ids[np.isnan(self._best[ids])])
        if len(new):
            self._best[new], self._walks[new] = best_walks(
                self._treasure_cells[new], self._values[new], self.grid_size, self._start, self.horizon
            )

    def _begin(self, members: NDArray[np.int64]) -> Arrays:
        self._cell[members], self._found[members] = self._start, 0
        self._left[members] = self.values[self.problem_id[members]]
        return self._observe()

    def _advance(self, actions: NDArray[np.int64]) -> tuple[Arrays, NDArray[np.float32], NDArray[np.bool_]]:
        self._cell = self._move[actions, self._cell]
        self._found = self._left[self._rows, self._cell]
        self._left[self._rows, self._cell] = 0
        return self._observe(), self._found.copy(), np.zeros(self.num_envs, np.bool_)

    def _observe(self) -> Arrays:
        return {"cell": self._xy.take(self._cell, axis=0), "found": self._found[:, None].copy()}
