"""The training loop, readable from top to bottom: collect trials, replay them, validate, save.

The same command resumes.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dream.checkpoints import pack_rng, restore_rng
from dream.config import TrainConfig
from dream.core.replay import TrialReplay
from dream.envs import make
from dream.eval.evaluate import build, score
from dream.progress import Progress, SilentProgress
from dream.run import RunDirectory, describe_environment

VALIDATION_SEED = 1_000_003
"""Validation trials are the same ones at every validation and for every run of a family."""


def train(
    config: TrainConfig, run_dir: Path | str, *, overwrite: bool = False, progress: Progress | None = None
) -> Path:
    """Train a method; resume what is in `run_dir`, bit for bit, if it is the same run.

    Writes the run directory described in dream/run.py and returns its path. The checkpoint that did best on
    validation is kept beside the newest. KeyboardInterrupt saves before it is passed on.

    Raises:
        UserError: the directory holds another run, cannot be written, or its checkpoints are damaged.
    """
    progress = progress or SilentProgress()
    torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    learning, evaluation = config.learning, config.evaluation
    method, env = build(config, learning.members)
    validation_env = make(config.env, min(evaluation.trials, 512), **config.env_parameters)
    generator = torch.Generator().manual_seed(config.seed)  # actions, noise
    rng = np.random.default_rng(config.seed)  # which problems
    env.reset(seed=config.seed)  # seeds the instructions
    replay = TrialReplay(learning.replay, config.seed, config.device)
    clock = _Clock()
    step, updates, rounds, best = 0, 0, 0, -float("inf")
    pending: list[dict[str, Tensor]] = []  # metrics since the last line of the log

    environment = describe_environment(config.device, env.problems.hash)
    with RunDirectory.open(run_dir, config.as_dict(), environment, overwrite=overwrite) as run:

        def save(is_best: bool = False) -> None:
            state = {
                "method": method.state_dict(),
                "replay": replay.state_dict(),
                "generator": pack_rng(generator),
                "rng": pack_rng(rng),
                "instructions": pack_rng(env.np_random),
                "counters": {"updates": updates, "rounds": rounds, "best": best, "seconds": clock.total()},
                "pending": pending,
            }
            run.save_checkpoint(step, method.weights(), state, best=is_best)

        loaded = run.resume()
        if loaded is not None:
            step, weights, state = loaded
            method.load_weights(weights)
            method.load_state_dict(state["method"])
            replay.load_state_dict(state["replay"])
            restore_rng(generator, state["generator"])
            restore_rng(rng, state["rng"])
            restore_rng(env.np_random, state["instructions"])
            counters = state["counters"]
            updates, rounds, best = counters["updates"], counters["rounds"], counters["best"]
            clock.seconds["before"] = counters["seconds"]
            pending = state["pending"]
            progress.note(f"resumed at step {step:,} from {run.path}")
        progress.start(config.steps, f"{config.method} on {config.env}, seed {config.seed}", step)

        try:
            while step < config.steps:
                with clock.measure("act"):
                    problem_id = env.problems.sample("train", learning.members, rng)
                    trials = method.collect(env, problem_id, generator)
                    replay.add(trials)
                before, step, rounds = step, step + trials.environment_steps(), rounds + 1
                with clock.measure("learn"):
                    if replay.added >= learning.warmup:
                        rate = learning_rate(config, step)
                        for _ in range(learning.updates):
                            pending.append(method.update(replay, rate, generator))
                            updates += 1
                progress.update(step, {"updates": updates})

                finished = step >= config.steps
                is_best = False
                if finished or crossed(before, step, evaluation.every):
                    with clock.measure("evaluate"):
                        scores = score(method, validation_env, "validation", evaluation.trials, VALIDATION_SEED)
                    validated = scores.get("normalised", scores["return"])
                    is_best, best = validated >= best, max(best, validated)
                    metrics = mean_metrics(pending) | {f"eval/validation/{k}": v for k, v in scores.items()}
                    metrics |= {"updates": updates, "rounds": rounds}
                    pending = []
                    run.log(step, metrics, clock.report(step, updates, learning.explore_batch + learning.execute_batch))
                    progress.update(step, {"validation": validated, "explained": metrics.get("explore/explained", 0.0)})
                if finished or is_best or crossed(before, step, evaluation.checkpoint_every):
                    save(is_best)
        except KeyboardInterrupt:
            save()
            raise
        finally:
            progress.close()
    return run.path


def learning_rate(config: TrainConfig, step: int) -> float:
    """Adam's step size after `step` environment steps: linear from the first to the final one."""
    first, final = config.learning.learning_rate, config.learning.final_learning_rate
    return first + (final - first) * min(1.0, step / config.steps)


def crossed(before: int, after: int, every: int) -> bool:
    """Whether a multiple of `every` lies in (before, after]."""
    return before // every != after // every


def mean_metrics(pending: list[dict[str, Tensor]]) -> dict[str, float]:
    """Mean of each metric over the updates; this is the only place where they leave the device."""
    if not pending:
        return {}
    return {name: float(torch.stack([metrics[name] for metrics in pending]).mean()) for name in pending[0]}


class _Clock:
    """Seconds spent acting, learning and evaluating in this run, resumed parts included."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextlib.contextmanager
    def measure(self, what: str) -> Iterator[None]:
        begin = time.perf_counter()
        yield
        self.seconds[what] = self.seconds.get(what, 0.0) + time.perf_counter() - begin

    def total(self) -> float:
        return sum(self.seconds.values())

    def report(self, step: int, updates: int, streams: int) -> dict[str, Any]:
        learn = self.seconds.get("learn", 0.0)
        report = {f"time/{what}_seconds": seconds for what, seconds in self.seconds.items()}
        report |= {"time/seconds": self.total(), "time/sps": step / max(self.total(), 1e-9)}
        if learn > 0 and "before" not in self.seconds:
            report["time/sequences_per_s"] = streams * updates / learn  # exploration and execution streams
        return report
