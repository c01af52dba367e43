"""Kernels that colour pixels: runs of one surface quickly, mixed pixels sample by sample."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dream.envs.world3d.facets import NOTHING
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
from dream.envs.world3d.kernels import inlined, kernel
from dream.envs.world3d.scene import SKY, TEXELS_PER_METRE
from dream.envs.world3d.textures import LANE

_SKY_RED, _SKY_GREEN, _SKY_BLUE = (float(255 * part) for part in SKY)
_LOG_DENSITY = 256 * round(math.log2(TEXELS_PER_METRE))
_DENSITY = float(TEXELS_PER_METRE)
_WEIGHT = 2048
"""Weight of a blended texel that is not shaded: then a channel is a byte times 2^13."""
_HALF = 4096 * (1 | 1 << LANE | 1 << 2 * LANE)
_BYTE = 1.0 / ONE


@inlined
def _write(frame: Any, row: int, column: int, lanes: int) -> None:
    rounded = lanes + _HALF
    r, c = np.uint64(row), np.uint64(column)  # unsigned: no test for an index that counts from the end
    frame[r, c, 0] = np.uint8(rounded >> 13)
    frame[r, c, 1] = np.uint8(rounded >> (13 + LANE))
    frame[r, c, 2] = np.uint8(rounded >> (13 + 2 * LANE))


@inlined
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
    half = np.uint64(column >> 1)
    for row in range(first, last):
        far = camera.row_far[np.uint64(row)]
        step = np.uint64(step_of(camera.plane_log[np.uint64(row >> 1), half] + log))
        lanes = fetch_blended(
            blended.texels, blended.offset[texture, step], blended.width[texture, step], blended.height[texture, step],
            weight, fixed(u0 + u1 * far), fixed(v0 + v1 * far),
        )  # fmt: skip
        _write(frame, row, column, lanes)
    return lanes


@inlined
def _wall_column(scene: Any, camera: Any, rays: Any, s: int, column: int, first: int, last: int, frame: Any) -> int:
    """Colour rows `first` to `last` - 1 of a column with a wall, (H, W, 3); returns the last colour."""
    texture = scene.piece_texture[s]
    blended = scene.blended
    weight = np.int64(scene.piece_shade[s] * _WEIGHT + 0.5)
    to_u = PERIOD * _DENSITY / blended.size[texture, 0]
    to_v = PERIOD * _DENSITY / blended.size[texture, 1]
    piece = rays.piece
    ax, az, bx, bz, front = piece[s, 0], piece[s, 1], piece[s, 2], piece[s, 3], piece[s, 4]
    dx, dz = bx - ax, bz - az
    measure = piece[s, 5]
    # Depth and metres along the wall in both columns of the block of 2 x 2 pixels.
    even = column & ~1
    t0, t1 = camera.column_right[even], camera.column_right[even + 1]
    depth0 = front / max(t0 * dz - dx, 1e-3 * front)
    depth1 = front / max(t1 * dz - dx, 1e-3 * front)
    along0 = depth0 * (ax - t0 * az) * measure
    along1 = depth1 * (ax - t1 * az) * measure
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
            lower = camera.row_up[np.uint64(row | 1)]
            step = np.uint64(step_of((log2_256(max(across + lower * lower * slope, down)) >> 1) + _LOG_DENSITY))
            offset, width = blended.offset[texture, step], blended.width[texture, step]
            height = blended.height[texture, step]
        v = fixed(v0 + v1 * camera.row_up[np.uint64(row)])
        lanes = fetch_blended(blended.texels, offset, width, height, weight, u, v)
        _write(frame, row, column, lanes)
    return lanes


@inlined
def _at(quantities: Any, f: int, n: int, x: float, y: float) -> float:
    """Quantity n of a facet over depth at x, y. (Handing over `quantities[f, n]` would count references: slow.)"""
    return quantities[f, n, 0] * x + quantities[f, n, 1] * y + quantities[f, n, 2]


@inlined
def _facet_colour(scene: Any, facets: Any, f: int, column: int, row: int) -> tuple[float, float, float]:
    """A facet's colour in the middle of a pixel, each channel 0 to 255 (more, where it is seen past its edge)."""
    x, y = column + 0.5, row + 0.5
    quantities = facets.quantities
    depth = 1 / max(_at(quantities, f, 0, x, y), 1e-6)
    r = _at(quantities, f, 1, x, y) * depth
    g = _at(quantities, f, 2, x, y) * depth
    b = _at(quantities, f, 3, x, y) * depth
    texture = facets.texture[f]
    if texture >= 0:
        # Differences within the block of 2 x 2 pixels, from its lower left pixel.
        left, low = (column & ~1) + 0.5, (row | 1) + 0.5
        width, height = scene.textures.width[texture, 0], scene.textures.height[texture, 0]
        here = 1 / max(_at(quantities, f, 0, left, low), 1e-6)
        beside = 1 / max(_at(quantities, f, 0, left + 1, low), 1e-6)
        above = 1 / max(_at(quantities, f, 0, left, low - 1), 1e-6)
        u_here, v_here = _at(quantities, f, 4, left, low) * here, _at(quantities, f, 5, left, low) * here
        across_u = (_at(quantities, f, 4, left + 1, low) * beside - u_here) * width
        across_v = (_at(quantities, f, 5, left + 1, low) * beside - v_here) * height
        up_u = (_at(quantities, f, 4, left, low - 1) * above - u_here) * width
        up_v = (_at(quantities, f, 5, left, low - 1) * above - v_here) * height
        size = max(across_u * across_u + across_v * across_v, up_u * up_u + up_v * up_v)
        lod = log2_256(max(size, 1e-12)) >> 1
        at_u = fixed(_at(quantities, f, 4, x, y) * depth * PERIOD)
        at_v = fixed(_at(quantities, f, 5, x, y) * depth * PERIOD)
        lanes = fetch(scene.textures, texture, lod, at_u, at_v)
        scale = _BYTE / 255
        r *= red(lanes) * scale
        g *= green(lanes) * scale
        b *= blue(lanes) * scale
    return r, g, b


