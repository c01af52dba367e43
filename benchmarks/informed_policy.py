"""Which half of an IMPORT does not work: its memory, or the policy that memory and problem share?

python -m benchmarks.informed_policy runs/cooking/import/s0 --csv results/informed_policy.csv

Plays every run's greedy trials twice, on what its memory says and on the code of the problem itself, as half of its
training trials are; on training and on test problems, 300 trials each.
"""

from __future__ import annotations

import argparse
import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.script import run_script
from dream.core.trial import Trials
from dream.envs import MetaEnv
from dream.errors import UserError
from dream.eval.evaluate import load_method, score
from dream.run import merge_tidy_csv
from dream.whole_trial import WholeTrialPolicy

TRIALS = 300


def main() -> None:
    """See the module's text."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", help="run directories of the method import")
    parser.add_argument("--csv", type=Path, help="also add the rows to this tidy CSV")
    given = parser.parse_args()
    torch.set_num_threads(1)
    for run in given.runs:
        rows = measure(run)
        for row in rows:
            print(f"{run}  {row['split']:6} {row['metric']:24} {row['value']:7.3f}")
        if given.csv:
            merge_tidy_csv(given.csv, rows)


def measure(run: Path) -> list[dict[str, Any]]:
    """Tidy rows: return on what the memory says, and on the problem's code. Raises UserError for another method."""
    method, env, step = load_method(run)
    if not isinstance(method, WholeTrialPolicy) or method.config.method != "import":
        raise UserError(f"{run} is a run of {method.config.method}: give runs of import")

    def informed(env: MetaEnv, problem_id: NDArray[np.int64], generator: torch.Generator) -> Trials:
        return method.play_informed(env, problem_id, generator)

    rows = []
    with contextlib.closing(env):
        for split in ("train", "test"):
            for name, play in (("memory", method.play), ("informed", informed)):
                row = {"env": method.config.env, "method": "import", "seed": method.config.seed, "step": step}
                value = score(play, env, split, TRIALS, 0)["return"]
                rows.append({**row, "split": split, "metric": f"return_{name}", "value": value})
    return rows


if __name__ == "__main__":
    run_script(main)
