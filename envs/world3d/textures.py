"""Textures as one table of texels that the renderer can fetch from with few operations.

Every level of every texture's mip chain lies in one int64 array, one texel an entry: red in bits 0-7, green in bits
21-28, blue in bits 42-49. With 13 bits of room above each channel, a sum of eight texels whose integer weights add up
to 8192 (trilinear filtering) is three channels at once without one carrying into the next. Each level has a border of
one texel, the opposite edge's, so that a fetch that wraps around needs no test.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from dream.envs.world3d.assets import texture_file

LANE = 21
"""Bits from one channel to the next."""
MAX_LEVELS = 12
"""Levels of the largest texture: 2048 texels wide."""


class TextureTable(NamedTuple):
    """All textures of a world, T of them."""

    texels: NDArray[np.int64]
    """(texels,) every level of every texture, row by row from v = 0 (the bottom of the image)."""
    offset: NDArray[np.int64]
    """(T, MAX_LEVELS) where a level begins; levels past the last repeat it."""
    width: NDArray[np.int64]
    """(T, MAX_LEVELS) texels, without the border."""
    height: NDArray[np.int64]
    """(T, MAX_LEVELS)"""
    last: NDArray[np.int64]
    """(T,) the coarsest level."""


def load_image(name: str) -> NDArray[np.uint8]:
    """A texture as (H, W, 3) uint8 red, green, blue, the bottom row first. Errors as for `texture_file`."""
    path = texture_file(name)
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError(f"{path} cannot be read as a picture")
    return np.ascontiguousarray(image[::-1, :, ::-1])


def mip_chain(image: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """The image (H, W, 3) and its reductions by two down to one texel, each from the one before, rounded to 8 bits."""
    levels = [image]
    while max(levels[-1].shape[:2]) > 1:
        levels.append(_halved(_halved(levels[-1], 1), 0))
    return levels


def _halved(image: NDArray[np.uint8], axis: int) -> NDArray[np.uint8]:
    """Half as long along an axis, each texel read with linear filtering in the middle of what it covers, rounded."""
    old = image.shape[axis]
    new = max(1, old // 2)
    at = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
    low = np.floor(at).astype(int)
    share = (at - low).reshape([-1 if a == axis else 1 for a in range(3)])
    mixed = image.take(low, axis) * (1 - share) + image.take(np.minimum(low + 1, old - 1), axis) * share
    return np.floor(mixed + 0.5).astype(np.uint8)


def build_table(names: list[str]) -> TextureTable:
    """The textures in this order. Raises ValueError for one that is missing or wider than 2048 texels."""
    count = max(1, len(names))
    offset, width, height = (np.zeros((count, MAX_LEVELS), np.int64) for _ in range(3))
    last = np.zeros(count, np.int64)
    parts = []
    total = 0
    for number, name in enumerate(names):
        levels = mip_chain(load_image(name))
        if len(levels) > MAX_LEVELS:
            raise ValueError(f"texture {name!r} is too large: {1 << (MAX_LEVELS - 1)} texels wide at most")
        last[number] = len(levels) - 1
        for level in range(MAX_LEVELS):
            if level < len(levels):
                bordered = np.pad(levels[level], ((1, 1), (1, 1), (0, 0)), mode="wrap").astype(np.int64)
                packed = bordered[..., 0] | bordered[..., 1] << LANE | bordered[..., 2] << (2 * LANE)
                offset[number, level], total = total, total + packed.size
                height[number, level], width[number, level] = levels[level].shape[:2]
                parts.append(packed.ravel())
            else:
                for table in (offset, width, height):
                    table[number, level] = table[number, level - 1]
    return TextureTable(np.concatenate(parts) if parts else np.zeros(1, np.int64), offset, width, height, last)
