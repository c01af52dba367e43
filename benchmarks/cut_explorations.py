"""Return of an executor that is given only the beginning of an exploration.

python -m benchmarks.cut_explorations runs/cooking/count/s0 runs/cooking/dream/s0 --csv results/cut_explorations.csv

Explores 300 trials of the test problems as `dream eval` does, then executes each of them given the exploration up to
step 4, 6, 8, ... and in full. This shows when an exploration has collected what the executor needs. Information
is never lost by exploring longer, so a falling return would mean that g is misled by later steps.
"""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path

import torch

from benchmarks.script import Rows, measure_runs, run_script, tidy_rows
from dream.errors import UserError
from dream.eval.evaluate import load_method, spread_over_problems
from dream.eval.explain.explorations import RecordedExplorations, record_explorations
from dream.eval.explain.swap import execute_on
from dream.methods.pair import DecoupledPair

TRIALS = 300
EVERY = 2


def main() -> None:
    """See the module docstring."""
    measure_runs(__doc__, "run directories of pairs whose executor gets g(exploration)", measure, show)


def measure(run: Path) -> Rows:
    """Tidy rows: return after t steps of each exploration. Raises UserError if the executor does not get g(tau)."""
    method, env, step = load_method(run, members=TRIALS)
    if not isinstance(method, DecoupledPair) or method.rules.context != "decoded":
        raise UserError(f"{run} is a run of {method.config.method}: give runs whose executor is given g(exploration)")
    values = {}
    with contextlib.closing(env):
        recording = record_explorations(method, env, spread_over_problems(env, "test", TRIALS, 0), 0)
        steps = recording.episodes.mask.shape[1]
        for t in [*range(4, steps, EVERY), steps]:
            values[f"return_after_{t}"] = float(execute_on(cut(recording, t), method, env).mean())
    return tidy_rows(method.config, step, "test", values)


def show(rows: Rows) -> list[str]:
    """Step and return, side by side."""
    return ["  ".join(f"{row['metric'].rpartition('_')[2]}: {row['value']:.2f}" for row in rows)]


def cut(recording: RecordedExplorations, steps: int) -> RecordedExplorations:
    """The same explorations, truncated after `steps` steps."""
    batches = []
    for batch in recording.batches:
        explore = batch.explore
        read = torch.arange(explore.mask.shape[1], device=explore.mask.device) < steps
        batches.append(dataclasses.replace(batch, explore=dataclasses.replace(explore, mask=explore.mask & read)))
    return RecordedExplorations(tuple(batches))


if __name__ == "__main__":
    run_script(main)
