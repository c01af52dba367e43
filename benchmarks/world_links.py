"""Each link of a pair on sign-worlds: the executor, the explorer from near and far, and g, in known and new houses.

python -m benchmarks.world_links runs/sign-worlds/dream/s0 --csv results/sign_worlds_links.csv      # a minute a run

The weights are the final ones: where no validation succeeds, the best checkpoint is as good as any.

- `executor`: the return on f of the true problem; `executor wrong`: how often it touches a wrong object.
- `informed start`, `way`, `room`: the share of explorations in which the sign could be read, that began in the start
  area (as all that are judged), on the way to the room of the sign, or in it (as some of training).
- `decoded`: how often g's code after an exploration in which the sign could be read is nearest to that of its colour.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.script import Rows, measure_runs, run_script, tidy_rows
from benchmarks.sign_links import execute
from dream.core.bottleneck import last_prefix
from dream.envs.sign.layout import COLOURS
from dream.envs.watch import Watcher
from dream.eval.evaluate import load_method

TRIALS = 240


def main() -> None:
    """See the module docstring."""
    measure_runs(__doc__, "run directories of pairs on sign-worlds", links, shown)


def shown(rows: Rows) -> list[str]:
    """A line for each split."""
    splits = dict.fromkeys(row["split"] for row in rows)
    return [
        f"{split}: " + ", ".join(f"{row['metric']} {row['value']:.2f}" for row in rows if row["split"] == split)
        for split in splits
    ]


@torch.no_grad()
def links(run: Path) -> Rows:
    """Tidy rows of one run."""
    pair, env, step = load_method(run, members=TRIALS, weights="final")
    rows: Rows = []
    for split in ("train", "test"):
        ids = env.problems.sample(split, TRIALS, np.random.default_rng(0))
        rows += tidy_rows(pair.config, step, split, judged(pair, env, ids))
    return rows


def judged(pair: Any, env: Any, ids: NDArray[np.int64]) -> dict[str, float]:
    """The scores of the links in some problems, by name."""
    found: dict[str, float] = {}
    watched = Watcher(env)
    for part_way in (False, True):
        env.training, env.part_way = part_way, float(part_way)
        env.reset(seed=0)
        explore = pair.explore(watched, ids)
        informed, start = watched.informed, watched.take()[-1].noted["position"][:, 0]
        assert informed is not None
        if part_way:
            room = np.array([env.layouts[world].rooms[-1] for world in env.world])  # (B, axis, end)
            inside = ((start > room[..., 0]) & (start < room[..., 1])).all(axis=1)
            found |= {"informed way": informed[~inside].mean(), "informed room": informed[inside].mean()}
            codes = pair.averaged.f(torch.arange(len(COLOURS))[:, None])
            nearest = torch.cdist(last_prefix(pair.averaged.g(explore), explore), codes).argmin(1).numpy()
            found["decoded"] = (nearest == ids % len(COLOURS))[informed].mean()
        else:
            found["informed start"] = informed.mean()
            z = pair.averaged.f(pair.factors(torch.from_numpy(ids)))
            returns = execute(pair.averaged, env, ids, z)
            found |= {"executor": returns.mean(), "executor wrong": (returns < 0).float().mean()}
    return {name: float(value) for name, value in sorted(found.items())}


if __name__ == "__main__":
    run_script(main)
