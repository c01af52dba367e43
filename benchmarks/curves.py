"""Draw learning curves of sign as an SVG: return against environment steps and against wall-clock, every seed.

python -m benchmarks.curves results/sign.csv docs/images/sign-curves.svg
"""

from __future__ import annotations

import csv
import sys
from collections import defaultdict
from pathlib import Path

PAPER = ((0.5, 0.26), (0.75, 0.58), (1.0, 0.61), (1.5, 0.86))
"""The paper's DREAM on sign, read off its plot: million environment steps, return."""
INKS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00")
WIDTH, HEIGHT, LEFT, TOP, GAP = 380, 240, 56, 40, 90
LOW = -0.2


def main() -> None:
    """See the module's text."""
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    steps, minutes = read(Path(sys.argv[1]))
    Path(sys.argv[2]).write_text(draw(steps, minutes), encoding="utf-8")


Curves = dict[int, list[tuple[float, float]]]


def read(path: Path) -> tuple[Curves, Curves]:
    """Curves of method dream, by seed: (million steps, return) and (minutes, return)."""
    points: dict[tuple[int, int], dict[str, float]] = defaultdict(dict)
    with path.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["env"] == "sign" and row["method"] == "dream" and row["split"] == "validation":
                points[int(row["seed"]), int(row["step"])][row["metric"]] = float(row["value"])
    steps, minutes = defaultdict(list), defaultdict(list)
    for (seed, step), values in sorted(points.items()):
        steps[seed].append((step / 1e6, values["return"]))
        minutes[seed].append((values["seconds"] / 60, values["return"]))
    return dict(steps), dict(minutes)


def draw(steps: Curves, minutes: Curves) -> str:
    """Two panels side by side."""
    longest = max(x for curve in minutes.values() for x, _ in curve)
    total = LEFT + 2 * WIDTH + GAP + 20
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{total}" height="{TOP + HEIGHT + 60}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{total}" height="{TOP + HEIGHT + 60}" fill="white"/>',
        *panel(LEFT, "million environment steps", 1.6, 0.2, steps, PAPER),
        *panel(
            LEFT + WIDTH + GAP,
            "minutes (two trainings side by side, one core each)",
            longest * 1.05,
            2 if longest > 8 else 1,
            minutes,
            (),
        ),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def panel(
    left: int, label: str, right: float, tick: float, curves: Curves, paper: tuple[tuple[float, float], ...]
) -> list[str]:
    """Axes, the curve of each seed, and the paper's points."""

    def place(x: float, y: float) -> tuple[float, float]:
        return left + WIDTH * x / right, TOP + HEIGHT * (1 - (y - LOW) / (1.05 - LOW))

    def text(x: float, y: float, words: str, anchor: str = "middle", ink: str = "#444") -> str:
        return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{ink}">{words}</text>'

    def line(points: list[tuple[float, float]], ink: str, extra: str = "") -> str:
        there = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in points))
        return f'<polyline points="{there}" fill="none" stroke="{ink}" {extra}/>'

    parts = [text(left + WIDTH / 2, TOP + HEIGHT + 38, label)]
    for y in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts += [line([(0, y), (right, y)], "#ddd"), text(left - 8, place(0, y)[1] + 4, f"{y:g}", "end")]
    for number in range(int(right / tick) + 1):
        parts.append(text(place(number * tick, 0)[0], TOP + HEIGHT + 18, f"{number * tick:g}"))
    for seed, curve in sorted(curves.items()):
        ink = INKS[seed % len(INKS)]
        parts += [line(curve, ink, 'stroke-width="1.8"'), text(left + 30 + 60 * seed, 28, f"seed {seed}", ink=ink)]
    if paper:
        parts.append(line(list(paper), "#888", 'stroke-width="1.5" stroke-dasharray="5 4"'))
        for point in paper:
            x, y = place(*point)
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="#888"/>')
        parts.append(text(*place(1.2, 0.45), "the paper's DREAM", ink="#666"))
    parts.append(text(left, 12, "return", "start"))
    return parts


if __name__ == "__main__":
    main()
