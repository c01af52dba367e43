"""Kernels that read textures: trilinear filtering as OpenGL does it, in integers, three channels at once."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic

from dream.envs.world3d.kernels import inlined
from dream.envs.world3d.textures import LANE, MAX_STEPS, STEPS

ONE = 8192
"""The sum of the weights of the eight texels; a channel of 1 in 255."""
PERIOD = float(1 << 32)
"""Texture coordinates count 2^-32 of a texture, so that wrapping around is a mask."""
_STEP_SHIFT = 8 - (STEPS.bit_length() - 1)
MASK, LANE_MASK = (1 << 32) - 1, (1 << LANE) - 1

_mantissas = np.round(256 * np.log2(1 + (np.arange(256) + 0.5) / 256)).astype(np.int64)
LOG_TABLE = _mantissas


def _bits(typing_context: Any, number: Any) -> Any:
    """The 32 bits of a float32 as an int32."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.IntType(32))

    return types.int32(types.float32), generate


_as_integer: Any = intrinsic(_bits)


@inlined
def log2_256(number: float) -> Any:
    """256 log2 of a positive number, to within one."""
    bits: Any = np.int64(_as_integer(np.float32(number)))
    return (((bits >> 23) - 127) << 8) + LOG_TABLE[(bits >> 15) & 255]


@inlined
def fixed(coordinate: float) -> Any:
    """A texture coordinate (already times PERIOD) as an integer from 0 to 2^32 - 1."""
    return np.int64(coordinate) & MASK


@inlined
def _level(textures: Any, texture: int, level: int, share: int, u: int, v: int) -> int:
    """Bilinear filtering on one level, times share / 256 (0 to 256). No weight is negative; they sum to 32 share."""
    texels = textures.texels
    width = textures.width[texture, level]
    at_u = u * width + (1 << 31)
    at_v = v * textures.height[texture, level] + (1 << 31)
    here = np.uint64(textures.offset[texture, level] + (at_v >> 32) * (width + 2) + (at_u >> 32))
    there = np.uint64(here + np.uint64(width + 2))
    fv = (at_v >> 24) & 255
    right = (((at_u >> 24) & 255) * share) >> 3
    up = (fv * share) >> 3
    both = (right * fv) >> 8
    return (
        texels[here] * ((share << 5) - right - up + both)
        + texels[here + np.uint64(1)] * (right - both)
        + texels[there] * (up - both)
        + texels[there + np.uint64(1)] * both
    )


@inlined
def fetch(textures: Any, texture: int, lod: int, u: int, v: int) -> int:
    """The colour at (u, v), level of detail `lod` / 256: three lanes of a channel times ONE."""
    lod = max(lod, 0)
    level, share = lod >> 8, lod & 255
    last = textures.last[texture]
    if level >= last:
        return _level(textures, texture, last, 256, u, v)
    if share == 0:
        return _level(textures, texture, level, 256, u, v)
    return _level(textures, texture, level, 256 - share, u, v) + _level(textures, texture, level + 1, share, u, v)


@inlined
def step_of(lod: int) -> int:
    """The step of a blended table nearest to a level of detail `lod` / 256."""
    return min(max((lod + 128 // STEPS) >> _STEP_SHIFT, 0), MAX_STEPS - 1)


@inlined
def fetch_blended(texels: Any, offset: int, width: int, height: int, weight: int, u: int, v: int) -> int:
    """The colour at (u, v) of one step, times `weight` (2048 at most, so that no lane overflows)."""
    at_u, at_v = u * width, v * height
    here = np.uint64(offset + (at_v >> 32) * (width + 1) + (at_u >> 32))
    there = np.uint64(here + np.uint64(width + 1))
    fv = (at_v >> 24) & 255
    right = (((at_u >> 24) & 255) * weight) >> 8
    up = (fv * weight) >> 8
    both = (right * fv) >> 8
    return (
        texels[here] * (weight - right - up + both)
        + texels[here + np.uint64(1)] * (right - both)
        + texels[there] * (up - both)
        + texels[there + np.uint64(1)] * both
    )


@inlined
def red(lanes: int) -> int:
    """The first channel."""
    return lanes & LANE_MASK


@inlined
def green(lanes: int) -> int:
    """The second channel."""
    return (lanes >> LANE) & LANE_MASK


@inlined
def blue(lanes: int) -> int:
    """The third channel."""
    return lanes >> (2 * LANE)


@inlined
def to_byte(channel: float) -> Any:
    """A channel, 0 to 255, rounded and clamped."""
    return np.uint8(min(255.0, max(0.0, math.floor(channel + 0.5))))