@kernel
def resolve(scene: Any, camera: Any, eye: Any, rays: Any, facets: Any, scrap: Any, frame: Any, visible: Any) -> None:
    """Colour every pixel of a frame (H, W, 3), and count the samples of each thing in `visible` (E,).

    `eye` is x, z and the forward direction's x, z; `scrap` (H, W, 3) is overwritten. Everything is inlined here, in
    one place each: a call hands over hundreds of numbers, and would cost more than a pixel.
    """
    rows, planes = camera.height, len(scene.plane_y)
    walls = planes + len(scene.piece_along)
    shown, surface = rays.shown, rays.pixel
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
            if row < first_thing:
                until = min(until, first_thing)
            elif row < after_things:
                if facets.covered[row, column] != NOTHING:
                    until = row + 1
                    for k in range(4):
                        facet = facets.cover[row, column, k]
                        if facet >= 0:
                            visible[facets.thing[facet]] += 1
                            surface[k] = walls + 1 + facet
                else:
                    stop = row + 1
                    while stop < until and facets.covered[stop, column] == NOTHING:
                        stop += 1
                    until = stop
            s0, s1, s2, s3 = surface[0], surface[1], surface[2], surface[3]
            pure = s0 == s1 and s0 == s2 and s0 == s3 and s0 < walls
            target = frame
            if not pure:
                until = row + 1
                target = scrap
            red_sum = green_sum = blue_sum = 0.0
            what = s0
            while True:  # each surface once
                if what < walls:
                    if what < planes:
                        lanes = _plane_column(scene, camera, eye, what, column, row, until, target)
                    else:
                        lanes = _wall_column(scene, camera, rays, what - planes, column, row, until, target)
                    if pure:
                        break
                    r, g, b = red(lanes) * _BYTE, green(lanes) * _BYTE, blue(lanes) * _BYTE
                elif what == walls:
                    r, g, b = _SKY_RED, _SKY_GREEN, _SKY_BLUE
                else:
                    r, g, b = _facet_colour(scene, facets, what - walls - 1, column, row)
                samples = 0
                if s0 == what:
                    samples, s0 = samples + 1, -1
                if s1 == what:
                    samples, s1 = samples + 1, -1
                if s2 == what:
                    samples, s2 = samples + 1, -1
                if s3 == what:
                    samples, s3 = samples + 1, -1
                other = max(max(s0, s1), max(s2, s3))
                red_sum += samples * r
                green_sum += samples * g
                blue_sum += samples * b
                if other < 0:
                    frame[row, column, 0] = to_byte(0.25 * red_sum)
                    frame[row, column, 1] = to_byte(0.25 * green_sum)
                    frame[row, column, 2] = to_byte(0.25 * blue_sum)
                    break
                what = other
            row = until
