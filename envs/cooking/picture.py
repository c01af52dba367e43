"""Pictures of cooking: the kitchen, what is in the hand and in the bowl, and the recipe."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dream.envs import render
from dream.envs.drawing import Moment

if TYPE_CHECKING:
    from dream.envs.cooking.family import Cooking

LEAF, WOOD, DARK_WOOD, CHINA = (70, 140, 60), (205, 170, 125), (150, 112, 72), (120, 150, 185)


def draw(env: Cooking, moment: Moment) -> NDArray[np.uint8]:
    """The kitchen from above with what each drawer holds; below it hand, bowl and recipe, (H, W, 3) uint8."""
    obs = moment.obs
    canvas = render.page(env.family, moment)
    size = 252 / env.grid_size
    board = render.Board(canvas, env.grid_size, env.grid_size, (render.WIDTH - 252) / 2, render.HEADER, size)
    for number, (cell, item) in enumerate(zip(env.drawers, env.contents[moment.problem_id].tolist(), strict=True)):
        drawer(canvas, board.centre(cell), size, number + 1, item if moment.knows(number) else None)
    hand, bowl = int(obs[3]), obs[4:].tolist()
    inside = [item for item in bowl if item < env.ingredients]
    draw_bowl(canvas, board.centre(env.bowl), size, inside)
    board.trail(canvas, np.concatenate([moment.trail[:, :2], obs[None, :2]]), shift=(-0.24, -0.22))
    x, y = board.centre((obs[0] - 0.24, obs[1] - 0.22))
    canvas.agent((x, y), size * 0.17)
    if hand < env.ingredients:
        canvas.disc((x + size * 0.27, y + size * 0.05), size * 0.15, render.WHITE)
        ingredient(canvas, (x + size * 0.27, y + size * 0.05), size * 0.11, hand)

    rows = [("hand", [hand], 0), ("bowl", bowl, 0)]
    if moment.phase == "execute":
        wanted = moment.instruction.tolist()
        done = next((i for i, item in enumerate(wanted) if bowl[i] != item), len(wanted))
        rows.append(("recipe", wanted, done))
    left, side = 24.0, min(38.0, (render.WIDTH - 48 - 2 * 20) / (2 + 2 * env.recipe))
    for name, items, done in rows:
        slots(canvas, name, left, render.HEADER + 260, side, items, env.ingredients, done)
        left += side * len(items) + 20
    return canvas.picture()


def slots(
    canvas: render.Canvas, name: str, left: float, top: float, side: float, items: list[int], empty: int, done: int
) -> None:
    """A row of named boxes, the first `done` of them framed in green."""
    canvas.text(name, (left + side / 2 * len(items), top + 7), 10, render.FAINT)
    for i, item in enumerate(items):
        x, y = left + side * (i + 0.5), top + 34
        for edge, colour in ((0.45, render.GOOD if i < done else render.RULE), (0.4, render.CELL)):
            canvas.box(x - side * edge, y - side * edge, side * 2 * edge, side * 2 * edge, colour, radius=side * 0.1)
        if item < empty:
            ingredient(canvas, (x, y), side * 0.31, item)


def drawer(canvas: render.Canvas, centre: render.Point, size: float, number: int, item: int | None) -> None:
    """A chest seen from the front: its number, and its contents above the handle; None: they are not known."""
    x, y = centre
    canvas.box(x - size * 0.42, y - size * 0.42, size * 0.84, size * 0.84, DARK_WOOD, radius=size * 0.06)
    canvas.box(x - size * 0.38, y - size * 0.38, size * 0.76, size * 0.76, WOOD, radius=size * 0.04)
    if item is None:
        canvas.disc((x + size * 0.1, y - size * 0.1), size * 0.24, render.UNKNOWN)
        canvas.text("?", (x + size * 0.1, y - size * 0.1), size * 0.22, render.WHITE, bold=True)
    else:
        canvas.disc((x + size * 0.1, y - size * 0.1), size * 0.24, (250, 244, 230))
        ingredient(canvas, (x + size * 0.1, y - size * 0.1), size * 0.17, item)
    if size > 30:
        canvas.text(str(number), (x - size * 0.26, y + size * 0.24), size * 0.16, DARK_WOOD, bold=True)
    canvas.box(x - size * 0.02, y + size * 0.24, size * 0.24, size * 0.06, DARK_WOOD, radius=size * 0.03)


def draw_bowl(canvas: render.Canvas, centre: render.Point, size: float, inside: list[int]) -> None:
    """A bowl with its ingredients visible above the rim."""
    x, y = centre
    for i, item in enumerate(inside):
        offset = (i - (len(inside) - 1) / 2) * size * 0.2
        ingredient(canvas, (x + size * 0.08 + offset, y - size * 0.2), size * 0.11, item)
    canvas.oval((x + size * 0.08, y - size * 0.1), size * 0.72, size * 0.76, CHINA, 0, 180)
    canvas.oval((x + size * 0.08, y - size * 0.1), size * 0.72, size * 0.1, (165, 190, 215))
    canvas.oval((x + size * 0.08, y + size * 0.28), size * 0.3, size * 0.06, CHINA)


def ingredient(canvas: render.Canvas, centre: render.Point, radius: float, item: int) -> None:
    """Tomato, carrot, cheese, aubergine; from the fifth on a coloured disc with a letter."""
    x, y = centre
    r = radius
    if item == 0:
        canvas.disc((x, y + r * 0.1), r * 0.9, (216, 58, 48))
        canvas.disc((x - r * 0.3, y - r * 0.2), r * 0.18, (240, 130, 120))
        canvas.star((x, y - r * 0.62), r * 0.5, LEAF)
    elif item == 1:
        for tilt in (-0.35, 0, 0.35):
            canvas.path([(x, y - r * 0.5), (x + tilt * r, y - r)], LEAF, r * 0.2)
        canvas.polygon([(x - r * 0.48, y - r * 0.55), (x + r * 0.48, y - r * 0.55), (x, y + r)], (240, 130, 30))
        canvas.oval((x, y - r * 0.5), r * 0.96, r * 0.4, (240, 130, 30))
        for height, width in ((-0.2, 0.28), (0.15, 0.18)):
            canvas.path([(x - r * width, y + r * height), (x, y + r * height)], (200, 95, 15), r * 0.1)
    elif item == 2:
        canvas.polygon([(x - r, y + r * 0.7), (x + r, y + r * 0.7), (x + r, y - r * 0.25)], (248, 208, 70))
        canvas.polygon([(x - r, y + r * 0.7), (x + r, y - r * 0.25), (x + r * 0.55, y - r * 0.7)], (255, 228, 120))
        for dx, dy, size in ((0.1, 0.42, 0.16), (0.62, 0.3, 0.2), (0.58, -0.12, 0.0)):
            canvas.disc((x + dx * r, y + dy * r), size * r, (222, 172, 40))
    elif item == 3:
        canvas.oval((x, y + r * 0.2), r * 1.15, r * 1.6, (104, 58, 140))
        canvas.oval((x - r * 0.22, y + r * 0.1), r * 0.18, r * 0.7, (150, 105, 185))
        canvas.oval((x, y - r * 0.52), r * 0.8, r * 0.4, LEAF)
        canvas.path([(x, y - r * 0.55), (x + r * 0.12, y - r)], LEAF, r * 0.22)
    else:
        canvas.disc(centre, r, render.PALETTE[item % len(render.PALETTE)])
        canvas.text(chr(ord("A") + item % 26), centre, r * 1.0, render.WHITE, bold=True)
