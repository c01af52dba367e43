"""The models of `kitchen`: containers closed and open, ingredients, the pot on its stove, and a block in the room.

A model stands around the middle of its cell, and its front looks along +x. Containers stand back against the wall, so
that a camera in the cell before them sees them whole.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from dream.envs.world3d.assets import package_folder
from dream.envs.world3d.models import Model, mesh

Colour = tuple[float, float, float]
Point = tuple[float, float, float]

BACK, FRONT, HALF = -0.48, 0.02, 0.44
"""x of back and front of a container, and half its width, metres."""
INSIDE: Colour = (0.8, 0.78, 0.72)
STANDS = -0.2
"""x of an ingredient in an open container."""


class Look(NamedTuple):
    """A type of container."""

    height: float
    """Metres."""
    front: str
    """Texture."""
    sides: Colour
    shelf: float
    """Height at which the ingredient stands."""


LOOKS = (
    Look(1.8, "door_steel_grey", (0.42, 0.47, 0.55), 0.72),  # fridge
    Look(1.55, "door_steel_red", (0.72, 0.22, 0.2), 0.72),  # locker
    Look(1.4, "wood_planks", (0.35, 0.24, 0.16), 0.72),  # cupboard
    Look(1.2, "airduct_grate", (0.14, 0.14, 0.14), 0.6),  # oven
    Look(1.0, "cardboard_2", (0.85, 0.65, 0.35), 0.4),  # carton
    Look(1.1, "door_garage_white", (0.95, 0.95, 0.93), 0.5),  # drawers
)
"""By type."""

MESHES = (("duckie", 0.5), ("cone", 0.52), ("barrel", 0.46), ("tree", 0.56), ("medkit", 0.4), ("key_purple", 0.28))
"""Name and height in metres of each ingredient."""
TURNED = (-2.2, 0.0, 0.0, 0.0, 1.57, 0.0)
"""Radians by which each ingredient is turned from the way its container looks, so that it shows its broad side."""


@cache
def closed(kind: int) -> Model:
    """A container of a type, closed."""
    look = LOOKS[kind]
    low, high = (BACK, 0.0, -HALF), (FRONT, look.height, HALF)
    return joined([*_outside(low, high, look.sides), _front(FRONT, 0.0, look.height, _texture(look.front))])


@cache
def opened(kind: int) -> Model:
    """A container of a type without its front: its rim and its inside."""
    look, rim = LOOKS[kind], 0.06
    low, high = (BACK, 0.0, -HALF), (FRONT, look.height, HALF)
    x0, y0, z0, x1, y1, z1 = BACK + 0.02, look.shelf, -HALF + rim, FRONT, look.height - rim, HALF - rim
    return joined(
        [
            *_outside(low, high, look.sides),
            _wall(FRONT, (0.0, y0), (-HALF, HALF), look.sides),  # below the opening, above and beside it
            _wall(FRONT, (y1, look.height), (-HALF, HALF), look.sides),
            _wall(FRONT, (y0, y1), (-HALF, z0), look.sides),
            _wall(FRONT, (y0, y1), (z1, HALF), look.sides),
            _wall(x0, (y0, y1), (z0, z1), INSIDE),
            quad([(x0, y0, z1), (x1, y0, z1), (x1, y0, z0), (x0, y0, z0)], INSIDE),  # shelf, top and sides
            quad([(x0, y1, z0), (x1, y1, z0), (x1, y1, z1), (x0, y1, z1)], INSIDE),
            quad([(x0, y0, z0), (x1, y0, z0), (x1, y1, z0), (x0, y1, z0)], INSIDE),
            quad([(x1, y0, z1), (x0, y0, z1), (x0, y1, z1), (x1, y1, z1)], INSIDE),
        ]
    )


@cache
def ingredient(number: int) -> Model:
    """An ingredient."""
    return mesh(*MESHES[number])


@cache
def stove() -> Model:
    """A black stove with a copper pot on it."""
    black, copper = (0.1, 0.1, 0.12), (0.9, 0.45, 0.15)
    sides: list[Model] = []
    radius, low, high, many = 0.3, 0.75, 1.1, 8
    ring = [(radius * math.cos(2 * math.pi * n / many), radius * math.sin(2 * math.pi * n / many)) for n in range(many)]
    for (x, z), (a, b) in zip(ring, ring[1:] + ring[:1], strict=True):
        x, a = x - 0.2, a - 0.2
        sides.append(quad([(a, low, b), (x, low, z), (x, high, z), (a, high, b)], copper))
    lid = [quad([(p[0] - 0.2, high, p[1]) for p in (ring[n], ring[n - 1], ring[n - 2], ring[n - 3])], (0.3, 0.15, 0.05))
           for n in (3, 6)]  # fmt: skip
    lid.append(quad([(ring[n][0] - 0.2, high, ring[n][1]) for n in (7, 6, 3, 0)], (0.3, 0.15, 0.05)))
    box = _outside((BACK, 0.0, -HALF), (FRONT, low, HALF), black)
    return joined([*box, _wall(FRONT, (0.0, low), (-HALF, HALF), black), *sides, *lid])


@cache
def island() -> Model:
    """A block in the room, too low to hide what is behind it."""
    low, high, colour = (-0.4, 0.0, -0.4), (0.4, 0.7, 0.4), (0.55, 0.6, 0.45)
    front = _wall(0.4, (0.0, 0.7), (-0.4, 0.4), colour)
    back = quad([(-0.4, 0.7, 0.4), (-0.4, 0.7, -0.4), (-0.4, 0.0, -0.4), (-0.4, 0.0, 0.4)][::-1], colour)
    return joined([*_outside(low, high, colour), front, back])


def quad(corners: Sequence[Point], colour: Colour, texture: str = "") -> Model:
    """One facet with four corners, counter-clockwise seen from outside; a texture begins at the first of them."""
    points = np.array(corners)
    normal = np.cross(points[1] - points[0], points[2] - points[0])
    return Model(
        points[None],
        np.tile(normal / np.linalg.norm(normal), (1, 4, 1)),
        np.tile(np.array(colour), (1, 4, 1)),
        np.array([[(0.0, 0.0), (1, 0), (1, 1), (0, 1)]]),
        np.array([4]),
        (texture,),
        0.0,
    )


def joined(models: Sequence[Model]) -> Model:
    """Several models as one."""
    return Model(
        np.concatenate([one.corners for one in models]),
        np.concatenate([one.normals for one in models]),
        np.concatenate([one.colours for one in models]),
        np.concatenate([one.uv for one in models]),
        np.concatenate([one.sides for one in models]),
        tuple(name for one in models for name in one.textures),
        0.0,
    )


def _wall(x: float, y: tuple[float, float], z: tuple[float, float], colour: Colour, texture: str = "") -> Model:
    """An upright rectangle that looks along +x."""
    return quad([(x, y[0], z[1]), (x, y[0], z[0]), (x, y[1], z[0]), (x, y[1], z[1])], colour, texture)


def _front(x: float, low: float, high: float, texture: str) -> Model:
    return _wall(x, (low, high), (-HALF, HALF), (1.0, 1.0, 1.0), texture)


def _outside(low: Point, high: Point, colour: Colour) -> list[Model]:
    """Top and sides of a block; its back stands against a wall, and its front is another matter."""
    (x0, y0, z0), (x1, y1, z1) = low, high
    return [
        quad([(x0, y1, z1), (x1, y1, z1), (x1, y1, z0), (x0, y1, z0)], colour),
        quad([(x0, y0, z1), (x1, y0, z1), (x1, y1, z1), (x0, y1, z1)], colour),
        quad([(x1, y0, z0), (x0, y0, z0), (x0, y1, z0), (x1, y1, z0)], colour),
    ]


def _texture(name: str) -> str:
    """A texture by name, or by path where its file has no number."""
    path = package_folder() / "textures" / f"{name}.png"
    return str(path) if path.is_file() else name
