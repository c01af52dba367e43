"""Positions of objects and sign in the worlds of `sign` and `sign-ball`, and variants for testing generalisation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

LEGIBLE_PIXELS = 12.0
"""Pixels of the sign from which on small networks begin to read it (docs/sign.md)."""

ROOM_SIZE = (10.0, 13.0)
"""Metres in x and z."""

COLOURS = ("blue", "red", "green")
"""By colour index, which is the problem id."""
WORDS = ("BLUE", "RED", "GREEN")
"""Word on the sign, by colour index."""

Range = tuple[float, float]


@dataclass(frozen=True)
class SignLayout:
    """MiniWorld's U-shaped room with its objects and its sign. Metres; x to the right and z down on a map."""

    objects: tuple[tuple[str, str, float, float], ...]
    """Kind ("box", "key", "ball"), colour, x and z of every object; kind by kind, each kind in all COLOURS."""
    sign: tuple[float, float, float, float] = (10.0, 1.35, 10.25, math.pi)
    """x, y, z and direction of the sign."""
    sign_height: float = 1.0
    """Height of a letter, and its width."""
    wall_texture: str = "concrete"
    start_x: Range = (3.6, 5.4)
    """Where an episode starts, in any direction."""
    start_z: Range = (3.6, 6.4)

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of objects, in order: an instruction is the number of one."""
        return tuple(dict.fromkeys(kind for kind, *_ in self.objects))


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
