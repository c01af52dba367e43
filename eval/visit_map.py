"""Where explorations went, as a picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dream.envs import MetaEnv
from dream.envs.render import FAINT, INK, Canvas
from dream.eval.recorded import RecordedTrials

SIDE = 320
"""Pixels of the longer side of the map."""


def visits(recorded: RecordedTrials, env: MetaEnv) -> NDArray[np.int64] | None:
    """How many observations of the explorations were made in each cell of the family's map, (rows, columns), top first.

    Cells are one unit wide where all positions are whole numbers, else half a unit. None where the family does not
    tell where an agent is.
    """
    position = recorded.explore.position
    if position is None:
        return None
    places = position[np.isfinite(position).all(axis=2)]
    left, right, bottom, top = env.map_extent
    size = 1.0 if np.array_equal(places, np.round(places)) else 0.5
    columns, rows = round(abs(right - left) / size), round(abs(top - bottom) / size)
    column = np.clip((places[:, 0] - left) / (right - left) * columns, 0, columns - 1).astype(np.int64)
    row = np.clip((top - places[:, 1]) / (top - bottom) * rows, 0, rows - 1).astype(np.int64)
    counts = np.zeros((rows, columns), np.int64)
    np.add.at(counts, (row, column), 1)
    return counts


def visit_picture(recorded: RecordedTrials, env: MetaEnv) -> NDArray[np.uint8] | None:
    """The map of `visits`, dark where most were, (H, W, 3) uint8; None where there is none."""
    counts = visits(recorded, env)
    if counts is None:
        return None
    rows, columns = counts.shape
    size = SIDE / max(rows, columns)
    canvas = Canvas(max(SIDE, round(columns * size)) + 24, round(rows * size) + 64)
    number = len(recorded.problem_id)
    canvas.text(f"where {number} exploration{'s' * (number != 1)} went", (12, 16), 11, INK, align=0, bold=True)
    most = max(1, int(counts.max()))
    for row in range(rows):
        for column in range(columns):
            share = (counts[row, column] / most) ** 0.5  # by area the rare ones could not be seen
            canvas.box(12 + column * size, 32 + row * size, size - 1, size - 1, _shade(float(share)))
    told = f"darkest: {most} of {counts.sum()} observations"
    canvas.text(told, (12, canvas.height - 15), 9.5, FAINT, align=0)
    return canvas.picture()


def _shade(share: float) -> tuple[int, int, int]:
    """From pale to dark blue: lightness alone tells."""
    pale, dark = np.array([243, 244, 240]), np.array([12, 50, 110])
    r, g, b = (round(value) for value in (pale + share * (dark - pale)).tolist())
    return r, g, b
