"""Frames of kitchens: what B members see, each in a kitchen of its own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dream.envs.kitchen import furniture
from dream.envs.kitchen.layout import CONTAINERS, GRID, HEADINGS, INGREDIENTS, NOTHING, POT, THINGS, KitchenLayout
from dream.envs.world3d.camera import make_camera
from dream.envs.world3d.floorplan import Floorplan
from dream.envs.world3d.renderer import Renderer
from dream.envs.world3d.scene import Scene, compile_scene, compile_worlds

EYE = 1.0
"""Height of the camera, metres."""
BEHIND = 0.3
"""How far it is behind the middle of the agent's cell."""
ICON = 12
"""Pixels of a side of the pictures in the lower corners: what the pot holds on the left, the hand on the right."""

_OPENED, _FOOD = len(CONTAINERS) + 1, 2 * len(CONTAINERS) + 1
_ISLAND = _FOOD + len(INGREDIENTS)
"""Numbers of models: closed containers by type and the stove, open containers, ingredients, the island."""


class CompiledKitchens(NamedTuple):
    """What the renderer needs of W kitchens."""

    scene: Scene
    models: NDArray[np.int64]
    """(W, THINGS + 2) model of each thing, all closed; then of the island, and of what an open container shows."""
    places: NDArray[np.float64]
    """(W, THINGS + 2, 4) where they stand; of the last, zeros."""
    shelf: NDArray[np.float64]
    """(W, 6, 4) where an ingredient stands in each type of container, before it is turned."""


@lru_cache(maxsize=8)
def compile_kitchens(layouts: tuple[KitchenLayout, ...]) -> CompiledKitchens:
    """The kitchens, numbered in their order.

    Raises UserError when the miniworld package, whose textures and meshes are used, is not installed.
    """
    models = np.full((len(layouts), THINGS + 2), -1)
    places = np.zeros((len(layouts), THINGS + 2, 4))
    shelf = np.zeros((len(layouts), len(CONTAINERS), 4))
    plans = []
    for number, layout in enumerate(layouts):
        plan = Floorplan()
        textures = {name: getattr(layout, f"{name}_texture") for name in ("wall", "floor", "ceiling")}
        plan.add_rectangle((0.0, float(layout.width)), (0.0, float(layout.depth)), **textures)
        plans.append(plan)
        for thing, place in layout.places.items():
            models[number, thing] = thing
            places[number, thing] = place.x + 0.5, 0.0, place.z + 0.5, place.heading * math.pi / 2
            if thing != POT:
                x, z = HEADINGS[place.heading]
                at = place.x + 0.5 + furniture.STANDS * x, place.z + 0.5 + furniture.STANDS * z
                shelf[number, thing] = at[0], furniture.LOOKS[thing].shelf, at[1], place.heading * math.pi / 2
        if layout.island is not None:
            models[number, THINGS] = _ISLAND
            places[number, THINGS] = layout.island[0] + 0.5, 0.0, layout.island[1] + 0.5, 0.0
    return CompiledKitchens(compile_worlds(plans, _models()), models, places, shelf)


@cache
def _models() -> list[furniture.Model]:
    kinds = range(len(CONTAINERS))
    food = [furniture.ingredient(number) for number in range(len(INGREDIENTS))]
    closed, opened = [furniture.closed(kind) for kind in kinds], [furniture.opened(kind) for kind in kinds]
    return [*closed, furniture.stove(), *opened, *food, furniture.island()]


class View:
    """Draws what members see.

    Args:
        layouts: the kitchens.
        threads: cores to draw with; the frames do not depend on it.

    Raises:
        ValueError: threads below 1.
        UserError: the miniworld package is not installed.
    """

    def __init__(self, layouts: Sequence[KitchenLayout], threads: int = 1) -> None:
        self._kitchens = compile_kitchens(tuple(layouts))
        self._renderer = Renderer(self._kitchens.scene, make_camera(eye=EYE), threads)
        self._icons, self._turned = icons(), np.array(furniture.TURNED)

    def frames(
        self,
        kitchen: NDArray[np.integer],
        pose: NDArray[np.integer],
        opened: NDArray[np.integer],
        inside: NDArray[np.integer],
        hand: NDArray[np.integer],
        pot: NDArray[np.integer],
    ) -> NDArray[np.uint8]:
        """Frames of N members.

        Args:
            kitchen: (N,) number of the kitchen.
            pose: (N,) number of the pose.
            opened: (N,) type of the open container, -1 for none.
            inside: (N,) the ingredient in it; of no meaning where none is open.
            hand: (N,) the ingredient in the hand, or NOTHING.
            pot: (N,) the ingredient in the pot, or NOTHING.

        Returns:
            (N, 60, 80, 3) uint8.
        """
        models, places = self._kitchens.models[kitchen], self._kitchens.places[kitchen]
        rows = np.flatnonzero(opened >= 0)
        which, what = opened[rows], inside[rows]
        models[rows, which] = _OPENED + which
        models[rows, -1] = _FOOD + what
        places[rows, -1] = self._kitchens.shelf[kitchen[rows], which]
        places[rows, -1, 3] += self._turned[what]
        frames, _ = self._renderer.render(camera_poses(pose), models, places, kitchen)
        for column, held in ((0, pot), (80 - ICON, hand)):
            rows = np.flatnonzero(held < NOTHING)
            if len(rows):
                frames[rows, 60 - ICON :, column : column + ICON] = self._icons[held[rows]]
        return frames


def camera_poses(pose: NDArray[np.integer]) -> NDArray[np.float64]:
    """x, z in metres and direction in radians of the camera in numbered poses, (N,) -> (N, 3)."""
    cell, heading = np.divmod(pose, 4)
    step = np.array(HEADINGS)[heading]
    x, z = cell % GRID + 0.5 - BEHIND * step[:, 0], cell // GRID + 0.5 - BEHIND * step[:, 1]
    return np.stack([x, z, heading * (math.pi / 2)], axis=1)


@cache
def icons() -> NDArray[np.uint8]:
    """Pictures of the ingredients for the corners of frames, (6, ICON, ICON, 3)."""
    count, scale = len(INGREDIENTS), 4
    room = Floorplan()
    room.add_rectangle((0.0, 4.0), (0.0, 4.0), wall="white", floor="white", ceiling="white")
    food = [furniture.ingredient(number) for number in range(count)]
    camera = make_camera(scale * ICON, scale * ICON, eye=EYE, fov_y=40.0)
    heights = np.array([height for _, height in furniture.MESHES])
    places = np.zeros((count, 1, 4))
    places[:, 0, 0], places[:, 0, 1], places[:, 0, 2] = 2.95, EYE - heights / 2, 2.0
    places[:, 0, 3] = np.pi + np.array(furniture.TURNED)
    pose = np.tile([2.0, 2.0, 0.0], (count, 1))
    frames, _ = Renderer(compile_scene(room, food), camera).render(pose, np.arange(count)[:, None], places)
    blocks = frames.reshape(count, ICON, scale, ICON, scale, 3).astype(np.int64).sum(axis=(2, 4))
    pictures = ((blocks + scale * scale // 2) // (scale * scale)).astype(np.uint8)
    pictures[:, 0] = pictures[:, -1] = pictures[:, :, 0] = pictures[:, :, -1] = 20  # a dark frame
    return pictures
