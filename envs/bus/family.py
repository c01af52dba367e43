"""Distracting bus and map: ride the right bus to a corner. The problem is which stop leads where."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from itertools import permutations
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from dream.envs import grid
from dream.envs.base import MetaEnv
from dream.envs.bus.planning import BusPlanner
from dream.envs.bus.scripts import BusExpert, LineExplorer, SignExplorer, summary_of_rides
from dream.envs.grid import Cell
from dream.envs.insight import Expert, Part
from dream.envs.problems import SPLITS, ProblemSet
from dream.spaces import integer_space

LETTERS = "ABCDEFGH"
"""Names of the lines, as in the pictures."""
VALIDATION = (264, 275, 286, 297, 308)
"""Bus: of the paper's training problems, five that are held out for validation."""


def _permutations(n: int) -> NDArray[np.int64]:
    return np.array(list(permutations(range(n))), np.int64)


class BusNetwork(MetaEnv):
    """A grid with bus lines: what `Bus` and `Map` share.

    The agent starts in the middle; the stops around it lead to the edges, in an order that differs by problem. Riding
    at one end of a line leads to its other end. In execution every step costs 0.1; the step that reaches the instructed
    corner gives 1 instead and ends the episode; ending early costs 0.1 more for each unused step.
    """

    picture = "dream.envs.bus.picture:draw"
    # The explorer starts late, so that g first learns from many random explorations. Otherwise it reads those of its
    # own explorer alone; on map, where these ride lines, it never learns to read the map, seldom seen by random walks.
    default_settings: ClassVar[Mapping[str, Any]] = {"steps": 1_500_000, "explorer.min_explained": 0.1}

    useful_stops: tuple[Cell, ...]
    stops: tuple[Cell, ...]
    """Inner ends of the lines, the useful ones first."""
    destinations: NDArray[np.int64]
    """(problems, lines, 2) cell (x, y) to which each inner stop leads."""
    corners: tuple[Cell, ...]
    start: Cell
    sign: Cell | None = None
    line_of: NDArray[np.int64]
    """(cells,) number of the line that begins at an inner stop, else -1."""

    def __init__(
        self,
        num_envs: int,
        family: str,
        grid_size: int,
        horizon: int | None,
        num_problems: int,
        extra_nvec: list[int],
        lines: NDArray[np.int64],
        splits: Mapping[str, NDArray[np.int64]],
        parameters: Mapping[str, Any],
        description: str,
        render_mode: str | None,
    ) -> None:
        if grid_size < 5 or grid_size % 2 == 0:
            raise ValueError(f"grid_size is {grid_size}: {family} takes an odd number of at least 5")
        if description not in ("id", "lines"):
            raise ValueError(f"unknown description {description!r}: choose 'id' or 'lines'")
        if horizon is None:
            horizon = 5 * (grid_size - 1) // 2
        problems = ProblemSet(
            family=family,
            parameters={"grid_size": grid_size, "horizon": horizon, **parameters},
            num_problems=num_problems,
            splits=splits,
            factors=(num_problems,) if description == "id" else (4,) * lines.shape[1],
            factor_table=np.arange(num_problems)[:, None] if description == "id" else lines,
        )
        super().__init__(
            num_envs,
            problems=problems,
            horizon=horizon,
            observation_space=integer_space([grid_size, grid_size, 4, *extra_nvec]),
            instruction_space=gym.spaces.MultiDiscrete([grid_size, grid_size]),
            action_names=grid.ACTION_NAMES,
            end_action=grid.END,
            render_mode=render_mode,
        )
        n, last, c = grid_size, grid_size - 1, grid_size // 2
        self.grid_size = n
        self.start = (c, c)
        self.corners = ((0, 0), (last, last), (0, last), (last, 0))
        self._cells = n * n
        self._start = grid.cell_index(self.start, n)
        self._move = grid.move_table(n).reshape(-1)
        self._ride = self._ride_table().reshape(-1)
        self._without_exploring: dict[str, float] = {}
        self._lines_table = lines
        self.line_of = np.full(self._cells, -1)
        self.line_of[[grid.cell_index(stop, n) for stop in self.stops]] = np.arange(len(self.stops))
        self._static_obs = np.zeros((self._cells, 3 + len(extra_nvec)), np.int16)
        self._static_obs[:, :2] = grid.coordinates(n)
        self._static_obs[self._ride.reshape(num_problems, -1)[0] != np.arange(self._cells), 2] = grid.BUS_STOP
        self._cell = np.full(num_envs, self._start)
        self._ending = grid.rewards_of_ending(horizon)

    def _lines(self) -> list[tuple[list[Cell], list[Cell], NDArray[np.int64]]]:
        """Groups of lines: inner stops, outer stops, and (problems, lines) which outer stop each inner one leads to."""
        raise NotImplementedError

    def _useful(self) -> tuple[list[Cell], list[Cell]]:
        c, last = self.grid_size // 2, self.grid_size - 1
        stops = [(c, c + 1), (c + 1, c), (c - 1, c), (c, c - 1)]
        return stops, [(0, 1), (0, last - 1), (last, 1), (last, last - 1)]

    def _ride_table(self) -> NDArray[np.int64]:
        """(problems, cells): the cell that a ride leads to. Also sets `stops` and `destinations`."""
        n, count = self.grid_size, self.problems.num_problems
        table = np.tile(np.arange(self._cells), (count, 1))
        rows = np.arange(count)
        stops: list[Cell] = []
        ends = []
        for inner, outer, order in self._lines():
            inner_cells = np.array([grid.cell_index(cell, n) for cell in inner])
            outer_cells = np.array([grid.cell_index(cell, n) for cell in outer])
            for line in range(len(inner)):
                there = outer_cells[order[:, line]]
                table[rows, inner_cells[line]] = there
                table[rows, there] = inner_cells[line]
            stops += inner
            ends.append(np.array(outer)[order])
        self.useful_stops = tuple(self._lines()[0][0])
        self.stops, self.destinations = tuple(stops), np.concatenate(ends, axis=1)
        return table

    def sample_instruction(self, problem_id: NDArray[np.integer], rng: np.random.Generator) -> NDArray[np.int64]:
        """A corner (x, y) for each problem, uniformly, (N,) -> (N, 2)."""
        return np.array(self.corners, np.int64)[rng.integers(len(self.corners), size=len(problem_id))]

    def check_instruction(self, problem_id: NDArray[np.int64], instruction: NDArray[np.int64]) -> None:
        """Raise ValueError for an instruction (N, 2) that is no corner."""
        bad = ~np.isin(instruction, (0, self.grid_size - 1)).all(axis=1)
        if bad.any():
            raise ValueError(f"instruction {instruction[bad][0].tolist()} is no corner: choose one of {self.corners}")

    @cached_property
    def _planner(self) -> BusPlanner:
        ends = {(x, y) for x, y in self.destinations.reshape(-1, 2).tolist()}
        points = [self.start, *self.corners, *self.stops, *sorted(ends)] + ([self.sign] if self.sign else [])
        cells = np.array([grid.cell_index(point, self.grid_size) for point in points])
        number = np.full(self._cells, -1)
        number[cells] = np.arange(len(points))
        ride = number[self._ride.reshape(-1, self._cells)[:, cells]]
        return BusPlanner(points, ride, self.horizon, len(points) - 1 if self.sign else None)

    def optimal_return(self, problem_id: NDArray[np.integer], instruction: NDArray[np.integer]) -> NDArray[np.float64]:
        """Return of the shortest way to the corner, the lines known, (N,), (N, 2) -> (N,). Errors as for `MetaEnv`."""
        ids = self.problems.checked(problem_id)
        goal = self._checked_instructions(ids, instruction)
        corner = (goal[:, None, :] == np.array(self.corners)).all(axis=2).argmax(axis=1)
        return self._planner.optimal(ids, 1 + corner)

    def no_exploration_return(self, split: str = "all") -> float:
        """Mean over the corners of the best expected return if the lines must be discovered during execution.

        Errors as for `MetaEnv`.
        """
        if split not in self._without_exploring:
            ids = self.problems.ids(split)
            corners = range(1, 1 + len(self.corners))
            returns = [self._planner.without_exploring(ids, corner) for corner in corners]
            self._without_exploring[split] = float(np.mean(returns))
        return self._without_exploring[split]

    def belief_return(self, problem_id: NDArray[np.integer], instruction: NDArray[np.integer]) -> float:
        """Every corner is equally likely in all problems; arguments as for `MetaEnv`."""
        ids = self.problems.checked(problem_id)
        corner = self.corners.index((int(instruction[0]), int(instruction[1])))
        return self._planner.without_exploring(ids, 1 + corner)

    @property
    def rides(self) -> NDArray[np.int64]:
        """(problems, cells) the cell that a ride leads to, the same cell where no bus stops; cells by `cell_index`."""
        return self._ride.reshape(-1, self._cells)

    def parts(self) -> tuple[Part, ...]:
        """Where each line leads, one of four ends, under the letter of the pictures; useless lines are irrelevant."""
        ends = [tuple(f"({x}, {y})" for x, y in outer) for inner, outer, _ in self._lines() for _ in inner]
        return tuple(
            Part(f"line {LETTERS[line]}", self._lines_table[:, line], 4, line < len(self.useful_stops), values)
            for line, values in enumerate(ends)
        )

    def revealed(
        self, problem_id: int, obs: NDArray[Any], action: NDArray[np.integer], scene: Mapping[str, NDArray[Any]]
    ) -> NDArray[np.bool_]:
        """A ride shows the end of its line, and the map of the family with a map all lines; as for `MetaEnv`."""
        shown = np.zeros((len(obs), len(self.stops)), np.bool_)
        cells = [tuple(cell) for cell in obs[:, :2].tolist()]
        ends = zip(self.stops, map(tuple, self.destinations[problem_id].tolist()), strict=True)
        for line, (stop, end) in enumerate(ends):
            for t in np.flatnonzero(action == grid.RIDE).tolist():
                shown[t + 1, line] = {cells[t], cells[t + 1]} == {stop, end}
        if self.sign is not None:
            shown |= obs[:, 3:4] > 0
        return shown

    def instruction_name(self, instruction: NDArray[np.integer]) -> str:
        """The corner, (2,) -> such as "corner (0, 8)"."""
        return f"corner ({instruction[0]}, {instruction[1]})"

    def tell(self, problem_id: int, obs: NDArray[Any], action: NDArray[np.integer]) -> list[str]:
        """Walks and rides; arguments as for `MetaEnv`."""
        cells = obs[:, :2].tolist()
        lines = {tuple(cell): LETTERS[line] for line, cell in enumerate(self.stops)}
        lines |= {tuple(cell): LETTERS[line] for line, cell in enumerate(self.destinations[problem_id].tolist())}

        def place(t: int) -> str:
            x, y = cells[t]
            name = f"stop {lines[x, y]} at " if (x, y) in lines else "the map at " if (x, y) == self.sign else ""
            return f"{name}({x}, {y})"

        def other(t: int) -> str:
            if action[t] == grid.RIDE and cells[t] != cells[t + 1]:
                x, y = cells[t + 1]
                return f"rode line {lines[tuple(cells[t])]} to ({x}, {y})"
            return grid.WORDS[int(action[t])]

        return grid.tell(obs, action, place, other)

    def exploration_summary(
        self,
        problem_id: NDArray[np.integer],
        obs: NDArray[Any],
        action: NDArray[np.integer],
        mask: NDArray[np.bool_],
    ) -> dict[str, NDArray[np.float64]]:
        """See `summary_of_rides`; arguments as for `MetaEnv`."""
        return summary_of_rides(self, obs, action, mask)

    def positions(self, obs: NDArray[Any]) -> NDArray[np.float64]:
        """Cells, (..., D) -> (..., 2)."""
        return grid.positions(obs)

    @property
    def map_extent(self) -> tuple[float, float, float, float]:
        """The grid, whose cells are centred on whole numbers."""
        return grid.map_extent(self.grid_size)

    def instruction_probability(
        self, problem_id: NDArray[np.integer], instruction: NDArray[np.integer]
    ) -> NDArray[np.float64]:
        """1/4 for each corner in any problem, else 0, (N,), (N, 2) -> (N,)."""
        return np.all(np.isin(instruction, (0, self.grid_size - 1)), axis=1) / len(self.corners)

    def expert(self, problem_id: NDArray[np.integer], instruction: NDArray[np.integer]) -> Expert:
        """Takes the shortest way to the corner. Arguments and errors as for `MetaEnv`."""
        ids = self.problems.checked(problem_id)
        return BusExpert(self, ids, self._checked_instructions(ids, instruction))

    def believer(self, problem_id: NDArray[np.integer], instruction: NDArray[np.integer]) -> Expert:
        """Takes the way that is the shortest with the believed lines, whatever a ride shows; as for `MetaEnv`."""
        ids = self.problems.checked(problem_id)
        return BusExpert(self, ids, self._checked_instructions(ids, instruction), corrects=False)

    def scripted_explorer(self, num: int) -> Expert:
        """Rides useful lines until all are known."""
        return LineExplorer(self, num)

    def _begin(self, members: NDArray[np.int64]) -> NDArray[Any]:
        self._cell[members] = self._start
        self._ride_row = self.problem_id * self._cells
        self._goal = self.instruction[:, 0] * self.grid_size + self.instruction[:, 1]
        return self._observe()

    def _advance(self, actions: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[np.float32], NDArray[np.bool_]]:
        moved = self._move.take(actions * self._cells + self._cell)
        self._cell = np.where(actions == grid.RIDE, self._ride.take(self._ride_row + self._cell), moved)
        if self.phase == "explore":
            nothing = np.zeros(self.num_envs, np.float32)
            return self._observe(), nothing, nothing.astype(np.bool_)
        arrived = self._cell == self._goal
        reward = grid.step_reward(actions, self._ending.take(self.elapsed))
        reward[arrived] = 1.0
        return self._observe(), reward, arrived

    def _observe(self) -> NDArray[np.int16]:
        return self._static_obs.take(self._cell, axis=0)


