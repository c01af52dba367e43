"""`dream demo`: train a pair on the smallest family where exploring visibly pays, and show that it does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from dream.config import TrainConfig, default_config
from dream.envs import MetaEnv, make
from dream.eval.evaluate import load_method, run_trials, spread_over_problems
from dream.eval.record.recorder import record_trials
from dream.eval.show.movie import Movie
from dream.eval.show.picture_files import write_png
from dream.methods.pair import DecoupledPair, PairRules
from dream.methods.protocol import Method
from dream.training.loop import train
from dream.training.progress import ConsoleProgress

FAMILY, TRIALS = "map", 480
STEPS = default_config("dream", FAMILY).steps
SEED = 0


def main(run_dir: Path = Path("runs/demo"), steps: int = STEPS, overwrite: bool = False) -> None:
    """Train, compare with not exploring and with exploring at random, and draw one trial.

    Args:
        run_dir: where the run and the picture are written; a second call resumes, or shows the finished run again.
        steps: environment steps.
        overwrite: train again.
    """
    config = TrainConfig(method="dream", env=FAMILY, seed=SEED, steps=steps)
    print(
        "A grid with four bus lines; which line leads to which corner differs from problem to problem.\n"
        "A map hangs at one place. Walking to a corner is worth 0.3, taking the right bus 0.8.\n"
        "Training a pair that explores, then executes:"
    )
    train(config, run_dir, overwrite=overwrite, progress=ConsoleProgress())
    method, env, step = load_method(run_dir, members=TRIALS)
    assert isinstance(method, DecoupledPair)
    problem_id = spread_over_problems(env, "test", TRIALS, SEED)
    optimum = float(env.optimal_return(problem_id, env.sample_instruction(problem_id, np.random.default_rng(0))).mean())

    table = Table(title=f"{FAMILY}, {TRIALS} test trials, after {step:,} steps")
    table.add_column("before executing")
    table.add_column("mean return", justify="right")
    table.add_row("explore with the trained explorer", f"{_return(method, env, problem_id):.3f}")
    for label, explore in (("explore at random, same executor", "random"), ("do not explore, same executor", "none")):
        with_other = with_explorer(method, PairRules(explore=explore))  # type: ignore[arg-type]
        table.add_row(label, f"{_return(with_other, env, problem_id):.3f}")
    table.add_row("do not explore, best executor there can be (exact)", f"{env.no_exploration_return():.3f}")
    table.add_row("know the problem: the optimum (exact)", f"{optimum:.3f}")
    Console().print(table)

    picture = run_dir / "trial.png"
    one = make(FAMILY, 1)
    recorded = record_trials(method, one, problem_id[:1], SEED, step=step)
    write_png(picture, Movie(recorded, one).sheet([0]))
    print(f"One exploration and one execution episode in pictures: {picture}")


def with_explorer(method: DecoupledPair, rules: PairRules) -> DecoupledPair:
    """The same encoders and executor behind another way to explore."""
    env = make(method.config.env, 1, **method.config.env_parameters)
    other = DecoupledPair(env, method.config, rules)
    weights = {
        name: value
        for name, value in method.weights().items()
        if ".explorer." not in name or other.networks.explorer is not None
    }
    other.load_weights(weights)
    return other


def _return(method: Method, env: MetaEnv, problem_id: np.ndarray) -> float:
    return float(run_trials(method.play, env, problem_id, SEED).returns.mean())
