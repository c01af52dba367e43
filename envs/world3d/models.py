"""Things that stand in a world, as facets: boxes, meshes from .obj files, and signs with text.

A facet is a flat convex polygon of three or four corners, counter-clockwise seen from outside. Its corners have
normals and colours (light is worked out for each corner, as MiniWorld does) and may have a texture.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dream.envs.world3d.assets import mesh_file

COLOURS: dict[str, tuple[float, float, float]] = {
    "red": (1.0, 0.0, 0.0),
    "green": (0.0, 1.0, 0.0),
    "blue": (0.0, 0.0, 1.0),
    "purple": (0.44, 0.15, 0.76),
    "yellow": (1.0, 1.0, 0.0),
    "grey": (0.39, 0.39, 0.39),
}
"""MiniWorld's colours, (red, green, blue) from 0 to 1."""


@dataclass(frozen=True)
class Model:
    """F facets around the origin, which lies on the floor below the thing (for a sign: on the wall, in its middle)."""

    corners: NDArray[np.float64]
    """(F, 4, 3) metres; a triangle repeats its last corner."""
    normals: NDArray[np.float64]
    """(F, 4, 3) as the light sees them: not of length one where MiniWorld leaves them so."""
    colours: NDArray[np.float64]
    """(F, 4, 3) from 0 to 1."""
    uv: NDArray[np.float64]
    """(F, 4, 2) in whole textures, v upwards."""
    sides: NDArray[np.int64]
    """(F,) 3 or 4."""
    textures: tuple[str, ...]
    """Texture of each facet, "" for none, as `texture_file` takes it."""
    radius: float
    """Of the circle that nothing may enter, metres."""

    def __post_init__(self) -> None:
        for name in ("corners", "normals", "colours", "uv"):
            if len(getattr(self, name)) != len(self.sides):
                raise ValueError(f"a model has {len(self.sides)} facets but {name} for {len(getattr(self, name))}")


def box(colour: str, size: float = 0.8) -> Model:
    """A cube on the floor. Raises ValueError for a colour that is not in COLOURS."""
    half = size / 2
    return _prism((-half, half), (0.0, size), (-half, half), _colour(colour), radius=float(np.hypot(half, half)))


def mesh(name: str, height: float) -> Model:
    """A mesh of the miniworld package, such as "key_blue", scaled to a height in metres.

    Corners are scaled, normals are divided by the same scale and not brought back to length one: so does fixed-function
    OpenGL, and it makes small meshes look brighter. Raises ValueError for a mesh that is missing or not made of
    triangles.
    """
    corners, normals, colours, uv, texture = _read_obj(mesh_file(name))
    # The middle is taken between the least corner and the least of the three largest ones, as MiniWorld does it.
    low, high = corners.min(axis=(0, 1)), corners.max(axis=0).min(axis=0)
    corners = corners - np.array([(low[0] + high[0]) / 2, low[1], (low[2] + high[2]) / 2])
    largest = corners.max(axis=(0, 1))
    scale = height / largest[1]
    fourth = [0, 1, 2, 2]
    return Model(
        (corners * scale)[:, fourth],
        (normals / scale)[:, fourth],
        colours[:, fourth],
        uv[:, fourth],
        np.full(len(corners), 3),
        (texture,) * len(corners),
        float(np.hypot(largest[0], largest[2]) * scale),
    )


def text_sign(text: str, height: float = 0.15, depth: float = 0.05) -> Model:
    """A board with one square letter beside the other, `height` metres wide each, facing +x; its sides are black.

    Raises ValueError for a character that the miniworld package has no picture of.
    """
    half_width, half_height = len(text) * height / 2, height / 2
    sides = _prism((0.0, depth), (-half_height, half_height), (-half_width, half_width), (0.0, 0.0, 0.0), 0.0)
    keep = np.abs(sides.normals[:, 0, 0]) < 0.5  # neither front nor back
    front = []
    for number in range(len(text)):
        near, far = half_width - height * (number + 1), half_width - height * number
        front.append([(depth, half_height, near), (depth, half_height, far), (depth, -half_height, far),
                      (depth, -half_height, near)])  # fmt: skip
    count = len(text)
    return Model(
        np.concatenate([np.array(front).reshape(count, 4, 3), sides.corners[keep]]),
        np.concatenate([np.tile([1.0, 0, 0], (count, 4, 1)), sides.normals[keep]]),
        np.concatenate([np.ones((count, 4, 3)), sides.colours[keep]]),
        np.concatenate([np.tile([(1.0, 1), (0, 1), (0, 0), (1, 0)], (count, 1, 1)), sides.uv[keep]]),
        np.full(count + int(keep.sum()), 4),
        (*(f"chars/ch_0x{ord(letter)}" if letter != " " else "" for letter in text), *[""] * int(keep.sum())),
        0.0,
    )


