"""Pictures of `kitchen`: a map from above with what is known of the containers, and the agent's frames."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from dream.envs import render
from dream.envs.drawing import Moment
from dream.envs.kitchen.layout import CONTAINERS, HEADINGS, INGREDIENTS, NOTHING, POT, KitchenLayout
from dream.envs.kitchen.view import icons

if TYPE_CHECKING:
    from dream.envs.kitchen.family import Kitchen

INKS: tuple[render.Colour, ...] = (
    (96, 118, 148), (196, 62, 56), (104, 70, 46), (52, 52, 52), (214, 168, 96), (186, 186, 180),
)  # fmt: skip
"""By type of container."""
COPPER: render.Colour = (224, 118, 44)


def draw(env: Kitchen, moment: Moment) -> NDArray[np.uint8]:
    """The map and the frame where the scene was recorded, else the last frames, (400, 352, 3) uint8."""
    return episode_picture(env, moment) if moment.scene else frames_picture(env, moment)


def episode_picture(env: Kitchen, moment: Moment) -> NDArray[np.uint8]:
    """A moment whose scene was recorded: the map so far on the left, the agent's frame on the right."""
    canvas = render.page(env.family, moment)
    layout, contents = env.kitchen_layout(moment.problem_id), env.known_contents(moment)
    pasted = _draw_map(canvas, layout, contents, moment.scene, (8.0, render.HEADER, 200.0, 210.0))
    x = 216.0
    canvas.text("the agent sees", (x, render.HEADER + 12), 9.5, render.FAINT, align=0)
    for row, name in enumerate(("hand", "pot")):
        held = int(moment.scene[name][-1])
        canvas.text(f"in the {name}", (x, render.HEADER + 142 + 34 * row), 9.5, render.FAINT, align=0)
        words = INGREDIENTS[held] if held < NOTHING else "nothing"
        canvas.text(words, (x, render.HEADER + 158 + 34 * row), 12, render.INK, align=0, bold=True)
    _list_contents(canvas, layout, contents, pasted)
    if moment.phase == "execute":
        canvas.text("the instruction is", (x, render.HEADER + 232), 9.5, render.FAINT, align=0)
        first, second = (INGREDIENTS[item] for item in moment.instruction)
        canvas.text(f"{first}, then", (x, render.HEADER + 250), 13, render.INK, align=0, bold=True)
        canvas.text(second, (x, render.HEADER + 268), 13, render.INK, align=0, bold=True)
    picture = canvas.picture()
    _paste(picture, moment.obs, 216, render.HEADER + 22, 128, 96)
    for item, left, top, size in pasted:
        _paste(picture, icons()[item], left, top, size, size)
    return picture


def frames_picture(env: Kitchen, moment: Moment) -> NDArray[np.uint8]:
    """A moment of which the observations alone are known: the last frames, the newest one large."""
    canvas = render.page(env.family, moment)
    layout, contents = env.kitchen_layout(moment.problem_id), env.known_contents(moment)
    names = [
        f"{CONTAINERS[kind]} {INGREDIENTS[contents[kind]] if contents[kind] < NOTHING else '?'}"
        for kind in layout.containers
    ]
    half = (len(names) + 1) // 2
    for row, line in enumerate((names[:half], names[half:])):
        canvas.text("   ".join(line), (14, render.HEADER + 8 + 16 * row), 10, render.INK, align=0)
    if moment.phase == "execute":
        words = f"cook {env.instruction_name(moment.instruction)}"
        canvas.text(words, (14, render.HEADER + 40), 11, render.INK, align=0, bold=True)
    picture = canvas.picture()
    _paste(picture, moment.obs, 42, render.HEADER + 54, 268, 201)
    for number, earlier in enumerate(moment.trail[-4:]):
        _paste(picture, earlier, 14 + 82 * number, render.HEADER + 266, 76, 57)
    return picture


Pasted = list[tuple[int, int, int, int]]
"""Icons to paste when the canvas is a picture: ingredient, left, top and size."""


