"""How much our frames differ from MiniWorld's: recorded moments are rendered again and compared."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dream.envs.sign.fast import FastBackend
from dream.envs.sign.layout import LAYOUTS
from dream.errors import UserError

SHAPES = {"frames": (60, 80, 3), "agent_x_z_dir": (3,), "color_index": (), "object_dirs": (6,)}
"""What a file of recorded frames holds, each for N frames; `object_dirs` are boxes blue, red, green, then keys."""


class Comparison(NamedTuple):
    """Recorded frames and ours of the same moments."""

    theirs: NDArray[np.uint8]
    """(N, 60, 80, 3)"""
    ours: NDArray[np.uint8]
    """(N, 60, 80, 3)"""
    error: NDArray[np.float64]
    """(N,) mean absolute difference of each frame, of 255."""


def compare_frames(path: Path) -> Comparison:
    """Draw the moments of a file of MiniWorld's Sign again. Raises UserError for a file that is not of that form."""
    try:
        with np.load(path) as stored:
            if missing := [name for name in SHAPES if name not in stored]:
                raise UserError(f"{path} has no {', '.join(missing)}: give an .npz with {', '.join(SHAPES)}")
            data = {name: np.asarray(stored[name]) for name in SHAPES}
    except FileNotFoundError:
        raise UserError(f"{path} does not exist: give an .npz with {', '.join(SHAPES)}") from None
    except (OSError, ValueError, AttributeError, zipfile.BadZipFile):
        raise UserError(f"{path} cannot be read: give an .npz with {', '.join(SHAPES)}") from None
    count = len(data["frames"]) if data["frames"].ndim else 0
    for name, shape in SHAPES.items():
        if data[name].shape != (count, *shape) or not count:
            raise UserError(f"{name} in {path} has shape {data[name].shape}: give (N, {', '.join(map(str, shape))})")
    if data["frames"].dtype != np.uint8:
        raise UserError(f"frames in {path} are {data['frames'].dtype}: give uint8")
    backend = FastBackend(count, LAYOUTS["sign"])
    try:
        ours = backend.reset(data["color_index"], data["agent_x_z_dir"], data["object_dirs"])
    except ValueError as error:
        raise UserError(f"{path} cannot be drawn: {error}") from None
    return Comparison(data["frames"], ours, np.abs(ours.astype(np.int16) - data["frames"]).mean(axis=(1, 2, 3)))
