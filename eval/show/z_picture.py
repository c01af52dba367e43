"""The path of g(tau) towards f(mu) during an exploration, in two dimensions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dream.envs.render import FAINT, INK, PAPER, RULE, Canvas, Colour
from dream.eval.record.recorded import RecordedTrials

SIDE = 360
COLOURS: tuple[Colour, ...] = ((0, 90, 160), (213, 94, 0), (0, 130, 100), (170, 60, 130))
"""Of trials; distinguishable for colour-blind readers (Okabe and Ito, 2008)."""


def principal_axes(codes: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Mean (Z,), the two axes (2, Z) of largest variance of codes (C, Z), and the share of the variance on them.

    The signs of the axes are fixed, so that the same codes give the same picture.
    """
    centre = codes.mean(axis=0, dtype=np.float64)
    _, spread, axes = np.linalg.svd(codes - centre, full_matrices=False)
    first = np.zeros((2, codes.shape[1]))
    first[: min(2, len(axes))] = axes[:2]
    first *= np.where(np.take_along_axis(first, np.abs(first).argmax(axis=1)[:, None], axis=1) < 0, -1.0, 1.0)
    total = float(np.square(spread).sum())
    return centre, first, float(np.square(spread[:2]).sum()) / total if total else 0.0


def z_picture(recorded: RecordedTrials, trials: Sequence[int]) -> NDArray[np.uint8] | None:
    """The codes f(mu) of all candidates, and for some trials the path of g(tau_:t) to the code of the true problem.

    Returns:
        (H, W, 3) uint8, the two principal axes of the codes; None for a method without f and g.
    """
    if recorded.codes is None or recorded.prefixes is None or recorded.code is None:
        return None
    centre, axes, share = principal_axes(recorded.codes)
    ways = {n: (recorded.prefixes[n, : int(recorded.explore.length[n]) + 1] - centre) @ axes.T for n in trials}
    codes = (recorded.codes - centre) @ axes.T
    everything = np.concatenate([codes, *ways.values()])
    scale = (SIDE / 2 - 24) / max(1e-9, float(np.abs(everything).max()))

    def at(point: NDArray[np.float64]) -> tuple[float, float]:
        return 12 + SIDE / 2 + scale * float(point[0]), 34 + SIDE / 2 - scale * float(point[1])

    canvas = Canvas(SIDE + 24, SIDE + 46 + 16 * (1 + len(ways)), PAPER)
    canvas.text("z: g(exploration) moves to f(problem)", (12, 16), 11, INK, align=0, bold=True)
    canvas.box(12, 34, SIDE, SIDE, (248, 248, 245))
    canvas.path([(12, 34 + SIDE / 2), (12 + SIDE, 34 + SIDE / 2)], RULE, 1)
    canvas.path([(12 + SIDE / 2, 34), (12 + SIDE / 2, 34 + SIDE)], RULE, 1)
    for code in codes:
        canvas.disc(at(code), 3.5, (165, 168, 174))
    line = 34.0 + SIDE + 16
    for number, (trial, way) in enumerate(ways.items()):
        colour = COLOURS[number % len(COLOURS)]
        if np.isfinite(recorded.code[trial]).all():
            canvas.disc(at((recorded.code[trial] - centre) @ axes.T), 9, colour, ring=2.5)
        canvas.path([at(point) for point in way], colour, 2)
        for point in way:
            canvas.disc(at(point), 2.5, colour)
        canvas.disc(at(way[-1]), 5, colour)
        text = f"problem {recorded.problem_id[trial]}: ring f(problem), line g after 0 to {len(way) - 1} steps"
        canvas.text(text, (12, line), 9.5, colour, align=0)
        line += 16
    canvas.text(f"grey: all codes; the two axes hold {share:.0%} of their variance", (12, line), 9.5, FAINT, align=0)
    return canvas.picture()
