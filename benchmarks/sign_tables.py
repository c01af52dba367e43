"""The training tables of docs/sign.md from raw rows: five seeds, and ablations of one ingredient at a time.

python -m benchmarks.sign_tables
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from dream.storage.tidy_csv import read_tidy_csv

RESULTS = Path(__file__).resolve().parents[1] / "results"
GOAL = 0.9
"""The return whose time to reach is reported."""
MARKS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
"""Million steps at which ablations are compared."""
ABLATIONS = {
    "dream": "all ingredients",
    "dream[explorer.min_explained=-1000.0]": "without the delayed start",
    "dream[learning.transition_batch_size=0]": "without single transitions",
    "dream[executor.priority_exponent=0.0]": "without priorities",
}

Curve = Mapping[int, Mapping[str, float]]
"""Step -> metric -> value, of the validations of a run."""


def curves(path: Path, split: str = "validation") -> dict[tuple[str, int], dict[int, dict[str, float]]]:
    """(method, seed) -> step -> metric -> value."""
    found: dict[tuple[str, int], dict[int, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    for row in read_tidy_csv(path):
        if row["split"] == split:
            found[row["method"], int(row["seed"])][int(row["step"])][row["metric"]] = float(row["value"])
    return {run: dict(sorted(steps.items())) for run, steps in found.items()}


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table."""
    lines = [f"| {' | '.join(cells)} |" for cells in (header, *rows)]
    return "\n".join([lines[0], "|---" * len(header) + "|", *lines[1:]])


def training() -> str:
    """A row for each seed: its final score, and when it first reached `GOAL`."""
    validations, tests = curves(RESULTS / "sign.csv"), curves(RESULTS / "sign.csv", "test")
    rows = []
    for (method, seed), steps in validations.items():
        if method != "dream":
            continue
        tested = next(reversed(tests[method, seed].values()))
        reached = next((step for step, metrics in steps.items() if metrics["return"] >= GOAL), None)
        when = ["never", "", ""]
        if reached is not None:
            when = [
                f"{reached:,}",
                f"{steps[reached]['updates']:,.0f}",
                f"{steps[reached]['seconds'] / 60:.1f}",
            ]
        whole = next(reversed(steps.values()))["seconds"] / 60
        rows.append([str(seed), f"{tested['return']:.3f}", f"{tested['explore_length']:.1f}", *when, f"{whole:.1f}"])
    header = ["seed", "test return (2,000 trials)", "exploration steps", f"return above {GOAL} at step"]
    return markdown([*header, "after updates", "after minutes", "minutes in all"], rows)


def ablations() -> str:
    """Validation return, and in brackets the share of colours decoded, at each of `MARKS` that a run reached."""
    runs = curves(RESULTS / "sign.csv") | curves(RESULTS / "sign_ablations.csv")
    rows = []
    for method, name in ABLATIONS.items():
        for seed in sorted(seed for label, seed in runs if label == method):
            rows.append([name, str(seed), *(_at(runs[method, seed], 1e6 * mark) for mark in MARKS)])
    return markdown(["", "seed", *(f"{mark:.1f}M" for mark in MARKS)], rows)


def _at(curve: Curve, step: float) -> str:
    """The validation nearest to a step, if within 50,000 steps."""
    nearest = min(curve, key=lambda there: abs(there - step))
    if abs(nearest - step) > 50_000:
        return ""
    return f"{curve[nearest]['return']:.2f} ({curve[nearest]['decoded']:.2f})"


TABLES = {"training": training, "ablations": ablations}
"""Name of the markers in docs/sign.md -> function of the table between them."""


def main() -> None:
    """See the module docstring."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    for name, table in TABLES.items():
        print(f"{name}\n{table()}\n")


if __name__ == "__main__":
    main()
