"""Positions of objects and sign in the worlds of `sign` and `sign-ball`, and variants for testing generalisation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from dream.envs.world3d.floorplan import Floorplan

LEGIBLE_PIXELS = 12.0
"""Pixels of the sign from which on small networks begin to read it (docs/sign.md)."""

ROOM_SIZE = (10.0, 13.0)
"""Metres in x and z."""

COLOURS = ("blue", "red", "green")
"""By colour index, which is the problem id."""
WORDS = ("BLUE", "RED", "GREEN")
"""Word on the sign, by colour index."""

Range = tuple[float, float]


class Opened(NamedTuple):
    """An opening between two rooms."""

    first: int
    """Number of the one room."""
    second: int
    """And of the other."""
    axis: str
    """"x" or "z": along which the opening extends."""
    span: Range
    """From where to where."""


@dataclass(frozen=True)
class SignLayout:
    """A house with its objects and its sign, by default MiniWorld's U-shaped room.

    Metres; x to the right and z down on a map.
    """

    objects: tuple[tuple[str, str, float, float], ...]
    """Kind ("box", "key", "ball"), colour, x and z of every object; kind by kind, each kind in all COLOURS."""
    sign: tuple[float, float, float, float] = (10.0, 1.35, 10.25, math.pi)
    """x, y, z and direction of the sign."""
    sign_height: float = 1.0
    """Height of a letter, and its width."""
    wall_texture: str = "concrete"
    floor_texture: str = "floor_tiles_bw"
    ceiling_texture: str = "concrete_tiles"
    rooms: tuple[tuple[Range, Range], ...] = (
        ((0.0, 10.0), (0.0, 6.5)),
        ((0.0, 6.0), (6.75, 13.0)),
        ((6.0, 10.0), (6.75, 13.0)),
    )
    """Least and largest x, least and largest z of every room."""
    openings: tuple[Opened, ...] = (Opened(0, 1, "x", (0.0, 6.0)), Opened(1, 2, "z", (6.75, 13.0)))
    start_x: Range = (3.6, 5.4)
    """Where an episode starts, in any direction."""
    start_z: Range = (3.6, 6.4)

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of objects, in order: an instruction is the number of one."""
        return tuple(dict.fromkeys(kind for kind, *_ in self.objects))

    @property
    def kinds_and_colours(self) -> tuple[tuple[str, str], ...]:
        """Kind and colour of every object."""
        return tuple((kind, colour) for kind, colour, *_ in self.objects)

    @property
    def size(self) -> tuple[float, float]:
        """Largest x and z; the least are 0."""
        return max(x[1] for x, _ in self.rooms), max(z[1] for _, z in self.rooms)

    def floorplan(self) -> Floorplan:
        """The rooms and the openings between them."""
        plan = Floorplan()
        for x, z in self.rooms:
            plan.add_rectangle(x, z, wall=self.wall_texture, floor=self.floor_texture, ceiling=self.ceiling_texture)
        for hole in self.openings:
            plan.connect(hole.first, hole.second, **{hole.axis: hole.span})  # type: ignore[arg-type]
        return plan


_BOXES_AND_KEYS = (
    *(("box", "blue", 1.0, 1.0), ("box", "red", 9.0, 1.0), ("box", "green", 9.0, 5.0)),
    *(("key", "blue", 5.0, 1.0), ("key", "red", 1.0, 5.0), ("key", "green", 1.0, 9.0)),
)
_BALLS = (("ball", "blue", 1.0, 12.0), ("ball", "red", 5.0, 12.0), ("ball", "green", 9.0, 12.0))
LAYOUTS: Mapping[str, SignLayout] = {
    "sign": SignLayout(_BOXES_AND_KEYS),
    "sign-ball": SignLayout(_BOXES_AND_KEYS + _BALLS),
}
"""By family."""

VARIANTS = ("default", "sign-left", "sign-high", "walls", "start")
"""The world of training, and four that differ from it in one thing."""


def layout_of(family: str, variant: str) -> SignLayout:
    """The layout of a family in a variant. Raises ValueError for a variant that does not exist."""
    layout = LAYOUTS[family]
    if variant not in VARIANTS:
        raise ValueError(f"unknown variant {variant!r}: choose one of {', '.join(VARIANTS)}")
    if variant == "sign-left":
        return replace(layout, sign=(10.0, 1.35, 9.3, math.pi))
    if variant == "sign-high":
        return replace(layout, sign=(10.0, 2.1, 10.25, math.pi))
    if variant == "walls":
        return replace(layout, wall_texture="brick_wall")
    if variant == "start":
        return replace(layout, start_x=(6.2, 7.0), start_z=(2.8, 4.0))
    return layout
