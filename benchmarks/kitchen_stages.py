"""How often executions on kitchen succeed from each stage of a dish on: part-way starts, as in training.

python -m benchmarks.kitchen_stages runs/kitchen/oracle/s0 --csv results/kitchen_stages.csv      # a minute a run

The stages are told by hand and pot: nothing yet, the first ingredient in the hand, the first in the pot, the second in
the hand. Only in the last one need an executor not know what a container holds.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from benchmarks.script import Rows, measure_runs, run_script, tidy_rows
from dream.envs.kitchen.layout import NOTHING
from dream.envs.watch import Watcher
from dream.eval.evaluate import load_method

MEMBERS, ROUNDS = 256, 4
STAGES = ("nothing", "first in the hand", "first in the pot", "second in the hand")


def main() -> None:
    """See the module docstring."""
    measure_runs(__doc__, "run directories on kitchen", stages, shown)


def shown(rows: Rows) -> list[str]:
    """A line."""
    return [", ".join(f"{row['metric']} {row['value']:.2f}" for row in rows)]


@torch.no_grad()
def stages(run: Path) -> Rows:
    """Tidy rows of one run: the mean return from each stage on, in training problems."""
    method, env, step = load_method(run, members=MEMBERS, weights="final")
    env.training, env.part_way = True, 1.0  # type: ignore[attr-defined]
    watched, stage, total = Watcher(env), [], []
    env.reset(seed=0)
    for seed in range(ROUNDS):
        ids = env.problems.sample("train", MEMBERS, np.random.default_rng(seed))
        trials = method.play(watched, ids, torch.Generator().manual_seed(seed))
        noted = watched.take()[-1].noted
        stage.append((noted["scene.hand"][:, 0] < NOTHING) + 2 * (noted["scene.pot"][:, 0] < NOTHING))
        total.append(trials.execute.reward.sum(1).numpy().reshape(MEMBERS, -1)[:, -1])  # the last execution of each
    at, earned = np.concatenate(stage), np.concatenate(total)
    found = {name: float(earned[at == number].mean()) for number, name in enumerate(STAGES)}
    return tidy_rows(method.config, step, "train", found)


if __name__ == "__main__":
    run_script(main)
