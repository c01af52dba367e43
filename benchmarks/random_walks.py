"""How often random executions on sign come to each object, if random actions repeat the ones before or not.

python -m benchmarks.random_walks --csv results/random_walks.csv       # a minute
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.script import run_script
from dream.core.acting import random_actions
from dream.core.actions import random_discrete
from dream.envs import make
from dream.storage.tidy_csv import merge_tidy_csv

MEMBERS, ROUNDS = 512, 16
REPEATS = (0.0, 0.5, 0.7, 0.9)


def main() -> None:
    """See the module docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--csv", type=Path, required=True, help="add the shares to this tidy CSV")
    given = parser.parse_args()
    for repeat in REPEATS:
        found = shares(repeat)
        print(f"repeat {repeat}: " + ", ".join(f"{name} {share:.3f}" for name, share in found.items()), flush=True)
        merge_tidy_csv(
            given.csv,
            [
                {"env": "sign", "method": f"random[repeat={repeat}]", "seed": 0, "step": 0, "split": "test",
                 "metric": name, "value": share}
                for name, share in found.items()
            ],
        )  # fmt: skip


def shares(repeat: float) -> dict[str, float]:
    """The share of random trials that end at each object, and in which the sign could be read."""
    env: Any = make("sign", MEMBERS)
    env.reset(seed=0)
    generator, weight = torch.Generator().manual_seed(0), random_actions(env)
    assert weight is not None
    objects = env.layouts[0].kinds_and_colours
    touched, read = np.zeros(len(objects)), 0
    for _ in range(ROUNDS):
        env.reset()
        action, seen = torch.full((MEMBERS,), len(weight)), np.zeros(MEMBERS, np.bool_)
        while env.active.any():
            action = random_discrete(weight, MEMBERS, generator, action, repeat)
            _, _, terminated, _, _ = env.step(action.numpy())
            seen |= env.informative()
            # Where an episode ended at an object, not by its end action
            distance = np.linalg.norm(env.pose[:, None, :2] - env.worlds.obstacles.things[0], axis=2)
            ended = np.flatnonzero(terminated & (action.numpy() != env.end_action))
            np.add.at(touched, (distance - env.worlds.obstacles.radii)[ended].argmin(1), 1)
        read += int(seen.sum())
    trials = MEMBERS * ROUNDS
    found = {f"{colour} {kind}": float(n / trials) for (kind, colour), n in zip(objects, touched, strict=True)}
    return found | {"sign": read / trials}


if __name__ == "__main__":
    run_script(main)
