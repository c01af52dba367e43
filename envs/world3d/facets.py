"""Kernels that draw the things in a world: which samples each facet covers, nearest first, and its colour there."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dream.envs.world3d.kernels import inlined, kernel
from dream.envs.world3d.raycasting import NEAR
from dream.envs.world3d.scene import AMBIENT, DIFFUSE, LIGHT

MAX_CORNERS = 6
"""Of a facet cut off at the camera."""
NOTHING = -1
"""Four int16 of -1, read as one int64."""
_LIGHT_X, _LIGHT_Y, _LIGHT_Z = (float(part) for part in LIGHT)


class Facets(NamedTuple):
    """The facets drawn into a frame, N at most, and which samples of the frame (H, W, 4) they cover.

    A quantity q of a facet is given by three numbers: q / depth = a x + b y + c at x, y in pixels from the top left.
    """

    quantities: NDArray[np.float64]
    """(N, 6, 3) of 1; of red, green and blue, lit; of u and v, in whole textures."""
    texture: NDArray[np.int64]
    """(N,) -1 for none."""
    thing: NDArray[np.int64]
    """(N,) the thing it belongs to."""
    cover: NDArray[np.int16]
    """(H, W, 4) the facet that a sample shows, -1 for none."""
    covered: NDArray[np.int64]
    """(H, W) the same memory, a pixel an integer: NOTHING where no sample shows a facet."""
    depth: NDArray[np.float32]
    """(H, W, 4) its 1 / depth there."""
    rows: NDArray[np.int64]
    """(W, 2) first row that has a facet in each column, and the row after the last."""
    work: NDArray[np.float64]
    """(5, MAX_CORNERS)"""
    polygon: NDArray[np.float64]
    """(MAX_CORNERS, 3)"""
    cut: NDArray[np.float64]
    """(MAX_CORNERS, 2)"""


def make_facets(width: int, height: int, count: int) -> Facets:
    """Memory for so many facets and frames of this size."""
    cover = np.full((height, width, 4), -1, np.int16)
    return Facets(
        np.zeros((count, 6, 3)),
        np.zeros(count, np.int64),
        np.zeros(count, np.int64),
        cover,
        cover.view(np.int64)[..., 0],
        np.zeros((height, width, 4), np.float32),
        np.zeros((width, 2), np.int64),
        np.zeros((5, MAX_CORNERS)),
        np.zeros((MAX_CORNERS, 3)),
        np.zeros((MAX_CORNERS, 2)),
    )


@inlined
def hidden(scene: Any, camera: Any, rays: Any, model: int, x: float, z: float) -> bool:
    """Whether a model at (x, z) in the camera's frame lies beside the view or behind walls."""
    reach = scene.model_reach[model, 0]
    if z + reach < NEAR:
        return True
    slant = reach * math.sqrt(1 + camera.right * camera.right)
    if abs(x) > z * camera.right + slant:
        return True
    nearest = z - reach
    if nearest <= NEAR:
        return False
    half = camera.width / 2
    left = min((x - reach) / nearest, (x - reach) / (z + reach))
    right = max((x + reach) / nearest, (x + reach) / (z + reach))
    first = max(0, int(4 * half * (left / camera.right + 1)) - 1)
    last = min(4 * camera.width, int(4 * half * (right / camera.right + 1)) + 2)
    for k in range(first, last):  # noqa: SIM110  # kernels know no generators
        if rays.wall[k] * nearest < 1:
            return False
    return True


