"""Houses for `sign-worlds`: worlds with the task of Sign, each made from its number alone.

A house is a main room with an annex behind an opening. In the main room six objects stand and the episode starts, and
the sign hangs on a wall of the annex where it can hardly be read from the start. Shape, sizes, textures, places and
heights differ from house to house. Every length is a multiple of 5 cm and every draw an integer hash, so that a house
is the same on every machine.

Not every draw is a fair task: the sign may be readable from the start, or an object out of reach. `docs/draw_houses.py`
checks draws with a planner and stores, for each house, the number of the first good one (`ATTEMPTS`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

from dream.envs.draws import Draws as IntegerDraws
from dream.envs.sign.layout import COLOURS, WORDS, Opened, Range, SignLayout
from dream.envs.world3d.assets import TINTS
from dream.envs.world3d.worlds import GAP

GRID = 20
"""Lengths are multiples of 1 / GRID metres."""
LONGEST = max(map(len, WORDS))
"""Letters of the longest word."""
LETTERS = (0.7, 0.8, 0.9, 1.0, 1.1)
"""Heights of the letters, metres."""
MARGIN = 1.0
"""Distance of an object from the nearest wall, as in MiniWorld's room. Coming near an object ends the episode, so one
in the middle of a room would block the way."""
ASKEW = 0.6
"""How far objects are moved along the walls, at most, from places that are evenly apart."""
FREE = 2.0
"""Least distance between an object and the start area."""
PASSAGE = 2.1
"""Least way along the walls between the middle of an opening and an object, but for what this is moved."""

ASIDE = 2.5
"""Most distance of the middle of the start area from that of the opening, along the wall."""
BEFORE = (0.3, 3.0)
"""Least and most distance of the start area from the wall of the opening."""
SIGNS = 3
"""Places for the sign of which the one that is seen least from the start is taken."""

SHAPES = ("behind", "arm", "alcove", "corner")
"""Of training: an annex as wide as the main room behind a barrier; a narrower one, open on its whole width (an L); a
small one with a narrow opening; and one that is reached through an opening at a corner of its side."""
OTHER_SHAPES = ("door", "corridor")
"""Never in training: a wide annex behind a door in the middle; an annex at the end of a corridor."""

WALLS = ("concrete", "drywall", "cinder_blocks", "stucco", "wood_planks", "marble")
FLOORS = ("floor_tiles_bw", "asphalt", "wood", "concrete", "cardboard")
CEILINGS = ("concrete_tiles", "ceiling_tiles", "drywall", "white")
OTHER_WALLS = ("brick_wall", "rock", "wood")
OTHER_FLOORS = ("grass", "stucco", "water")
OTHER_CEILINGS = ("ceiling_tile_noborder", "metal_grill")
"""Textures of training, and others that it never shows in these places. Half of the floors of training are tinted,
because objects are red, green and blue: who has seen grey and brown floors only takes grass for a green object."""

COLLECTIONS: Mapping[str, int] = {"train": 1000, "validation": 50, "test": 200, "textures": 100, "plans": 100}
"""How many houses there are. `textures` and `plans` hold textures and shapes that training never shows."""
ATTEMPTS = Path(__file__).with_name("houses.json")
"""For each collection, the number of the draw that each house is."""


class Draws(IntegerDraws):
    """Draws of lengths, too."""

    def length(self, least: float, most: float) -> float:
        """A length between two lengths on the grid, both included; the first if there is none."""
        low, high = round(least * GRID), round(most * GRID)
        return (low + self.below(max(0, high - low) + 1)) / GRID


@cache
def house(collection: str, number: int, attempt: int | None = None) -> SignLayout:
    """A house.

    Args:
        collection: of COLLECTIONS.
        number: from 0.
        attempt: number of the draw; by default the one that was found to be a fair task.

    Raises:
        ValueError: a collection or house that does not exist.
    """
    if collection not in COLLECTIONS:
        raise ValueError(f"unknown collection {collection!r}: choose one of {', '.join(COLLECTIONS)}")
    if not 0 <= number < COLLECTIONS[collection]:
        raise ValueError(f"house {number} does not exist: {collection} has 0 to {COLLECTIONS[collection] - 1}")
    if attempt is None:
        attempt = _attempts()[collection][number]
    draws = Draws(list(COLLECTIONS).index(collection), number, attempt)
    shapes = OTHER_SHAPES if collection == "plans" else SHAPES
    shape = shapes[number % len(shapes)]  # not drawn: draws of some shapes are fair tasks less often
    other = collection == "textures"
    wall = draws.choice(OTHER_WALLS if other else WALLS)
    floor = draws.choice(OTHER_FLOORS if other else FLOORS)
    ceiling = draws.choice(OTHER_CEILINGS if other else CEILINGS)
    layout = _turned(_house(shape, draws), draws.below(8))
    if not other and draws.below(2):
        floor += "@" + draws.choice(tuple(TINTS))
    return replace(layout, wall_texture=wall, floor_texture=floor, ceiling_texture=ceiling)


@cache
def _attempts() -> dict[str, list[int]]:
    found: dict[str, list[int]] = json.loads(ATTEMPTS.read_text(encoding="utf-8"))
    return found


def _house(shape: str, draws: Draws) -> SignLayout:
    """A house in its first orientation: main room above (small z), annex below, its way in on the left."""
    width, depth = draws.length(9.0, 11.0), draws.length(6.5, 8.0)
    letter = draws.choice(LETTERS)
    room = _ceil(LONGEST * letter + 0.4)  # the wall that a sign needs
    begin = depth + GAP
    if shape == "behind":
        annex: tuple[Range, Range] = ((0.0, width), (begin, begin + draws.length(max(4.5, room), 6.5)))
        opening = (0.0, draws.length(0.45 * width, 0.7 * width))
    elif shape == "arm":
        across = draws.length(3.5, 5.5)
        annex = ((0.0, across), (begin, begin + draws.length(max(4.5, room), 6.5)))
        opening = (0.0, across)
    elif shape == "alcove":
        across, left = draws.length(3.5, 5.0), draws.length(0.0, 2.5)
        annex = ((left, left + across), (begin, begin + draws.length(max(4.0, room), 6.0)))
        middle = left + draws.length(1.2, across - 1.2)
        opening = (middle - 1.2, middle + 1.2)
    elif shape == "corner":
        across = draws.length(6.0, 8.5)
        left = draws.length(0.0, width / 2)
        annex = ((left, left + across), (begin, begin + draws.length(max(4.5, room), 6.5)))
        opening = (left, left + draws.length(2.2, 3.2))
    elif shape == "door":
        annex = ((0.0, width), (begin, begin + draws.length(max(4.5, room), 6.0)))
        middle = draws.length(0.35 * width, 0.65 * width)
        opening = (middle - 1.1, middle + 1.1)
    else:
        across, long = draws.length(2.0, 2.6), draws.length(1.0, 1.6)
        left = draws.length(0.5, width / 2)
        gap: tuple[Range, Range] = ((left, left + across), (begin, begin + long))
        inner = begin + long + GAP
        annex = ((left - 0.5, left + across + 2.5), (inner, inner + draws.length(max(4.0, room), 5.0)))
        opening = (left, left + across)
    rooms: tuple[tuple[Range, Range], ...] = (((0.0, width), (0.0, depth)), annex)
    openings: tuple[Opened, ...] = (Opened(0, 1, "x", _on_grid(opening)),)
    if shape == "corridor":
        rooms = (rooms[0], gap, annex)
        openings = (Opened(0, 1, "x", _on_grid(opening)), Opened(1, 2, "x", _on_grid(opening)))
    rooms = tuple((_on_grid(x), _on_grid(z)) for x, z in rooms)
    start_x, start_z = _start(rooms[0], _on_grid(opening), draws)
    # Of several places for the sign the one that is seen least from the start, through the last opening
    places = [_sign(rooms[-1], _on_grid(opening), letter, draws) for _ in range(SIGNS)]
    edge = rooms[-1][1][0] - GAP, rooms[-1][1][0]
    seen = [_seen(place, letter, (start_x, start_z), _on_grid(opening), edge) for place in places]
    sign = places[seen.index(min(seen))]
    objects = _objects(rooms, openings, (start_x, start_z), draws)
    return SignLayout(objects, sign, letter, rooms=rooms, openings=openings, start_x=start_x, start_z=start_z)


def _sign(annex: tuple[Range, Range], opening: Range, letter: float, draws: Draws) -> tuple[float, float, float, float]:
    """x, y, z and direction of a sign on one of the walls of the annex that are long enough for the longest word."""
    (west, east), (north, south) = annex
    half = LONGEST * letter / 2 + 0.1
    y = draws.length(letter / 2 + 0.5, 2.65 - letter / 2)
    walls: list[tuple[float, float, float, float]] = []
    if south - north >= 2 * half:
        z = draws.length(north + half, south - half)
        walls += [(west, y, z, 0.0), (east, y, z, math.pi)]
    if east - west >= 2 * half:
        walls.append((draws.length(west + half, east - half), y, south, math.pi / 2))
    for low, high in ((west, opening[0]), (opening[1], east)):  # beside the opening, seen from the annex alone
        if high - low >= 2 * half:
            walls.append((draws.length(low + half, high - half), y, north, -math.pi / 2))
    return draws.choice(walls or [(east, y, (north + south) / 2, math.pi)])


def _seen(
    sign: tuple[float, float, float, float], letter: float, start: tuple[Range, Range], opening: Range, edge: Range
) -> int:
    """How many lines from the corners of the start area to the ends of a sign pass through an opening, 0 to 8."""
    x, _, z, direction = sign
    half = LONGEST * letter / 2
    ends = [(x, z - half), (x, z + half)] if abs(math.cos(direction)) > 0.5 else [(x - half, z), (x + half, z)]
    count = 0
    for from_x in start[0]:
        for from_z in start[1]:
            for to_x, to_z in ends:
                if (from_x - x) * math.cos(direction) - (from_z - z) * math.sin(direction) <= 0:
                    continue  # behind the sign
                at = [from_x + (to_x - from_x) * (line - from_z) / (to_z - from_z) for line in edge]
                count += opening[0] < min(at) and max(at) < opening[1]
    return count


def _start(room: tuple[Range, Range], opening: Range, draws: Draws) -> tuple[Range, Range]:
    """Where an episode starts: an area of 2 x 1 metres, its x and its z, about in front of the opening.

    As in MiniWorld's room, where the sign is 4 steps away in the mean. From the middle of a large room it would be 8,
    and one random walk in 15 would find it.
    """
    (west, east), (_, south) = room
    middle = sum(opening) / 2 + draws.length(-ASIDE, ASIDE)
    x = _round(min(max(middle - 1.0, west + 0.75), east - 2.75))
    z = _round(south - 1.0 - draws.length(*BEFORE))
    return (x, x + 2.0), (z, z + 1.0)


def _objects(
    rooms: tuple[tuple[Range, Range], ...], openings: tuple[Opened, ...], start: tuple[Range, Range], draws: Draws
) -> tuple[tuple[str, str, float, float], ...]:
    """Where the objects stand: about evenly along the walls of the main room, but for where its opening and the start
    area are; fewer than six where one would be too near.

    None are in the annex: an executor that is told the colour would have to search both rooms, for which 20 steps are
    too few (docs/worlds.md).
    """
    (west, east), (north, south) = rooms[0]
    wide, deep = east - west - 2 * MARGIN, south - north - 2 * MARGIN

    def along(way: float) -> tuple[float, float]:
        """The place after a way along the walls, from the corner at (west, south) through the south."""
        way %= 2 * (wide + deep)
        if way < wide:
            x, z = way, deep
        elif way < wide + deep:
            x, z = wide, deep - (way - wide)
        elif way < 2 * wide + deep:
            x, z = wide - (way - wide - deep), 0.0
        else:
            x, z = 0.0, way - 2 * wide - deep
        return _rounded((west + MARGIN + x, north + MARGIN + z))

    names = [(kind, colour) for kind in ("box", "key") for colour in COLOURS]
    (left, right), (low, high) = start
    opening = sum(openings[0].span) / 2  # in the south, as the start area is
    begin = min(max(opening - PASSAGE, west + MARGIN), left - FREE) - west - MARGIN
    end = max(min(opening + PASSAGE, east - MARGIN), right + FREE) - west - MARGIN
    apart = (2 * (wide + deep) - (end - begin)) / len(names)
    ways = [end + (n + 0.5) * apart + draws.length(-ASKEW, ASKEW) for n in range(len(names))]
    places = draws.some([along(way) for way in ways], len(names))
    return tuple(
        (kind, colour, x, z)
        for (kind, colour), (x, z) in zip(names, places, strict=True)
        if math.hypot(max(left - x, 0.0, x - right), max(low - z, 0.0, z - high)) >= FREE
    )


def _turned(layout: SignLayout, symmetry: int) -> SignLayout:
    """The house after one of the eight symmetries of the square: mirrored in x, in z, and x and z exchanged."""
    mirror_x, mirror_z, exchanged = symmetry & 1, symmetry & 2, symmetry & 4
    width = max(x[1] for x, _ in layout.rooms)
    depth = max(z[1] for _, z in layout.rooms)

    def point(x: float, z: float) -> tuple[float, float]:
        x, z = (width - x if mirror_x else x), (depth - z if mirror_z else z)
        return (z, x) if exchanged else (x, z)

    def extents(x: Range, z: Range) -> tuple[Range, Range]:
        one, other = point(x[0], z[0]), point(x[1], z[1])
        return _on_grid((min(one[0], other[0]), max(one[0], other[0]))), _on_grid(
            (min(one[1], other[1]), max(one[1], other[1]))
        )

    def opened(hole: Opened) -> Opened:
        span = extents(hole.span, (0.0, 0.0))[0] if not exchanged else extents(hole.span, (0.0, 0.0))[1]
        return Opened(hole.first, hole.second, "z" if exchanged else "x", span)

    x, y, z, direction = layout.sign
    at, ahead = point(x, z), point(x + _DIRECTIONS[direction][0], z + _DIRECTIONS[direction][1])
    looks = round(ahead[0] - at[0]), round(ahead[1] - at[1])
    facing = next(angle for angle, there in _DIRECTIONS.items() if there == looks)
    at = _rounded(at)
    start_x, start_z = extents(layout.start_x, layout.start_z)
    return replace(
        layout,
        rooms=tuple(extents(*room) for room in layout.rooms),
        openings=tuple(opened(hole) for hole in layout.openings),
        sign=(at[0], y, at[1], facing),
        start_x=start_x,
        start_z=start_z,
        objects=tuple((kind, colour, *_rounded(point(a, b))) for kind, colour, a, b in layout.objects),
    )


_DIRECTIONS: Mapping[float, tuple[int, int]] = {
    0.0: (1, 0),
    math.pi: (-1, 0),
    math.pi / 2: (0, -1),
    -math.pi / 2: (0, 1),
}
"""Direction -> where it looks, x and z."""


def houses(collection: str, count: int | None = None) -> Iterator[SignLayout]:
    """The first `count` houses of a collection, by default all."""
    for number in range(COLLECTIONS[collection] if count is None else count):
        yield house(collection, number)


def _round(length: float) -> float:
    return round(length * GRID) / GRID


def _rounded(place: tuple[float, float]) -> tuple[float, float]:
    return _round(place[0]), _round(place[1])


def _ceil(length: float) -> float:
    return math.ceil(length * GRID - 1e-9) / GRID


def _on_grid(span: Range) -> Range:
    return _round(span[0]), _round(span[1])
