"""The camera: which directions the pixels, and the four samples within each, look in. It never looks up or down."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SAMPLES = np.array([[0.125, 0.375], [0.375, 0.875], [0.625, 0.125], [0.875, 0.625]])
"""(4, 2) x and y of the samples of a pixel, from its top left corner, sorted by x: evenly spaced in x and in y."""


class Camera(NamedTuple):
    """Tables for frames of W x H pixels. A direction is (tangent to the right, tangent upwards, 1 ahead)."""

    width: int
    height: int
    eye: float
    """Metres above the floor."""
    right: float
    """Tangent from the middle to the right edge."""
    up: float
    """Tangent from the middle to the upper edge."""
    ray_right: NDArray[np.float64]
    """(4 W,) tangent of each column of samples, from left to right."""
    column_right: NDArray[np.float64]
    """(W,) tangent of each column's middle."""
    row_up: NDArray[np.float64]
    """(H,) tangent of each row's middle."""
    row_far: NDArray[np.float64]
    """(H,) 1 / |row_up|: how far the row sees on a plane one metre above or below the eye."""
    sample_y: NDArray[np.float64]
    """(4,) y of the samples of a pixel."""
    plane_log: NDArray[np.int64]
    """(H / 2, W / 2) log2 of the size in metres that a pixel covers on a plane one metre above or below, times 256."""


def make_camera(width: int = 80, height: int = 60, eye: float = 1.5, fov_y: float = 60.0) -> Camera:
    """A camera for frames of even size; `fov_y` in degrees. Raises ValueError for a size that is odd or too small."""
    if width < 2 or height < 2 or width % 2 or height % 2:
        raise ValueError(f"frames of {width} x {height} pixels: both must be even")
    up = float(np.tan(np.radians(fov_y) / 2))
    right = up * width / height
    column_right = ((np.arange(width, dtype=np.float64) + 0.5) / (width / 2) - 1) * right
    row_up = (1 - (np.arange(height, dtype=np.float64) + 0.5) / (height / 2)) * up
    far: NDArray[np.float64] = 1 / np.maximum(np.abs(row_up), 1e-6)
    # OpenGL takes differences within blocks of 2 x 2 pixels, from the block's lower left pixel.
    lower, upper = far[1::2], far[0::2]
    beside = lower[:, None] * (column_right[1] - column_right[0])
    above = np.abs(upper - lower)[:, None] * np.hypot(1, column_right[0::2])
    return Camera(
        width,
        height,
        eye,
        right,
        up,
        ((np.arange(4 * width) / 4 + SAMPLES[0, 0]) / (width / 2) - 1) * right,
        column_right,
        row_up,
        far,
        SAMPLES[:, 1].copy(),
        np.round(256 * np.log2(np.maximum(beside, above))).astype(np.int64),
    )
