"""Walking in kitchens, exactly: steps between poses, fewest steps of a dish, shortest tours of the containers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from dream.envs.kitchen.layout import CELLS, CONTAINERS, GRID, HEADINGS, POSES, POT, THINGS, KitchenLayout

LEFT, RIGHT, FORWARD, USE, END = range(5)
FAR = 1000
"""More steps than any way has: there is no way."""


class Walks(NamedTuple):
    """How W kitchens are walked in."""

    forward: NDArray[np.int64]
    """(W, POSES) the pose after a step ahead; the same one where something is in the way."""
    faced: NDArray[np.int64]
    """(W, POSES) the thing that is used from a pose, -1 for none."""
    access: NDArray[np.int64]
    """(W, THINGS) the pose from which a thing is used, -1 where the kitchen lacks it."""
    floor: NDArray[np.int64]
    """(W, CELLS) the cells where an episode can start, filled up with -1."""
    cells: NDArray[np.int64]
    """(W,) how many these are."""
    distance: NDArray[np.int16]
    """(W, THINGS, POSES) steps from a pose to the one from which a thing is used; FAR where there is no way."""
    between: NDArray[np.int64]
    """(W, THINGS, THINGS) steps from where one thing is used to where another is."""
    kept: NDArray[np.bool_]
    """(W, 6) whether a container is used from the same cell as the pot: there it stays open."""


@lru_cache(maxsize=8)
def walks_of(layouts: tuple[KitchenLayout, ...]) -> Walks:
    """The kitchens, numbered in their order."""
    many = len(layouts)
    free = np.zeros((many, CELLS), np.bool_)
    faced = np.full((many, POSES), -1)
    access = np.full((many, THINGS), -1)
    floor = np.full((many, CELLS), -1)
    cells = np.zeros(many, np.int64)
    for number, layout in enumerate(layouts):
        found = layout.floor()
        free[number, found] = True
        floor[number, : len(found)], cells[number] = found, len(found)
        for thing, place in layout.places.items():
            access[number, thing] = place.access
            faced[number, place.access] = thing
    forward = np.tile(np.arange(POSES), (many, 1))
    for heading, (x, z) in enumerate(HEADINGS):
        for cell in range(CELLS):
            if 0 <= cell % GRID + x < GRID and 0 <= cell // GRID + z < GRID:
                there = cell + GRID * z + x
                forward[:, 4 * cell + heading] = 4 * np.where(free[:, cell] & free[:, there], there, cell) + heading
    distance = np.full((many, THINGS, POSES), FAR, np.int16)
    _distances(forward, access, distance)
    between = np.take_along_axis(distance, np.maximum(access, 0)[:, None, :], axis=2).transpose(0, 2, 1).astype(int)
    between[access < 0] = FAR
    kept = access[:, :POT] // 4 == access[:, POT:] // 4
    return Walks(forward, faced, access, floor, cells, distance, between, kept)


def toward(walks: Walks, kitchen: NDArray[np.integer], pose: NDArray[np.integer], thing: Any) -> NDArray[np.int64]:
    """Actions (N,) on a shortest way to where a thing (N,) is used; USE there."""
    turned = pose // 4 * 4
    after = np.stack([turned + (pose + 1) % 4, turned + (pose + 3) % 4, walks.forward[kitchen, pose]], axis=1)
    left = walks.distance[kitchen[:, None], np.asarray(thing)[:, None], after]
    return np.where(walks.access[kitchen, thing] == pose, USE, left.argmin(axis=1))


def fetch_steps(
    walks: Walks, kitchen: NDArray[np.integer], contents: NDArray[np.integer], wanted: NDArray[np.integer]
) -> NDArray[np.int64]:
    """The fewest steps from where each container is used, closed, until its ingredient is in the pot, (N, 6).

    FAR where a container does not hold what is wanted (N,).
    """
    return np.where(contents == wanted[:, None], 2 + walks.between[kitchen, :POT, POT] + 1, FAR)


def dish_steps(
    walks: Walks, kitchen: NDArray[np.integer], contents: NDArray[np.integer], instruction: NDArray[np.integer]
) -> NDArray[np.int64]:
    """The fewest steps of a dish after the walk to the container where its first ingredient is fetched, (N, 6).

    For N kitchens (N,), contents (N, 6) and instructions (N, 2). FAR or more where a container does not hold it.

    Opening and taking are a step each. Only from the cell of the pot is a container still open when the hand is empty
    again, which saves the second opening of the same one.
    """
    first, second = instruction.T
    again = walks.between[kitchen, POT, :POT] + fetch_steps(walks, kitchen, contents, second)
    same = again - walks.kept[kitchen]  # the second ingredient from the same container as the first
    rest = np.minimum(again.min(axis=1, keepdims=True), same)
    return fetch_steps(walks, kitchen, contents, first) + rest


def optimal_steps(
    walks: Walks,
    kitchen: NDArray[np.integer],
    contents: NDArray[np.integer],
    instruction: NDArray[np.integer],
    pose: NDArray[np.integer],
) -> NDArray[np.int64]:
    """The fewest steps of a dish from a pose (N,), hand and pot empty and all containers closed, (N,)."""
    walk = walks.distance[kitchen, :POT, pose]
    return (walk + dish_steps(walks, kitchen, contents, instruction)).min(axis=1)


def mean_optimal_steps(
    walks: Walks, kitchen: NDArray[np.integer], contents: NDArray[np.integer], instruction: NDArray[np.integer]
) -> NDArray[np.float64]:
    """The mean of `optimal_steps` over the poses where an episode starts, (N,)."""
    rest = dish_steps(walks, kitchen, contents, instruction)
    total, starts = np.zeros(len(kitchen)), 4 * walks.cells[kitchen]
    for number in range(CELLS):
        cell = walks.floor[kitchen, number]
        for heading in range(4):
            walk = walks.distance[kitchen, :POT, 4 * np.maximum(cell, 0) + heading]
            total += np.where(cell >= 0, (walk + rest).min(axis=1), 0)
    return total / starts


def tours(walks: Walks, kitchen: NDArray[np.integer], pose: NDArray[np.integer]) -> NDArray[np.int64]:
    """Shortest tours that open every container, from poses (N,).

    Returns:
        (N, 7) the steps with the openings, then the containers in order, filled up with -1.
    """
    found = np.full((len(pose), 1 + len(CONTAINERS)), -1)
    _tours(walks.distance[kitchen, :POT, pose].astype(np.int64), walks.between[kitchen], walks.access[kitchen], found)
    return found


def starts_of(walks: Walks, kitchen: int) -> NDArray[np.int64]:
    """All poses where an episode in a kitchen can start, (S,)."""
    cells = walks.floor[kitchen, : walks.cells[kitchen]]
    return (4 * cells[:, None] + np.arange(4)).ravel()


def longest_steps(layouts: Sequence[KitchenLayout]) -> tuple[int, int]:
    """The most steps that the shortest tour and the shortest dish take in these kitchens, over starts and contents."""
    walks = walks_of(tuple(layouts))
    tour = dish = 0
    for kitchen, layout in enumerate(layouts):
        starts = starts_of(walks, kitchen)
        where = np.full(len(starts), kitchen)
        tour = max(tour, int(tours(walks, where, starts)[:, 0].max()))
        pairs = [(a, b) for a in layout.containers for b in layout.containers]
        contents = np.full((len(pairs), len(CONTAINERS)), 2)  # the two wanted ones are in one container each
        for row, (first, second) in enumerate(pairs):
            contents[row, second] = 1
            contents[row, first] = 0
        wanted = np.array([(0, 0 if first == second else 1) for first, second in pairs])
        for number in range(len(pairs)):
            holds, asked = (np.tile(array[number], (len(starts), 1)) for array in (contents, wanted))
            dish = max(dish, int(optimal_steps(walks, where, holds, asked, starts).max()))
    return tour, dish


@njit(cache=True)
def _distances(forward: Any, access: Any, distance: Any) -> None:
    """Fill in `distance` by breadth-first search backwards from every thing's pose."""
    before = np.full(forward.shape[1], -1)
    queue = np.empty(forward.shape[1], np.int64)
    for kitchen in range(len(forward)):
        before[:] = -1
        for pose in range(forward.shape[1]):
            if forward[kitchen, pose] != pose:
                before[forward[kitchen, pose]] = pose
        for thing in range(access.shape[1]):
            if access[kitchen, thing] < 0:
                continue
            found = distance[kitchen, thing]
            queue[0], count = access[kitchen, thing], 1
            found[queue[0]] = 0
            at = 0
            while at < count:
                pose = queue[at]
                base = pose // 4 * 4
                for there in (base + (pose + 1) % 4, base + (pose + 3) % 4, before[pose]):
                    if there >= 0 and found[there] > found[pose] + 1:
                        found[there] = found[pose] + 1
                        queue[count] = there
                        count += 1
                at += 1


