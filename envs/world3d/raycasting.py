"""Kernel that finds what a column of samples sees of the building.

The camera looks straight ahead, so a column of samples is a vertical plane: on the map it is a ray that crosses rooms
through their openings until it meets a solid wall. What is seen along the column is a list of *spans* from the top of
the frame down, each one surface: ceilings, lintels, the wall, parapets, floors.

On the map a point is (x, z) in the camera's frame, x to the right and z ahead; a ray is x = t z. `e = x - t z` says on
which side of the ray a point lies, so a wall is crossed where e changes its sign between begin and end.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dream.envs.world3d.kernels import inlined, kernel

MAX_SPANS = 16
"""Spans of a column; more (rooms behind rooms, each with another ceiling) run together."""
MAX_ROOMS = 64
"""Rooms that a ray crosses; what lies behind is not drawn."""
MAX_FRAMES = 8
"""Openings lower than their room along a ray that hide things behind them."""
NEAR = 0.04
"""Nothing nearer than this is drawn."""


class Rays(NamedTuple):
    """What the columns of samples see, C of them, and the wall pieces in the camera's frame, S of them."""

    spans: NDArray[np.int64]
    """(C,) spans of each column."""
    end: NDArray[np.float32]
    """(C, MAX_SPANS) row, with fraction, at which a span ends."""
    surface: NDArray[np.int32]
    """(C, MAX_SPANS)"""
    wall: NDArray[np.float64]
    """(C,) 1 / depth of the solid wall at the end."""
    frames: NDArray[np.int64]
    """(C,) openings that hide some of what lies behind them."""
    frame: NDArray[np.float64]
    """(C, MAX_FRAMES, 3) their 1 / depth, and the rows between which one sees through."""
    piece: NDArray[np.float64]
    """(S, 6) x, z of begin and end; the product that is above 0 where the camera is in front; length over that."""
    hints: NDArray[np.int64]
    """(MAX_ROOMS,) the piece through which the ray before left its n-th room."""
    low_end: NDArray[np.float64]
    """(MAX_SPANS,) spans at the bottom of a column, from below."""
    low_surface: NDArray[np.int64]
    """(MAX_SPANS,)"""
    shown: NDArray[np.int64]
    """(4,) span that each sample of a pixel is in."""
    pixel: NDArray[np.int64]
    """(4,) what each sample of a pixel shows."""


def make_rays(columns: int, pieces: int) -> Rays:
    """Memory for this many columns of samples and wall pieces."""
    return Rays(
        np.zeros(columns, np.int64),
        np.zeros((columns, MAX_SPANS), np.float32),
        np.zeros((columns, MAX_SPANS), np.int32),
        np.zeros(columns),
        np.zeros(columns, np.int64),
        np.zeros((columns, MAX_FRAMES, 3)),
        np.zeros((pieces, 6)),
        np.zeros(MAX_ROOMS, np.int64),
        np.zeros(MAX_SPANS),
        np.zeros(MAX_SPANS, np.int64),
        np.zeros(4, np.int64),
        np.zeros(4, np.int64),
    )


@kernel
def find_room(scene: Any, world: int, x: float, z: float) -> int:
    """The room of a world that contains a point, or else the nearest one."""
    best, found = -1e30, scene.world_first[world]
    for room in range(scene.world_first[world], scene.world_first[world + 1]):
        inside = 1e30
        for s in range(scene.room_first[room], scene.room_first[room + 1]):
            ax, az, bx, bz = scene.piece[s, 0], scene.piece[s, 1], scene.piece[s, 2], scene.piece[s, 3]
            length = np.hypot(bx - ax, bz - az)
            inside = min(inside, ((x - ax) * (bz - az) - (z - az) * (bx - ax)) / length)
        if inside > best:
            best, found = inside, room
    return found


