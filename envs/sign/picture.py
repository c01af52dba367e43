"""Pictures of the sign families for a person: a map from above, what the agent sees, both as a video."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from dream.envs import render
from dream.envs.sign.layout import COLOURS, LEGIBLE_PIXELS, ROOM_SIZE, WORDS, SignLayout
from dream.envs.stderr import without_stderr

INKS: dict[str, render.Colour] = {"blue": (45, 80, 220), "red": (214, 52, 50), "green": (30, 150, 60)}
_ROOMS = ((0.0, 10.0, 0.0, 6.5), (0.0, 6.0, 6.5, 6.75), (0.0, 10.0, 6.75, 13.0))
"""Floor of the U-shaped room: least and largest x, least and largest z."""
_FOV = math.atan(math.tan(math.radians(30)) * 80 / 60)


@dataclass(frozen=True)
class Path3D:
    """What was recorded of one episode, T steps after the start."""

    pose: NDArray[np.float64]
    """(T + 1, 3) x, z, direction."""
    sign_pixels: NDArray[np.float32]
    """(T + 1,) pixels of the sign in view."""


def draw_map(
    canvas: render.Canvas,
    layout: SignLayout,
    problem_id: int,
    goal: int | None,
    path: Path3D,
    box: tuple[float, float, float, float],
    yaw: NDArray[np.floating] | None = None,
) -> None:
    """Walls, objects, sign and path seen from above, into a box (left, top, width, height) of the canvas.

    A step is a dot with a beak that shows the heading; golden where the sign was in view. `goal` is the index of the
    object to be reached, ringed; None while exploring.
    """
    left, top, width, height = box
    scale = min(width / (ROOM_SIZE[0] + 0.6), height / (ROOM_SIZE[1] + 0.6))
    left += (width - scale * ROOM_SIZE[0]) / 2
    top += (height - scale * ROOM_SIZE[1]) / 2

    def at(x: float, z: float) -> render.Point:
        return left + x * scale, top + z * scale

    canvas.box(left - 4, top - 4, scale * ROOM_SIZE[0] + 8, scale * ROOM_SIZE[1] + 8, (150, 148, 142), radius=3)
    for x0, x1, z0, z1 in _ROOMS:
        canvas.box(*at(x0, z0), scale * (x1 - x0), scale * (z1 - z0), render.CELL)
    _sign(canvas, layout, problem_id, scale, at)
    for number, (kind, colour, x, z) in enumerate(layout.objects):
        if number == goal:
            canvas.disc(at(x, z), 0.85 * scale, render.GOLD, ring=3)
        _object(canvas, kind, INKS[colour], at(x, z), scale, 0.0 if yaw is None else float(yaw[number]))
    places = [at(x, z) for x, z, _ in path.pose.tolist()]
    x, z, direction = path.pose[-1].tolist()
    reach = 3.2 * scale
    with canvas.faded(0.25):
        cone = [places[-1]]
        for turn in np.linspace(-_FOV, _FOV, 9):
            cone.append(
                (places[-1][0] + reach * math.cos(direction + turn), places[-1][1] - reach * math.sin(direction + turn))
            )
        canvas.polygon(cone, render.GOLD if path.sign_pixels[-1] >= LEGIBLE_PIXELS else (120, 150, 190))
    if len(places) > 1:
        canvas.path(places, (120, 124, 132), 2)
    for place, (_, _, heading), pixels in zip(places, path.pose.tolist(), path.sign_pixels.tolist(), strict=True):
        ink = render.GOLD if pixels >= LEGIBLE_PIXELS else (120, 124, 132)
        tip = place[0] + 0.34 * scale * math.cos(heading), place[1] - 0.34 * scale * math.sin(heading)
        canvas.path([place, tip], ink, 2)
        canvas.disc(place, 2.6, ink)
    canvas.disc(places[-1], 0.4 * scale, render.WHITE)
    canvas.disc(places[-1], 0.4 * scale, render.INK, ring=2)
    nose = [
        (places[-1][0] + r * scale * math.cos(direction + a), places[-1][1] - r * scale * math.sin(direction + a))
        for r, a in ((0.42, 0.0), (0.3, 2.4), (0.3, -2.4))
    ]
    canvas.polygon(nose, render.INK)


def episode_picture(
    layout: SignLayout,
    family: str,
    problem_id: int,
    phase: str,
    instruction: int,
    frame: NDArray[np.uint8],
    path: Path3D,
    caption: str,
    yaw: NDArray[np.floating] | None = None,
) -> NDArray[np.uint8]:
    """One moment of an episode: the map so far at the left, what the agent sees at the right, (400, 352, 3) uint8."""
    canvas = render.page(family, problem_id, phase, caption)
    goal = instruction * len(COLOURS) + problem_id if phase == "execute" else None
    draw_map(canvas, layout, problem_id, goal, path, (6, render.HEADER, 204, 322), yaw)
    x = 216.0
    canvas.text("the agent sees", (x, render.HEADER + 12), 9.5, render.FAINT, align=0)
    canvas.text("the sign says", (x, render.HEADER + 150), 9.5, render.FAINT, align=0)
    canvas.text(WORDS[problem_id], (x, render.HEADER + 168), 15, INKS[COLOURS[problem_id]], align=0, bold=True)
    pixels = float(path.sign_pixels[-1])
    canvas.text(f"{pixels:.0f} pixels of it in view", (x, render.HEADER + 186), 9.5, render.INK, align=0)
    if phase == "execute":
        canvas.text("the instruction is", (x, render.HEADER + 222), 9.5, render.FAINT, align=0)
        canvas.text(layout.kinds[instruction].upper(), (x, render.HEADER + 240), 15, render.INK, align=0, bold=True)
    picture = canvas.picture()
    _paste(picture, frame, int(x), render.HEADER + 24, 128, 96)
    return picture


def frames_picture(
    family: str,
    problem_id: int,
    phase: str,
    kind: str,
    frame: NDArray[np.uint8],
    trail: NDArray[np.uint8],
    caption: str,
) -> NDArray[np.uint8]:
    """One moment of an episode of which only frames are known, the last ones before it below, (400, 352, 3) uint8."""
    canvas = render.page(family, problem_id, phase, caption)
    ink = INKS[COLOURS[problem_id]]
    canvas.text(f"the sign says {WORDS[problem_id]}", (14, render.HEADER + 10), 11, ink, align=0, bold=True)
    if phase == "execute":
        where = (render.WIDTH - 14, render.HEADER + 10)
        canvas.text(f"go to the {COLOURS[problem_id]} {kind}", where, 11, render.INK, align=1)
    picture = canvas.picture()
    _paste(picture, frame, 36, render.HEADER + 24, 280, 210)
    for number, earlier in enumerate(trail[-4:]):
        _paste(picture, earlier, 14 + 82 * number, render.HEADER + 248, 76, 57)
    return picture


def write_video(path: Path, pictures: Sequence[NDArray[np.uint8]], fps: float = 4.0) -> None:
    """Pictures (H, W, 3) of one size as a .webm (VP80) that browsers play.

    Raises:
        ValueError: no pictures, another ending than .webm, or a video that cannot be written there.
    """
    if path.suffix != ".webm":
        raise ValueError(f"{path.name} is no .webm: give a name that ends so")
    if not len(pictures):
        raise ValueError("there are no pictures: give at least one")
    height, width, _ = pictures[0].shape
    with without_stderr():
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"VP80"), fps, (width, height))
    if not writer.isOpened():
        raise ValueError(f"{path} cannot be written: is there such a folder?")
    for picture in pictures:
        writer.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    writer.release()


def _paste(picture: NDArray[np.uint8], frame: NDArray[np.uint8], x: int, y: int, width: int, height: int) -> None:
    picture[y : y + height, x : x + width] = cv2.resize(frame, (width, height), interpolation=cv2.INTER_NEAREST)


def _sign(
    canvas: render.Canvas, layout: SignLayout, problem_id: int, scale: float, at: Callable[[float, float], render.Point]
) -> None:
    x, _, z, _ = layout.sign
    half = len(WORDS[problem_id]) * layout.sign_height / 2
    left, top = at(x, z - half)
    canvas.box(left - 5, top, 7, 2 * half * scale, INKS[COLOURS[problem_id]], radius=2)
    canvas.text(WORDS[problem_id], (left - 9, top + half * scale), 8.5, INKS[COLOURS[problem_id]], align=1, bold=True)


def _object(
    canvas: render.Canvas, kind: str, colour: render.Colour, centre: render.Point, scale: float, yaw: float
) -> None:
    x, y = centre
    if kind == "ball":
        canvas.disc(centre, 0.36 * scale, colour)
    elif kind == "box":
        corners = [math.pi / 4 + n * math.pi / 2 + yaw for n in range(4)]
        canvas.polygon([(x + 0.57 * scale * math.cos(a), y - 0.57 * scale * math.sin(a)) for a in corners], colour)
    else:
        ahead = math.sin(yaw), math.cos(yaw)  # a key lies along its own z axis
        canvas.disc((x + 0.4 * scale * ahead[0], y + 0.4 * scale * ahead[1]), 0.28 * scale, colour, ring=0.14 * scale)
        points = [(x + d * scale * ahead[0], y + d * scale * ahead[1]) for d in (0.15, -0.7)]
        canvas.path(points, colour, 0.16 * scale)
        for d in (-0.45, -0.68):
            foot = x + d * scale * ahead[0], y + d * scale * ahead[1]
            canvas.path([foot, (foot[0] + 0.22 * scale * ahead[1], foot[1] - 0.22 * scale * ahead[0])], colour, 2)
