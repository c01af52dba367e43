"""Exploration rewards on sign: for observing the sign, and for everything else.

python -m benchmarks.sign_rewards runs/sign/prediction/s0 runs/sign/dream/s0 --csv results/sign_rewards.csv

Evaluates the exploration reward of a trained pair on new explorations: scripted (the script knows the way to the sign),
random, and its own. On 300 trials: the reward of the step that first brings the sign into view, of the steps while it
stays in view, of all others, and of whole explorations with and without the sign. In nats for `dream` and `prediction`.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.script import Rows, measure_runs, run_script, tidy_rows
from dream.core.bottleneck import prefix_error
from dream.core.trial import Trials
from dream.errors import UserError
from dream.eval.evaluate import load_method, spread_over_problems
from dream.eval.explain.bounds import bound_explorers
from dream.eval.explain.explorations import record_explorations
from dream.exploration.base import Belief
from dream.methods.pair import DecoupledPair

TRIALS = 300


def main() -> None:
    """See the module docstring."""
    measure_runs(__doc__, "run directories of methods with a learned explorer on sign", measure, show)


def measure(run: Path) -> Rows:
    """Tidy rows EXPLORER_WHERE_mean, _sd and _count. Raises UserError for another family or no reward."""
    method, env, step = load_method(run, members=TRIALS)
    if not isinstance(method, DecoupledPair) or method.reward is None or method.config.env != "sign":
        name = f"{method.config.method} on {method.config.env}"
        raise UserError(f"{run} is a run of {name}: give runs on sign of methods with a learned explorer")
    found = {}
    with contextlib.closing(env):
        problem_id = spread_over_problems(env, "test", TRIALS, 0)
        for name, explorer in {**bound_explorers(env), "own": method}.items():
            if name == "none":
                continue
            [batch] = record_explorations(explorer, env, problem_id, 0).batches
            assert batch.informative is not None
            unread = torch.zeros(TRIALS, dtype=torch.bool)
            trials = Trials(torch.from_numpy(problem_id), batch.explore, batch.explore, unread)
            reward = rewards(method, trials, torch.from_numpy(env.problems.factor_table))
            for where, values in by_sight(reward, batch.explore.transition, batch.informative).items():
                found[f"{name}_{where}"] = values
    summary = {}
    for name, values in found.items():
        if len(values):
            summary[f"{name}_mean"] = float(values.mean())
            summary[f"{name}_sd"] = float(values.std(correction=0))
            summary[f"{name}_count"] = float(len(values))
    return tidy_rows(method.config, step, "test", summary)


def show(rows: Rows) -> list[str]:
    """A line for each metric."""
    return [f"{row['metric']:32} {row['value']:8.2f}" for row in rows]


@torch.no_grad()
def rewards(pair: DecoupledPair, trials: Trials, factor_table: Tensor) -> Tensor:
    """The exploration reward of each step, (N, T); factor_table (problems, factors)."""
    assert pair.reward is not None
    net = pair.averaged
    code = net.f(factor_table[trials.problem_id])
    prefixes = net.g(trials.explore)
    error = prefix_error(code, prefixes, pair.config.bottleneck.noise_std)
    reward, _ = pair.reward(trials, Belief(code, prefixes, error, progress=1.0))
    return reward


def by_sight(reward: Tensor, transition: Tensor, informative: np.ndarray) -> dict[str, Tensor]:
    """Rewards (N, T) by what the step shows: the sign for the first time, again, not; and of whole explorations."""
    shown = torch.from_numpy(informative[:, 1 : 1 + transition.shape[1]]) & transition
    first = shown & (shown.cumsum(1) == 1)
    total, saw = (reward * transition).sum(1), shown.any(1)
    return {
        "first_sight": reward[first],
        "still_in_view": reward[shown & ~first],
        "out_of_view": reward[transition & ~shown],
        "exploration_that_saw": total[saw],
        "exploration_that_did_not": total[~saw],
    }


if __name__ == "__main__":
    run_script(main)
