"""Figures of a comparison on one family as SVG: learning curves, scores, performance profiles, improvement.

Each function takes runs or summaries and writes one file. The first seven colours are Okabe and Ito's (2008), the next
nine Paul Tol's muted ones, both safe for colour-blind readers; after sixteen, the line style changes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from dream.eval.compare.summary import Curve, Improvement, MethodSummary, RunScores
from dream.eval.statistics import iqm, performance_profile

INKS = (
    *("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"),
    *("#882255", "#117733", "#332288", "#999933", "#aa4499", "#661100", "#44aa99", "#ddcc77", "#888888"),
)
STYLES = ("-", "--", ":")
TOGETHER = 4
"""Methods that share one panel; if there are more, each gets its own panel with the others in grey."""
GREY = "#999999"
_REFERENCE: Any = {"color": "#555555", "linestyle": (0, (4, 3)), "marker": "D", "markersize": 3.5, "linewidth": 1.2}
_RC: Any = {
    "svg.fonttype": "none",  # keep text as text: searchable, small files
    "svg.hashsalt": "dream",  # reproducible bytes
    "text.parse_math": False,  # labels may hold any character
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9,
    "legend.frameon": False,
}

Points = Sequence[tuple[float, float]]
"""(x, score)."""


def curves_by_steps(path: Path, runs: Sequence[RunScores], references: Mapping[str, Points] | None = None) -> bool:
    """Validation score against environment steps. Returns False, writing nothing, if no run has a curve.

    Thin lines are seeds, the thick line is their interquartile mean, the band spans the lowest to the highest.

    Args:
        path: of the SVG.
        runs: of one family.
        references: name -> (environment steps, score), curves drawn for reference.
    """
    return _draw_curves(path, runs, lambda curve: curve.steps / 1e6, "million environment steps", references or {})


def curves_by_minutes(path: Path, runs: Sequence[RunScores]) -> bool:
    """Validation score against minutes of wall-clock time. Returns False, writing nothing, if no run has times."""
    return _draw_curves(path, runs, _minutes, "minutes of training", {})


def scores(path: Path, summaries: Sequence[MethodSummary]) -> bool:
    """Test scores of every seed (dots), interquartile mean (bar) with its interval (band). Returns True.

    Fewer than 5 seeds have no band.
    """
    with matplotlib.rc_context(_RC):
        figure, ax = _rows([summary.method for summary in summaries])
        for row, summary in enumerate(summaries):
            ink, value = _ink(row), summary.iqm
            if not (math.isnan(value.low) or summary.ranged):
                ax.plot([value.low, value.high], [row, row], color=ink, linewidth=9, alpha=0.3, solid_capstyle="butt")
            ax.plot([value.value, value.value], [row - 0.3, row + 0.3], color=ink, linewidth=2.5)
            spread = np.linspace(-0.16, 0.16, len(summary.scores)) if len(summary.scores) > 1 else np.zeros(1)
            ax.plot(summary.scores, row + spread, "o", markersize=4, markerfacecolor="white", color=ink)
        _bounds(ax, summaries[0].measure, upright=True)
        measure = _measure_text(summaries[0].measure)
        ax.set_xlabel(f"{measure} on test problems (bar: IQM, band: its interval, dot: seed)")
        _save(figure, path)
    return True


def profiles(path: Path, summaries: Sequence[MethodSummary]) -> bool:
    """Performance profiles: share of runs above each score. Returns True."""
    every = np.concatenate([summary.scores for summary in summaries])
    low, high = min(0.0, every.min()), max(1.0, every.max())
    thresholds = np.linspace(low - 0.02, high + 0.02, 201)

    def draw(ax: Axes, number: int, *, in_front: bool) -> None:
        table = np.asarray(summaries[number].scores)
        style: dict[str, Any] = {"color": GREY, "linewidth": 0.6}
        if in_front:
            style = {"color": _ink(number), "linestyle": _style(number)}
        ax.plot(thresholds, performance_profile(table, thresholds), drawstyle="steps-post", **style)

    with matplotlib.rc_context(_RC):
        figure, axes = _panels([summary.method for summary in summaries], draw)
        for ax in axes:
            ax.set_ylim(-0.03, 1.03)
        figure.supxlabel(f"{_measure_text(summaries[0].measure)} on test problems", fontsize=9)
        figure.supylabel("share of seeds above it", fontsize=9)
        _save(figure, path)
    return True


def improvement(path: Path, found: Sequence[Improvement]) -> bool:
    """Probability that the first method beats each other one. Returns False, writing nothing, for one method."""
    if not found:
        return False
    with matplotlib.rc_context(_RC):
        figure, ax = _rows([pair.baseline for pair in found])
        for row, pair in enumerate(found):
            value, low, high = pair.probability
            if not math.isnan(low):
                ax.plot([low, high], [row, row], color=_ink(0), linewidth=9, alpha=0.3, solid_capstyle="butt")
            ax.plot([value, value], [row - 0.3, row + 0.3], color=_ink(0), linewidth=2.5)
        ax.axvline(0.5, color=GREY, linestyle="--", linewidth=1)
        ax.set_xlim(-0.03, 1.03)
        ax.set_xlabel(f"probability that a seed of {found[0].method} scores higher (0.5: no difference)")
        _save(figure, path)
    return True


def _draw_curves(
    path: Path,
    runs: Sequence[RunScores],
    x_of: Callable[[Curve], NDArray[np.float64] | None],
    x_name: str,
    references: Mapping[str, Points],
) -> bool:
    by_method: dict[str, list[tuple[NDArray[np.float64], NDArray[np.float64]]]] = {}
    for run in runs:
        curves = by_method.setdefault(run.method, [])  # also without a curve, so that methods keep their colours
        if run.curve is not None and (x := x_of(run.curve)) is not None:
            curves.append((x, run.curve.score))
    lines = list(by_method.values())
    if not any(lines):
        return False
    lowest = min(curve[1].min() for curves in lines for curve in curves)

    def draw(ax: Axes, number: int, *, in_front: bool) -> None:
        if not lines[number]:
            return
        x, each = on_one_grid(lines[number])
        middle = iqm(each.T[..., None]) if len(x) else x
        if not in_front:
            ax.plot(x, middle, color=GREY, linewidth=0.6, alpha=0.7)
            return
        ink = _ink(number)
        if len(each) > 1:
            ax.fill_between(x, each.min(0), each.max(0), color=ink, alpha=0.13, linewidth=0)
        for one_x, score in lines[number]:
            ax.plot(one_x, score, color=ink, linewidth=0.5, alpha=0.6)
        ax.plot(x, middle, color=ink, linestyle=_style(number), linewidth=2)

    with matplotlib.rc_context(_RC):
        figure, axes = _panels(list(by_method), draw, list(references))
        for ax in axes:
            for points in references.values():
                x, y = np.transpose(points)
                ax.plot(x / 1e6, y, **_REFERENCE)
            _bounds(ax, runs[0].measure)
            if runs[0].measure == "normalised":
                ax.set_ylim(max(-2.0, min(-0.1, lowest - 0.05)), 1.08)  # below that, every score is a failure
            ax.set_xlim(left=0)
        figure.supxlabel(x_name, fontsize=9)
        figure.supylabel(f"{_measure_text(runs[0].measure)} on validation problems", fontsize=9)
        _save(figure, path)
    return True


def on_one_grid(
    curves: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Interpolate curves measured at different x linearly to one grid: x (G,) and scores (seeds, G).

    The grid holds every x of every curve within the range that all curves cover; nothing is extrapolated.

    Args:
        curves: (x, score) of each seed, (V,) both, x increasing.
    """
    first, last = max(x[0] for x, _ in curves), min(x[-1] for x, _ in curves)
    every = np.unique(np.concatenate([x for x, _ in curves]))
    grid = every[(every >= first) & (every <= last)]
    if not len(grid):  # the curves do not overlap
        return grid, np.empty((len(curves), 0))
    return grid, np.stack([np.interp(grid, x, score) for x, score in curves])


