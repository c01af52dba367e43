"""Upper bound of posterior sampling (PEARL-UB of Liu et al. 2021) with the exact posterior, on the small families.

python -m benchmarks.posterior_sampling --csv results/posterior_sampling.csv       # a minute on one core

See docs/posterior-sampling.md.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.sign_play import write_csv
from dream.envs import make
from dream.eval.posterior_sampling import posterior_sampling_return

FAMILIES = ("bus", "map", "cooking", "signpost")
EXPLORATIONS = (0, 1, 2, 4)

Row = tuple[str, int, str, int, str, float]


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
        for explorations in EXPLORATIONS:
            rows += measure(family, explorations, given.trials, given.seed)
    print(table(rows))
    write_csv(given.csv, ("env", "explore_episodes", "split", "seed", "metric", "value"), rows)


def table(rows: list[Row]) -> str:
    """The rows as the Markdown table of docs/posterior-sampling.md."""
    by_line: dict[tuple[str, int], dict[str, float]] = {}
    for family, explorations, _, _, metric, value in rows:
        by_line.setdefault((family, explorations), {})[metric] = value
    lines = ["| family | k | return | optimal | normalised score | problems left |", "|---|---|---|---|---|---|"]
    for (family, explorations), found in by_line.items():
        error = f"{found['return']:.2f} ± {2 * found['standard_error']:.2f}"
        score = f"{found['normalised']:.2f}".replace("-0.00", "0.00")
        lines.append(
            f"| {family} | {explorations} | {error} | {found['optimal_return']:.2f} | {score} | "
            f"{found['problems_left']:.1f} |"
        )
    return "\n".join(lines)


def measure(family: str, explorations: int, trials: int, seed: int) -> list[Row]:
    """The rows of one family and number of exploration episodes, on test problems."""
    env = make(family, trials)
    found = posterior_sampling_return(env, "test", trials, explorations, seed)
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
    return [(family, explorations, "test", seed, metric, value) for metric, value in figures.items()]


if __name__ == "__main__":
    main()