def _draw_map(
    canvas: render.Canvas,
    layout: KitchenLayout,
    contents: NDArray[np.int64],
    scene: Mapping[str, NDArray[Any]],
    box: tuple[float, float, float, float],
) -> Pasted:
    """Cells, containers, pot and path into a box (left, top, width, height). Returns the icons to paste."""
    left, top, width, height = box
    scale = min(width / layout.width, height / layout.depth)
    left, top = left + (width - scale * layout.width) / 2, top + (height - scale * layout.depth) / 2

    def at(x: float, z: float) -> render.Point:
        return left + (x + 0.5) * scale, top + (z + 0.5) * scale

    canvas.box(left - 4, top - 4, scale * layout.width + 8, scale * layout.depth + 8, (150, 148, 142), radius=3)
    for x in range(layout.width):
        for z in range(layout.depth):
            canvas.box(left + x * scale + 0.5, top + z * scale + 0.5, scale - 1, scale - 1, render.CELL)
    if layout.island is not None:
        x, z = layout.island
        canvas.box(left + (x + 0.1) * scale, top + (z + 0.1) * scale, 0.8 * scale, 0.8 * scale, (140, 152, 116))
    opened, pasted = int(scene["opened"][-1]), Pasted()
    for thing, place in layout.places.items():
        x, z = HEADINGS[place.heading]
        middle = at(place.x - 0.2 * x, place.z - 0.2 * z)
        wide, deep = (0.6, 0.9) if x else (0.9, 0.6)
        corner = middle[0] - wide * scale / 2, middle[1] - deep * scale / 2
        if thing == POT:
            canvas.box(*corner, wide * scale, deep * scale, (40, 40, 44))
            canvas.disc(middle, 0.24 * scale, COPPER)
            continue
        if thing == opened:
            canvas.box(corner[0] - 3, corner[1] - 3, wide * scale + 6, deep * scale + 6, render.GOLD)
        canvas.box(*corner, wide * scale, deep * scale, INKS[thing])
        if contents[thing] < NOTHING:
            size = int(0.46 * scale)
            pasted.append((int(contents[thing]), int(middle[0] - size / 2), int(middle[1] - size / 2), size))
        else:
            canvas.text("?", middle, 12, render.WHITE, bold=True)
    poses = scene["pose"].tolist()
    if len(poses) > 1:
        canvas.path([at(x, z) for x, z, _ in poses], (120, 124, 132), 2)
    for x, z, _ in poses[:-1]:
        canvas.disc(at(x, z), 2.4, (120, 124, 132))
    x, z, heading = poses[-1]
    ahead, aside = np.array(HEADINGS[heading]), np.array(HEADINGS[(heading + 1) % 4])
    here = np.array(at(x, z))
    canvas.disc(at(x, z), 0.3 * scale, render.WHITE)
    canvas.disc(at(x, z), 0.3 * scale, render.INK, ring=2)
    nose = [0.32 * ahead, -0.16 * ahead + 0.18 * aside, -0.16 * ahead - 0.18 * aside]
    canvas.polygon([(float(p[0]), float(p[1])) for p in (here + scale * each for each in nose)], render.INK)
    return pasted


def _list_contents(canvas: render.Canvas, layout: KitchenLayout, contents: NDArray[np.int64], pasted: Pasted) -> None:
    """The containers with their colours and what they hold, below the map; icons are added to `pasted`."""
    for row, kind in enumerate(layout.containers):
        y = render.HEADER + 226 + 17 * row
        canvas.box(14, y - 6, 12, 12, INKS[kind])
        canvas.text(CONTAINERS[kind], (32, y), 10.5, render.INK, align=0)
        known = contents[kind] < NOTHING
        canvas.text(INGREDIENTS[contents[kind]] if known else "?", (124, y), 10.5, render.INK, align=0, bold=True)
        if known:
            pasted.append((int(contents[kind]), 102, int(y) - 8, 16))


def _paste(picture: NDArray[np.uint8], frame: NDArray[np.uint8], x: int, y: int, width: int, height: int) -> None:
    picture[y : y + height, x : x + width] = cv2.resize(frame, (width, height), interpolation=cv2.INTER_NEAREST)
