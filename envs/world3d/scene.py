"""Worlds compiled to flat arrays, as the kernels read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dream.envs.world3d.floorplan import Floorplan
from dream.envs.world3d.models import Model
from dream.envs.world3d.textures import BlendedTable, TextureTable, build_blended, build_table

TEXELS_PER_METRE = 512
AMBIENT, DIFFUSE = 0.2 + 0.45, 0.7
LIGHT = np.array([1.0, 3.5, 1.0]) / np.sqrt(1 + 3.5**2 + 1)
"""Direction to the light. MiniWorld intends a lamp at (0, 2.5, 0) but adds 1 to each number and moves it far away."""
SKY = np.array([0.25, 0.82, 1.0])


class Scene(NamedTuple):
    """W worlds as the kernels see them: R rooms, S wall pieces, P floors and ceilings, M models with F facets in all.

    Rooms and pieces of a world follow each other; textures, models, floors and ceilings serve all worlds. A *surface*
    is what a pixel can show of the building: number p < P is a floor or ceiling, P + s a wall piece, and P + S the sky.
    """

    world_first: NDArray[np.int64]  # (W + 1,) first room of each world, and R
    room_first: NDArray[np.int64]  # (R + 1,) first wall piece of each room, and S
    room_height: NDArray[np.float64]  # (R,)
    room_floor: NDArray[np.int64]  # (R,) surface
    room_ceiling: NDArray[np.int64]  # (R,) surface; the sky where there is none
    piece: NDArray[np.float64]  # (S, 4) x, z of begin and end
    piece_along: NDArray[np.float64]  # (S,) metres from the beginning of the wall
    piece_next: NDArray[np.int64]  # (S,) room behind the opening, -1 for a solid wall
    piece_low: NDArray[np.float64]  # (S,) height at which the opening begins
    piece_high: NDArray[np.float64]  # (S,) and ends
    piece_shade: NDArray[np.float64]  # (S,) 0 to 1
    piece_texture: NDArray[np.int64]  # (S,)
    plane_y: NDArray[np.float64]  # (P,)
    plane_shade: NDArray[np.float64]  # (P,)
    plane_texture: NDArray[np.int64]  # (P,)
    model_first: NDArray[np.int64]  # (M + 1,) first facet of each model, and F
    model_reach: NDArray[np.float64]  # (M, 3) radius around the axis, lowest and highest point
    corners: NDArray[np.float64]  # (F, 4, 3)
    normals: NDArray[np.float64]  # (F, 4, 3)
    colours: NDArray[np.float64]  # (F, 4, 3) from 0 to 255
    uv: NDArray[np.float64]  # (F, 4, 2)
    sides: NDArray[np.int64]  # (F,)
    facet_plane: NDArray[np.float64]  # (F, 4) outer normal and its product with a corner
    facet_texture: NDArray[np.int64]  # (F,) -1 for none
    textures: TextureTable  # of facets
    blended: BlendedTable  # of the building


def compile_scene(plan: Floorplan, models: Sequence[Model]) -> Scene:
    """The arrays of one world, as `compile_worlds` makes them."""
    return compile_worlds([plan], models)


def compile_worlds(plans: Sequence[Floorplan], models: Sequence[Model]) -> Scene:
    """The arrays of floorplans, one for each world, and of the things that may stand in them.

    Frames of a world do not depend on which other worlds are compiled with it.

    Raises:
        ValueError: no worlds, or a missing texture.
    """
    if not plans:
        raise ValueError("there are no worlds to compile: give at least one floorplan")
    names: dict[str, int] = {}
    facet_names: dict[str, int] = {}
    planes: dict[tuple[float, int, float], int] = {}

    def texture(name: str) -> int:
        return names.setdefault(name, len(names))

    def plane(y: float, name: str, up: float) -> int:
        # Rooms with the same floor share it, so that no edge is drawn between them.
        return planes.setdefault((y, texture(name), _shade(0.0, up, 0.0)), len(planes))

    rooms = [room for plan in plans for room in plan.rooms]
    world_first = np.cumsum([0, *(len(plan.rooms) for plan in plans)])
    floors = [plane(0.0, room.floor, 1.0) for room in rooms]
    ceilings = [-1 if room.ceiling is None else plane(room.height, room.ceiling, -1.0) for room in rooms]
    first, rows = [0], []
    for number, plan in enumerate(plans):
        for room in plan.rooms:
            for wall, (x, z) in enumerate(room.normals.tolist()):
                for piece in room.pieces(wall):
                    hole = piece.opening
                    rows.append(
                        (
                            *piece.start,
                            *piece.end,
                            piece.along,
                            -1 if hole is None else world_first[number] + hole.neighbour,
                            0.0 if hole is None else hole.low,
                            0.0 if hole is None else hole.high,
                            _shade(x, 0.0, z),
                            texture(room.wall),
                        )
                    )
            first.append(len(rows))
    table = np.array(rows, np.float64).reshape(-1, 10)
    sky = len(planes) + len(table)
    model_first = np.cumsum([0, *(len(model.sides) for model in models)])
    used = [
        [facet_names.setdefault(name, len(facet_names)) if name else -1 for name in model.textures] for model in models
    ]
    corners = _stacked([model.corners for model in models], (4, 3))
    outer = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    flat = np.array(list(planes), np.float64).reshape(-1, 3)
    return Scene(
        world_first=world_first,
        room_first=np.array(first),
        room_height=np.array([room.height for room in rooms], np.float64),
        room_floor=np.array(floors),
        room_ceiling=np.array([sky if number < 0 else number for number in ceilings]),
        piece=np.ascontiguousarray(table[:, :4]),
        piece_along=table[:, 4].copy(),
        piece_next=table[:, 5].astype(np.int64),
        piece_low=table[:, 6].copy(),
        piece_high=table[:, 7].copy(),
        piece_shade=table[:, 8].copy(),
        piece_texture=table[:, 9].astype(np.int64),
        plane_y=flat[:, 0].copy(),
        plane_shade=flat[:, 2].copy(),
        plane_texture=flat[:, 1].astype(np.int64),
        model_first=model_first,
        model_reach=np.array([_reach(model) for model in models], np.float64).reshape(-1, 3),
        corners=corners,
        normals=_stacked([model.normals for model in models], (4, 3)),
        colours=255 * _stacked([model.colours for model in models], (4, 3)),
        uv=_stacked([model.uv for model in models], (4, 2)),
        sides=np.concatenate([np.zeros(0, np.int64), *(model.sides for model in models)]),
        facet_plane=np.concatenate([outer, (outer * corners[:, 0]).sum(axis=1, keepdims=True)], axis=1),
        facet_texture=np.concatenate([np.zeros(0, np.int64), *(np.array(each, np.int64) for each in used)]),
        textures=build_table(list(facet_names)),
        blended=build_blended(list(names)),
    )


def _shade(x: float, y: float, z: float) -> float:
    return float(min(1.0, AMBIENT + DIFFUSE * max(0.0, np.array([x, y, z]) @ LIGHT)))


def _stacked(parts: list[NDArray[np.float64]], shape: tuple[int, ...]) -> NDArray[np.float64]:
    return np.ascontiguousarray(np.concatenate([np.zeros((0, *shape)), *parts]))


def _reach(model: Model) -> tuple[float, float, float]:
    points = model.corners.reshape(-1, 3)
    return float(np.hypot(points[:, 0], points[:, 2]).max()), float(points[:, 1].min()), float(points[:, 1].max())