@kernel
def draw_model(
    scene: Any,
    camera: Any,
    rays: Any,
    facets: Any,
    count: int,
    thing: int,
    model: int,
    place: Any,
    x: float,
    z: float,
    forward_x: float,
    forward_z: float,
) -> int:
    """Draw a model that stands at `place` (x, y, z, yaw), (x, z) in the camera's frame. Returns the new `count`."""
    sine, cosine = math.sin(place[3]), math.cos(place[3])
    # From the model's frame to the camera's: ahead and right of the camera, seen from the model.
    ahead_x, ahead_z = cosine * forward_x - sine * forward_z, sine * forward_x + cosine * forward_z
    height = place[1] - camera.eye
    # The eye and the light in the model's frame. Right is (-ahead_z, ahead_x).
    eye_x, eye_z = -(x * -ahead_z + z * ahead_x), -(x * ahead_x + z * ahead_z)
    light_x, light_z = cosine * _LIGHT_X - sine * _LIGHT_Z, sine * _LIGHT_X + cosine * _LIGHT_Z
    px, py, pz, value = facets.work[0], facets.work[1], facets.work[2], facets.work[3]
    polygon, cut, slope = facets.polygon, facets.cut, facets.work[4]
    for f in range(scene.model_first[model], scene.model_first[model + 1]):
        plane = scene.facet_plane
        if plane[f, 0] * eye_x - plane[f, 1] * height + plane[f, 2] * eye_z <= plane[f, 3]:
            continue
        sides = scene.sides[f]
        nearest = farthest = 0.0
        for n in range(sides):
            cx, cz = scene.corners[f, n, 0], scene.corners[f, n, 2]
            px[n] = x - cx * ahead_z + cz * ahead_x
            py[n] = height + scene.corners[f, n, 1]
            pz[n] = z + cx * ahead_x + cz * ahead_z
            nearest = pz[n] if n == 0 else min(nearest, pz[n])
            farthest = pz[n] if n == 0 else max(farthest, pz[n])
        if farthest <= NEAR or count >= len(facets.texture):
            continue
        corners = sides
        if nearest > NEAR:
            for n in range(sides):
                cut[n, 0], cut[n, 1] = _to_pixels(camera, px[n], py[n], pz[n])
        else:
            corners = _cut_off(px, py, pz, sides, polygon)
            for n in range(corners):
                cut[n, 0], cut[n, 1] = _to_pixels(camera, polygon[n, 0], polygon[n, 1], polygon[n, 2])
        # q / depth is linear in the direction (right, up, 1): q of a corner is the sum over what is solved for here.
        m00, m01, m02 = py[1] * pz[2] - pz[1] * py[2], pz[1] * px[2] - px[1] * pz[2], px[1] * py[2] - py[1] * px[2]
        m10, m11, m12 = py[2] * pz[0] - pz[2] * py[0], pz[2] * px[0] - px[2] * pz[0], px[2] * py[0] - py[2] * px[0]
        m20, m21, m22 = py[0] * pz[1] - pz[0] * py[1], pz[0] * px[1] - px[0] * pz[1], px[0] * py[1] - py[0] * px[1]
        determinant = px[0] * m00 + py[0] * m01 + pz[0] * m02
        if abs(determinant) < 1e-12:
            continue
        share = 1 / determinant
        matrix = (m00 * share, m01 * share, m02 * share, m10 * share, m11 * share, m12 * share, m20 * share,
                  m21 * share, m22 * share)  # fmt: skip
        _plane(camera, matrix, 1.0, 1.0, 1.0, facets.quantities, count, 0)
        if not _cover(camera, rays, facets, count, cut, corners, slope):
            continue
        for channel in range(3):
            for n in range(3):
                lit = (
                    scene.normals[f, n, 0] * light_x
                    + scene.normals[f, n, 1] * _LIGHT_Y
                    + scene.normals[f, n, 2] * light_z
                )
                value[n] = scene.colours[f, n, channel] * min(1.0, AMBIENT + DIFFUSE * max(0.0, lit))
            _plane(camera, matrix, value[0], value[1], value[2], facets.quantities, count, 1 + channel)
        facets.texture[count] = scene.facet_texture[f]
        if scene.facet_texture[f] >= 0:
            for axis in range(2):
                a, b, c = scene.uv[f, 0, axis], scene.uv[f, 1, axis], scene.uv[f, 2, axis]
                _plane(camera, matrix, a, b, c, facets.quantities, count, 4 + axis)
        facets.thing[count] = thing
        count += 1
    return count


@inlined
def _to_pixels(camera: Any, x: float, y: float, z: float) -> tuple[float, float]:
    return (x / z / camera.right + 1) * (camera.width / 2), (1 - y / z / camera.up) * (camera.height / 2)


