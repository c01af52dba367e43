"""Which half of an IMPORT policy fails: its memory, or the policy shared by memory and problem embedding?

python -m benchmarks.informed_policy runs/cooking/import/s0 --csv results/informed_policy.csv

Plays greedy trials twice: conditioned on the memory, and on the embedding of the true problem (as in half of the
training trials); on training and on test problems, 300 trials each.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.script import Rows, measure_runs, run_script, tidy_rows
from dream.core.trial import Trials
from dream.envs import MetaEnv
from dream.errors import UserError
from dream.eval.evaluate import load_method, score
from dream.methods.end_to_end import EndToEndPolicy

TRIALS = 300


def main() -> None:
    """See the module docstring."""
    measure_runs(__doc__, "run directories of the method import", measure, show)


def measure(run: Path) -> Rows:
    """Tidy rows: return given the memory, and given the problem embedding. Raises UserError for another method."""
    method, env, step = load_method(run)
    if not isinstance(method, EndToEndPolicy) or method.config.method != "import":
        raise UserError(f"{run} is a run of {method.config.method}: give runs of import")

    def informed(env: MetaEnv, problem_id: NDArray[np.int64], generator: torch.Generator) -> Trials:
        return method.play_informed(env, problem_id, generator)

    rows: Rows = []
    plays = {"return_memory": method.play, "return_informed": informed}
    with contextlib.closing(env):
        for split in ("train", "test"):
            values = {name: score(play, env, split, TRIALS, 0)["return"] for name, play in plays.items()}
            rows += tidy_rows(method.config, step, split, values)
    return rows


def show(rows: Rows) -> list[str]:
    """A line for each split and metric."""
    return [f"{row['split']:6} {row['metric']:24} {row['value']:7.3f}" for row in rows]


if __name__ == "__main__":
    run_script(main)
