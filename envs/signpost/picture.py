"""Pictures of signpost: the corridor, its sign, and the two buttons."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dream.envs import render
from dream.envs.drawing import Moment

if TYPE_CHECKING:
    from dream.envs.signpost.family import Signpost


def draw(env: Signpost, moment: Moment) -> NDArray[np.uint8]:
    """The corridor, the sign at its right end (golden while it is read), the right button in green, (H, W, 3) uint8.

    Before the sign has been read it shows a question mark, and no button is green.
    """
    length, letters, obs, trail = env.length, env.letters, moment.obs, moment.trail
    canvas = render.page(env.family, moment)
    size = (render.WIDTH - 24) / length
    board = render.Board(canvas, length, 1, 12, render.HEADER + 100, size)
    letter = letters[moment.problem_id]
    x, y = board.centre((length - 1, 0))
    canvas.box(x - 3, y - size * 0.9, 6, size * 0.5, render.WOOD)
    canvas.box(x - 22, y - size * 1.4, 44, 38, render.WOOD, radius=5)
    if moment.phase == "explore":
        paper = render.GOLD if obs[1] else (250, 238, 214)
        canvas.box(x - 18, y - size * 1.4 + 4, 36, 30, paper, radius=4)
        shown, ink = (letter, render.INK) if moment.knows(0) else ("?", render.UNKNOWN)
        canvas.text(shown, (x, y - size * 1.4 + 19), 17, ink, bold=True)
    spacing = min(100.0, (render.WIDTH - 24) / len(letters))
    disc = min(1.0, spacing / 64)
    for number, name in enumerate(letters):
        x = render.WIDTH / 2 + (number - (len(letters) - 1) / 2) * spacing
        top = render.HEADER + 216
        right = number == moment.problem_id and moment.phase == "execute" and moment.knows(0)
        canvas.disc((x, top + 30), 29 * disc, render.GOOD if right else render.RULE)
        canvas.disc((x, top + 30), 24 * disc, render.WHITE if right else render.CELL)
        canvas.text(
            name, (x, top + 30), 20 * disc, render.INK if moment.phase == "execute" else render.FAINT, bold=True
        )
    places = np.stack([np.append(trail[:, 0], obs[0]), np.zeros(len(trail) + 1, int)], axis=1)
    board.trail(canvas, places)
    canvas.agent(board.centre((int(obs[0]), 0)), size * 0.26)
    return canvas.picture()
