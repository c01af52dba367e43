"""`Renderer`: many frames at once, each of a world of its own, on the CPU, without OpenGL."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from dream.envs.world3d import camera as camera_module
from dream.envs.world3d import facets as facets_module
from dream.envs.world3d import fetching, kernels, raycasting, shading, textures
from dream.envs.world3d import scene as scene_module
from dream.envs.world3d.camera import Camera, make_camera
from dream.envs.world3d.facets import NOTHING, Facets, draw_model, hidden, make_facets
from dream.envs.world3d.kernels import OPTIONS
from dream.envs.world3d.raycasting import Rays, cast, find_room, make_rays, place_pieces
from dream.envs.world3d.scene import Scene
from dream.envs.world3d.shading import resolve

MAX_FACETS = 8192
"""Facets in a frame that cover at least one sample; more are not drawn."""
_KERNELS = (camera_module, facets_module, fetching, kernels, raycasting, scene_module, shading, textures)


def _make_kernel(version: int) -> Any:
    """The kernel that draws a batch. Numba's cache only looks at this file; `version` makes it see the others too."""

    @njit(cache=True, nogil=True, **OPTIONS)
    def draw(
        scene: Any, camera: Any, rays: Any, facets: Any, scrap: Any, world: Any, pose: Any, models: Any, places: Any,
        frames: Any, visible: Any,
    ) -> int:  # fmt: skip
        things = models.shape[1]
        for member in range(len(pose)):
            x, z = pose[member, 0], pose[member, 1]
            forward_x, forward_z = np.cos(pose[member, 2]), -np.sin(pose[member, 2])
            place_pieces(scene, world[member], x, z, forward_x, forward_z, rays)
            cast(scene, camera, find_room(scene, world[member], x, z), rays)
            count = 0
            facets.rows[:, 0] = camera.height
            facets.rows[:, 1] = 0
            visible[member] = 0
            for thing in range(things):
                model = models[member, thing]
                if model < 0:
                    continue
                place = places[member, thing]
                dx, dz = place[0] - x, place[2] - z
                right, ahead = dz * forward_x - dx * forward_z, dx * forward_x + dz * forward_z
                if hidden(scene, camera, rays, model, right, ahead):
                    continue
                if count == 0:
                    facets.covered[:] = NOTHING
                count = draw_model(
                    scene, camera, rays, facets, count, thing, model, place, right, ahead, forward_x, forward_z
                )
            resolve(scene, camera, (x, z, forward_x, forward_z), rays, facets, scrap, frames[member], visible[member])
        return version

    return draw


def _version() -> int:
    sources = "".join(Path(str(module.__file__)).read_text(encoding="utf-8") for module in _KERNELS)
    return int.from_bytes(hashlib.sha256(sources.encode()).digest()[:6])


_draw = _make_kernel(_version())


class Renderer:
    """Draws frames of one world, or of several in one batch.

    Args:
        scene: the worlds, from `compile_scene` or `compile_worlds`.
        camera: by default MiniWorld's, 80 x 60 pixels.
        threads: cores to use; the frames are the same whatever their number.

    Raises:
        ValueError: threads < 1.
    """

    def __init__(self, scene: Scene, camera: Camera | None = None, threads: int = 1) -> None:
        if threads < 1:
            raise ValueError(f"threads is {threads}: give at least 1")
        self.scene, self.camera, self.threads = scene, camera or make_camera(), threads
        self._scratch = [_scratch(scene, self.camera) for _ in range(threads)]
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None

    def render(
        self,
        pose: NDArray[np.floating],
        models: NDArray[np.integer],
        places: NDArray[np.floating],
        world: NDArray[np.integer] | None = None,
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Frames of B members, each with up to E things in it.

        Args:
            pose: (B, 3) x and z of the camera, metres, and its direction, radians: 0 looks along +x, growing to the
                left.
            models: (B, E) number of the model of each thing, -1 for none.
            places: (B, E, 4) x, y, z and direction of each thing.
            world: (B,) number of the world that each member stands in; None: the first.

        Returns:
            Frames (B, H, W, 3) uint8; and how many pixels of each thing are seen, (B, E) float32, in quarters.

        Raises:
            ValueError: arrays that do not fit together, or a model or world that does not exist.
        """
        pose = np.ascontiguousarray(pose, np.float64)
        models = np.ascontiguousarray(models, np.int64)
        places = np.ascontiguousarray(places, np.float64)
        many = len(pose)
        if pose.shape != (many, 3) or models.shape[:1] != (many,) or places.shape != (*models.shape, 4):
            raise ValueError(
                f"pose {pose.shape}, models {models.shape}, places {places.shape}: give (B, 3), (B, E) and (B, E, 4)"
            )
        known = len(self.scene.model_first) - 1
        if models.size and models.max() >= known:
            raise ValueError(f"model {models.max()} does not exist: this world has models 0 to {known - 1}")
        worlds = len(self.scene.world_first) - 1
        world = np.zeros(many, np.int64) if world is None else np.ascontiguousarray(world, np.int64)
        if world.shape != (many,) or (many and not 0 <= world.min() <= world.max() < worlds):
            raise ValueError(f"world has shape {world.shape}: give {(many,)} numbers from 0 to {worlds - 1}")
        if not (np.isfinite(pose).all() and np.isfinite(places).all()):
            raise ValueError("pose or places hold numbers that are not finite")
        frames = np.empty((many, self.camera.height, self.camera.width, 3), np.uint8)
        visible = np.empty(models.shape, np.int64)
        bounds = np.linspace(0, many, self.threads + 1).astype(int)

        def part(number: int) -> None:
            rows = slice(bounds[number], bounds[number + 1])
            _draw(
                self.scene, self.camera, *self._scratch[number], world[rows], pose[rows], models[rows], places[rows],
                frames[rows], visible[rows],
            )  # fmt: skip

        if self._pool is None:
            part(0)
        else:
            list(self._pool.map(part, range(self.threads)))
        return frames, (visible / 4).astype(np.float32)


def _scratch(scene: Scene, camera: Camera) -> tuple[Rays, Facets, NDArray[np.uint8]]:
    """Memory that one thread works in."""
    return (
        make_rays(len(camera.ray_right), len(scene.piece)),
        make_facets(camera.width, camera.height, MAX_FACETS),
        np.zeros((camera.height, camera.width, 3), np.uint8),
    )
