"""Planning in the worlds of sign: the fewest steps to an object, to a view of the sign, and to both in turn."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dream.envs.sign.fast import FORWARD_STEP, NEAR, TURN_STEP, world_of
from dream.envs.sign.layout import WORDS, SignLayout
from dream.envs.world3d.motion import AGENT_RADIUS, move
from dream.envs.world3d.renderer import Renderer

_GRID = 1e-3
"""Poses nearer to each other than this (metres) count as the same."""


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


def search(layout: SignLayout, start: NDArray[np.floating], horizon: int, goals: int = 0) -> Search:
    """Try all actions, breadth first, from a pose (3,), without going on where an object is touched.

    Stops early when the first `goals` objects have all been reached, if `goals` is above 0.
    """
    _, obstacles = world_of(layout)
    places, radii = obstacles.things[0], obstacles.radii
    poses = np.array([[*start[:2], 0.0]])  # the direction in turns of 45 degrees from the start's
    known = {_key(poses)[0]}
    found = [poses]
    parents, actions, steps = [np.array([-1])], [np.array([-1])], [np.zeros(1, np.int64)]
    touches = [_touched(poses, places, radii)]
    base, edge = 0, np.arange(1)
    for step in range(1, horizon + 1):
        living = edge[touches[-1] < 0]
        origin = found[-1][living - base]
        if not len(living):
            break
        tried = np.repeat(origin, 3, axis=0)
        action = np.tile(np.arange(3), len(origin))
        tried[:, 2] = (tried[:, 2] + (action == 0) - (action == 1)) % 8
        real = tried.copy()
        real[:, 2] = start[2] + TURN_STEP * tried[:, 2]
        move(real, np.zeros(len(real)), FORWARD_STEP * (action == 2), obstacles, np.zeros(len(real), np.int64))
        tried[:, :2] = real[:, :2]
        keep = []
        for number, key in enumerate(_key(tried)):
            if key not in known:
                known.add(key)
                keep.append(number)
        base += len(found[-1])
        found.append(tried[keep])
        parents.append(np.repeat(living, 3)[keep])
        actions.append(action[keep])
        steps.append(np.full(len(keep), step))
        touches.append(_touched(found[-1], places, radii))
        edge = base + np.arange(len(keep))
        if goals and np.isin(np.arange(goals), np.concatenate(touches)).all():
            break
    pose = np.concatenate(found)
    pose[:, 2] = start[2] + TURN_STEP * pose[:, 2]
    parts = (np.concatenate(part) for part in (steps, parents, actions, touches))
    return Search(pose, *parts)


def sign_pixels(layout: SignLayout, pose: NDArray[np.floating], colour: int = 2) -> NDArray[np.float32]:
    """Visible pixels of a sign from poses (N, 3), without objects in between, (N,)."""
    scene, obstacles = world_of(layout)
    count = len(pose)
    model = np.full((count, 1), len(obstacles.radii) + colour)
    if not 0 <= colour < len(WORDS):
        raise ValueError(f"colour is {colour}: give 0 to {len(WORDS) - 1}")
    places = np.tile(np.array(layout.sign), (count, 1, 1))
    return Renderer(scene).render(pose, model, places)[1][:, 0]


def _key(pose: NDArray[np.floating]) -> list[tuple[int, ...]]:
    return [tuple(row) for row in np.round(pose / [_GRID, _GRID, 1]).astype(np.int64).tolist()]


def _touched(
    pose: NDArray[np.floating], places: NDArray[np.floating], radii: NDArray[np.floating]
) -> NDArray[np.int64]:
    distance = np.sqrt(((pose[:, None, :2] - places) ** 2).sum(axis=2))
    near = distance < radii + AGENT_RADIUS + NEAR
    return np.where(near.any(axis=1), near.shape[1] - 1 - near[:, ::-1].argmax(axis=1), -1)