class Bus(BusNetwork):
    """Distracting bus: four useful and four useless lines, 24 x 24 = 576 problems; obs (x, y, status).

    In the paper every 11th id is for training (53) and the other 523 for test. Of the 53, five are held out for
    validation here: each has useful lines that two training problems share. Other defaults are the paper's rules.

    Args:
        num_envs: members.
        grid_size: odd, at least 5. Stops stay around the middle, destinations on the edges, corners in the corners.
        horizon: steps; by default 2.5 times the walk to a corner (20 on the 9 x 9 grid).
        description: the input of f: "id", a one-hot problem id as in the paper, or "lines", where each line leads, so
            that f generalises to problems outside the training split.
        split: "held-out", or "paper": all 53 for training and for validation as well.
        render_mode: None or "rgb_array".

    Raises:
        ValueError: a grid size, horizon, description or split that is not allowed.
    """

    summary = "ride the right one of four buses to a corner, ignore four useless ones (576 problems)"
    # f cannot generalise to the one-hot id of a problem outside training, but to where its lines lead.
    bound_settings: ClassVar[Mapping[str, Any]] = {"env_parameters.description": "lines"}

    def __init__(
        self,
        num_envs: int,
        grid_size: int = 9,
        horizon: int | None = None,
        description: str = "id",
        split: str = "held-out",
        render_mode: str | None = None,
    ) -> None:
        if split not in ("held-out", "paper"):
            raise ValueError(f"unknown split {split!r}: choose 'held-out' or 'paper'")
        ids, orders = np.arange(576), _permutations(4)
        known = ids[ids % 11 == 0]
        held_out = known if split == "paper" else np.array(VALIDATION)
        splits = {
            "train": known if split == "paper" else np.setdiff1d(known, held_out),
            "validation": held_out,
            "test": np.setdiff1d(ids, known),
        }
        lines = np.concatenate([orders[ids % 24], orders[ids // 24]], axis=1)
        parameters = {"split": split}
        super().__init__(
            num_envs, "bus", grid_size, horizon, 576, [], lines, splits, parameters, description, render_mode
        )

    def _lines(self) -> list[tuple[list[Cell], list[Cell], NDArray[np.int64]]]:
        c, last = self.grid_size // 2, self.grid_size - 1
        useless = [(c + 1, c + 1), (c - 1, c - 1), (c - 1, c + 1), (c + 1, c - 1)]
        edges = [(0, c), (c, 0), (last, c), (c, last)]
        orders, ids = _permutations(4), np.arange(576)
        return [(*self._useful(), orders[ids % 24]), (useless, edges, orders[ids // 24])]


class Map(BusNetwork):
    """Bus with a map: four lines, 24 problems; obs (x, y, status, map), map = problem_id + 1 at the sign, else 0.

    The sign stands at (7, 3) on the 9 x 9 grid and can be read in both phases. All splits hold all 24 problems, as in
    the paper, because the map of a problem never seen cannot be read. So no checkpoint is chosen on validation: the
    final weights are evaluated (`ProblemSet.validates`). Arguments and errors as for `Bus`, which also has a split.
    """

    summary = "read the map, then ride the right one of four buses to a corner (24 problems)"

    def __init__(
        self,
        num_envs: int,
        grid_size: int = 9,
        horizon: int | None = None,
        description: str = "id",
        render_mode: str | None = None,
    ) -> None:
        ids = np.arange(24)
        lines, splits = _permutations(4), dict.fromkeys(SPLITS, ids)
        super().__init__(num_envs, "map", grid_size, horizon, 24, [25], lines, splits, {}, description, render_mode)
        self.sign = (grid_size - 2, grid_size // 2 - 1)
        self._sign = grid.cell_index(self.sign, grid_size)

    def _lines(self) -> list[tuple[list[Cell], list[Cell], NDArray[np.int64]]]:
        return [(*self._useful(), _permutations(4))]

    def scripted_explorer(self, num: int) -> Expert:
        """Walks to the sign."""
        return SignExplorer(self._sign, self.grid_size)

    def _observe(self) -> NDArray[np.int16]:
        obs = super()._observe()
        obs[:, 3] = (self._cell == self._sign) * (self.problem_id + 1)
        return obs
