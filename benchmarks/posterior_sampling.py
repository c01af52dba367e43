"""Bounds of posterior sampling with the exact posterior, on the small families.

python -m benchmarks.posterior_sampling --csv results/posterior_sampling.csv       # two minutes on one core

See docs/posterior-sampling.md.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import get_args

from benchmarks.sign_play import write_csv
from dream.envs import make
from dream.eval.posterior_sampling import Doubt, ExecutesOn, posterior_sampling_return

FAMILIES = ("bus", "map", "cooking", "signpost")
EXPLORATIONS = (0, 1, 2, 4)
KINDS: tuple[tuple[Doubt, ExecutesOn], ...] = tuple(
    (doubt, on) for doubt in get_args(Doubt) for on in get_args(ExecutesOn)
)
COLUMNS = ("env", "doubt", "executes_on", "explore_episodes", "split", "seed", "metric", "value")

Row = tuple[str, Doubt, ExecutesOn, int, str, int, str, float]


def main() -> None:
    """See the module docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--families", nargs="+", default=FAMILIES)
    parser.add_argument("--trials", type=int, default=4184, help="8 for each test problem of bus by default")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--csv", type=Path, help="also write the rows here")
    given = parser.parse_args()
    rows: list[Row] = []
    for family in given.families:
        for doubt, on in KINDS if family != "signpost" else KINDS[:1]:  # pressing a button reveals nothing to doubt
            for explorations in EXPLORATIONS if (doubt, on) == KINDS[0] else (1,):
                rows += measure(family, doubt, on, explorations, given.trials, given.seed)
    print(table(rows))
    write_csv(given.csv, COLUMNS, rows)


def table(rows: list[Row]) -> str:
    """The rows as the Markdown table of docs/posterior-sampling.md."""
    by_line: dict[tuple[str, str, str, int], dict[str, float]] = {}
    for family, doubt, on, explorations, _, _, metric, value in rows:
        by_line.setdefault((family, doubt, on, explorations), {})[metric] = value
    lines = [
        "| family | its executor | the execution acts on | k | return | optimal | normalised score | problems left |"
    ]
    lines.append("|---" * 8 + "|")
    for (family, doubt, on, explorations), found in by_line.items():
        error = f"{found['return']:.2f} ± {2 * found['standard_error']:.2f}"
        score = f"{found['normalised']:.2f}".replace("-0.00", "0.00")
        lines.append(
            f"| {family} | {doubt} | a {on} | {explorations} | {error} | {found['optimal_return']:.2f} | {score} | "
            f"{found['problems_left']:.1f} |"
        )
    return "\n".join(lines)


def measure(family: str, doubt: Doubt, on: ExecutesOn, explorations: int, trials: int, seed: int) -> list[Row]:
    """The rows of one family, kind and number of exploration episodes.

    On test problems; where the execution acts on the whole belief on all problems, of which the return is exact.
    """
    env, split = make(family, trials), "all" if on == "belief" else "test"
    found = posterior_sampling_return(env, split, trials, explorations, seed, doubt=doubt, executes_on=on)
    floor, best = env.no_exploration_return(), float(found.optimal.mean())
    figures = {
        "normalised": (found.mean - floor) / (best - floor),
        "return": found.mean,
        "standard_error": found.standard_error,
        "optimal_return": best,
        "no_exploration_return": floor,
        "problems_left": float(found.problems_left.mean()),
        **{name: float(value.mean()) for name, value in found.explorations.items()},
    }
    return [(family, doubt, on, explorations, split, seed, metric, value) for metric, value in figures.items()]


if __name__ == "__main__":
    main()
