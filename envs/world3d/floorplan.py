"""Rooms and the openings between them: what a world is made of, before it is drawn or walked in.

Coordinates are MiniWorld's: metres, x to the right and z down on a map, y upwards; the floor lies at y = 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

WALL_HEIGHT = 2.74


@dataclass(frozen=True)
class Opening:
    """A hole in a wall, from `begin` to `end` along it and from `low` to `high`, leading into room `neighbour`."""

    begin: float
    end: float
    low: float
    high: float
    neighbour: int


@dataclass(frozen=True)
class Piece:
    """A part of a wall without a change along it: solid (`opening` None), or the width of one opening."""

    start: NDArray[np.float64]
    """(2,) x, z where it begins."""
    end: NDArray[np.float64]
    along: float
    """Metres from the beginning of the wall, where its texture begins."""
    opening: Opening | None


@dataclass
class Room:
    """A convex room. Its outline runs so that the inside is at the left of every wall on a map with z down."""

    outline: NDArray[np.float64]
    """(N, 2) x, z of the corners; wall n runs from corner n to the next one."""
    height: float = WALL_HEIGHT
    wall: str = "concrete"
    floor: str = "floor_tiles_bw"
    ceiling: str | None = "concrete_tiles"
    """Texture, or None for the sky."""
    openings: list[list[Opening]] = field(default_factory=list)
    """Of each wall, in order along it."""

    def __post_init__(self) -> None:
        self.outline = np.asarray(self.outline, np.float64)
        if self.outline.ndim != 2 or self.outline.shape[1] != 2 or len(self.outline) < 3:
            raise ValueError(f"the outline of a room has shape {self.outline.shape}: give (N, 2), N at least 3")
        ahead = self.directions
        turns = ahead[:, 0] * np.roll(ahead, -1, 0)[:, 1] - ahead[:, 1] * np.roll(ahead, -1, 0)[:, 0]
        if not (turns < 1e-9).all():
            raise ValueError("a room must be convex, its corners counter-clockwise seen from above (z downwards)")
        if self.height <= 0:
            raise ValueError(f"the height of a room is {self.height}: give more than 0")
        self.openings = self.openings or [[] for _ in self.outline]

    @property
    def directions(self) -> NDArray[np.float64]:
        """(N, 2) unit vectors along the walls."""
        edges = np.roll(self.outline, -1, 0) - self.outline
        return edges / np.linalg.norm(edges, axis=1, keepdims=True)

    @property
    def normals(self) -> NDArray[np.float64]:
        """(N, 2) unit vectors x, z out of the walls into the room."""
        ahead = self.directions
        return np.stack([ahead[:, 1], -ahead[:, 0]], axis=1)

    def contains(self, points: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which of the points (P, 2) lie inside, (P,)."""
        return ((points[:, None] - self.outline) * self.normals).sum(axis=2).min(axis=1) > 0

    def pieces(self, wall: int) -> list[Piece]:
        """A wall cut where its openings begin and end."""
        begin, ahead = self.outline[wall], self.directions[wall]
        length = float(np.linalg.norm(self.outline[(wall + 1) % len(self.outline)] - begin))
        cuts: list[tuple[float, float, Opening | None]] = []
        at = 0.0
        for opening in self.openings[wall]:
            cuts += [(at, opening.begin, None), (opening.begin, opening.end, opening)]
            at = opening.end
        cuts.append((at, length, None))
        return [Piece(begin + a * ahead, begin + b * ahead, a, hole) for a, b, hole in cuts if b - a > 1e-9]


