"""Search settings for a method, with the same small budget for every method.

python -m benchmarks.search rl2 --csv results/search.csv       # 10 minutes of a fast core, 30 of a slow one

Six candidates, the defaults and five that are drawn from the ranges below, are trained on bus and on cooking for a
million steps, one after the other: 12 runs. After `EARLY` of the steps the worse half stops, after `LATE` all but one.
Candidates are judged by the mean over both families of the best validation score so far, clipped at `FLOOR` (validation
problems are no test problems; see docs/comparison-plan.md). A method that the CSV holds already is left as it is.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.script import run_script
from dream.config import default_config, override
from dream.errors import UserError
from dream.eval.evaluate import score
from dream.methods.build import build, make_env
from dream.storage.tidy_csv import merge_tidy_csv, read_tidy_csv
from dream.training.rounds import Training, rounds
from dream.training.state import crossed
from dream.training.validation import VALIDATION_SEED

FAMILIES = ("bus", "cooking")
CANDIDATES = 6
STEPS = 1_000_000
EARLY, LATE = 0.4, 0.7
EVERY, TRIALS = 100_000, 500
FLOOR = -1.0
"""Scores below this count as this: executors start at -8 on cooking, and how fast they leave that says little."""

LEARNING: Mapping[str, Sequence[Any]] = {"learning.learning_rate": (1e-3, 2e-3, 4e-3)}
EXPLORER: Mapping[str, Sequence[Any]] = {
    **LEARNING,
    "explorer.gamma": (0.9, 0.95, 0.99),
    "explorer.random_fraction": (0.1, 0.25, 0.5),
}
END_TO_END: Mapping[str, Sequence[Any]] = {
    **LEARNING,
    "end_to_end.explore_gamma": (0.95, 0.99, 1.0),
    "end_to_end.priority_exponent": (0.0, 0.7),
    "end_to_end.action_gap": (0.0, 0.7),
    "executor.gamma": (0.9, 0.95),
}
RANGES: Mapping[str, Mapping[str, Sequence[Any]]] = {
    "dream": {
        **EXPLORER,
        "bottleneck.rate_weight": (1e-4, 3e-4, 1e-3, 3e-3),
        "explorer.step_cost": (0.005, 0.015, 0.03),
    },
    "posterior": {**LEARNING, "executor.id_fraction": (0.25, 0.5), "executor.empty_fraction": (0.25, 0.5)},
    **dict.fromkeys(("count", "rnd", "icm", "hyperx", "prediction", "first-explore"), EXPLORER),
    "rl2": END_TO_END,
    "e-rl2": END_TO_END,
    "import": {**END_TO_END, "end_to_end.import_weight": (1e-3, 1e-2, 0.1), "end_to_end.id_fraction": (0.25, 0.5)},
    "varibad": {
        **END_TO_END,
        "end_to_end.kl_weight": (0.01, 0.1, 1.0),
        "end_to_end.belief_learns_from": ("elbo", "both"),
        "end_to_end.elbo_weight": (0.01, 0.1, 1.0),
    },
}
"""Method -> setting -> values, around the defaults and those of the papers."""


@dataclass
class Run:
    """A candidate in training on one family."""

    training: Training
    steps: int
    best: float = -np.inf
    curve: dict[int, float] = field(default_factory=dict)

    def until(self, share: float, validate: Any) -> None:
        """Train up to a share of the steps, and validate every `EVERY` steps and at the end."""
        going = rounds(self.training)
        while self.training.step < share * self.steps:
            done = next(going)
            end = self.training.step >= share * self.steps
            if end or crossed(done.before, self.training.step, EVERY):
                found = validate(self.training.method)
                self.curve[self.training.step] = found
                self.best = max(self.best, found)


def main() -> None:
    """See the module docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("methods", nargs="+", help=f"of {', '.join(RANGES)}")
    parser.add_argument("--csv", type=Path, required=True, help="add the validation scores to this tidy CSV")
    parser.add_argument("--steps", type=int, default=STEPS, help="environment steps of every family")
    given = parser.parse_args()
    if unknown := [method for method in given.methods if method not in RANGES]:
        raise UserError(f"{unknown[0]!r} has no ranges to search: choose from {', '.join(RANGES)}")
    torch.set_num_threads(1)
    done = {row["method"].partition("[")[0] for row in read_tidy_csv(given.csv)}
    for method in given.methods:
        if method in done:
            print(f"{method}: {given.csv} holds it already")
        else:
            merge_tidy_csv(given.csv, search(method, given.steps))


def search(method: str, steps: int = STEPS) -> list[dict[str, Any]]:
    """Tidy rows of the validations of every candidate; prints how they stand after each part."""
    labels = list(candidates(method))
    left = list(range(len(labels)))
    envs = {env: make_env(default_config(method, env), TRIALS) for env in FAMILIES}
    runs = [{env: _start(method, env, changes, steps) for env in FAMILIES} for changes in labels]
    for share, keep in ((EARLY, len(labels) // 2), (LATE, 1), (1.0, 1)):
        for number in left:
            for env, run in runs[number].items():
                run.until(share, lambda played, env=env: score(played.play, envs[env], "validation", TRIALS,
                                                               VALIDATION_SEED)["normalised"])  # fmt: skip
            print(f"{method} {share:.0%} {standing(runs[number]):.3f} {json.dumps(labels[number])}", flush=True)
        left = sorted(left, key=lambda number: -standing(runs[number]))[:keep]
    return [
        {"env": env, "method": _label(method, labels[number]), "seed": 0, "step": step, "split": "validation",
         "metric": "normalised", "value": value}
        for number, by_env in enumerate(runs)
        for env, run in by_env.items()
        for step, value in run.curve.items()
    ]  # fmt: skip


def candidates(method: str) -> Iterator[dict[str, Any]]:
    """Changes of the defaults: none, then draws without repetition, the same for every run of the script."""
    rng, seen = np.random.default_rng(0), [{}]
    yield {}
    while len(seen) < CANDIDATES:
        drawn = {name: values[rng.integers(len(values))] for name, values in RANGES[method].items()}
        if drawn not in seen:
            seen.append(drawn)
            yield drawn


def standing(runs: Mapping[str, Run]) -> float:
    """By what a candidate is judged."""
    return float(np.mean([max(run.best, FLOOR) for run in runs.values()]))


def _start(method: str, env: str, changes: Mapping[str, Any], steps: int) -> Run:
    config = override(default_config(method, env), {**changes, "steps": steps})
    torch.manual_seed(config.seed)
    return Run(Training(*build(config, config.learning.num_envs), config.seed), config.steps)


def _label(method: str, changes: Mapping[str, Any]) -> str:
    settings = ",".join(f"{name}={value}" for name, value in changes.items())
    return f"{method}[{settings}]" if settings else method


if __name__ == "__main__":
    run_script(main)
