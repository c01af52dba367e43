"""What the executor of a run makes of explorations that tell everything, nothing, or something wrong.

python -m benchmarks.executor_doubts runs/cooking/dream/s? --csv results/executor_doubts.csv       # seconds a run

Plays 512 trials of the training and of the test problems. Each is executed four times: on the method's own exploration,
on that of the family's script, on an exploration without steps, and on the own exploration of another problem. The
scores are normalised: an executor that is told nothing should score about 0, the best return without exploring.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.script import Rows, measure_runs, run_script, tidy_rows
from dream.core.rollout import no_steps
from dream.core.trial import Episodes, Trials
from dream.envs import MetaEnv
from dream.eval.evaluate import load_method, score
from dream.eval.explain.bounds import ScriptedExplorer
from dream.methods.protocol import Method

TRIALS = 512
SPLITS = ("train", "test")


def main() -> None:
    """See the module docstring."""
    measure_runs(__doc__, "run directories of methods that explore", measure, show)


def measure(run: Path) -> Rows:
    """Tidy rows of both splits: normalised score on each kind of exploration."""
    method, env, step = load_method(run, members=TRIALS)
    rows: Rows = []
    with contextlib.closing(env):
        for split in SPLITS:
            values = {f"on_{kind}": _score(method, env, split, kind) for kind in KINDS}
            rows += tidy_rows(method.config, step, split, values)
    return rows


def show(rows: Rows) -> list[str]:
    """A line per split."""
    return [
        f"{split:5}  " + "  ".join(f"{row['metric'][3:]}: {row['value']:.2f}" for row in rows if row["split"] == split)
        for split in SPLITS
    ]


def _own(method: Method, env: MetaEnv, problem_id: NDArray[np.int64], generator: torch.Generator) -> Episodes:
    return method.explore(env, problem_id, generator)


def _script(method: Method, env: MetaEnv, problem_id: NDArray[np.int64], generator: torch.Generator) -> Episodes:
    return ScriptedExplorer(method.config.trial.explore_episodes).explore(env, problem_id)


def _nothing(method: Method, env: MetaEnv, problem_id: NDArray[np.int64], generator: torch.Generator) -> Episodes:
    return no_steps(env, problem_id, phase="explore", device=method.device)


def _other(method: Method, env: MetaEnv, problem_id: NDArray[np.int64], generator: torch.Generator) -> Episodes:
    """The explorations of the method, each given to a trial of another problem."""
    explore = method.explore(env, problem_id, generator)
    order = np.argsort(problem_id, kind="stable")  # in this order, a shift by the largest group reaches another problem
    shift = int(np.bincount(problem_id).max())
    source = np.empty_like(order)
    source[order] = np.roll(order, shift)
    return explore.select(torch.from_numpy(source).to(method.device))


KINDS = {"own": _own, "script": _script, "nothing": _nothing, "other": _other}


def _score(method: Method, env: MetaEnv, split: str, kind: str) -> float:
    """Normalised score of executions on one kind of exploration."""

    def play(env: MetaEnv, problem_id: NDArray[np.int64], generator: torch.Generator) -> Trials:
        return method.execute(env, problem_id, KINDS[kind](method, env, problem_id, generator), generator)

    return score(play, env, split, TRIALS, seed=0)["normalised"]


if __name__ == "__main__":
    run_script(main)
