"""Print the README's tables from committed raw results.

python -m benchmarks.table prints results/grids.csv and results/sign.csv as Markdown.
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from pathlib import Path

import numpy as np

from dream.eval.statistics import iqm, stratified_bootstrap

METHODS = ("dream", "random", "none", "oracle")
ENVS = ("map", "bus", "cooking", "sign")
SOLVED = 0.95

Rows = dict[tuple[str, str, int], dict[tuple[str, int, str], float]]
"""(env, method, seed) -> (split, step, metric) -> value."""


def main() -> None:
    """See the module's text."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("csv", type=Path, nargs="*", default=[Path("results/grids.csv"), Path("results/sign.csv")])
    rows = read(parser.parse_args().csv)
    print(score_table(rows))
    print()
    print(time_table(rows))


def read(paths: list[Path]) -> Rows:
    """Tidy CSVs by run."""
    rows: Rows = defaultdict(dict)
    for path in paths:
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                run = rows[row["env"], row["method"], int(row["seed"])]
                run[row["split"], int(row["step"]), row["metric"]] = float(row["value"])
    return rows


def value(run: dict[tuple[str, int, str], float], split: str, metric: str) -> float:
    """The one value of a metric on a split that is evaluated once."""
    (found,) = [v for (s, _, m), v in run.items() if (s, m) == (split, metric)]
    return found


def score_table(rows: Rows) -> str:
    """Normalised scores: IQM over seeds with its interval, every seed, mean return; test and training problems."""
    lines = [
        "| family | method | seeds | normalised score on test problems: IQM [95%] | each seed | return | "
        "exploration steps | on training problems: IQM |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for env in ENVS:
        for method in METHODS:
            runs = [rows[key] for key in sorted(rows) if key[:2] == (env, method)]
            if not runs:
                continue
            scores = np.array([value(run, "test", "normalised") for run in runs])
            train = np.array([value(run, "train", "normalised") for run in runs])
            interval = stratified_bootstrap(iqm, scores)
            each = " ".join(f"{score:.2f}" for score in scores)
            mean_return = np.mean([value(run, "test", "return") for run in runs])
            length = np.mean([value(run, "test", "explore_length") for run in runs])
            lines.append(
                f"| {env} | {method} | {len(runs)} | {interval.value:.3f} [{interval.low:.3f}, {interval.high:.3f}] | "
                f"{each} | {mean_return:.3f} | {length:.1f} | {float(iqm(train)):.3f} |"
            )
    return "\n".join(lines)


def time_table(rows: Rows) -> str:
    """When `dream` first reached 0.95 on validation: environment steps, updates and seconds of each seed."""
    lines = [
        f"| family | seeds that reached {SOLVED} on validation | environment steps | updates | seconds on one core |",
        "|---|---|---|---|---|",
    ]
    for env in ENVS:
        runs = [rows[key] for key in sorted(rows) if key[:2] == (env, "dream")]
        if not runs:
            continue
        firsts = [first for run in runs if (first := first_solved(run)) is not None]
        columns = [" ".join(f"{first[i]:,.0f}" for first in firsts) for i in range(3)]
        lines.append(f"| {env} | {len(firsts)} of {len(runs)} | " + " | ".join(columns) + " |")
    return "\n".join(lines)


def first_solved(run: dict[tuple[str, int, str], float]) -> tuple[float, float, float] | None:
    """Step, updates and seconds of the first validation at `SOLVED` or above, or None."""
    steps = sorted(step for split, step, metric in run if (split, metric) == ("validation", "normalised"))
    for step in steps:
        if run["validation", step, "normalised"] >= SOLVED:
            return step, run["validation", step, "updates"], run["validation", step, "seconds"]
    return None


if __name__ == "__main__":
    main()
