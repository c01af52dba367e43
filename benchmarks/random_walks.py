"""How often random walks on sign come to each object and see the sign, if random actions repeat or not.

python -m benchmarks.random_walks --csv results/random_walks.csv       # two minutes

For sign and sign-worlds also the share of the frames of random explorations in which the sign is legible; in
sign-worlds from the start area, and from where explorations of training start.
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
USUAL = 0.7
"""Of the settings of these families."""


def main() -> None:
    """See the module docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--csv", type=Path, required=True, help="add the shares to this tidy CSV")
    given = parser.parse_args()
    rows = []
    for repeat in REPEATS:
        rows += _rows("sign", f"random[repeat={repeat}]", "test", shares(repeat))
    for env, split in (("sign", "test"), ("sign-worlds", "test"), ("sign-worlds", "train")):
        rows += _rows(env, f"random[repeat={USUAL}]", split, legible(env, split))
    merge_tidy_csv(given.csv, rows)


def _rows(env: str, method: str, split: str, found: dict[str, float]) -> list[dict[str, Any]]:
    print(f"{env} {method} {split}: " + ", ".join(f"{name} {share:.3f}" for name, share in found.items()), flush=True)
    one = {"env": env, "method": method, "seed": 0, "step": 0, "split": split}
    return [{**one, "metric": name, "value": share} for name, share in found.items()]


def legible(name: str, split: str) -> dict[str, float]:
    """Shares of the frames and of the episodes of random explorations in which the sign can be read.

    In training houses the explorations start where those of training do.
    """
    env: Any = make(name, MEMBERS)
    env.training = split == "train"
    rng, generator, weight = np.random.default_rng(0), torch.Generator().manual_seed(0), random_actions(env)
    assert weight is not None
    env.reset(seed=0)
    frames = read = seen_frames = 0
    for _ in range(ROUNDS // 4):
        ids = env.problems.sample(split, MEMBERS, rng)
        env.reset(options={"phase": "explore", "problem_id": ids})
        action, seen, now = torch.full((MEMBERS,), len(weight)), env.informative(), env.active.copy()
        while now.any():
            frames, seen_frames = frames + int(now.sum()), seen_frames + int((env.informative() & now).sum())
            action = random_discrete(weight, MEMBERS, generator, action, USUAL)
            now = env.active.copy()
            env.step(action.numpy())
            seen |= env.informative()
        read += int(seen.sum())
    return {"legible frames": seen_frames / frames, "sign": read / (MEMBERS * (ROUNDS // 4))}


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
