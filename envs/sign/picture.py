"""Pictures of the sign families: a map from above, and the agent's frames."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from dream.envs import render
from dream.envs.drawing import Moment
from dream.envs.sign.layout import COLOURS, LEGIBLE_PIXELS, WORDS, SignLayout

if TYPE_CHECKING:
    from dream.envs.sign.family import SignFamily

INKS: dict[str, render.Colour] = {"blue": (45, 80, 220), "red": (214, 52, 50), "green": (30, 150, 60)}
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
    named: int | None,
    goal: int | None,
    path: Path3D,
    box: tuple[float, float, float, float],
    yaw: NDArray[np.floating] | None = None,
) -> None:
    """Walls, objects, sign and path seen from above, into a box (left, top, width, height) of the canvas.

    A step is a dot with a beak that shows the heading; golden where the sign was in view. `named` is the index of the
    colour on the sign; None: it has not been read and is grey. `goal` is the index of the object to be reached, ringed;
    None while exploring.
    """
    left, top, width, height = box
    wide, deep = layout.size
    scale = min(width / (wide + 0.6), height / (deep + 0.6))
    left += (width - scale * wide) / 2
    top += (height - scale * deep) / 2

    def at(x: float, z: float) -> render.Point:
        return left + x * scale, top + z * scale

    canvas.box(left - 4, top - 4, scale * wide + 8, scale * deep + 8, (150, 148, 142), radius=3)
    for x0, x1, z0, z1 in _floors(layout):
        canvas.box(*at(x0, z0), scale * (x1 - x0), scale * (z1 - z0), render.CELL)
    _sign(canvas, layout, named, scale, at)
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


def draw(env: SignFamily, moment: Moment) -> NDArray[np.uint8]:
    """The map and the frame where the scene was recorded, else the last frames, (400, 352, 3) uint8."""
    return episode_picture(env, moment) if moment.scene else frames_picture(env, moment)


def episode_picture(env: SignFamily, moment: Moment) -> NDArray[np.uint8]:
    """A moment whose scene was recorded: the map so far on the left, the agent's frame on the right."""
    canvas, kind = render.page(env.family, moment), int(moment.instruction[0])
    world, colour = divmod(moment.problem_id, len(COLOURS))
    known = moment.knows(0)
    goal = kind * len(COLOURS) + colour if moment.phase == "execute" and known else None
    path, yaw = Path3D(moment.scene["pose"], moment.scene["sign_pixels"]), moment.scene["yaw"][-1]
    draw_map(canvas, env.layouts[world], colour if known else None, goal, path, (6, render.HEADER, 204, 322), yaw)
    x = 216.0
    canvas.text("the agent sees", (x, render.HEADER + 12), 9.5, render.FAINT, align=0)
    canvas.text("the sign says", (x, render.HEADER + 150), 9.5, render.FAINT, align=0)
    word, ink = (WORDS[colour], INKS[COLOURS[colour]]) if known else ("?", render.UNKNOWN)
    canvas.text(word, (x, render.HEADER + 168), 15, ink, align=0, bold=True)
    pixels = float(path.sign_pixels[-1])
    canvas.text(f"{pixels:.0f} pixels of it in view", (x, render.HEADER + 186), 9.5, render.INK, align=0)
    if moment.phase == "execute":
        canvas.text("the instruction is", (x, render.HEADER + 222), 9.5, render.FAINT, align=0)
        canvas.text(env.kinds[kind].upper(), (x, render.HEADER + 240), 15, render.INK, align=0, bold=True)
    picture = canvas.picture()
    _paste(picture, moment.obs, int(x), render.HEADER + 24, 128, 96)
    return picture


def frames_picture(env: SignFamily, moment: Moment) -> NDArray[np.uint8]:
    """A moment of which only frames are known: the frame, and below it the last ones before it."""
    canvas, number = render.page(env.family, moment), moment.problem_id % len(COLOURS)
    colour, known = COLOURS[number], moment.knows(0)
    words = f"the sign says {WORDS[number] if known else '?'}"
    ink = INKS[colour] if known else render.UNKNOWN
    canvas.text(words, (14, render.HEADER + 10), 11, ink, align=0, bold=True)
    if moment.phase == "execute":
        kind = env.kinds[int(moment.instruction[0])]
        where = (render.WIDTH - 14, render.HEADER + 10)
        canvas.text(f"go to the {colour if known else ''} {kind}".replace("  ", " "), where, 11, render.INK, align=1)
    picture = canvas.picture()
    _paste(picture, moment.obs, 36, render.HEADER + 24, 280, 210)
    for number, earlier in enumerate(moment.trail[-4:]):
        _paste(picture, earlier, 14 + 82 * number, render.HEADER + 248, 76, 57)
    return picture


def _paste(picture: NDArray[np.uint8], frame: NDArray[np.uint8], x: int, y: int, width: int, height: int) -> None:
    picture[y : y + height, x : x + width] = cv2.resize(frame, (width, height), interpolation=cv2.INTER_NEAREST)


def _floors(layout: SignLayout) -> list[tuple[float, float, float, float]]:
    """Floors of rooms and of the gaps between them: least and largest x, least and largest z."""
    floors = [(*x, *z) for x, z in layout.rooms]
    for hole in layout.openings:
        axis = int(hole.axis == "x")  # of the gap
        one, other = sorted((layout.rooms[hole.first][axis], layout.rooms[hole.second][axis]))
        gap = one[1], other[0]
        floors.append((*hole.span, *gap) if hole.axis == "x" else (*gap, *hole.span))
    return floors


def _sign(
    canvas: render.Canvas,
    layout: SignLayout,
    named: int | None,
    scale: float,
    at: Callable[[float, float], render.Point],
) -> None:
    x, _, z, direction = layout.sign
    longest = max(WORDS, key=len)  # the length of the word would give it away
    word, ink = ("?", render.UNKNOWN) if named is None else (WORDS[named], INKS[COLOURS[named]])
    half = len(longest if named is None else word) * layout.sign_height / 2
    middle_x, middle_y = at(x, z)
    ahead_x, ahead_y = math.cos(direction), -math.sin(direction)
    if abs(ahead_x) > 0.5:  # on a wall to the left or right
        canvas.box(middle_x - 3.5, middle_y - half * scale, 7, 2 * half * scale, ink, radius=2)
        canvas.text(word, (middle_x + 9 * ahead_x, middle_y), 8.5, ink, align=0 if ahead_x > 0 else 1, bold=True)
    else:
        canvas.box(middle_x - half * scale, middle_y - 3.5, 2 * half * scale, 7, ink, radius=2)
        canvas.text(word, (middle_x, middle_y + 12 * ahead_y), 8.5, ink, align=0.5, bold=True)


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
