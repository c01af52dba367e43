"""Find the houses of `sign-worlds` that are fair tasks, and store which draws they are (dream/envs/sign/houses.json).

    python docs/draw_houses.py --processes 2       # 12 minutes on two cores

A draw is a fair task if, from 12 starts, the sign can be read within 10 steps and every object reached within 16; if it
can be read at once from no more than 15% of the poses in the start area; if it is read in 20% to 60% of random walks;
and if straight ways to an object touch another one in at most 8%. The last three are about as in MiniWorld's own room.
Written again after any change of `dream.envs.sign.houses`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dream.envs.sign.compiled import CompiledWorlds, obstacles_of, one_world
from dream.envs.sign.fast import FastBackend
from dream.envs.sign.houses import ATTEMPTS, COLLECTIONS, Draws, house
from dream.envs.sign.layout import COLOURS, LEGIBLE_PIXELS, SignLayout
from dream.envs.sign.planning import Search, blocked_share, search, sign_pixels, straight_ways
from dream.envs.sign.scripts import ENOUGH_PIXELS

STARTS = 12
"""Starts from which ways are planned."""
LOOK, GO = 10, 16
"""Most steps to a pose from which the sign can be read, and to an object."""
SEEN = 0.15
"""Largest share of the poses in the start area from which the sign can be read; in MiniWorld's room 0.15."""
STRAIGHT, BLOCKED = 24, 0.08
"""Starts from which straight ways to all objects are tried, and the largest share of these ways that touch another
object; in MiniWorld's room 0.05."""
WALKS, STEPS = 64, 20
READ = (0.2, 0.6)
"""Random walks, their steps, and the least and largest share of them that read the sign; in MiniWorld's room 0.5."""


def fair(layout: SignLayout, number: int) -> bool:
    """Whether a draw is a fair task."""
    if len(layout.objects) < 2 * len(COLOURS):
        return False
    if blocked(layout, number) > BLOCKED:
        return False
    # Walking is checked first, because it needs no textures
    starts = list(_starts(layout, Draws(7, number), STARTS))
    obstacles = obstacles_of([layout], [layout.floorplan()])
    ways = [search(obstacles, 0, start, GO) for start in starts]
    for found in ways:
        if len(np.unique(found.touched[found.touched >= 0])) < len(layout.objects) or found.touched[0] >= 0:
            return False
    plain = replace(layout, wall_texture="white", floor_texture="white", ceiling_texture="white")
    worlds = one_world(plain)
    x, z, angle = np.meshgrid(
        np.linspace(*layout.start_x, 4), np.linspace(*layout.start_z, 3), np.arange(12) * np.pi / 6, indexing="ij"
    )
    everywhere = np.stack([x.ravel(), z.ravel(), angle.ravel()], axis=1)
    if (sign_pixels(worlds, 0, everywhere) >= LEGIBLE_PIXELS).mean() > SEEN:
        return False
    if not READ[0] <= walks_that_read(plain, number) <= READ[1]:
        return False
    return all(_readable(layout, worlds, found) for found in ways)


def blocked(layout: SignLayout, number: int) -> float:
    """The share of straight ways from the start area to an object that touch another one."""
    starts = np.array(list(_starts(layout, Draws(9, number), STRAIGHT)))
    return blocked_share(straight_ways(obstacles_of([layout], [layout.floorplan()]), starts, STEPS))


def _readable(layout: SignLayout, worlds: CompiledWorlds, found: Search) -> bool:
    """Whether one of the poses that are reached soon shows the sign well; those that promise most are tried."""
    sign_x, _, sign_z, direction = layout.sign
    to_x, to_z = found.pose[:, 0] - sign_x, found.pose[:, 1] - sign_z
    ahead = to_x * np.cos(direction) - to_z * np.sin(direction)
    looks = -(to_x * np.cos(found.pose[:, 2]) - to_z * np.sin(found.pose[:, 2])) / np.hypot(to_x, to_z)
    near = (found.steps <= LOOK) & (found.touched < 0) & (ahead > 0.5) & (looks > 0.6) & (np.hypot(to_x, to_z) < 7)
    there = np.flatnonzero(near)
    there = there[np.argsort(np.hypot(to_x, to_z)[there] - looks[there], kind="stable")][:40]
    return len(there) > 0 and sign_pixels(worlds, 0, found.pose[there]).max() >= ENOUGH_PIXELS


def walks_that_read(layout: SignLayout, number: int) -> float:
    """The share of random walks, from the start area until an object is touched, in which the sign could be read."""
    draws = Draws(8, number)
    backend = FastBackend(WALKS, layout)
    pose = np.array(list(_starts(layout, draws, WALKS)))
    everyone = np.zeros(WALKS, np.int64)
    backend.reset(everyone + 2, pose, np.zeros((WALKS, len(layout.objects))))
    read, active, action = np.zeros(WALKS, np.bool_), np.ones(WALKS, np.bool_), everyone
    for _ in range(STEPS):
        again = np.array([draws.below(10) < 7 for _ in range(WALKS)])  # as explorers that begin to learn on sign
        action = np.where(again, action, [draws.below(3) for _ in range(WALKS)])
        touched = backend.step(action, active).touched
        read |= active & (backend.thing_pixels()[:, -1] >= LEGIBLE_PIXELS)
        active &= touched < 0
    return float(read.mean())


def _starts(layout: SignLayout, draws: Draws, count: int) -> Iterator[NDArray[np.float64]]:
    for _ in range(count):
        yield np.array([draws.length(*layout.start_x), draws.length(*layout.start_z), draws.below(360) * np.pi / 180])


def first_fair(collection: str, number: int) -> int:
    """The number of the first draw of a house that is a fair task."""
    attempt = 0
    while not fair(house(collection, number, attempt), number):
        attempt += 1
    return attempt


def main() -> None:
    """See the module docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--only", type=int, help="that many houses of each collection, printed and not stored")
    given = parser.parse_args()
    found: dict[str, list[int]] = {}
    with ProcessPoolExecutor(given.processes) as pool:
        for collection, count in COLLECTIONS.items():
            numbers = range(given.only or count)
            found[collection] = list(pool.map(first_fair, [collection] * len(numbers), numbers, chunksize=8))
            print(
                f"{collection}: {len(numbers)} houses, {np.mean(found[collection]) + 1:.1f} draws for each", flush=True
            )
    if given.only:
        print(found)
    else:
        ATTEMPTS.write_text(json.dumps(found) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
