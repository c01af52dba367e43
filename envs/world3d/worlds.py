"""Floorplans of MiniWorld's environments."""

from __future__ import annotations

import numpy as np

from dream.envs.world3d.floorplan import Floorplan

GAP = 0.25
"""Metres between rooms that MiniWorld does not let touch."""


def four_rooms() -> Floorplan:
    """FourRooms: four rooms around a cross, with openings lower than the rooms."""
    plan = Floorplan()
    for x, z in (((-7, -1), (1, 7)), ((1, 7), (1, 7)), ((1, 7), (-7, -1)), ((-7, -1), (-7, -1))):
        plan.add_rectangle(x, z)
    plan.connect(0, 1, z=(3, 5), height=2.2)
    plan.connect(1, 2, x=(3, 5), height=2.2)
    plan.connect(2, 3, z=(-5, -3), height=2.2)
    plan.connect(3, 0, x=(-5, -3), height=2.2)
    return plan


def maze(rows: int, columns: int, rng: np.random.Generator, room_size: float = 3.0) -> Floorplan:
    """A maze as MiniWorld makes them: cells of brick, every one reached in one way only (depth first)."""
    if rows < 1 or columns < 1:
        raise ValueError(f"a maze of {rows} x {columns} cells: give at least 1 x 1")
    plan = Floorplan()
    pitch = room_size + GAP
    for j in range(rows):
        for i in range(columns):
            x, z = i * pitch, j * pitch
            plan.add_rectangle((x, x + room_size), (z, z + room_size), wall="brick_wall")
    seen, path = {(0, 0)}, [(0, 0)]
    while path:
        j, i = path[-1]
        around = [(j + dj, i + di) for dj, di in ((0, 1), (0, -1), (-1, 0), (1, 0))]
        free = [(a, b) for a, b in around if 0 <= a < rows and 0 <= b < columns and (a, b) not in seen]
        if not free:
            path.pop()
            continue
        chosen = free[rng.integers(len(free))]
        x, z = i * pitch, j * pitch
        here, there = j * columns + i, chosen[0] * columns + chosen[1]
        if chosen[0] == j:
            plan.connect(here, there, z=(z, z + room_size))
        else:
            plan.connect(here, there, x=(x, x + room_size))
        seen.add(chosen)
        path.append(chosen)
    return plan
