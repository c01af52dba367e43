"""How often intervals over seeds contain what they claim to: simulated coverage.

python -m benchmarks.interval_coverage --csv results/interval_coverage.csv       # a minute on one core

Draws the scores of n seeds from distributions like those seen in comparisons (one mode, two modes, a ceiling), and
counts how often the interval contains the true interquartile mean, or the true probability of improvement. See
docs/statistics.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from benchmarks.sign_play import write_csv
from dream.eval.statistics import (
    improvement_interval,
    iqm,
    probability_of_improvement,
    seed_interval,
    stratified_bootstrap,
)

Scores = NDArray[np.float64]
Row = tuple[str, str, str, int, float]
SEEDS = (3, 5, 10)
LARGE = 1_000_000
"""Scores from which the true interquartile mean is computed."""


def _two_modes(share: float) -> Callable[[np.random.Generator, int], Scores]:
    """Seeds that solve a task (1) and, with this probability, seeds that do not (0.3)."""
    return lambda rng, n: np.where(rng.random(n) < share, 0.3, 1.0) + rng.normal(0, 0.02, n)


SHAPES: dict[str, Callable[[np.random.Generator, int], Scores]] = {
    "normal": lambda rng, n: rng.normal(0.6, 0.1, n),
    "uniform": lambda rng, n: rng.uniform(0, 1, n),
    "below a ceiling": lambda rng, n: 1 - rng.exponential(0.05, n),
    "long tail": lambda rng, n: -rng.lognormal(0, 1, n),
    "1 of 5 fails": _two_modes(0.2),
    "half fail": _two_modes(0.5),
    "4 of 5 fail": _two_modes(0.8),
}


def main() -> None:
    """See the module docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=1000, help="simulated comparisons of each kind")
    parser.add_argument("--csv", type=Path, help="also write the rows here")
    given = parser.parse_args()
    rows = [row for n in SEEDS for row in (*means(n, given.repeats), *improvements(n, given.repeats))]
    print(table(rows))
    write_csv(given.csv, ("quantity", "scores", "interval", "seeds", "coverage"), rows)


def means(n: int, repeats: int) -> list[Row]:
    """Coverage of the interquartile mean by the toolkit's interval and by the percentile bootstrap."""
    rows = []
    for shape, draw in SHAPES.items():
        rng = np.random.default_rng(0)
        truth, hits = float(iqm(draw(rng, LARGE))), {"order statistics": 0, "bootstrap": 0}
        for _ in range(repeats):
            scores = draw(rng, n)
            low, high = seed_interval(scores)
            hits["order statistics"] += low <= truth <= high
            interval = stratified_bootstrap(iqm, scores, samples=1000)
            hits["bootstrap"] += interval.low <= truth <= interval.high
        rows += [("interquartile mean", shape, name, n, count / repeats) for name, count in hits.items()]
    return rows


def improvements(n: int, repeats: int) -> list[Row]:
    """Coverage of the probability of improvement of n seeds over 5, both normal, by Newcombe's and by the bootstrap."""
    rows = []
    for truth in (0.5, 0.7, 0.9, 0.99):
        rng = np.random.default_rng(0)
        shift, hits = float(stats.norm.ppf(truth)) * np.sqrt(2), {"Newcombe": 0, "bootstrap": 0}
        for _ in range(repeats):
            ours, theirs = rng.normal(shift, 1, n), rng.normal(0, 1, 5)
            interval = improvement_interval(ours, theirs)
            hits["Newcombe"] += interval.low <= truth <= interval.high
            interval = stratified_bootstrap(probability_of_improvement, ours, theirs, samples=1000)
            hits["bootstrap"] += interval.low <= truth <= interval.high
        rows += [("probability of improvement", f"{truth:g}", name, n, count / repeats) for name, count in hits.items()]
    return rows


def table(rows: list[Row]) -> str:
    """The rows as the Markdown table of docs/statistics.md."""
    found = {(quantity, shape, name, n): coverage for quantity, shape, name, n, coverage in rows}
    kinds = list(dict.fromkeys(row[:3] for row in rows))
    lines = [f"| | scores | interval | {' | '.join(f'{n} seeds' for n in SEEDS)} |", "|---" * (3 + len(SEEDS)) + "|"]
    for kind in kinds:
        lines.append(f"| {' | '.join(kind)} | {' | '.join(f'{found[(*kind, n)]:.2f}' for n in SEEDS)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