@inlined
def _plane(camera: Any, matrix: Any, a: float, b: float, c: float, out: Any, facet: int, quantity: int) -> None:
    """Write the three numbers of a quantity that is a, b, c at the first three corners."""
    right = a * matrix[0] + b * matrix[3] + c * matrix[6]
    up = a * matrix[1] + b * matrix[4] + c * matrix[7]
    ahead = a * matrix[2] + b * matrix[5] + c * matrix[8]
    out[facet, quantity, 0] = right * camera.right / (camera.width / 2)
    out[facet, quantity, 1] = -up * camera.up / (camera.height / 2)
    out[facet, quantity, 2] = ahead - right * camera.right + up * camera.up


@kernel
def _cut_off(px: Any, py: Any, pz: Any, sides: int, out: Any) -> int:
    """The part of a facet beyond NEAR, (MAX_CORNERS, 3). Returns its number of corners."""
    corners = 0
    for n in range(sides):
        m = (n + 1) % sides
        if pz[n] > NEAR:
            out[corners, 0], out[corners, 1], out[corners, 2] = px[n], py[n], pz[n]
            corners += 1
        if (pz[n] > NEAR) != (pz[m] > NEAR):
            at = (NEAR - pz[n]) / (pz[m] - pz[n])
            out[corners, 0] = px[n] + at * (px[m] - px[n])
            out[corners, 1] = py[n] + at * (py[m] - py[n])
            out[corners, 2] = NEAR
            corners += 1
    return corners


@inlined
def _cover(camera: Any, rays: Any, facets: Any, number: int, corner: Any, corners: int, slope: Any) -> bool:
    """Mark the samples inside a polygon (corners in pixels) that nothing nearer covers. Returns whether any was."""
    top = bottom = corner[0, 1]
    for n in range(1, corners):
        top, bottom = min(top, corner[n, 1]), max(bottom, corner[n, 1])
    # Lines of samples, four a row, are a quarter of a pixel apart.
    first_line = max(0, math.ceil(max(top, -1.0) * 4 - 0.5))
    last_line = min(4 * camera.height, math.ceil(min(bottom, camera.height + 1.0) * 4 - 0.5))
    if first_line >= last_line:
        return False
    for n in range(corners):
        m = n + 1 if n + 1 < corners else 0
        down = corner[m, 1] - corner[n, 1]
        slope[n] = (corner[m, 0] - corner[n, 0]) / down if down != 0 else 0.0
    quantities = facets.quantities
    a, b, c = quantities[number, 0, 0], quantities[number, 0, 1], quantities[number, 0, 2]
    any_covered = False
    for line in range(first_line, last_line):
        y = line * 0.25 + 0.125
        left, right = 1e6, -1e6
        for n in range(corners):
            m = n + 1 if n + 1 < corners else 0
            if (corner[n, 1] <= y) != (corner[m, 1] <= y):
                x = corner[n, 0] + (y - corner[n, 1]) * slope[n]
                left, right = min(left, x), max(right, x)
        row, sample = line >> 2, (0x72 >> 2 * (line & 3)) & 3  # samples by y: 2, 0, 3, 1
        offset = sample * 0.25 + 0.125
        first, last = math.ceil(max(left - offset, 0.0)), math.ceil(min(right - offset, float(camera.width)))
        for column in range(first, last):
            inverse = a * (column + offset) + b * y + c
            k = 4 * column + sample
            if inverse <= rays.wall[k]:
                continue
            if facets.cover[row, column, sample] >= 0 and inverse <= facets.depth[row, column, sample]:
                continue
            behind = False
            for n in range(rays.frames[k]):
                if rays.frame[k, n, 0] > inverse and not rays.frame[k, n, 1] <= y < rays.frame[k, n, 2]:
                    behind = True
            if behind:
                continue
            facets.cover[row, column, sample] = number
            facets.depth[row, column, sample] = inverse
            facets.rows[column, 0] = min(facets.rows[column, 0], row)
            facets.rows[column, 1] = max(facets.rows[column, 1], row + 1)
            any_covered = True
    return any_covered
