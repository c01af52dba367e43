"""Heat maps of explorations: visits counted on the map of a family, and a picture of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dream.envs import MetaEnv
from dream.envs.render import FAINT, INK, Canvas
from dream.eval.record.recorded import RecordedTrials

CELL = 0.5
"""Side of a cell of a map that is not a grid, in units of the map (sign: metres)."""
SIDE = 320
"""Pixels of the longer side of the map."""


def visits(recorded: RecordedTrials, env: MetaEnv) -> NDArray[np.int64] | None:
    """`count_visits` of the explorations on the family's map; None where the family has no positions."""
    position = recorded.explore.position
    return None if position is None else count_visits(position, env.map_extent)


def count_visits(position: NDArray[np.float64], extent: tuple[float, float, float, float]) -> NDArray[np.int64]:
    """The number of observations in each cell of a map, the first of an exploration included.

    Where the edges of the map lie halfway between whole numbers it is a grid whose cells are centred on them, one unit
    wide; any other map has cells of half a unit.

    Args:
        position: (N, T + 1, 2) x and y, NaN in padding. What lies outside counts in the nearest cell.
        extent: left, right, bottom and top edge, as `MetaEnv.map_extent`.

    Returns:
        (rows, columns), row 0 at the top of the map, column 0 at its left.
    """
    left, right, bottom, top = extent
    size = 1.0 if all(edge % 1 == 0.5 for edge in extent) else CELL
    rows, columns = (max(1, round(abs(length) / size)) for length in (top - bottom, right - left))
    x, y = position[np.isfinite(position).all(axis=2)].T
    row = np.clip((top - y) / (top - bottom) * rows, 0, rows - 1).astype(np.int64)
    column = np.clip((x - left) / (right - left) * columns, 0, columns - 1).astype(np.int64)
    counts = np.zeros((rows, columns), np.int64)
    np.add.at(counts, (row, column), 1)
    return counts


def visit_picture(recorded: RecordedTrials, env: MetaEnv) -> NDArray[np.uint8] | None:
    """The map of `visits`, darker where there were more, (H, W, 3) uint8; None where there is none."""
    counts = visits(recorded, env)
    if counts is None:
        return None
    rows, columns = counts.shape
    size = SIDE / max(rows, columns)
    canvas = Canvas(max(SIDE, round(columns * size)) + 24, round(rows * size) + 64)
    number = len(recorded.problem_id)
    canvas.text(f"visits of {number} exploration{'s' * (number != 1)}", (12, 16), 11, INK, align=0, bold=True)
    most = max(1, int(counts.max()))
    for row in range(rows):
        for column in range(columns):
            share = (counts[row, column] / most) ** 0.5  # in linear shades rare visits would be invisible
            canvas.box(12 + column * size, 32 + row * size, size - 1, size - 1, _shade(float(share)))
    text = f"darkest: {most} of {counts.sum()} observations"
    canvas.text(text, (12, canvas.height - 15), 9.5, FAINT, align=0)
    return canvas.picture()


def _shade(share: float) -> tuple[int, int, int]:
    """From pale to dark blue, distinguishable by lightness alone."""
    pale, dark = np.array([243, 244, 240]), np.array([12, 50, 110])
    r, g, b = (round(value) for value in (pale + share * (dark - pale)).tolist())
    return r, g, b