class Floorplan:
    """Rooms and their openings; `add_rectangle` and `connect` build it up."""

    def __init__(self) -> None:
        self.rooms: list[Room] = []

    def add_rectangle(self, x: tuple[float, float], z: tuple[float, float], **looks: object) -> int:
        """A rectangular room with these (least, largest) x and z; `looks` are fields of `Room`. Returns its number."""
        (west, east), (north, south) = x, z
        corners = np.array([[east, south], [east, north], [west, north], [west, south]], np.float64)
        self.rooms.append(Room(corners, **looks))  # type: ignore[arg-type]
        return len(self.rooms) - 1

    def connect(
        self,
        first: int,
        second: int,
        *,
        x: tuple[float, float] | None = None,
        z: tuple[float, float] | None = None,
        height: float | None = None,
    ) -> None:
        """Open the facing walls of two rooms between two x or between two z, up to a height.

        Where the walls do not touch, the gap becomes a room of its own, as high as the opening.

        Raises:
            ValueError: rooms without facing walls, neither or both of x and z, or an opening beyond a wall.
        """
        a, b = self.rooms[first], self.rooms[second]
        if (x is None) == (z is None):
            raise ValueError("give either x or z, where the opening begins and ends")
        axis, extent = (0, x) if x is not None else (1, z)
        assert extent is not None
        wall_a, wall_b = _facing_walls(a, b)
        spans = [_along(room, wall, axis, extent) for room, wall in ((a, wall_a), (b, wall_b))]
        ends = [
            room.outline[wall] + np.outer(span, room.directions[wall])
            for room, wall, span in zip((a, b), (wall_a, wall_b), spans, strict=True)
        ]
        high_a, high_b = height or a.height, height or b.height
        if np.linalg.norm(ends[0][0] - ends[1][1]) < 1e-3:
            _open(a, wall_a, spans[0], high_a, second)
            _open(b, wall_b, spans[1], high_b, first)
            return
        corners = np.array([ends[1][0], ends[0][1], ends[0][0], ends[1][1]])
        gap = Room(corners, high_a, a.wall, a.floor, a.ceiling)
        self.rooms.append(gap)
        number = len(self.rooms) - 1
        _open(a, wall_a, spans[0], high_a, number)
        _open(b, wall_b, spans[1], high_b, number)
        for wall, leads_to in ((1, first), (3, second)):
            length = float(np.linalg.norm(corners[(wall + 1) % 4] - corners[wall]))
            _open(gap, wall, np.array([0.0, length]), gap.height, leads_to)

    def barriers(self) -> NDArray[np.float64]:
        """(S, 2, 2) wall segments (begin and end, x and z) that stand on the floor and block the agent."""
        solid = [
            np.stack([piece.start, piece.end])
            for room in self.rooms
            for wall in range(len(room.outline))
            for piece in room.pieces(wall)
            if piece.opening is None or piece.opening.low > 0
        ]
        return np.array(solid, np.float64).reshape(-1, 2, 2)


def _facing_walls(a: Room, b: Room) -> tuple[int, int]:
    for wall_a, normal in enumerate(a.normals):
        for wall_b, other in enumerate(b.normals):
            if normal @ other < -0.9 and normal @ (b.outline[wall_b] - a.outline[wall_a]) <= 0.05:
                return wall_a, wall_b
    raise ValueError("the rooms have no walls that face each other")


def _along(room: Room, wall: int, axis: int, extent: Sequence[float]) -> NDArray[np.float64]:
    """(2,) metres along a wall at which a coordinate has the two values."""
    begin, ahead = room.outline[wall], room.directions[wall]
    length = float(np.linalg.norm(room.outline[(wall + 1) % len(room.outline)] - begin))
    if abs(ahead[axis]) < 1e-9:
        raise ValueError(f"{'xz'[axis]} is the same all along the wall: give the other coordinate")
    span = np.sort((np.array(extent, np.float64) - begin[axis]) / ahead[axis])
    if span[0] < -1e-9 or span[1] > length + 1e-9 or span[1] <= span[0]:
        raise ValueError(f"an opening from {extent[0]} to {extent[1]} is not within its wall")
    return span


def _open(room: Room, wall: int, span: NDArray[np.float64], high: float, neighbour: int) -> None:
    room.openings[wall].append(Opening(float(span[0]), float(span[1]), 0.0, high, neighbour))
    room.openings[wall].sort(key=lambda opening: opening.begin)
