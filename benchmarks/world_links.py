"""Each link of a pair on sign-worlds: the executor, the explorer from near and far, and g, in known and new houses.

python -m benchmarks.world_links runs/sign-worlds/dream/s0 --csv results/sign_worlds_links.csv      # a minute a run

The weights are the final ones: where no validation succeeds, the best checkpoint is as good as any.

- `executor`: the return on f of the true problem; `executor wrong`: how often it touches a wrong object.
- `informed start`, `way`, `room`: the share of explorations in which the sign could be read, that began in the start
  area (as all that are judged), on the way to the room of the sign, or in it (as some of training).
- `decoded`: how often g's code after an exploration in which the sign could be read is nearest to that of its colour;
  `decoded script`: after explorations of the script, which walks to a view of the sign.
- `z colour`: the share of the variance of g's codes, after explorations from the start area in which the sign could be
  read, that lies between the colours; `z walls` and `z floor`: the share of the rest that lies between textures,
  corrected for their number (0 where they do not matter).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.script import Rows, measure_runs, run_script, tidy_rows
from benchmarks.sign_links import execute
from dream.core.bottleneck import last_prefix
from dream.core.trial import Episodes
from dream.envs.sign.layout import COLOURS, SignLayout
from dream.envs.watch import Watcher
from dream.eval.evaluate import load_method
from dream.eval.explain.bounds import ScriptedExplorer

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
            found["decoded"] = _decoded(pair, _codes(pair, explore), ids)[informed].mean()
        else:
            found["informed start"] = informed.mean()
            z = pair.averaged.f(pair.factors(torch.from_numpy(ids)))
            returns = execute(pair.averaged, env, ids, z)
            found |= {"executor": returns.mean(), "executor wrong": (returns < 0).float().mean()}
            found |= _contents(
                _codes(pair, explore)[informed], ids[informed], [env.layouts[w] for w in env.world[informed]]
            )
            env.reset(seed=0)
            scripted = ScriptedExplorer().explore(env, ids)
            found["decoded script"] = _decoded(pair, _codes(pair, scripted), ids).mean()
    return {name: float(value) for name, value in sorted(found.items())}


def _contents(codes: NDArray[np.float32], ids: NDArray[np.int64], houses: Sequence[SignLayout]) -> dict[str, float]:
    """What the codes of some problems and houses depend on, by name."""
    colours = ids % len(COLOURS)
    rest = codes - np.array([codes[colours == colour].mean(0) for colour in range(len(COLOURS))])[colours]
    return {
        "z colour": explained(codes, colours),
        "z walls": explained(rest, np.array([house.wall_texture for house in houses])),
        "z floor": explained(rest, np.array([house.floor_texture for house in houses])),
    }


def _codes(pair: Any, explore: Episodes) -> NDArray[np.float32]:
    """What g tells after explorations, (N, Z)."""
    return last_prefix(pair.averaged.g(explore), explore).numpy()


def _decoded(pair: Any, codes: NDArray[np.float32], ids: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether the nearest code is that of the right colour, (N,)."""
    of_colours = pair.averaged.f(torch.arange(len(COLOURS))[:, None])
    return torch.cdist(torch.from_numpy(codes), of_colours).argmin(1).numpy() == ids % len(COLOURS)


def explained(codes: NDArray[np.floating], group: NDArray[Any]) -> float:
    """Share of the variance of codes (N, Z) that lies between groups (N,), corrected for their number.

    An adjusted R^2: about 0, and sometimes below, where the groups do not matter.
    """
    names, number = np.unique(group, return_inverse=True)
    means = np.array([codes[number == each].mean(0) for each in range(len(names))])
    within = np.square(codes - means[number]).sum() / (len(codes) - len(names))
    return float(1 - within / (np.square(codes - codes.mean(0)).sum() / (len(codes) - 1)))


if __name__ == "__main__":
    run_script(main)
