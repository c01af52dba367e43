"""Kernels that colour pixels: runs of one surface quickly, mixed pixels sample by sample."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from dream.envs.world3d.fetching import (
    ONE,
    PERIOD,
    blue,
    fetch,
    fetch_blended,
    fixed,
    green,
    log2_256,
    red,
    step_of,
    to_byte,
)
from dream.envs.world3d.scene import SKY, TEXELS_PER_METRE
from dream.envs.world3d.textures import LANE

_SKY_RED, _SKY_GREEN, _SKY_BLUE = (float(255 * part) for part in SKY)
_LOG_DENSITY = 256 * round(math.log2(TEXELS_PER_METRE))
_DENSITY = float(TEXELS_PER_METRE)
_WEIGHT = 2048
"""Weight of a blended texel that is not shaded: then a channel is a byte times 2^13."""
_HALF = 4096 * (1 | 1 << LANE | 1 << 2 * LANE)
_BYTE = 1.0 / ONE


@njit(forceinline=True, error_model="numpy")
def _write(pixel: Any, lanes: int) -> None:
    rounded = lanes + _HALF
    pixel[0] = np.uint8(rounded >> 13)
    pixel[1] = np.uint8(rounded >> (13 + LANE))
    pixel[2] = np.uint8(rounded >> (13 + 2 * LANE))


@njit(forceinline=True, error_model="numpy")
def _plane_column(scene: Any, camera: Any, eye: Any, p: int, column: int, first: int, last: int, frame: Any) -> int:
    """Colour rows `first` to `last` - 1 of a column with a floor or ceiling, (H, W, 3); returns the last colour."""
    texture, distance = scene.plane_texture[p], abs(scene.plane_y[p] - camera.eye)
    blended = scene.blended
    weight = np.int64(scene.plane_shade[p] * _WEIGHT + 0.5)
    to_u = PERIOD * _DENSITY / blended.size[texture, 0]
    to_v = PERIOD * _DENSITY / blended.size[texture, 1]
    t = camera.column_right[column]
    u0, v0 = eye[0] * to_u, eye[1] * to_v
    u1 = (eye[2] - t * eye[3]) * distance * to_u
    v1 = (eye[3] + t * eye[2]) * distance * to_v
    log = _LOG_DENSITY + log2_256(distance)
    lanes = 0
    for row in range(first, last):
        far = camera.row_far[row]
        step = step_of(camera.plane_log[row >> 1, column >> 1] + log)
        lanes = fetch_blended(
            blended.texels, blended.offset[texture, step], blended.width[texture, step], blended.height[texture, step],
            weight, fixed(u0 + u1 * far), fixed(v0 + v1 * far),
        )  # fmt: skip
        _write(frame[row, column], lanes)
    return lanes


@njit(forceinline=True, error_model="numpy")
def _wall_column(scene: Any, camera: Any, rays: Any, s: int, column: int, first: int, last: int, frame: Any) -> int:
    """Colour rows `first` to `last` - 1 of a column with a wall, (H, W, 3); returns the last colour."""
    texture = scene.piece_texture[s]
    blended = scene.blended
    weight = np.int64(scene.piece_shade[s] * _WEIGHT + 0.5)
    to_u = PERIOD * _DENSITY / blended.size[texture, 0]
    to_v = PERIOD * _DENSITY / blended.size[texture, 1]
    ax, az, bx, bz, front = rays.piece[s]
    dx, dz = bx - ax, bz - az
    length = math.sqrt(dx * dx + dz * dz)
    # Depth and metres along the wall in both columns of the block of 2 x 2 pixels.
    even = column & ~1
    t0, t1 = camera.column_right[even], camera.column_right[even + 1]
    depth0 = front / max(t0 * dz - dx, 1e-3 * front)
    depth1 = front / max(t1 * dz - dx, 1e-3 * front)
    along0 = depth0 * (ax - t0 * az) / front * length
    along1 = depth1 * (ax - t1 * az) / front * length
    across = (along1 - along0) * (along1 - along0)
    tall = camera.row_up[0] - camera.row_up[1]
    down = (depth0 * tall) * (depth0 * tall)
    slope = (depth1 - depth0) * (depth1 - depth0)
    if column == even:
        depth, along = depth0, along0
    else:
        depth, along = depth1, along1
    u = fixed((scene.piece_along[s] + along) * to_u)
    v0, v1 = camera.eye * to_v, depth * to_v
    lanes = offset = width = height = 0
    for row in range(first, last):
        if row == first or row & 1 == 0:  # a block of 2 x 2 pixels has one level of detail
            lower = camera.row_up[row | 1]
            step = step_of((log2_256(max(across + lower * lower * slope, down)) >> 1) + _LOG_DENSITY)
            offset, width = blended.offset[texture, step], blended.width[texture, step]
            height = blended.height[texture, step]
        v = fixed(v0 + v1 * camera.row_up[row])
        lanes = fetch_blended(blended.texels, offset, width, height, weight, u, v)
        _write(frame[row, column], lanes)
    return lanes


@njit(forceinline=True, error_model="numpy")
def _at(quantity: Any, x: float, y: float) -> float:
    return quantity[0] * x + quantity[1] * y + quantity[2]


@njit(forceinline=True, error_model="numpy")
def _add_facet(scene: Any, facets: Any, f: int, column: int, row: int, weight: float, colour: Any) -> None:
    """Add a facet's colour in the middle of a pixel, times a weight, to `colour` (3,)."""
    x, y = column + 0.5, row + 0.5
    inverse = facets.inverse[f]
    depth = 1 / max(_at(inverse, x, y), 1e-6)
    r = _at(facets.colour[f, 0], x, y) * depth
    g = _at(facets.colour[f, 1], x, y) * depth
    b = _at(facets.colour[f, 2], x, y) * depth
    texture = facets.texture[f]
    if texture >= 0:
        # Differences within the block of 2 x 2 pixels, from its lower left pixel.
        left, low = (column & ~1) + 0.5, (row | 1) + 0.5
        width, height = scene.textures.width[texture, 0], scene.textures.height[texture, 0]
        u, v = facets.uv[f, 0], facets.uv[f, 1]
        here = 1 / max(_at(inverse, left, low), 1e-6)
        beside = 1 / max(_at(inverse, left + 1, low), 1e-6)
        above = 1 / max(_at(inverse, left, low - 1), 1e-6)
        u_here, v_here = _at(u, left, low) * here, _at(v, left, low) * here
        across_u = (_at(u, left + 1, low) * beside - u_here) * width
        across_v = (_at(v, left + 1, low) * beside - v_here) * height
        up_u = (_at(u, left, low - 1) * above - u_here) * width
        up_v = (_at(v, left, low - 1) * above - v_here) * height
        size = max(across_u * across_u + across_v * across_v, up_u * up_u + up_v * up_v)
        lod = log2_256(max(size, 1e-12)) >> 1
        lanes = fetch(
            scene.textures, texture, lod, fixed(_at(u, x, y) * depth * PERIOD), fixed(_at(v, x, y) * depth * PERIOD)
        )
        scale = _BYTE / 255
        r *= red(lanes) * scale
        g *= green(lanes) * scale
        b *= blue(lanes) * scale
    colour[0] += weight * r
    colour[1] += weight * g
    colour[2] += weight * b


