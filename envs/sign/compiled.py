"""The worlds of the sign families as arrays, all of a family together."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dream.envs.sign.layout import WORDS, SignLayout
from dream.envs.world3d.floorplan import Floorplan
from dream.envs.world3d.models import Model, box, mesh, text_sign
from dream.envs.world3d.motion import Obstacles, make_obstacles
from dream.envs.world3d.scene import Scene, compile_worlds


class CompiledWorlds(NamedTuple):
    """W worlds with K objects each."""

    scene: Scene
    """Models 0 to K - 1 are the objects, then come the signs."""
    obstacles: Obstacles
    sign: NDArray[np.float64]
    """(W, 4) x, y, z and direction of the sign."""
    first_word: NDArray[np.int64]
    """(W,) model of the sign with the first of WORDS; the other words follow."""


@cache
def object_model(kind: str, colour: str) -> Model:
    """The model of an object, sized as in MiniWorld's Sign."""
    return box(colour) if kind == "box" else mesh(f"{kind}_{colour}", 0.6)


@lru_cache(maxsize=16)
def compile_layouts(layouts: tuple[SignLayout, ...]) -> CompiledWorlds:
    """The worlds of these layouts, numbered in their order.

    Raises:
        ValueError: no layouts, or layouts with other kinds or colours of objects than the first.
        UserError: the miniworld package, whose textures and meshes are used, is not installed.
    """
    kinds = [layout.kinds_and_colours for layout in layouts]
    if not layouts or any(other != kinds[0] for other in kinds):
        raise ValueError("worlds with other objects cannot be drawn together: give layouts with the same ones")
    things = [object_model(*one) for one in kinds[0]]
    heights = sorted({layout.sign_height for layout in layouts})
    signs = [text_sign(word, height) for height in heights for word in WORDS]
    plans = [layout.floorplan() for layout in layouts]
    return CompiledWorlds(
        compile_worlds(plans, [*things, *signs]),
        obstacles_of(layouts, plans),
        np.array([layout.sign for layout in layouts]),
        np.array([len(things) + len(WORDS) * heights.index(layout.sign_height) for layout in layouts]),
    )


def obstacles_of(layouts: Sequence[SignLayout], plans: Sequence[Floorplan]) -> Obstacles:
    """What stands in the way in these layouts, whose floorplans are given: enough to walk, not to see."""
    places = np.array([[(x, z) for _, _, x, z in layout.objects] for layout in layouts])
    return make_obstacles(plans, places, [object_model(*one).radius for one in layouts[0].kinds_and_colours])


def one_world(layout: SignLayout) -> CompiledWorlds:
    """The only world of a layout."""
    return compile_layouts((layout,))
