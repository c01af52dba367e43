"""How often executions on kitchen succeed from each stage of a dish on: part-way starts, as in training.

python -m benchmarks.kitchen_stages runs/kitchen/oracle/s0 --csv results/kitchen_stages.csv      # a minute a run

The stages are told by hand and pot: nothing yet, the first ingredient in the hand, the first in the pot, the second in
the hand. Only in the last one need an executor not know what a container holds. `opens right` and `opens wrong`: how
often an execution that starts in front of a closed container opens it first. Where both are equal the executor does not
ask z what it holds.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.script import Rows, measure_runs, run_script, tidy_rows
from dream.core.trial import Trials
from dream.envs.kitchen.family import Kitchen
from dream.envs.kitchen.layout import GRID, NOTHING, POT
from dream.envs.kitchen.planning import USE
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
    """Tidy rows of one run, in training problems."""
    method, env, step = load_method(run, members=MEMBERS, weights="final")
    assert isinstance(env, Kitchen)
    env.training, env.part_way = True, 1.0
    env.training_rewards, env.training_horizon = "sparse", None
    watched, found = Watcher(env), []
    env.reset(seed=0)
    for seed in range(ROUNDS):
        ids = env.problems.sample("train", MEMBERS, np.random.default_rng(seed))
        trials = method.play(watched, ids, torch.Generator().manual_seed(seed))
        start = {name: values[:, 0] for name, values in watched.take()[-1].noted.items()}
        # The last execution of each trial
        last = [values.reshape(MEMBERS, -1, *values.shape[1:])[:, -1] for values in _played(trials)]
        found.append(_judged(env, start, *last))
    stage, earned, front, opens = map(np.concatenate, zip(*found, strict=True))
    scores = {name: float(earned[stage == number].mean()) for number, name in enumerate(STAGES)}
    scores |= {f"opens {name}": float(opens[front == name].mean()) for name in ("right", "wrong")}
    return tidy_rows(method.config, step, "train", scores)


def _played(trials: Trials) -> tuple[NDArray[Any], ...]:
    """Returns (N,), first actions (N,) and instructions (N, 2) of the executions."""
    execute = trials.execute
    return execute.reward.sum(1).numpy(), execute.action[:, 0].numpy(), execute.instruction.numpy()


def _judged(
    env: Kitchen, start: dict[str, NDArray[Any]], earned: NDArray[Any], action: NDArray[Any], wanted: NDArray[Any]
) -> tuple[NDArray[Any], ...]:
    """Stage, return, what is in front ("right" or "wrong", a closed container) and whether it is opened, each (B,)."""
    hand, pot = start["scene.hand"] < NOTHING, start["scene.pot"] < NOTHING
    x, z, heading = start["scene.pose"].T
    faced = env.walks.faced[env.kitchen, 4 * (z * GRID + x) + heading]
    everyone = np.arange(env.num_envs)
    holds = env.contents[everyone, np.clip(faced, 0, POT - 1)] == wanted[everyone, pot * 1]
    closed = (faced >= 0) & (faced < POT) & (start["scene.opened"] < 0) & ~hand
    front = np.where(closed, np.where(holds, "right", "wrong"), "none")
    return hand + 2 * pot, earned, front, action == USE


if __name__ == "__main__":
    run_script(main)