@kernel
def place_pieces(scene: Any, world: int, x: float, z: float, forward_x: float, forward_z: float, rays: Any) -> None:
    """Put all wall pieces of a world into the camera's frame."""
    piece, out = scene.piece, rays.piece
    first, after = scene.room_first[scene.world_first[world]], scene.room_first[scene.world_first[world + 1]]
    for s in range(first, after):
        for end in range(2):
            dx, dz = piece[s, 2 * end] - x, piece[s, 2 * end + 1] - z
            out[s, 2 * end] = dz * forward_x - dx * forward_z
            out[s, 2 * end + 1] = dx * forward_x + dz * forward_z
        ax, az, bx, bz = out[s, 0], out[s, 1], out[s, 2], out[s, 3]
        out[s, 4] = ax * (bz - az) - az * (bx - ax)
        if out[s, 4] > 0:
            out[s, 5] = math.sqrt((bx - ax) * (bx - ax) + (bz - az) * (bz - az)) / out[s, 4]


@inlined
def _crosses(piece: Any, s: int, t: float) -> bool:
    return piece[s, 4] > 0 and piece[s, 2] - t * piece[s, 3] < 0 <= piece[s, 0] - t * piece[s, 1]


@kernel
def cast(scene: Any, camera: Any, start: int, rays: Any) -> None:
    """Follow every ray from the room `start` on. `place_pieces` comes first."""
    piece = rays.piece
    planes = len(scene.plane_y)
    rows = float(camera.height)
    middle, scale = rows / 2, rows / 2 / camera.up
    hints, low_end, low_surface = rays.hints, rays.low_end, rays.low_surface
    hints[:] = 0
    for k in range(len(camera.ray_right)):
        t = camera.ray_right[k]
        room, top, bottom = start, 0.0, rows
        above = below = frames = 0
        wall_depth, last = 1e30, scene.room_floor[start]
        for passed in range(MAX_ROOMS):
            first, beyond = scene.room_first[room], scene.room_first[room + 1]
            s = hints[passed]
            if not (first <= s < beyond and _crosses(piece, s, t)):
                s = first
                while s < beyond and not _crosses(piece, s, t):
                    s += 1
                if s == beyond:  # on the very edge of a room
                    break
                hints[passed] = s
            inverse = ((piece[s, 0] - t * piece[s, 1]) - (piece[s, 2] - t * piece[s, 3])) / piece[s, 4]
            last = planes + s
            # Above: the ceiling of this room, then what hangs from it.
            edge = middle - (scene.room_height[room] - camera.eye) * inverse * scale
            for part in range(2):
                if part == 1:
                    if scene.piece_next[s] < 0:
                        break
                    edge = middle - (scene.piece_high[s] - camera.eye) * inverse * scale
                edge = min(edge, bottom)
                if edge > top:
                    surface = planes + s if part else scene.room_ceiling[room]
                    if (above > 0 and rays.surface[k, above - 1] == surface) or above >= MAX_SPANS // 2 - 1:
                        above -= 1
                    rays.surface[k, above] = surface
                    rays.end[k, above] = edge
                    above += 1
                    top = edge
            # Below: the floor, then what stands on it.
            edge = middle + camera.eye * inverse * scale
            for part in range(2):
                if part == 1:
                    if scene.piece_next[s] < 0:
                        break
                    edge = middle - (scene.piece_low[s] - camera.eye) * inverse * scale
                edge = max(edge, top)
                if edge < bottom:
                    surface = planes + s if part else scene.room_floor[room]
                    if (below > 0 and low_surface[below - 1] == surface) or below >= MAX_SPANS // 2 - 1:
                        below -= 1  # goes on: keep where it ends
                        low_surface[below] = surface
                    else:
                        low_surface[below], low_end[below] = surface, bottom
                    below += 1
                    bottom = edge
            wall_depth = inverse
            if scene.piece_next[s] < 0 or bottom <= top:
                break
            follower = scene.piece_next[s]
            narrow = (
                scene.piece_low[s] > 0
                or scene.piece_high[s] < scene.room_height[room]
                or scene.piece_high[s] < scene.room_height[follower]
            )
            if narrow and frames < MAX_FRAMES:
                rays.frame[k, frames, 0], rays.frame[k, frames, 1], rays.frame[k, frames, 2] = inverse, top, bottom
                frames += 1
            room = follower
        if bottom > top:
            rays.surface[k, above], rays.end[k, above] = last, bottom
            above += 1
        for n in range(below - 1, -1, -1):
            rays.surface[k, above], rays.end[k, above] = low_surface[n], low_end[n]
            above += 1
        rays.end[k, above - 1] = rows + 1
        rays.spans[k] = above
        rays.wall[k] = wall_depth
        rays.frames[k] = frames
