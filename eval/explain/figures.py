"""Figures of an explanation: swap matrix, knowledge after each step, behaviour table, maps of visits.

Colours are Okabe and Ito's (2008), safe for colour-blind readers; heat maps carry numbers in their cells. Figures grow
with the number of methods instead of getting denser.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from dream.eval.compare.figures import GREY, INKS, wrapped
from dream.eval.explain.swap import SwapMatrix

RELEVANT, IRRELEVANT = INKS[0], INKS[1]
_RC: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "dream",
    "text.parse_math": False,  # a label may hold any character
    "font.size": 9,
    "axes.titlesize": 9,
    "legend.frameon": False,
}
_CURVES: Any = {"axes.spines.top": False, "axes.spines.right": False}
MEASURES = {"accuracy": "accuracy of the probe", "nats": "log-likelihood, nats"}
KIND = {"relevant": RELEVANT, "irrelevant": IRRELEVANT}


@dataclass(frozen=True)
class Curves:
    """Knowledge of one explorer after each step, means over the parts of a kind, (T + 1,) each."""

    decoded: Mapping[str, NDArray[np.float64]]
    """Of the probe, by kind: "relevant", and "irrelevant" where the family has such parts."""
    possible: Mapping[str, NDArray[np.float64]]
    """Of the exact posterior; empty where it is not known."""


def swap_figure(path: Path, matrix: SwapMatrix) -> None:
    """Heat map of mean returns, explorers in rows and executors in columns; own pairs are framed.

    Args:
        path: of the figure; its suffix says which format.
        matrix: NaN where there is no such pair.
    """
    explorers, executors, mean, error = matrix.explorers, matrix.executors, matrix.mean, matrix.standard_error
    with matplotlib.rc_context(_RC):
        rows, columns = [wrapped(name, 18) for name in explorers], [wrapped(name, 18) for name in executors]
        longest = max(len(line) for name in (*rows, *columns) for line in name.splitlines())
        figure = Figure(
            figsize=(1.6 + 0.06 * longest + 0.62 * len(executors), 1.2 + 0.05 * longest + 0.42 * len(explorers)),
            layout="constrained",
        )
        ax = figure.add_subplot()
        image = ax.imshow(mean, cmap="cividis", aspect="auto")
        low, high = image.get_clim()
        for row, column in np.ndindex(mean.shape):
            if np.isnan(mean[row, column]):
                continue
            ink = "white" if mean[row, column] < low + 0.6 * (high - low) else "black"
            text = f"{mean[row, column]:.2f}"
            ax.text(column, row - 0.1, text, ha="center", va="center", color=ink, fontsize=8)
            if np.isfinite(error[row, column]):
                margin = f"±{error[row, column]:.2f}"
                ax.text(column, row + 0.27, margin, ha="center", va="center", color=ink, fontsize=5.5)
            if explorers[row] == executors[column]:
                ax.add_patch(
                    matplotlib.patches.Rectangle(
                        (column - 0.47, row - 0.46), 0.94, 0.92, fill=False, edgecolor=INKS[1], linewidth=1.8
                    )
                )
        ax.set_xticks(range(len(executors)), columns, rotation=40, ha="left", rotation_mode="anchor")
        ax.xaxis.tick_top()
        ax.set_yticks(range(len(explorers)), rows)
        ax.tick_params(length=0)
        ax.set_xlabel("executor (framed: with its own explorer)")
        ax.set_ylabel("explorer")
        figure.colorbar(image, label="mean return", shrink=0.8)
        _save(figure, path)


def found_figure(
    path: Path,
    curves: Mapping[str, Curves],
    chance: Mapping[str, float],
    measure: str,
) -> None:
    """A panel for each explorer: knowledge of the probe and of the exact posterior after each step.

    Args:
        path: of the figure.
        curves: name -> curves.
        chance: level without exploration, by kind.
        measure: "accuracy" or "nats".
    """
    with matplotlib.rc_context(_RC | _CURVES):
        figure, axes = _panels(list(curves), 2.1, 1.7, sharey=True)
        for ax, (name, own) in zip(axes, curves.items(), strict=True):
            for other, theirs in curves.items():
                if other != name and "relevant" in theirs.decoded:
                    ax.plot(theirs.decoded["relevant"], color=GREY, linewidth=0.5, alpha=0.6)
            for kind in own.decoded:
                ax.axhline(chance[kind], color=KIND[kind], linewidth=0.8, linestyle=(0, (1, 2)))
                if kind in own.possible:
                    ax.plot(own.possible[kind], color=KIND[kind], linewidth=1.2, linestyle=(0, (4, 2)))
                ax.plot(own.decoded[kind], color=KIND[kind], linewidth=2)
            ax.set_title(wrapped(name, 22))
        kinds = list(dict.fromkeys(kind for own in curves.values() for kind in own.decoded))
        handles = [(axes[0].plot([], [], color=KIND[kind], linewidth=2)[0], f"{kind} parts") for kind in kinds]
        if any(own.possible for own in curves.values()):
            handles.append((_line(axes[0], (0, (4, 2)), 1.2), "exact posterior"))
        handles.append((_line(axes[0], (0, (1, 2)), 0.8), "chance"))
        handles.append((axes[0].plot([], [], color=GREY, linewidth=0.5)[0], "other explorers, relevant parts"))
        figure.legend(*zip(*handles, strict=True), loc="outside upper center", ncols=3, fontsize=8)
        figure.supxlabel("exploration steps (constant after the end)", fontsize=9)
        figure.supylabel(MEASURES[measure], fontsize=9)
        _save(figure, path)


def visits_figure(
    path: Path, maps: Mapping[str, NDArray[np.float64]], extent: tuple[float, float, float, float]
) -> None:
    """A map for each explorer: mean number of observations per exploration in each cell.

    Args:
        path: of the figure.
        maps: name -> (rows, columns), row 0 at the top.
        extent: `MetaEnv.map_extent`.
    """
    left, right, bottom, top = extent
    norm = PowerNorm(0.5, 0.0, max(counts.max() for counts in maps.values()))  # so that rarely visited cells show
    ratio = np.clip(abs(top - bottom) / abs(right - left), 0.35, 1.5)
    with matplotlib.rc_context(_RC):
        figure, axes = _panels(list(maps), 1.7, 1.6 * ratio + 0.15, sharey=False)
        for ax, (name, counts) in zip(axes, maps.items(), strict=True):
            image = ax.imshow(counts, cmap="cividis", norm=norm, extent=extent)
            ax.set_xticks([])
            ax.set_yticks([])
            ax.set_title(wrapped(name, 22))
        figure.colorbar(image, ax=axes, label="observations per exploration", shrink=0.8)
        _save(figure, path)


def behaviour_figure(path: Path, names: Sequence[str], measures: Sequence[str], values: NDArray[np.float64]) -> None:
    """A table with a row for each explorer, each column shaded from its lowest to its highest value.

    Args:
        path: of the figure.
        names: explorers, R.
        measures: columns, C.
        values: (R, C).
    """
    low, high = np.nanmin(values, axis=0), np.nanmax(values, axis=0)
    shade = (values - low) / np.where(high > low, high - low, 1.0)
    with matplotlib.rc_context(_RC):
        figure = Figure(figsize=(2.2 + 1.0 * len(measures), 1.1 + 0.3 * len(names)), layout="constrained")
        ax = figure.add_subplot()
        ax.imshow(shade, cmap="Blues", vmin=0, vmax=1.8, aspect="auto")
        for row, column in np.ndindex(values.shape):
            ax.text(column, row, f"{values[row, column]:.2f}", ha="center", va="center", fontsize=8)
        ax.set_xticks(range(len(measures)), [name.replace("_", "\n") for name in measures], fontsize=8)
        ax.xaxis.tick_top()
        ax.set_yticks(range(len(names)), [wrapped(name, 30) for name in names])
        ax.tick_params(length=0)
        ax.set_xlabel("mean per exploration")
        _save(figure, path)


def _line(ax: Axes, style: Any, width: float) -> Any:
    return ax.plot([], [], color="black", linestyle=style, linewidth=width)[0]


def _panels(names: Sequence[str], width: float, height: float, *, sharey: bool) -> tuple[Figure, list[Axes]]:
    """Small multiples, one panel per name."""
    columns = min(5, max(1, math.ceil(math.sqrt(len(names) * 1.3))))
    rows = math.ceil(len(names) / columns)
    figure = Figure(figsize=(max(5.6, width * columns + 0.9), height * rows + 1.0), layout="constrained")
    axes = list(figure.subplots(rows, columns, sharex=True, sharey=sharey, squeeze=False).flat)
    for ax in axes[len(names) :]:
        ax.remove()
    for number, ax in enumerate(axes[: len(names)]):
        ax.tick_params(labelbottom=number + columns >= len(names))
    return figure, axes[: len(names)]


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, format=path.suffix[1:], dpi=150, metadata={"Date": None} if path.suffix == ".svg" else None)
