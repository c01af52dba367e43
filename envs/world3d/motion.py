"""Kernel that moves many agents at once: turns, steps, walls and things in the way, as MiniWorld does it."""

from __future__ import annotations

import math
from typing import Any

from numba import njit

from dream.envs.world3d.kernels import OPTIONS

AGENT_RADIUS = 0.4


@njit(cache=True, nogil=True, **OPTIONS)
def move(pose: Any, turn: Any, advance: Any, barriers: Any, things: Any, radii: Any) -> None:
    """Turn agents, then move them ahead; an agent that would collide stays where it is.

    Args:
        pose: (B, 3) x, z and direction in radians, changed in place.
        turn: (B,) radians to add to the direction.
        advance: (B,) metres to go; backwards if negative.
        barriers: (S, 2, 2) wall segments.
        things: (E, 2) x and z of the things that stand about.
        radii: (E,) their radii.
    """
    for member in range(len(pose)):
        pose[member, 2] += turn[member]
        if advance[member] == 0:
            continue
        x = pose[member, 0] + math.cos(pose[member, 2]) * advance[member]
        z = pose[member, 1] - math.sin(pose[member, 2]) * advance[member]
        free = True
        for s in range(len(barriers)):
            ax, az = barriers[s, 0, 0], barriers[s, 0, 1]
            dx, dz = barriers[s, 1, 0] - ax, barriers[s, 1, 1] - az
            at = ((x - ax) * dx + (z - az) * dz) / (dx * dx + dz * dz)
            at = min(1.0, max(0.0, at))
            if math.sqrt((ax + at * dx - x) ** 2 + (az + at * dz - z) ** 2) < AGENT_RADIUS:
                free = False
                break
        for e in range(len(radii)):
            if math.sqrt((things[e, 0] - x) ** 2 + (things[e, 1] - z) ** 2) < AGENT_RADIUS + radii[e]:
                free = False
        if free:
            pose[member, 0], pose[member, 1] = x, z
