"""Textures as tables of texels that the renderer can fetch from with few operations.

A texel is one int64 with its channels 21 bits apart. There is room above each channel, so that a weighted sum of
texels, the weights integers, is three sums at once without one carrying into the next.

`TextureTable` holds mip chains as they are, for trilinear filtering with eight texels. `BlendedTable` holds them
already mixed, for the building that fills most of a frame: in steps of 1 / STEPS of a level of detail, on a grid twice
as fine, which has a node wherever either of two neighbouring levels has one. Filtering four nodes of it is trilinear
filtering, but for the rounding of the level of detail.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from dream.envs.world3d.assets import TINTS, texture_file

LANE = 21
"""Bits from one channel to the next."""
MAX_LEVELS = 12
"""Levels of the largest texture: 2048 texels wide."""
STEPS = 8
"""Steps of a blended table from one level to the next, a power of two."""
MAX_STEPS = STEPS * (MAX_LEVELS - 1) + 1
FINEST = 2
"""The finest level that is blended, 128 texels a metre: enough from 0.4 m, an agent's radius; nearer looks blurred."""
PRECISION = 4
"""Blended texels count quarters of 255ths."""


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


class BlendedTable(NamedTuple):
    """All textures of a building, T of them, blended; step s is level of detail s / STEPS."""

    texels: NDArray[np.int64]
    """(texels,) row by row from v = 0; each row and column ends with a repetition of the first."""
    offset: NDArray[np.int64]
    """(T, MAX_STEPS) where a step begins."""
    width: NDArray[np.int64]
    """(T, MAX_STEPS) nodes, without the repeated one."""
    height: NDArray[np.int64]
    """(T, MAX_STEPS)"""
    size: NDArray[np.int64]
    """(T, 2) width and height of the texture itself."""


def load_image(name: str) -> NDArray[np.uint8]:
    """A texture as (H, W, 3) uint8 red, green, blue, the bottom row first.

    Args:
        name: as for `texture_file`, or with a tint, such as "wood@green".

    Raises:
        ValueError: there is no such texture or tint, or it cannot be read.
    """
    name, _, tint = name.partition("@")
    if tint and tint not in TINTS:
        raise ValueError(f"there is no tint {tint!r}: choose one of {', '.join(TINTS)}")
    path = texture_file(name)
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError(f"{path} cannot be read as a picture")
    upright: NDArray[np.uint8] = np.ascontiguousarray(image[::-1, :, ::-1])
    if not tint:
        return upright
    tinted: NDArray[np.uint8] = np.round(upright * np.array(TINTS[tint])).astype(np.uint8)
    return tinted


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
    parts: list[NDArray[np.int64]] = []
    total = 0
    for number, name in enumerate(names):
        levels = _packed_levels(name)
        last[number] = len(levels) - 1
        for level in range(MAX_LEVELS):
            if level < len(levels):
                packed = levels[level]
                offset[number, level], total = total, total + packed.size
                height[number, level], width[number, level] = packed.shape[0] - 2, packed.shape[1] - 2
                parts.append(packed.ravel())
            else:
                for table in (offset, width, height):
                    table[number, level] = table[number, level - 1]
    return TextureTable(np.concatenate(parts) if parts else np.zeros(1, np.int64), offset, width, height, last)


def build_blended(names: list[str]) -> BlendedTable:
    """The textures in this order, blended. Errors as for `build_table`."""
    offset, width, height = (np.zeros((max(1, len(names)), MAX_STEPS), np.int64) for _ in range(3))
    size = np.ones((max(1, len(names)), 2), np.int64)
    parts: list[NDArray[np.int64]] = []
    total = 0
    for number, name in enumerate(names):
        levels = _levels(name)
        size[number] = levels[0].shape[1], levels[0].shape[0]
        steps = _blended_steps(name)
        for step in range(MAX_STEPS):
            if step in steps:
                packed = steps[step]
                offset[number, step], total = total, total + packed.size
                height[number, step], width[number, step] = packed.shape[0] - 1, packed.shape[1] - 1
                parts.append(packed.ravel())
            elif step > min(steps):
                for table in (offset, width, height):
                    table[number, step] = table[number, step - 1]
        for table in (offset, width, height):
            table[number, : min(steps)] = table[number, min(steps)]
    return BlendedTable(np.concatenate(parts) if parts else np.zeros(1, np.int64), offset, width, height, size)


# What a texture becomes is kept, because most worlds share theirs with others.


@lru_cache(maxsize=128)
def _levels(name: str) -> list[NDArray[np.uint8]]:
    levels = mip_chain(load_image(name))
    if len(levels) > MAX_LEVELS:
        raise ValueError(f"texture {name!r} is too large: {1 << (MAX_LEVELS - 1)} texels wide at most")
    return levels


@lru_cache(maxsize=128)
def _packed_levels(name: str) -> list[NDArray[np.int64]]:
    """Every level with a border of a texel, its channels packed."""
    packed = []
    for level in _levels(name):
        bordered = np.pad(level, ((1, 1), (1, 1), (0, 0)), mode="wrap").astype(np.int64)
        packed.append(bordered[..., 0] | bordered[..., 1] << LANE | bordered[..., 2] << (2 * LANE))
    return packed


@lru_cache(maxsize=128)
def _blended_steps(name: str) -> dict[int, NDArray[np.int64]]:
    """Step -> its nodes, packed; steps past the last level are left out, as are those before the first one blended."""
    levels = _levels(name)
    first, steps = min(FINEST, len(levels) - 1), {}
    for step in range(MAX_STEPS):
        level, share = step // STEPS, step % STEPS / STEPS
        if first <= level < len(levels) and (share == 0 or level + 1 < len(levels)):
            nodes = levels[level].shape[1] * 2, levels[level].shape[0] * 2
            mixed = _on_nodes(levels[level], nodes)
            if share > 0:
                mixed = mixed * (1 - share) + _on_nodes(levels[level + 1], nodes) * share
            channels = np.round(mixed * PRECISION).astype(np.int64)
            packed = channels[..., 0] | channels[..., 1] << LANE | channels[..., 2] << (2 * LANE)
            steps[step] = np.pad(packed, ((0, 1), (0, 1)), mode="wrap")
    return steps


def _on_nodes(image: NDArray[np.uint8], nodes: tuple[int, int]) -> NDArray[np.float64]:
    """A level with linear filtering at nodes (columns, rows) spread evenly from u = v = 0, (rows, columns, 3)."""
    mixed = image.astype(np.float64)
    for axis, count in ((1, nodes[0]), (0, nodes[1])):
        texels = image.shape[axis]
        at = np.arange(count) * texels / count - 0.5
        low = np.floor(at).astype(int)
        share = (at - low).reshape([-1 if a == axis else 1 for a in range(3)])
        mixed = mixed.take(low % texels, axis) * (1 - share) + mixed.take((low + 1) % texels, axis) * share
    return mixed
