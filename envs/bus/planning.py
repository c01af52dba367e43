"""Exact returns of bus and map: shortest paths if the lines are known, belief-state search if they are not."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dream.envs.grid import STEP_COST, Cell

MAX_BELIEFS = 200_000


class BusPlanner:
    """Plans on the relevant points: start, corners, stops and the sign; between two of them the agent walks straight.

    Args:
        points: cells (x, y), the first one the start.
        ride: (problems, points) where a ride leads, the point itself where no bus stops.
        horizon: steps of an episode.
        sign: the point that identifies the problem, if there is one.
    """

    def __init__(self, points: list[Cell], ride: NDArray[np.int64], horizon: int, sign: int | None) -> None:
        cells = np.array(points)
        self.ride, self.horizon, self.sign = ride, horizon, sign
        self._returns = np.append(1 - STEP_COST * (np.arange(horizon + 1) - 1), -STEP_COST * horizon)
        self.walk = np.abs(cells[:, None] - cells[None]).sum(axis=2)
        self.stops = np.flatnonzero((ride != np.arange(len(points))).any(axis=0))
        self._beliefs: dict[bytes, NDArray[np.int64]] = {}
        self.known = self._distances(ride)
        """(problems, points, points) steps from point to point if the lines are known."""

    def _distances(self, ride: NDArray[np.int64]) -> NDArray[np.int64]:
        """All shortest paths (n, points, points) for rides (n, points); a negative entry is a ride not to be taken."""
        steps = np.repeat(self.walk[None], len(ride), axis=0)
        lines, ends = np.nonzero(ride >= 0)
        there = ride[lines, ends]
        steps[lines, ends, there] = np.minimum(steps[lines, ends, there], 1)
        for via in self.stops:
            np.minimum(steps, steps[:, :, via, None] + steps[:, None, via, :], out=steps)
        diagonal = np.arange(len(self.walk))
        steps[:, diagonal, diagonal] = 0
        return steps

    def _distances_under(self, key: bytes, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """(points, points) steps under the belief `ids`, with only those rides whose end is certain."""
        if key not in self._beliefs:
            if len(self._beliefs) >= MAX_BELIEFS:
                raise NotImplementedError(
                    f"more than {MAX_BELIEFS} beliefs: the exact no-exploration return of this family is out of reach"
                )
            first = self.ride[ids[0]]
            certain = (self.ride[ids] == first).all(axis=0)
            self._beliefs[key] = self._distances(np.where(certain, first, -1)[None])[0]
        return self._beliefs[key]

    def returns(self, arrival: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return of an episode that arrives with step number `arrival`, any shape."""
        return self._returns[np.minimum(arrival, self.horizon + 1)]

    def optimal(self, problems: NDArray[np.int64], corners: NDArray[np.int64]) -> NDArray[np.float64]:
        """(N,) best returns from the start to the corners (N,), as points, in problems (N,) with known lines."""
        return self.returns(self.known[problems, 0, corners])

    def without_exploring(self, problems: NDArray[np.int64], corner: int) -> float:
        """Best expected return if each of `problems` is equally likely and the agent learns during the episode.

        A belief is the set of problems that agree with all observations. Only riding an unknown line and reading the
        sign change it, so the search goes from one of these to the next. A choice is pruned if even knowing the
        problem after it would not beat the best choice so far.

        Raises NotImplementedError when there are too many beliefs to go through.
        """
        values: dict[tuple[bytes, int, int], float] = {}

        def value(ids: NDArray[np.int64], point: int, elapsed: int) -> float:
            key = ids.tobytes()
            if (key, point, elapsed) in values:
                return values[key, point, elapsed]
            steps = self._distances_under(key, ids)[point]
            best = float(self.returns(elapsed + steps[corner]))
            choices: list[tuple[float, int, NDArray[np.int64]]] = []
            if len(ids) > 1:
                ends = self.ride[ids[:, None], self.stops]  # (problems, stops)
                arrivals = elapsed + steps[self.stops] + 1
                bounds_after = self.returns(arrivals + self.known[ids[:, None], ends, corner]).mean(axis=0)
                for i in np.flatnonzero((ends != ends[0]).any(axis=0)):
                    choices.append((float(bounds_after[i]), int(arrivals[i]), ends[:, i]))
                if self.sign is not None:
                    after = elapsed + int(steps[self.sign])
                    known = self.returns(after + self.known[ids, self.sign, corner]).mean()
                    best = max(best, float(known))  # the sign identifies the problem, so this is attained
            for bound, after, there in sorted(choices, key=lambda choice: -choice[0]):
                if bound <= best + 1e-12:
                    break
                total = 0.0
                for end in np.unique(there):
                    agreeing = ids[there == end]
                    total += len(agreeing) * value(agreeing, int(end), after)
                best = max(best, total / len(ids))
            values[key, point, elapsed] = best
            return best

        return value(np.asarray(problems, np.int64), 0, 0)
