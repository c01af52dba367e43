"""Pictures of bus and map: where each line leads, the goal, and the path so far."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dream.envs import render
from dream.envs.drawing import Moment

if TYPE_CHECKING:
    from dream.envs.bus.family import BusNetwork


def draw(env: BusNetwork, moment: Moment) -> NDArray[np.uint8]:
    """The grid, its lines (useless ones pale), the agent, and in execution the goal as a star, (H, W, 3) uint8.

    Ends are labelled with their cell, as in beliefs and descriptions; the end of a line that is not known is grey.
    """
    obs, trail = moment.obs, moment.trail
    canvas = render.page(env.family, moment)
    room = render.WIDTH - 24
    size = room / env.grid_size
    board = render.Board(canvas, env.grid_size, env.grid_size, 12, render.HEADER, size)
    if moment.phase == "execute":
        x, y = board.centre(moment.instruction.tolist())
        canvas.box(x - size / 2, y - size / 2, size, size, (255, 240, 200))
        canvas.star((x, y), size * 0.48, (190, 134, 0))
        canvas.star((x, y), size * 0.38, render.GOLD)

    lines = list(zip(env.stops, env.destinations[moment.problem_id].tolist(), render.PALETTE, "ABCDEFGH", strict=False))
    useful = len(env.useful_stops)
    for number in (range(useful, len(lines)), range(useful)):  # the useless ones below
        with canvas.faded(0.75 if 0 in number else 0.3):
            for line in filter(moment.knows, number):
                stop, end, colour, _ = lines[line]
                bend(canvas, board.centre(stop), board.centre(end), colour, size * (0.1 if 0 in number else 0.07))
    board.trail(canvas, np.concatenate([trail[:, :2], obs[None, :2]]))
    for number, (stop, end, colour, letter) in reversed(list(enumerate(lines))):
        shade = colour if number < useful else lighter(colour)
        x, y = board.centre(stop)
        canvas.box(x - size * 0.36, y - size * 0.36, size * 0.72, size * 0.72, shade, radius=size * 0.14)
        if size > 14:
            canvas.text(letter, (x, y), size * 0.36, render.WHITE, bold=True)
        x, y = board.centre(end)
        ink = shade if moment.knows(number) else render.UNKNOWN
        canvas.box(x - size * 0.46, y - size * 0.42, size * 0.92, size * 0.84, ink, radius=size * 0.14)
        if size > 14:
            name = letter if moment.knows(number) else "?"
            canvas.text(name, (x, y - size * 0.14), size * 0.33, render.WHITE, bold=True)
        if size > 30:
            canvas.text(f"{end[0]}, {end[1]}", (x, y + size * 0.22), size * 0.27, render.WHITE)

    if env.sign is not None:
        sign(canvas, board.centre(env.sign), size, read=len(obs) > 3 and int(obs[3]) > 0)
    occupied = obs[2] or tuple(obs[:2].tolist()) == env.sign
    x, y = board.centre(obs[:2].tolist())
    if occupied:  # do not hide the letter
        canvas.agent((x + size * 0.26, y + size * 0.26), size * 0.24)
    else:
        canvas.agent((x, y), size * 0.3)
    return canvas.picture()


def bend(canvas: render.Canvas, a: render.Point, b: render.Point, colour: render.Colour, thickness: float) -> None:
    """A slightly bent line, so that lines through the same cells can be distinguished."""
    start, end = np.array(a), np.array(b)
    across = (end - start)[::-1] * (-1, 1) * 0.16
    t = np.linspace(0, 1, 24)[:, None]
    points = (1 - t) ** 2 * start + 2 * t * (1 - t) * ((start + end) / 2 + across) + t**2 * end
    canvas.path([(x, y) for x, y in points.tolist()], colour, thickness)


def lighter(colour: render.Colour) -> render.Colour:
    """Halfway to white."""
    r, g, b = ((channel + 255) // 2 for channel in colour)
    return r, g, b


def sign(canvas: render.Canvas, centre: render.Point, size: float, read: bool) -> None:
    """A board on a post; golden while it is being read."""
    x, y = centre
    canvas.box(x - size * 0.05, y, size * 0.1, size * 0.44, render.WOOD)
    canvas.box(x - size * 0.4, y - size * 0.38, size * 0.8, size * 0.5, render.WOOD, radius=size * 0.08)
    paper = render.GOLD if read else (250, 238, 214)
    canvas.box(x - size * 0.34, y - size * 0.32, size * 0.68, size * 0.38, paper, radius=size * 0.05)
    if size > 14:
        canvas.text("MAP", (x, y - size * 0.13), size * 0.22, (90, 65, 40), bold=True)