def _panels(
    names: Sequence[str], draw: Callable[..., None], references: Sequence[str] = ()
) -> tuple[Figure, list[Axes]]:
    """One panel with a legend for up to `TOGETHER` methods, else one titled panel each with the others in grey."""
    if len(names) <= TOGETHER:
        figure = Figure(figsize=(7.2, 3.4), layout="constrained")
        ax = figure.add_subplot()
        handles = [ax.plot([], [], color=_ink(i), linestyle=_style(i), linewidth=2)[0] for i in range(len(names))]
        handles += [ax.plot([], [], **_REFERENCE)[0] for _ in references]
        for number in range(len(names)):
            draw(ax, number, in_front=True)
        figure.legend(handles, [*names, *references], loc="outside right upper")
        return figure, [ax]
    columns = min(4, math.ceil(math.sqrt(len(names))))
    rows = math.ceil(len(names) / columns)
    figure = Figure(figsize=(2.3 * columns + 0.4, 1.75 * rows + 0.5), layout="constrained")
    axes = list(figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).flat)
    for number, ax in enumerate(axes[: len(names)]):
        for other in range(len(names)):
            if other != number:
                draw(ax, other, in_front=False)
        draw(ax, number, in_front=True)
        ax.set_title(wrapped(names[number], 30))
    for ax in axes[len(names) :]:
        ax.remove()
    for number, ax in enumerate(axes[: len(names)]):
        ax.tick_params(labelbottom=number + columns >= len(names))  # the bottom panel of each column
    return figure, axes[: len(names)]


