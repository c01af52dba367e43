"""Pictures of beacon: the circle with its gate, the beacon, and the way of the robot."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dream.envs import render
from dream.envs.beacon.family import BEACON, BEACON_RADIUS, CIRCLE, Beacon
from dream.envs.beacon.planning import half_width
from dream.envs.drawing import Moment
from dream.envs.plane import Plane


def draw(env: Beacon, moment: Moment) -> NDArray[np.uint8]:
    """The square, the circle, its gate in green once it is known, the beacon (golden while the gate is shown)."""
    canvas = render.page(env.family, moment)
    width = render.WIDTH - 40
    plane = Plane(canvas, env.map_extent, 20, render.HEADER + 2, width, render.CELL)
    plane.arc(CIRCLE, 0, 2 * np.pi, render.UNKNOWN, 3)
    if moment.knows(0):
        angle, half = float(env.angles[moment.problem_id]), half_width(env.gate_radius, CIRCLE)
        plane.arc(CIRCLE, angle - half, angle + half, render.WHITE, 5)
        plane.arc(CIRCLE, angle - half, angle + half, render.GOOD, 5)
        canvas.disc(plane.at(env.gates[moment.problem_id]), 5, render.GOOD)
    else:
        canvas.text("?", plane.at(np.array([0.0, CIRCLE + 0.08])), 16, render.UNKNOWN, bold=True)
    if moment.phase == "explore":
        lamp, ink = plane.at(BEACON), render.GOLD if moment.obs[2] > 0 else render.WOOD
        with canvas.faded(0.3):
            canvas.disc(lamp, BEACON_RADIUS * plane.scale, ink)
        canvas.disc(lamp, 6, ink)
        canvas.box(0, render.HEADER, 20, width, render.PAPER)  # what of it lies outside the square
    plane.path(np.concatenate([moment.trail[:, :2], moment.obs[None, :2]]), render.INK)
    canvas.agent(plane.at(moment.obs[:2]), 9)
    return canvas.picture()