def _prism(
    x: tuple[float, float],
    y: tuple[float, float],
    z: tuple[float, float],
    colour: tuple[float, float, float],
    radius: float,
) -> Model:
    """A block with axis-aligned faces."""
    low, high = np.array([x[0], y[0], z[0]]), np.array([x[1], y[1], z[1]])
    corners, normals = [], []
    for axis in range(3):
        a, b = (axis + 1) % 3, (axis + 2) % 3
        for sign, bound in ((1.0, high), (-1.0, low)):
            face = []
            # Counter-clockwise around +axis; the other way around for the opposite face.
            for at_a, at_b in ((low, low), (high, low), (high, high), (low, high))[:: int(sign)]:
                corner = np.empty(3)
                corner[axis], corner[a], corner[b] = bound[axis], at_a[a], at_b[b]
                face.append(corner)
            corners.append(face)
            normals.append([np.eye(3)[axis] * sign] * 4)
    return Model(
        np.array(corners),
        np.array(normals),
        np.tile(np.array(colour), (6, 4, 1)),
        np.zeros((6, 4, 2)),
        np.full(6, 4),
        ("",) * 6,
        radius,
    )


def _colour(name: str) -> tuple[float, float, float]:
    if name not in COLOURS:
        raise ValueError(f"unknown colour {name!r}: choose one of {', '.join(COLOURS)}")
    return COLOURS[name]


Triangles = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], str]


@cache
def _read_obj(path: Path) -> Triangles:
    """Corners (F, 3, 3), normals (F, 3, 3), colours (F, 3, 3), uv (F, 3, 2) and the texture of an .obj file."""
    points: dict[str, list[list[float]]] = {"v": [], "vt": [], "vn": []}
    faces: list[list[list[int]]] = []
    materials: list[str] = []
    material = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        word, *rest = line.split() or ["#"]
        if word in points:
            points[word].append([float(number) for number in rest])
        elif word == "usemtl":
            material = rest[0]
        elif word == "f":
            if len(rest) != 3:
                raise ValueError(f"{path} has a face of {len(rest)} corners: only triangles can be read")
            # v/t/n or v//n, counted from 1; index 0 stands for "none"
            faces.append([[int(part or 0) - 1 for part in corner.split("/")] for corner in rest])
            materials.append(material)
    index = np.array(faces)
    known, picture = _read_materials(path)
    colours = np.array([known.get(name, (1.0, 1.0, 1.0)) for name in materials])
    coordinates = np.zeros((*index.shape[:2], 2))
    if points["vt"]:
        coordinates = np.array(points["vt"])[:, :2][index[:, :, 1]]
    return (
        np.array(points["v"])[index[:, :, 0]],
        np.array(points["vn"])[index[:, :, 2]],
        np.repeat(colours[:, None], 3, axis=1),
        coordinates,
        picture if points["vt"] else "",
    )


def _read_materials(path: Path) -> tuple[dict[str, tuple[float, ...]], str]:
    """Colour of each material of the .mtl file beside an .obj file, and the texture, if there is one."""
    picture = path.with_suffix(".png")
    found = str(picture) if picture.is_file() else ""
    colours: dict[str, tuple[float, ...]] = {}
    library = path.with_suffix(".mtl")
    name = ""
    for line in library.read_text(encoding="utf-8").splitlines() if library.is_file() else []:
        word, *rest = line.split() or ["#"]
        if word == "newmtl":
            name = rest[0]
        elif word == "Kd":
            colours[name] = tuple(float(number) for number in rest)
        elif word == "map_Kd":
            found = str(path.parent / rest[-1])
    return colours, found
