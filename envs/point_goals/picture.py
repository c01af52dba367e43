"""Pictures of point-goals: the half circle, the goal with its radius, and the way of the robot."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dream.envs import render
from dream.envs.drawing import Moment
from dream.envs.plane import Plane
from dream.envs.point_goals.family import PointGoals

EXTENT = (-1.3, 1.3, -0.8, 1.4)
"""What is shown; nothing of interest is outside."""


def draw(env: PointGoals, moment: Moment) -> NDArray[np.uint8]:
    """The half circle, the goal in green once it is known (golden while a signal is observed), and the trail."""
    canvas = render.page(env.family, moment)
    plane = Plane(canvas, EXTENT, 20, render.HEADER + 2, render.WIDTH - 40, render.CELL)
    plane.arc(1, 0, np.pi, render.UNKNOWN, 3)
    if moment.knows(0):
        goal, ink = plane.at(env.goals[moment.problem_id]), render.GOLD if moment.obs[2] > 0 else render.GOOD
        with canvas.faded(0.3):
            canvas.disc(goal, env.goal_radius * plane.scale, ink)
        canvas.disc(goal, 5, ink)
    else:
        canvas.text("?", plane.at(np.array([0.0, 1.12])), 16, render.UNKNOWN, bold=True)
    places = np.concatenate([moment.trail[:, :2], moment.obs[None, :2]])
    shown = np.clip(places, np.array(EXTENT)[[0, 2]], np.array(EXTENT)[[1, 3]])
    plane.path(shown, render.INK)
    canvas.agent(plane.at(shown[-1]), 9)
    return canvas.picture()
