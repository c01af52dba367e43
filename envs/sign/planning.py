"""Planning in the worlds of sign: the fewest steps to an object, to a view of the sign, and to both in turn.

The search treats poses as one whose places fall into the same square of `CELL` metres and whose headings are equal; the
first one that is found stands for all. So every way it finds is a real one, though a shorter one may be missed.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from dream.envs.sign.compiled import CompiledWorlds
from dream.envs.sign.fast import FORWARD_STEP, NEAR, TURN_STEP
from dream.envs.sign.layout import WORDS
from dream.envs.world3d.kernels import OPTIONS
from dream.envs.world3d.motion import Obstacles, blocked, meet, met_at, move
from dream.envs.world3d.renderer import Renderer

CELL = 0.1
"""Metres."""
HALF_VIEW = 0.6
"""Radians from the middle of a frame to something near its side."""


class Search(NamedTuple):
    """All poses that can be reached from one start within a number of steps."""

    pose: NDArray[np.float64]
    """(N, 3) every pose, in the order in which it was found."""
    steps: NDArray[np.int64]
    """(N,) the fewest steps to it."""
    parent: NDArray[np.int64]
    """(N,) the pose before it, -1 for the start."""
    action: NDArray[np.int64]
    """(N,) the action that led there: 0 left, 1 right, 2 forward."""
    touched: NDArray[np.int64]
    """(N,) the object that ends the episode there, or -1."""

    def way(self, number: int) -> list[int]:
        """The actions that lead to a pose."""
        actions: list[int] = []
        while self.parent[number] >= 0:
            actions.append(int(self.action[number]))
            number = int(self.parent[number])
        return actions[::-1]

    def nearest(self, goal: NDArray[np.bool_]) -> int:
        """The first of the poses marked in `goal` (N,) that was found, or -1 if none is."""
        found = np.flatnonzero(goal)
        return int(found[0]) if len(found) else -1


def search(obstacles: Obstacles, world: int, start: NDArray[np.floating], horizon: int) -> Search:
    """All poses within `horizon` steps of a pose (3,) in a world, without going on where an object is touched."""
    barriers = obstacles.barriers_of(world)
    columns, rows = (barriers.max(axis=(0, 1)) / CELL).astype(int) + 2
    known = np.zeros((columns, rows, 8), np.bool_)
    pose, links = np.empty((known.size, 3)), np.empty((known.size, 4), np.int64)
    count = _search(
        barriers, obstacles.things[world], obstacles.radii, np.asarray(start, np.float64), horizon, known, pose, links
    )
    steps, parent, action, touched = links[:count].T.copy()
    return Search(pose[:count].copy(), steps, parent, action, touched)


def straight_ways(obstacles: Obstacles, start: NDArray[np.floating], horizon: int, world: int = 0) -> NDArray[np.int64]:
    """What straight ways from poses (N, 3) to each of the E objects of a world touch, (N, E); -1 for nothing in time.

    Who walks so turns left until the object would be in the frame, then turns towards it where it is more to the side
    than straight ahead, and else goes forward. Nothing is done about what stands in the way.
    """
    count = len(obstacles.radii)
    pose, target = np.repeat(np.asarray(start, np.float64), count, axis=0), np.tile(np.arange(count), len(start))
    here, now = np.full(len(pose), world), np.empty(len(pose), np.int64)
    meet(pose, NEAR, obstacles, here, now)
    touched, seen = now.copy(), np.zeros(len(pose), np.bool_)
    for _ in range(horizon):
        x, z = (obstacles.things[world, target] - pose[:, :2]).T
        aside = (np.arctan2(-z, x) - pose[:, 2] + np.pi) % (2 * np.pi) - np.pi
        seen |= np.abs(aside) < HALF_VIEW
        left, right = ~seen | (aside > TURN_STEP / 2), seen & (aside < -TURN_STEP / 2)
        going = touched < 0
        move(
            pose,
            TURN_STEP * (left * 1.0 - right) * going,
            FORWARD_STEP * (~left & ~right & going),
            obstacles,
            here,
        )
        meet(pose, NEAR, obstacles, here, now)
        touched = np.where(going, now, touched)
    return touched.reshape(len(start), count)


def blocked_share(touched: NDArray[np.int64]) -> float:
    """The share of `straight_ways`, (N, E), that touch another object than theirs."""
    return float(((touched >= 0) & (touched != np.arange(touched.shape[1]))).mean())


def sign_pixels(worlds: CompiledWorlds, world: int, pose: NDArray[np.floating], colour: int = 2) -> NDArray[np.float32]:
    """Visible pixels of a world's sign from poses (N, 3), without objects in between, (N,)."""
    count = len(pose)
    if not 0 <= colour < len(WORDS):
        raise ValueError(f"colour is {colour}: give 0 to {len(WORDS) - 1}")
    model = np.full((count, 1), worlds.first_word[world] + colour)
    places = np.tile(worlds.sign[world], (count, 1, 1))
    return Renderer(worlds.scene).render(pose, model, places, np.full(count, world))[1][:, 0]


@njit(cache=True, nogil=True, **OPTIONS)
def _search(
    barriers: Any, things: Any, radii: Any, start: Any, horizon: int, known: Any, pose: Any, links: Any
) -> int:  # fmt: skip
    pose[0, 0], pose[0, 1], pose[0, 2] = start[0], start[1], start[2]
    links[0, 0], links[0, 1], links[0, 2] = 0, -1, -1
    links[0, 3] = met_at(things, radii, start[0], start[1], NEAR)
    known[int(start[0] / CELL), int(start[1] / CELL), 0] = True
    count, at = 1, 0
    while at < count:
        if links[at, 0] == horizon:
            break
        if links[at, 3] < 0:
            turns = round((pose[at, 2] - start[2]) / TURN_STEP) % 8
            for action in range(3):
                x, z, turned = pose[at, 0], pose[at, 1], turns
                if action == 0:
                    turned = (turns + 1) % 8
                elif action == 1:
                    turned = (turns + 7) % 8
                else:
                    angle = start[2] + turns * TURN_STEP
                    x, z = x + FORWARD_STEP * math.cos(angle), z - FORWARD_STEP * math.sin(angle)
                    if blocked(barriers, things, radii, x, z):
                        continue
                column, row = int(x / CELL), int(z / CELL)
                if known[column, row, turned]:
                    continue
                known[column, row, turned] = True
                pose[count, 0], pose[count, 1], pose[count, 2] = x, z, start[2] + turned * TURN_STEP
                links[count, 0], links[count, 1], links[count, 2] = links[at, 0] + 1, at, action
                links[count, 3] = met_at(things, radii, x, z, NEAR)
                count += 1
        at += 1
    return count
