"""`dream demo`: train a pair on the smallest family where exploring visibly pays, and show that it does."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from dream.config import FAMILY_SETTINGS, TrainConfig
from dream.core.trial import Episodes
from dream.envs import MetaEnv, make
from dream.envs.render import contact_sheet
from dream.eval.evaluate import load_method, run_trials, spread_over_problems
from dream.method import Method
from dream.pair import DecoupledPair, PairRules
from dream.progress import ConsoleProgress
from dream.training import train

FAMILY, TRIALS = "map", 480
STEPS: int = FAMILY_SETTINGS[FAMILY]["steps"]
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
    write_picture(picture, draw_trial(method, problem=int(problem_id[0])))
    print(f"One exploration and one execution episode, step by step: {picture}")


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


def draw_trial(method: Method, problem: int, seed: int = SEED) -> np.ndarray:
    """A contact sheet of one test trial: the exploration episode, then the execution episode, a picture a step."""
    config = method.config
    env = make(config.env, 1, **config.env_parameters)
    env.reset(seed=seed)
    generator = torch.Generator().manual_seed(seed)
    trials = method.play(env, np.array([problem]), generator)
    frames, captions = [], []
    for phase, episodes in (("explore", trials.explore), ("execute", trials.execute)):
        shown = draw_episode(env, problem, phase, episodes)
        frames += shown
        captions += [f"{phase}, step {t}" for t in range(len(shown))]
    return contact_sheet(frames, columns=min(7, len(frames)), captions=captions)


def draw_episode(env: MetaEnv, problem: int, phase: str, episodes: Episodes, row: int = 0) -> list[np.ndarray]:
    """One picture a step of stream `row`, the way so far drawn in."""
    steps = int(episodes.length[row])
    obs = episodes.obs[row].cpu().numpy()
    instruction = episodes.instruction[row].cpu().numpy()
    actions, rewards = episodes.action[row].tolist(), episodes.reward[row].tolist()
    frames = []
    for t in range(steps + 1):
        caption = "start" if t == 0 else f"{env.action_names[actions[t - 1]]}, reward {rewards[t - 1]:+.2f}"
        frames.append(env.draw(problem, phase, obs[t], instruction, caption, trail=list(obs[:t])))  # type: ignore[arg-type]
    return frames


def write_picture(path: Path, picture: np.ndarray) -> None:
    """Save an (H, W, 3) RGB picture as PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)):
        raise OSError(f"cannot write {path}")


def _return(method: Method, env: MetaEnv, problem_id: np.ndarray) -> float:
    return float(run_trials(method.play, env, problem_id, SEED).returns.mean())
