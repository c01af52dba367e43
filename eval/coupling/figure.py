"""Figure of the coupling study: trials until solved against the number of actions, log-log."""

from __future__ import annotations

import io
from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dream.eval.coupling.exact import LEARNERS, Name, Samples
from dream.eval.coupling.study import PARTS, THEORY, Part, executor_trials, quantiles, slope

LOOK: dict[Name, tuple[str, str, str]] = {
    "coupled": ("#d55e00", "o", "coupled (end to end)"),
    "decoupled": ("#0072b2", "s", "decoupled (DREAM)"),
}
"""Colour (Okabe and Ito's, safe for colour-blind readers), marker, name."""
TITLE: dict[Part, str] = {
    "explorer": "exploration policy optimal",
    "executor": "execution policy optimal",
    "pair": "both optimal: solved",
}


def draw(found: Sequence[Samples], epsilon: float) -> str:
    """An SVG of a study (`dream.eval.coupling.study.study`), reproducible byte for byte."""
    runs, problems = len(found[0].pair), found[0].problems
    # Names of clip paths are random without the salt.
    with matplotlib.rc_context(
        {"svg.hashsalt": "coupling", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
    ):
        figure = Figure(figsize=(10.5, 4.2), layout="constrained")
        panels = figure.subplots(1, 3, sharey=True)
        for axes, part in zip(panels, PARTS, strict=True):
            for learner in LEARNERS:
                _plot(axes, [samples for samples in found if samples.learner == learner], part, epsilon)
            axes.set(xscale="log", yscale="log", title=TITLE[part], xlabel="actions |A|")
            numbers = sorted({samples.actions for samples in found})
            axes.set_xticks(numbers, [str(number) for number in numbers])
            axes.minorticks_off()
            axes.grid(alpha=0.25)
            axes.legend(loc="upper left", frameon=False, fontsize=8)
        panels[0].set_ylabel("trials")
        bottom, top = panels[0].get_ylim()
        panels[0].set_ylim(bottom, top * (top / bottom) ** 0.25)  # room for the legends; the axis is shared
        uniform = epsilon == 1
        figure.supxlabel(
            "Theory for uniform acting: trials grow as |A|² for end-to-end learning and as |A| for decoupled learning "
            "(up to logarithms).\n"
            f"Median and 5 to 95% of {runs} runs, {problems} problems, "
            + ("uniform acting. " if uniform else f"epsilon = {epsilon:g}. ")
            + ("Dashed: expected trials in theory (middle), " if uniform else "Dashed: ")
            + "slopes 2 and 1 through the last median"
            + (" (sides)." if uniform else "."),
            fontsize=8,
        )
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()


def _plot(axes: Axes, mine: Sequence[Samples], part: Part, epsilon: float) -> None:
    learner = mine[0].learner
    colour, marker, name = LOOK[learner]
    x = np.array([samples.actions for samples in mine], dtype=np.float64)
    low, middle, high = np.array([quantiles(getattr(samples, part)) for samples in mine]).T
    fitted = slope(mine, learner, part)
    label = f"{name}: slope {fitted.value:.2f} [{fitted.low:.2f}, {fitted.high:.2f}]"
    if not np.isfinite(fitted.value):
        label = f"{name}: no slope"
    axes.plot(x, middle, color=colour, marker=marker, markersize=4, label=label)  # skips values that are not finite
    axes.fill_between(x, low, high, where=np.isfinite(high), color=colour, alpha=0.2, linewidth=0)
    if part == "executor" and epsilon == 1:
        axes.plot(x, [executor_trials(learner, n.actions, n.problems) for n in mine], "--", color=colour, linewidth=1)
    elif np.isfinite(middle).any():
        last = np.flatnonzero(np.isfinite(middle))[-1]
        axes.plot(x, middle[last] * (x / x[last]) ** THEORY[learner], "--", color=colour, linewidth=1)
