"""`dream demo`: train a pair on the smallest family where exploration pays, and show that it does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from dream.config import default_config, override
from dream.core.trial import Trials
from dream.envs import MetaEnv, make
from dream.eval.evaluate import load_method, run_trials, spread_over_problems
from dream.eval.explain.bounds import Executor, Explorer, bound_explorers
from dream.eval.record.recorder import record_trials
from dream.eval.show.movie import Movie
from dream.eval.show.picture_files import write_png
from dream.training.loop import train
from dream.training.progress import ConsoleProgress

FAMILY, TRIALS = "map", 480
STEPS = 800_000
SEED = 0
SETTINGS = {
    "learning.learning_rate": 4e-3,  # solved in half the time of the default, which is tuned for all families
    "learning.final_learning_rate": 2e-3,
    "evaluation.stop_at": 0.99,
    "evaluation.every": 25_000,
    "evaluation.trials": 240,
    "evaluation.show_every": 0,
}


def main(run_dir: Path = Path("runs/demo"), steps: int = STEPS, overwrite: bool = False) -> None:
    """Train until solved, compare with exploring at random and not at all, and draw one trial.

    Solved means a normalised score of 0.99 in a validation: then the training stops.

    Args:
        run_dir: where the run and the picture are written; a second call resumes, or shows the finished run again.
        steps: most environment steps.
        overwrite: train again.
    """
    config = override(default_config("dream", FAMILY, seed=SEED, steps=steps), SETTINGS)
    print(
        "A grid with four bus lines; which line leads to which corner differs from problem to problem.\n"
        "A map hangs at one place. Walking to a corner is worth 0.3, taking the right bus 0.8.\n"
        f"Training a pair that explores, then executes, for at most {steps:,} steps:"
    )
    train(config, run_dir, overwrite=overwrite, progress=ConsoleProgress())
    method, env, step = load_method(run_dir, members=TRIALS)
    problem_id = spread_over_problems(env, "test", TRIALS, SEED)
    instruction = env.sample_instruction(problem_id, np.random.default_rng(SEED))
    others = bound_explorers(env)

    table = Table(title=f"{FAMILY}, {TRIALS} test trials, after {step:,} steps")
    table.add_column("exploration and execution")
    table.add_column("mean return", justify="right")
    for label, value in (
        ("trained explorer, trained executor", mean_return(method, method, env, problem_id)),
        ("random exploration, same executor", mean_return(others["random"], method, env, problem_id)),
        ("no exploration, same executor", mean_return(others["none"], method, env, problem_id)),
        ("no exploration, best possible executor (exact)", env.no_exploration_return()),
        ("problem known: the optimum (exact)", float(env.optimal_return(problem_id, instruction).mean())),
    ):
        table.add_row(label, f"{value:.3f}")
    Console().print(table)

    picture = run_dir / "trial.png"
    one = make(FAMILY, 1)
    recorded = record_trials(method, one, problem_id[:1], SEED, step=step)
    write_png(picture, Movie(recorded, one).sheet([0]))
    print(f"One exploration and one execution episode in pictures: {picture}")


def mean_return(explorer: Explorer, executor: Executor, env: MetaEnv, problem_id: NDArray[np.int64]) -> float:
    """Mean return of an executor after the explorations of an explorer, in the given problems (trials,)."""

    def play(env: MetaEnv, problem_id: NDArray[np.int64], generator: torch.Generator) -> Trials:
        return executor.execute(env, problem_id, explorer.explore(env, problem_id, generator), generator)

    return float(run_trials(play, env, problem_id, SEED).returns.mean())