@njit(cache=True)
def _tours(walk: Any, between: Any, access: Any, found: Any) -> None:
    """Held and Karp's dynamic programming: the least steps to each last container, by the set of opened ones."""
    types = walk.shape[1]
    sets = 1 << types
    steps = np.empty((sets, types), np.int64)
    parent = np.empty((sets, types), np.int64)
    for member in range(len(walk)):
        everything = 0
        for one in range(types):
            if access[member, one] >= 0:
                everything |= 1 << one
        steps[:] = 1_000_000
        parent[:] = -1
        for one in range(types):
            if everything >> one & 1:
                steps[1 << one, one] = walk[member, one] + 1
        for opened in range(1, everything + 1):
            for last in range(types):
                if steps[opened, last] >= 1_000_000:
                    continue
                for other in range(types):
                    if everything >> other & 1 and not opened >> other & 1:
                        total = steps[opened, last] + between[member, last, other] + 1
                        if total < steps[opened | 1 << other, other]:
                            steps[opened | 1 << other, other] = total
                            parent[opened | 1 << other, other] = last
        last = steps[everything].argmin()
        found[member, 0] = steps[everything, last]
        opened, count = everything, 0
        while opened:
            count += 1
            found[member, count] = last
            last, opened = parent[opened, last], opened & ~(1 << last)
        for n in range(1, count // 2 + 1):
            found[member, n], found[member, count + 1 - n] = found[member, count + 1 - n], found[member, n]
