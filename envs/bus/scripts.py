"""Scripted policies for bus and map: an expert for a believed problem, and explorers that find the lines."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dream.envs import grid


class BusNetwork(Protocol):
    """What the scripts need of a family of bus lines (envs/bus/family.py)."""

    grid_size: int
    useful_stops: tuple[grid.Cell, ...]
    """Inner stops of the useful lines."""
    line_of: NDArray[np.int64]
    """(cells,) number of the line whose inner stop is in a cell, else -1."""
    sign: grid.Cell | None

    @property
    def rides(self) -> NDArray[np.int64]:
        """(num_problems, cells) cell that a ride from each cell leads to."""


def summary_of_rides(
    env: BusNetwork, obs: NDArray[Any], action: NDArray[np.integer], mask: NDArray[np.bool_]
) -> dict[str, NDArray[np.float64]]:
    """What N streams rode, from obs (N, T + 1, D), action (N, T) and mask (N, T).

    Returns:
        useful_rides and distracting_rides: rides on such lines, in either direction, every time counted;
        useful_lines_known: useful lines whose other end was observed or follows (with all but one, the last follows);
        read_sign, where there is a sign: 1 if it was read, which reveals all lines, else 0. Each (N,).
    """
    cell = grid.cells_of(obs, env.grid_size)
    # One end of every ride is the inner stop of its line.
    line = np.maximum(env.line_of[cell[:, :-1]], env.line_of[cell[:, 1:]])
    rode = mask & (action == grid.RIDE) & (cell[:, :-1] != cell[:, 1:])
    useful = len(env.useful_stops)
    known = np.stack([(rode & (line == i)).any(axis=1) for i in range(useful)], axis=1).sum(axis=1)
    known = np.where(known >= useful - 1, useful, known)
    found = {
        "useful_rides": (rode & (line < useful)).sum(axis=1),
        "distracting_rides": (rode & (line >= useful)).sum(axis=1),
        "useful_lines_known": known,
    }
    if env.sign is not None:
        read = ((obs[..., 3] > 0) & grid.frames_seen(mask)).any(axis=1)
        found |= {"read_sign": read, "useful_lines_known": np.where(read, useful, known)}
    return {name: value.astype(np.float64) for name, value in found.items()}


class BusExpert:
    """Takes the shortest way to the corner, given the lines it believes in; `MetaEnv.expert`.

    A ride that ends elsewhere corrects the belief: this line leads to where the ride ended, and the line that was
    believed to end there has an unknown end. The expert replans from where it is.

    Args:
        env: the family.
        problem_id: (N,) problems believed in.
        instruction: (N, 2) corners.
        corrects: whether a ride that ends elsewhere corrects the belief.

    Attributes:
        believed_rides: (N, cells) int64, the cell to which a ride from each cell is believed to lead.
    """

    def __init__(
        self,
        env: BusNetwork,
        problem_id: NDArray[np.int64],
        instruction: NDArray[np.int64],
        *,
        corrects: bool = True,
    ) -> None:
        self._corrects = corrects
        self._size = env.grid_size
        self._goal = grid.cells_of(instruction, env.grid_size)
        self._walk = grid.move_table(env.grid_size)[:4]
        self.believed_rides = env.rides[problem_id]
        self._rows = np.arange(len(problem_id))
        self._steps = self._steps_to_go(self._rows)
        self._before: NDArray[np.int64] | None = None
        self._rode = np.zeros(len(problem_id), np.bool_)

    def act(self, obs: NDArray[Any]) -> NDArray[np.int64]:
        """Actions (N,) on observations (N, D): the walk (left, up, right, down) or ride with the fewest steps left."""
        cell = grid.cells_of(obs, self._size)
        if self._before is not None and self._corrects:
            self._learn(cell)
        walked = self._steps[self._rows, self._walk[:, cell]]  # (4, N)
        ridden = self._steps[self._rows, self.believed_rides[self._rows, cell]]
        action = np.array([grid.LEFT, grid.UP, grid.RIGHT, grid.DOWN, grid.RIDE])[
            np.concatenate([walked, ridden[None]]).argmin(axis=0)
        ]
        action = np.where(cell == self._goal, grid.END, action)
        self._before, self._rode = cell, action == grid.RIDE
        return action

    def _learn(self, cell: NDArray[np.int64]) -> None:
        """Correct the lines of members whose ride ended at another cell (N,) than believed."""
        assert self._before is not None
        believed = self.believed_rides[self._rows, self._before]
        # A member that did not move was frozen: its episode had ended.
        wrong = np.flatnonzero(self._rode & (cell != believed) & (cell != self._before))
        if not len(wrong):
            return
        stop, end = self._before[wrong], cell[wrong]
        for orphan in (believed[wrong], self.believed_rides[wrong, end]):
            self.believed_rides[wrong, orphan] = orphan
        self.believed_rides[wrong, stop], self.believed_rides[wrong, end] = end, stop
        self._steps[wrong] = self._steps_to_go(wrong)

    def _steps_to_go(self, members: NDArray[np.int64]) -> NDArray[np.int64]:
        """(M, cells) steps from every cell to the goal for some of the members (M,)."""
        ride, rows = self.believed_rides[members], np.arange(len(members))
        steps = np.full(ride.shape, 4 * self._size)
        steps[rows, self._goal[members]] = 0
        while True:
            best = np.minimum(steps[:, self._walk].min(axis=1), np.take_along_axis(steps, ride, axis=1)) + 1
            if (best >= steps).all():
                return steps
            np.minimum(steps, best, out=steps)


class LineExplorer:
    """Rides the nearest unknown useful line, and back, until all are known (the last one follows), then ends.

    Args:
        env: the family.
        num: N members.
    """

    def __init__(self, env: BusNetwork, num: int) -> None:
        self._size = env.grid_size
        self._stops = np.array(env.useful_stops)
        self._line_of = np.where(env.line_of < len(self._stops), env.line_of, -1)
        self._known = np.zeros((num, len(self._stops)), np.bool_)
        self._before: NDArray[np.int64] | None = None
        self._rode = np.zeros(num, np.bool_)

    def act(self, obs: NDArray[Any]) -> NDArray[np.int64]:
        """Actions (N,) on observations (N, D)."""
        cell = grid.cells_of(obs, self._size)
        if self._before is not None:
            came = np.flatnonzero(self._rode & (cell != self._before) & (self._line_of[self._before] >= 0))
            self._known[came, self._line_of[self._before[came]]] = True
        away = self._rode & (self._line_of[cell] < 0)  # at the far end, which is known now: back again
        distance = np.abs(obs[:, None, :2] - self._stops).sum(axis=2)
        nearest = np.where(self._known, 4 * self._size, distance).argmin(axis=1)
        there = distance[np.arange(len(cell)), nearest] == 0
        action = np.where(there | away, grid.RIDE, grid.toward(obs[:, :2], self._stops[nearest]))
        action = np.where(self._known.sum(axis=1) >= self._known.shape[1] - 1, grid.END, action)
        self._before, self._rode = cell, action == grid.RIDE
        return action


class SignExplorer:
    """Walks to the sign and ends: one look identifies the problem.

    Args:
        sign: its cell, as a number.
        grid_size: of the grid.
    """

    def __init__(self, sign: int, grid_size: int) -> None:
        self._sign = np.array(divmod(sign, grid_size))

    def act(self, obs: NDArray[Any]) -> NDArray[np.int64]:
        """Actions (N,) on observations (N, D)."""
        action = grid.toward(obs[:, :2], np.broadcast_to(self._sign, (len(obs), 2)))
        return np.where(action == grid.NO_OP, grid.END, action)
