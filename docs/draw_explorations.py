"""Draw the score against the number of explorations of a trial, for docs/findings.md.

Run `python docs/draw_explorations.py` after a change in results/comparison/: it writes docs/images/explorations.svg.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

ROOT = Path(__file__).resolve().parent.parent
ENVS = ("bus",)
METHODS = {"dream": "#0072b2", "posterior": "#d55e00", "rl2": "#009e73", "first-explore": "#cc79a7"}
"""Method -> colour (Okabe and Ito)."""


def main() -> None:
    """See the module docstring."""
    matplotlib.rcParams["svg.hashsalt"] = "dream"
    figure = Figure(figsize=(1 + 3.6 * len(ENVS), 3.0), layout="constrained")
    for ax, env in zip(figure.subplots(1, len(ENVS), squeeze=False)[0], ENVS, strict=True):
        for method, colour in METHODS.items():
            points = scores(env, method)
            ax.plot(list(points), list(points.values()), "o-", color=colour, label=method)
        ax.axhline(0, color="#999999", linestyle="--", linewidth=1)
        ax.axhline(1, color="#999999", linestyle="--", linewidth=1)
        ax.set_title(env, fontsize=9)
        ax.set_xticks(range(4))
        ax.set_xlabel("explorations of a trial", fontsize=9)
        ax.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set_ylabel("normalised score on test problems", fontsize=9)
    figure.axes[0].legend(frameon=False, fontsize=8)
    figure.savefig(ROOT / "docs/images/explorations.svg", metadata={"Date": None})


def scores(env: str, method: str) -> dict[int, float]:
    """Number of explorations -> mean score of the seeds; with 0 that of `none`, the same for all methods."""
    found: dict[int, list[float]] = defaultdict(list)
    with (ROOT / f"results/comparison/{env}.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["split"] == "test" and row["metric"] == "normalised" and (k := number(row["method"], method)) >= 0:
                found[k].append(float(row["value"]))
    return {k: sum(values) / len(values) for k, values in sorted(found.items())}


def number(label: str, method: str) -> int:
    """Explorations of a trial in the runs with a label, or -1 if they are not of this method alone."""
    labels = {"none": 0, method: 1} | {f"{method}[trial.explore_episodes={k}]": k for k in (2, 3)}
    return labels.get(label, -1)


if __name__ == "__main__":
    main()
