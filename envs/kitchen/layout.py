"""Kitchens for `kitchen`: small rooms with containers along their walls, each made from its number alone.

A room has 4 to 6 cells of one metre a side. Containers and the pot stand in cells along the walls, none in a corner,
their fronts towards the room, so that each is used from one pose: the cell before its front, looking at it. No cell
before a front is taken, which leaves the middle of the room in one piece. Every draw is an integer hash, so that a
kitchen is the same on every machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from dream.envs.draws import Draws

CONTAINERS = ("fridge", "locker", "cupboard", "oven", "carton", "drawers")
"""Types of containers; a kitchen has each at most once."""
INGREDIENTS = ("duckie", "cone", "barrel", "tree", "medkit", "key")
NOTHING = len(INGREDIENTS)
"""In place of an ingredient: an empty hand or pot; among the contents: there is no such container."""
POT = len(CONTAINERS)
"""The number of the pot among the things of a kitchen, after the containers."""
THINGS = POT + 1

GRID = 6
"""Cells a side of the largest room. A cell is numbered GRID * z + x."""
CELLS = GRID * GRID
POSES = 4 * CELLS
"""A pose is numbered 4 * cell + heading."""
HEADINGS = ((1, 0), (0, -1), (-1, 0), (0, 1))
"""x and z of a step in each heading; a left turn leads to the next one. On a map: right, up, left, down."""

WALLS = ("drywall", "concrete", "cinder_blocks", "stucco", "brick_wall", "marble")
FLOORS = ("floor_tiles_bw", "wood", "asphalt", "concrete", "rock")
CEILINGS = ("concrete_tiles", "ceiling_tiles", "drywall", "white")

COLLECTIONS: Mapping[str, int] = {"train": 1000, "validation": 50, "test": 200}
"""How many kitchens there are."""


class Place(NamedTuple):
    """A cell along a wall, and the heading in which the front of what stands there looks."""

    x: int
    z: int
    heading: int

    @property
    def cell(self) -> int:
        """Its number."""
        return GRID * self.z + self.x

    @property
    def access(self) -> int:
        """The pose from which what stands there is used."""
        x, z = HEADINGS[self.heading]
        return 4 * (GRID * (self.z + z) + self.x + x) + (self.heading + 2) % 4


@dataclass(frozen=True)
class KitchenLayout:
    """A kitchen without the contents of its containers. x grows to the right and z down on a map."""

    width: int
    """Cells in x."""
    depth: int
    """Cells in z."""
    things: tuple[Place | None, ...]
    """(THINGS,) where the containers of each type stand, None for those that the kitchen lacks; last the pot."""
    island: tuple[int, int] | None
    """x and z of a block in the room, if there is one."""
    wall_texture: str
    floor_texture: str
    ceiling_texture: str

    @property
    def places(self) -> dict[int, Place]:
        """Where the things that the kitchen has stand, by number."""
        return {number: place for number, place in enumerate(self.things) if place is not None}

    @property
    def containers(self) -> list[int]:
        """Types of its containers."""
        return [number for number in self.places if number != POT]

    def floor(self) -> list[int]:
        """The cells that can be reached, in order."""
        taken = {place.cell for place in self.places.values()}
        if self.island is not None:
            taken.add(GRID * self.island[1] + self.island[0])
        found = [self.places[POT].access // 4]
        for cell in found:
            z, x = divmod(cell, GRID)
            for dx, dz in HEADINGS:
                inside = 0 <= x + dx < self.width and 0 <= z + dz < self.depth
                there = GRID * (z + dz) + x + dx
                if inside and there not in taken and there not in found:
                    found.append(there)
        return sorted(found)


@cache
def kitchen(collection: str, number: int) -> KitchenLayout:
    """A kitchen.

    Args:
        collection: of COLLECTIONS.
        number: from 0.

    Raises:
        ValueError: a collection or kitchen that does not exist.
    """
    if collection not in COLLECTIONS:
        raise ValueError(f"unknown collection {collection!r}: choose one of {', '.join(COLLECTIONS)}")
    if not 0 <= number < COLLECTIONS[collection]:
        raise ValueError(f"kitchen {number} does not exist: {collection} has 0 to {COLLECTIONS[collection] - 1}")
    draws = Draws(list(COLLECTIONS).index(collection), number)
    width, depth = 4 + draws.below(3), 4 + draws.below(3)
    types = sorted(draws.some(range(len(CONTAINERS)), 4 + draws.below(3)))
    places = draws.some(_wall(width, depth), len(types) + 1)
    things: list[Place | None] = [None] * THINGS
    for thing, place in zip((*types, POT), places, strict=True):
        things[thing] = place
    before = {place.access // 4 for place in places}
    room = [(x, z) for x in range(1, width - 1) for z in range(1, depth - 1) if GRID * z + x not in before]
    island = draws.choice(room) if room and draws.below(2) else None
    looks = (draws.choice(textures) for textures in (WALLS, FLOORS, CEILINGS))
    return KitchenLayout(width, depth, tuple(things), island, *looks)


def kitchens(collection: str, count: int | None = None) -> Iterator[KitchenLayout]:
    """The first `count` kitchens of a collection, by default all."""
    for number in range(COLLECTIONS[collection] if count is None else count):
        yield kitchen(collection, number)


def _wall(width: int, depth: int) -> list[Place]:
    """The places along the walls of a room, without its corners."""
    across, along = range(1, width - 1), range(1, depth - 1)
    return [
        *(Place(x, 0, 3) for x in across),
        *(Place(x, depth - 1, 1) for x in across),
        *(Place(0, z, 0) for z in along),
        *(Place(width - 1, z, 2) for z in along),
    ]
