"""The fast backend of `sign`: our own dynamics and our own renderer, for all members at once."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dream.envs.sign.compiled import compile_layouts
from dream.envs.sign.layout import COLOURS, SignLayout
from dream.envs.world3d.motion import meet, move
from dream.envs.world3d.renderer import Renderer

LEFT, RIGHT, FORWARD, END = range(4)
FORWARD_STEP = 0.7
TURN_STEP = 45 * math.pi / 180
NEAR = 1.1 * FORWARD_STEP
"""An object is touched from this much further than where the circles of agent and object meet."""


class SignStep(NamedTuple):
    """The result of one step of B members; members that were not active stay as they were."""

    frames: NDArray[np.uint8]
    """(B, 60, 80, 3)"""
    pose: NDArray[np.float64]
    """(B, 3) x, z, direction of the agent. The direction is not wrapped."""
    touched: NDArray[np.int64]
    """(B,) index of the object that is near, the last of them if there are more, -1 if none."""


class FastBackend:
    """B members of Sign. The actions are MiniWorld's: turn left, turn right, forward, and back one step and the end.

    Args:
        num_envs: B.
        layouts: where everything stands; of several, `reset` says in which one a member is.
        threads: cores to render with; what is returned does not depend on it.

    Raises:
        ValueError: num_envs or threads below 1, or layouts with different objects.
        UserError: the miniworld package, whose textures and meshes are used, is not installed.
    """

    def __init__(self, num_envs: int, *layouts: SignLayout, threads: int = 1) -> None:
        if num_envs < 1:
            raise ValueError(f"num_envs is {num_envs}: give at least 1")
        self.worlds = compile_layouts(layouts)
        """All worlds, numbered in the order of the layouts."""
        self.num_envs, self.layouts = num_envs, layouts
        self.renderer = Renderer(self.worlds.scene, threads=threads)
        self.radii = self.worlds.obstacles.radii
        """(K,) of the objects."""
        self.world = np.zeros(num_envs, np.int64)
        """(B,) number of the world that each member is in."""
        count = len(self.radii)
        self._models = np.tile(np.arange(count + 1), (num_envs, 1))
        self._places = np.zeros((num_envs, count + 1, 4))
        self.pose = np.zeros((num_envs, 3))
        """(B, 3) x, z and direction of the agent. Writing to it moves the agent; the next step starts from there."""
        self._frames = np.zeros((num_envs, 60, 80, 3), np.uint8)
        self._pixels = np.zeros((num_envs, count + 1), np.float32)

    def reset(
        self,
        colour: NDArray[np.integer],
        pose: NDArray[np.floating],
        yaw: NDArray[np.floating],
        starts: NDArray[np.bool_] | None = None,
        world: NDArray[np.integer] | None = None,
    ) -> NDArray[np.uint8]:
        """Start an episode in every member, or in those of `starts`.

        Args:
            colour: (B,) index of the colour that the sign names.
            pose: (B, 3) x, z and direction of the agent.
            yaw: (B, K) directions of the objects, in the order of the layout.
            starts: (B,) bool, the members that start; the others stay as they are.
            world: (B,) number of each member's world; None: the first.

        Returns:
            (B, 60, 80, 3) uint8 first frames; of the others the last ones.

        Raises:
            ValueError: arrays of another shape, or a colour or world that does not exist.
        """
        count = len(self.radii)
        for name, given, shape in (("colour", colour, ()), ("pose", pose, (3,)), ("yaw", yaw, (count,))):
            if np.shape(given) != (self.num_envs, *shape):
                raise ValueError(f"{name} has shape {np.shape(given)}: give {(self.num_envs, *shape)}")
        if np.any((np.asarray(colour) < 0) | (np.asarray(colour) >= len(COLOURS))):
            raise ValueError(f"colour holds {np.min(colour)} to {np.max(colour)}: give 0 to {len(COLOURS) - 1}")
        where = np.zeros(self.num_envs, np.int64) if world is None else np.asarray(world)
        if where.shape != (self.num_envs,) or np.any((where < 0) | (where >= len(self.layouts))):
            raise ValueError(f"world is {where}: give {self.num_envs} numbers from 0 to {len(self.layouts) - 1}")
        rows = np.arange(self.num_envs) if starts is None else np.flatnonzero(starts)
        here = self.world[rows] = where[rows]
        self._models[rows, count] = self.worlds.first_word[here] + np.asarray(colour)[rows]
        self.pose[rows] = np.asarray(pose)[rows]
        self._places[rows, :count, 0] = self.worlds.obstacles.things[here, :, 0]
        self._places[rows, :count, 2] = self.worlds.obstacles.things[here, :, 1]
        self._places[rows, :count, 3] = np.asarray(yaw)[rows]
        self._places[rows, count] = self.worlds.sign[here]
        self._render(rows)
        return self._frames.copy()

    def step(self, actions: NDArray[np.integer], active: NDArray[np.bool_] | None = None) -> SignStep:
        """One step, actions (B,) from 0 to 3, of the members that are `active` (B,) bool, by default all."""
        actions = np.asarray(actions)
        moving = np.ones(self.num_envs, np.bool_) if active is None else np.asarray(active)
        turn = TURN_STEP * ((actions == LEFT) * 1.0 - (actions == RIGHT)) * moving
        advance = FORWARD_STEP * ((actions == FORWARD) * 1.0 - (actions == END)) * moving
        move(self.pose, turn, advance, self.worlds.obstacles, self.world)
        rows = np.flatnonzero(moving)
        if len(rows):
            self._render(rows)
        touched = np.empty(self.num_envs, np.int64)
        meet(self.pose, NEAR, self.worlds.obstacles, self.world, touched)
        return SignStep(self._frames.copy(), self.pose.copy(), np.where(moving, touched, -1))

    def thing_pixels(self) -> NDArray[np.float32]:
        """How many pixels of each object, and last of the sign, the frames show, (B, K + 1), in quarters."""
        return self._pixels.copy()

    def close(self) -> None:
        """Nothing to do: there are no processes and no windows."""

    def _render(self, rows: NDArray[np.integer]) -> None:
        if len(rows) == self.num_envs:
            self._frames, self._pixels = self.renderer.render(self.pose, self._models, self._places, self.world)
        else:
            self._frames[rows], self._pixels[rows] = self.renderer.render(
                self.pose[rows], self._models[rows], self._places[rows], self.world[rows]
            )
