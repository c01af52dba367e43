"""Would an executor do better with less of what was explored?

python -m benchmarks.cut_explorations runs/cooking/count/s0 runs/cooking/dream/s0 --csv results/cut_explorations.csv

Explores 300 trials of the test problems, as `dream eval` would, then executes each of them again and again, given the
exploration up to step 4, 6, 8, ... and all of it: when has it found what the executor needs? What has been found is not
lost by going on, so a return that falls again would be that of a reader led astray.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
from pathlib import Path
from typing import Any

import torch

from benchmarks.script import run_script
from dream.errors import UserError
from dream.eval.evaluate import load_method, spread_over_problems
from dream.eval.explorations import RecordedExplorations, record_explorations
from dream.eval.swap import execute_on
from dream.pair import DecoupledPair
from dream.run import merge_tidy_csv

TRIALS = 300
EVERY = 2


def main() -> None:
    """See the module's text."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", help="run directories of methods whose executor reads with g")
    parser.add_argument("--csv", type=Path, help="also add the rows to this tidy CSV")
    given = parser.parse_args()
    torch.set_num_threads(1)
    for run in given.runs:
        rows = measure(run)
        print(f"{run}  " + "  ".join(f"{row['metric'].rpartition('_')[2]}: {row['value']:.2f}" for row in rows))
        if given.csv:
            merge_tidy_csv(given.csv, rows)


def measure(run: Path) -> list[dict[str, Any]]:
    """Tidy rows: return after t steps of each exploration. Raises UserError where no executor is given g(tau)."""
    method, env, step = load_method(run, members=TRIALS)
    if not isinstance(method, DecoupledPair) or method.rules.context != "decoded":
        raise UserError(f"{run} is a run of {method.config.method}: give runs whose executor is given g(exploration)")
    rows = []
    with contextlib.closing(env):
        recording = record_explorations(method, env, spread_over_problems(env, "test", TRIALS, 0), 0)
        steps = recording.episodes.mask.shape[1]
        for t in [*range(4, steps, EVERY), steps]:
            value = float(execute_on(cut(recording, t), method, env).mean())
            row = {"env": method.config.env, "method": method.config.method, "seed": method.config.seed, "step": step}
            rows.append({**row, "split": "test", "metric": f"return_after_{t}", "value": value})
    return rows


def cut(recording: RecordedExplorations, steps: int) -> RecordedExplorations:
    """The same explorations, of which nothing is read after `steps` steps."""
    batches = []
    for batch in recording.batches:
        explore = batch.explore
        read = torch.arange(explore.mask.shape[1], device=explore.mask.device) < steps
        batches.append(dataclasses.replace(batch, explore=dataclasses.replace(explore, mask=explore.mask & read)))
    return RecordedExplorations(tuple(batches))


if __name__ == "__main__":
    run_script(main)