def _rows(names: Sequence[str]) -> tuple[Figure, Axes]:
    """One row per name, from top to bottom."""
    figure = Figure(figsize=(7.2, 0.9 + 0.38 * len(names)), layout="constrained")
    ax = figure.add_subplot()
    ax.set_yticks(range(len(names)), [wrapped(name, 34) for name in names])
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.grid(axis="x", color="#eeeeee")
    ax.set_axisbelow(True)
    return figure, ax


def _bounds(ax: Axes, measure: str, *, upright: bool = False) -> None:
    """Labelled lines at the optimum and at the best without exploring; none where the score is a return."""
    if measure != "normalised":
        return
    for value, name in ((1.0, "optimum"), (0.0, "no exploration")):
        if upright:
            ax.axvline(value, color=GREY, linestyle="--", linewidth=1, zorder=0)
            ax.annotate(name, (value, 1), xycoords=("data", "axes fraction"), ha="center", va="bottom", color="#666666")
        else:
            ax.axhline(value, color=GREY, linestyle="--", linewidth=1, zorder=0)
            if len(ax.figure.axes) == 1:  # small panels have no room for labels
                place: Any = ("axes fraction", "data")
                ax.annotate(name, (1.01, value), xycoords=place, ha="left", va="center", color="#666666")


def wrapped(label: str, width: int) -> str:
    """A long label, wrapped after commas and opening brackets."""
    lines = [""]
    for part in label.replace(",", ",\0").replace("[", "[\0").split("\0"):
        if lines[-1] and len(lines[-1]) + len(part) > width:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)


def _measure_text(measure: str) -> str:
    return "normalised score" if measure == "normalised" else "return"


def _minutes(curve: Curve) -> NDArray[np.float64] | None:
    return None if curve.seconds is None else curve.seconds / 60


def _ink(number: int) -> str:
    return INKS[number % len(INKS)]


def _style(number: int) -> str:
    return STYLES[number // len(INKS) % len(STYLES)]


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, format="svg", metadata={"Date": None})
