"""Pictures of dark rooms: treasures and penalties, what was taken, and the path so far."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dream.envs import grid, render
from dream.envs.drawing import Moment

if TYPE_CHECKING:
    from dream.envs.dark_rooms.family import DarkRooms

_BAD: render.Colour = (196, 64, 58)


def draw(env: DarkRooms, moment: Moment) -> NDArray[np.uint8]:
    """The room (treasures golden, penalties red, taken ones hollow, unknown cells grey) and the agent, (H, W, 3)."""
    n = env.grid_size
    canvas = render.page(env.family, moment)
    size = (render.WIDTH - 24) / n
    board = render.Board(canvas, n, n, 12, render.HEADER, size)
    path = np.concatenate([moment.trail["cell"], moment.obs["cell"][None]])
    taken = set(grid.cells_of(path, n).tolist())
    start = grid.cell_index(env.start, n)
    board.trail(canvas, path)
    for cell, value in enumerate(env.values[moment.problem_id].tolist()):
        x, y = board.centre(divmod(cell, n))
        if cell != start and not moment.knows(cell - (cell > start)):
            canvas.box(x - size * 0.47, y - size * 0.47, size * 0.94, size * 0.94, render.RULE)
            if size > 14:
                canvas.text("?", (x, y), size * 0.3, render.UNKNOWN)
        elif value:
            colour = render.GOLD if value > 0 else _BAD
            canvas.disc((x, y), size * 0.42, colour)
            if cell in taken:
                canvas.disc((x, y), size * 0.36, render.CELL)
            if size > 14:
                canvas.text(
                    f"{value:.1f}", (x, y), size * 0.27, render.INK if value > 0 or cell in taken else render.WHITE
                )
    x, y = board.centre(moment.obs["cell"].tolist())
    canvas.agent((x + size * 0.24, y + size * 0.24), size * 0.22)
    found = float(moment.obs["found"][0])
    if found:
        ink = render.GOOD if found > 0 else _BAD
        canvas.text(
            f"{found:+.2f}", (render.WIDTH - 14, render.HEIGHT - render.FOOTER / 2), 12, ink, align=1, bold=True
        )
    return canvas.picture()
