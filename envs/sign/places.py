"""Where an agent can stand in the worlds of the sign families, for starts of training episodes part-way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from dream.envs.sign.fast import NEAR
from dream.envs.sign.layout import SignLayout
from dream.envs.world3d.kernels import OPTIONS
from dream.envs.world3d.motion import Obstacles, blocked, met_at

CANDIDATES = 20
"""Places tried for each one wanted: far more than what walls and objects take away."""
ASIDE = 0.75
"""Distance of a place from the line to that room, at most, along x and z."""


def places_on_the_way(layouts: Sequence[SignLayout], obstacles: Obstacles, count: int) -> NDArray[np.float64]:
    """Places in each world where nothing is touched, (W, count, 2) x and z; always the same ones.

    The first half is in the room where the sign hangs, the others are near the lines from the middle of the start area
    through the openings to this room, evenly along these lines. So some are near to a view of the sign, others further
    and further.
    """
    rng = np.random.default_rng(0)
    found = np.empty((len(layouts), count, 2))
    for world, layout in enumerate(layouts):
        many = CANDIDATES * count
        least, largest = np.transpose(layout.rooms[-1])
        room = rng.uniform(least, largest, size=(many, 2))
        near = _along(_line(layout), rng.random(many)) + rng.uniform(-ASIDE, ASIDE, size=(many, 2))
        parts = np.array_split(found[world], 2)
        for part, tried in zip(parts, (room, near), strict=True):
            part[:] = _free(tried, world, layout, obstacles, len(part))
    return found


def places_among_objects(layouts: Sequence[SignLayout], obstacles: Obstacles, count: int) -> NDArray[np.float64]:
    """As `places_on_the_way`, uniformly in the main room, where the objects stand."""
    rng = np.random.default_rng(1)
    found = np.empty((len(layouts), count, 2))
    for world, layout in enumerate(layouts):
        least, largest = np.transpose(layout.rooms[0])
        tried = rng.uniform(least, largest, size=(CANDIDATES * count, 2))
        found[world] = _free(tried, world, layout, obstacles, count)
    return found


def _free(
    tried: NDArray[np.float64], world: int, layout: SignLayout, obstacles: Obstacles, count: int
) -> NDArray[np.float64]:
    """The first `count` of some points of a world (N, 2) that are in a room and touch nothing, (count, 2)."""
    least, largest = np.moveaxis(np.array(layout.rooms), -1, 0)  # of each room, (R, 2) each
    free = ((least < tried[:, None]) & (tried[:, None] < largest)).all(-1).any(1)
    _mark_free(obstacles.barriers_of(world), obstacles.things[world], obstacles.radii, tried, free)
    return tried[np.resize(np.flatnonzero(free), count)]


def _line(layout: SignLayout) -> NDArray[np.float64]:
    """Corners of the line from the middle of the start area to the last opening, (K, 2)."""
    corners = [(sum(layout.start_x) / 2, sum(layout.start_z) / 2)]
    for hole in layout.openings:
        across = int(hole.axis == "x")  # the gap lies between the rooms along the other axis
        one, other = sorted((layout.rooms[hole.first][across], layout.rooms[hole.second][across]))
        middle = sum(hole.span) / 2, (one[1] + other[0]) / 2
        corners.append(middle if hole.axis == "x" else middle[::-1])
    return np.array(corners)


def _along(corners: NDArray[np.float64], share: NDArray[np.float64]) -> NDArray[np.float64]:
    """The points that divide a line (K, 2) at shares (N,) of its length, (N, 2)."""
    length = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(corners, axis=0).T))])
    return np.stack([np.interp(share * length[-1], length, side) for side in corners.T], axis=1)


@njit(cache=True, nogil=True, **OPTIONS)
def _mark_free(barriers: Any, things: Any, radii: Any, places: Any, free: Any) -> None:
    for number in range(len(places)):
        x, z = places[number, 0], places[number, 1]
        free[number] &= not blocked(barriers, things, radii, x, z) and met_at(things, radii, x, z, NEAR) < 0
