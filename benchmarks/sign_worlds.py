"""Evaluate pairs trained on sign in other worlds: the real MiniWorld, and variants that differ in one property.

python -m benchmarks.sign_worlds runs/sign/dream/s* --csv results/sign_worlds.csv
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.script import run_script
from dream.envs.sign.layout import VARIANTS
from dream.eval.evaluate import eval_rows, evaluate_run
from dream.storage.tidy_csv import merge_tidy_csv

WORLDS: tuple[dict[str, Any], ...] = (
    {},
    {"backend": "miniworld"},
    *({"variant": variant} for variant in VARIANTS if variant != "default"),
)


def main() -> None:
    """See the module docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--trials", type=int, default=1_000)
    parser.add_argument("--csv", type=Path)
    given = parser.parse_args()
    returns: dict[str, list[float]] = defaultdict(list)
    for run in given.runs:
        for world in WORLDS:
            result = evaluate_run(run, trials=given.trials, env_parameters=world)
            returns[result.env].append(result.return_mean)
            print(f"{result.env:26} seed {result.seed}: return {result.return_mean:.3f}", flush=True)
            if given.csv:
                merge_tidy_csv(given.csv, eval_rows(result))
    print("\n| world | mean return | each seed |\n|---|---|---|")
    for world, each in returns.items():
        print(f"| {world} | {np.mean(each):.3f} | {' '.join(f'{value:.3f}' for value in each)} |")


if __name__ == "__main__":
    run_script(main)
