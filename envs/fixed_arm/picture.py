"""Pictures of the bandit: what each arm pays on average, and the last pull."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dream.envs import render
from dream.envs.drawing import Moment

if TYPE_CHECKING:
    from dream.envs.fixed_arm.family import FixedArm

_LINE: render.Colour = (196, 64, 58)
_MOST = 3.0
"""Largest payoff that is drawn to scale."""


def draw(env: FixedArm, moment: Moment) -> NDArray[np.uint8]:
    """A bar for the mean of each arm (the best known one green), a line at the fixed arm, a dot for the payoff.

    Without a recorded scene the dot stands at the left edge, since the observation does not show which arm was pulled.
    Arms that are not known are grey.
    """
    canvas = render.page(env.family, moment)
    means = env.means[moment.problem_id]
    left, top, width, height = 24.0, render.HEADER + 14.0, render.WIDTH - 48.0, 270.0
    middle, step = top + height / 2, width / env.arms
    shown = [arm for arm in range(env.arms) if arm == 0 or moment.knows(arm - 1)]
    best = max(shown, key=lambda arm: float(means[arm]))
    canvas.box(left - 10, top - 6, width + 20, height + 32, render.CELL, radius=4)

    def at(value: float) -> float:
        return middle - min(max(value, -_MOST), _MOST) / _MOST * height / 2

    for arm, mean in enumerate(means.tolist()):
        x = left + (arm + 0.5) * step
        if arm in shown:
            colour = render.GOOD if arm == best else (150, 175, 205)
            canvas.box(x - step * 0.32, min(at(mean), middle), step * 0.64, max(2.0, abs(at(mean) - middle)), colour)
        else:
            canvas.text("?", (x, middle), 16, render.UNKNOWN, bold=True)
        if step > 12:
            canvas.text(str(arm), (x, top + height + 12), 11, render.FAINT)
    canvas.path([(left, middle), (left + width, middle)], render.RULE, 1)
    canvas.dashes((left, at(env.fixed)), (left + width, at(env.fixed)), _LINE, 1.5)
    arms = moment.scene.get("arm")
    arm = -1 if arms is None else int(arms[len(moment.trail)])
    paid = float(moment.obs[0])
    if arm >= 0 or paid:
        x = left + (arm + 0.5) * step if arm >= 0 else left
        canvas.disc((x, at(paid)), 6, render.WHITE)
        canvas.disc((x, at(paid)), 4.5, render.INK)
        canvas.text(
            f"{paid:+.2f}", (render.WIDTH - 14, render.HEIGHT - render.FOOTER / 2), 12, render.INK, 1, bold=True
        )
    return canvas.picture()
