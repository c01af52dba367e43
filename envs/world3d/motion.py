"""Moving many agents at once, each in a world of its own: turns, steps, walls and things in the way (MiniWorld's)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from dream.envs.world3d.floorplan import Floorplan
from dream.envs.world3d.kernels import OPTIONS

AGENT_RADIUS = 0.4


class Obstacles(NamedTuple):
    """What stands in the way in W worlds, with E things in each."""

    first: NDArray[np.int64]
    """(W + 1,) first barrier of each world, and S."""
    barriers: NDArray[np.float64]
    """(S, 2, 2) wall segments: begin and end, x and z."""
    things: NDArray[np.float64]
    """(W, E, 2) x and z of the things that stand about."""
    radii: NDArray[np.float64]
    """(E,) their radii."""

    def barriers_of(self, world: int) -> NDArray[np.float64]:
        """(., 2, 2) barriers of one world."""
        return self.barriers[self.first[world] : self.first[world + 1]]


def make_obstacles(plans: Sequence[Floorplan], things: NDArray[np.floating], radii: Sequence[float]) -> Obstacles:
    """The walls of each world's floorplan and its things, (W, E, 2) x and z, with radii (E,)."""
    barriers = [plan.barriers() for plan in plans]
    first = np.cumsum([0, *map(len, barriers)])
    return Obstacles(first, np.concatenate(barriers), np.array(things, np.float64), np.array(radii, np.float64))


@njit(**OPTIONS)
def met_at(things: Any, radii: Any, x: float, z: float, reach: float) -> int:
    """The last of the things (E, 2), radii (E,), whose circle is within `reach` of the agent's at (x, z); -1: none."""
    found = -1
    for e in range(len(radii)):
        if math.sqrt((things[e, 0] - x) ** 2 + (things[e, 1] - z) ** 2) < radii[e] + AGENT_RADIUS + reach:
            found = e
    return found


@njit(**OPTIONS)
def blocked(barriers: Any, things: Any, radii: Any, x: float, z: float) -> bool:
    """Whether an agent at (x, z) would stand in a wall, barriers (S, 2, 2), or in a thing, (E, 2) with radii (E,)."""
    for s in range(len(barriers)):
        ax, az = barriers[s, 0, 0], barriers[s, 0, 1]
        dx, dz = barriers[s, 1, 0] - ax, barriers[s, 1, 1] - az
        at = ((x - ax) * dx + (z - az) * dz) / (dx * dx + dz * dz)
        at = min(1.0, max(0.0, at))
        if math.sqrt((ax + at * dx - x) ** 2 + (az + at * dz - z) ** 2) < AGENT_RADIUS:
            return True
    return met_at(things, radii, x, z, 0.0) >= 0


@njit(cache=True, nogil=True, **OPTIONS)
def move(pose: Any, turn: Any, advance: Any, obstacles: Any, world: Any) -> None:
    """Turn agents, then move them ahead; an agent that would collide stays where it is.

    Args:
        pose: (B, 3) x, z and direction in radians, changed in place.
        turn: (B,) radians to add to the direction.
        advance: (B,) metres to go; backwards if negative.
        obstacles: of the worlds.
        world: (B,) int64, the world of each agent.
    """
    barriers, things, radii = obstacles.barriers, obstacles.things, obstacles.radii
    for member in range(len(pose)):
        pose[member, 2] += turn[member]
        if advance[member] == 0:
            continue
        here = world[member]
        x = pose[member, 0] + math.cos(pose[member, 2]) * advance[member]
        z = pose[member, 1] - math.sin(pose[member, 2]) * advance[member]
        walls = barriers[obstacles.first[here] : obstacles.first[here + 1]]
        if not blocked(walls, things[here], radii, x, z):
            pose[member, 0], pose[member, 1] = x, z


@njit(cache=True, nogil=True, **OPTIONS)
def meet(pose: Any, reach: float, obstacles: Any, world: Any, found: Any) -> None:
    """Write into `found` (B,) int64 what each agent (B, 3) meets in its world (B,), see `met_at`."""
    for member in range(len(pose)):
        here = world[member]
        found[member] = met_at(obstacles.things[here], obstacles.radii, pose[member, 0], pose[member, 1], reach)
