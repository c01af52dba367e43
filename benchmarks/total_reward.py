"""What explorations cost and what they are worth: the reward of whole trials, by the number of explorations.

python -m benchmarks.total_reward runs/fixed-arm/*/s? --episodes 100 --csv results/total_reward_100.csv

Plays 1,000 trials on problems of a split. A pair explores in k episodes, the first k of its explorations, and then
executes in all other episodes of the trial: its total is what the k episodes found (`exploration_summary`, total_value)
and its mean return after them, times the number of the others. A trial has --episodes episodes, by default the
explorations of the training and one execution. As in First-Explore (arXiv 2307.02276), k is chosen after training: the
best on validation problems is used on test problems. An end-to-end policy whose explorations are rewarded has one
total, the reward of all its episodes.
"""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.script import Rows, measure_runs, run_script, tidy_rows
from dream.core.trial import Episodes
from dream.envs import MetaEnv
from dream.errors import UserError
from dream.eval.evaluate import load_method, spread_over_problems
from dream.methods.end_to_end import EndToEndPolicy
from dream.methods.protocol import Method
from dream.spaces import each

TRIALS = 1000


def main() -> None:
    """See the module docstring."""
    which = "run directories of families whose summary has total_value"
    measure_runs(__doc__, which, measure, show, episodes={"type": int, "help": "episodes of a trial"})


def measure(run: Path, episodes: int | None = None) -> Rows:
    """Tidy rows of a run.

    Args:
        run: its directory.
        episodes: of a trial.

    Raises:
        UserError: a family that does not know what explorations found, or episodes that are too few, or for an
            end-to-end policy others than those that it was trained on.
    """
    method, env, step = load_method(run, members=TRIALS)
    trained = method.config.trial.explore_episodes + 1
    episodes = trained if episodes is None else episodes
    if episodes < trained or (episodes > trained and isinstance(method, EndToEndPolicy)):
        raise UserError(
            f"episodes is {episodes}, but {run} was trained on {trained}: "
            + (f"train with trial.explore_episodes={episodes - 1}" if episodes > trained else f"give {trained} or more")
        )
    values: dict[str, dict[str, float]] = {}
    with contextlib.closing(env):
        for split in ("validation", "test"):
            problem_id = spread_over_problems(env, split, TRIALS, 0)
            generator = torch.Generator().manual_seed(0)
            env.reset(seed=0)
            explore = method.explore(env, problem_id, generator)
            found = env.exploration_summary(problem_id, *as_arrays(explore))
            if "total_value" not in found:
                raise UserError(f"{run} is a run on {method.config.env}, whose summary has no total_value")
            values[split] = _totals(method, env, problem_id, explore, episodes, generator)
        if isinstance(method, EndToEndPolicy):
            best = method.config.trial.explore_episodes
        else:
            totals = {k: values["validation"][f"total_{k}"] for k in range(method.config.trial.explore_episodes + 1)}
            best = max(totals, key=lambda k: totals[k])
    values["test"] |= {"chosen": best, "total": values["test"][f"total_{best}"]}
    return [row for split in values for row in tidy_rows(method.config, step, split, values[split])]


def _totals(
    method: Method,
    env: MetaEnv,
    problem_id: NDArray[np.int64],
    explore: Episodes,
    episodes: int,
    generator: torch.Generator,
) -> dict[str, float]:
    """return_k, found_k and total_k on the given problems: after k explorations, in them, and in the whole trial."""
    most = method.config.trial.explore_episodes
    values: dict[str, float] = {"episodes": float(episodes)}
    for k in [most] if isinstance(method, EndToEndPolicy) else range(most + 1):
        first = explore if k == most else first_episodes(explore, k)
        found = env.exploration_summary(problem_id, *as_arrays(first))["total_value"].mean()
        trials = method.execute(env, problem_id, first, generator)
        value = float(trials.execute.reward.sum(1).mean())
        values |= {
            f"return_{k}": value,
            f"found_{k}": float(found),
            f"total_{k}": float(found) + (episodes - k) * value,
        }
    return values


def first_episodes(explore: Episodes, count: int) -> Episodes:
    """The first `count` episodes of each stream, without the reset step after the last of them."""
    number = explore.start.cumsum(1)
    inside = (number < count) | ((number == count) & ~explore.reset_step)
    return dataclasses.replace(explore, mask=explore.mask & inside)


def as_arrays(explore: Episodes) -> tuple[Any, NDArray[Any], NDArray[np.bool_]]:
    """Observations, actions and mask of streams as numpy arrays."""
    return each(lambda obs: obs.cpu().numpy(), explore.obs), explore.action.cpu().numpy(), explore.mask.cpu().numpy()


def show(rows: Rows) -> list[str]:
    """The return after each number of explorations, and the total."""
    test = {row["metric"]: row["value"] for row in rows if row["split"] == "test"}
    returns = "  ".join(f"{name.rpartition('_')[2]}: {value:.2f}" for name, value in test.items() if "return_" in name)
    return [
        f"return after k explorations: {returns}; total of {test['episodes']:.0f} episodes {test['total']:.2f} "
        f"with k = {test['chosen']:.0f}"
    ]


if __name__ == "__main__":
    run_script(main)
