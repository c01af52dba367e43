"""Where an agent can stand in the worlds of the sign families, for starts of training episodes anywhere."""

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
SIGN_ROOM = 2
"""How much likelier the last room of a house, where the sign hangs, is than each other one."""


def free_places(layouts: Sequence[SignLayout], obstacles: Obstacles, count: int) -> NDArray[np.float64]:
    """Places in each world, in a random room and touching nothing, (W, count, 2) x and z; always the same ones.

    Rooms are equally likely, whatever their size, but the one where the sign hangs, which is SIGN_ROOM times as likely.
    """
    rng = np.random.default_rng(0)
    found = np.empty((len(layouts), count, 2))
    for world, layout in enumerate(layouts):
        weight = np.ones(len(layout.rooms))
        weight[-1] = SIGN_ROOM
        chosen = rng.choice(len(weight), CANDIDATES * count, p=weight / weight.sum())
        rooms = np.array(layout.rooms)[chosen]  # (., axis, end)
        tried = rng.uniform(rooms[:, :, 0], rooms[:, :, 1])
        barriers = obstacles.barriers_of(world)
        free = np.empty(len(tried), np.bool_)
        _mark_free(barriers, obstacles.things[world], obstacles.radii, tried, free)
        found[world] = tried[np.resize(np.flatnonzero(free), count)]
    return found


@njit(cache=True, nogil=True, **OPTIONS)
def _mark_free(barriers: Any, things: Any, radii: Any, places: Any, free: Any) -> None:
    for number in range(len(places)):
        x, z = places[number, 0], places[number, 1]
        free[number] = not blocked(barriers, things, radii, x, z) and met_at(things, radii, x, z, NEAR) < 0