@njit(cache=False, error_model="numpy")
def resolve(scene: Any, camera: Any, eye: Any, rays: Any, facets: Any, scrap: Any, frame: Any, visible: Any) -> None:
    """Colour every pixel of a frame (H, W, 3), and count the samples of each thing in `visible` (E,).

    `eye` is x, z and the forward direction's x, z; `scrap` (H, W, 3) is overwritten. Everything is inlined here, in
    one place each: a call hands over hundreds of numbers, and would cost more than a pixel.
    """
    rows, planes = camera.height, len(scene.plane_y)
    walls = planes + len(scene.piece_along)
    shown, surface, facet = np.empty(4, np.int64), np.empty(4, np.int64), np.empty(4, np.int64)
    colour = np.empty(3)
    for column in range(camera.width):
        base = 4 * column
        shown[:] = 0
        first_thing, after_things = facets.rows[column, 0], facets.rows[column, 1]
        row = 0
        while row < rows:
            until = rows
            for k in range(4):
                y = row + camera.sample_y[k]
                n = shown[k]
                while rays.end[base + k, n] <= y:
                    n += 1
                shown[k] = n
                surface[k] = rays.surface[base + k, n]
                # First row whose sample lies past the end of this span.
                until = min(until, math.ceil(rays.end[base + k, n] - camera.sample_y[k]))
            facet[:] = -1
            if row < first_thing:
                until = min(until, first_thing)
            elif row < after_things:
                until = row + 1
                for k in range(4):
                    facet[k] = facets.cover[row, column, k]
                    if facet[k] >= 0:
                        visible[facets.thing[facet[k]]] += 1
                        surface[k] = walls + 1 + facet[k]
            pure = surface[0] == surface[1] and surface[0] == surface[2] and surface[0] == surface[3]
            pure = pure and surface[0] < walls
            target = frame
            if not pure:
                until = row + 1
                colour[:] = 0
                target = scrap
            for k in range(1 if pure else 4):
                what = surface[k]
                weight, again = 0.25, False
                for m in range(4):  # samples that show the same are coloured once
                    if surface[m] == what:
                        again = again or m < k
                        weight += 0.25 * (m > k)
                if again:
                    continue
                if what < planes:
                    lanes = _plane_column(scene, camera, eye, what, column, row, until, target)
                elif what < walls:
                    lanes = _wall_column(scene, camera, rays, what - planes, column, row, until, target)
                elif what == walls:
                    colour[0] += weight * _SKY_RED
                    colour[1] += weight * _SKY_GREEN
                    colour[2] += weight * _SKY_BLUE
                    continue
                else:
                    _add_facet(scene, facets, what - walls - 1, column, row, weight, colour)
                    continue
                if not pure:
                    weight *= _BYTE
                    colour[0] += weight * red(lanes)
                    colour[1] += weight * green(lanes)
                    colour[2] += weight * blue(lanes)
            if not pure:
                for channel in range(3):
                    frame[row, column, channel] = to_byte(colour[channel])
            row = until
