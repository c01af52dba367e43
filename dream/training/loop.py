"""The training loop, readable from top to bottom: collect trials, replay them, validate, save.

The same command resumes.
"""

from __future__ import annotations

import contextlib
import math
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from dream.config import WITHOUT_EFFECT, TrainConfig
from dream.core.replay import TrialReplay, trial_bytes
from dream.errors import AT_ONCE, UserError
from dream.eval.diagnostics import Diagnosis
from dream.eval.evaluate import build, make_env, score
from dream.storage.checkpoint_files import check_weights
from dream.storage.environment import describe_environment
from dream.storage.rng import pack_rng, restore_rng
from dream.storage.run_directory import RunDirectory
from dream.training.allocator import keep_freed_memory
from dream.training.progress import Progress, SilentProgress

if TYPE_CHECKING:
    from dream.eval.show.validation import Showing

VALIDATION_SEED = 1_000_003
"""Validation trials are the same ones at every validation and for every run of a family."""


def train(
    config: TrainConfig, run_dir: Path | str, *, overwrite: bool = False, progress: Progress | None = None
) -> Path:
    """Train a method; resume what is in `run_dir`, bit for bit, if it is the same run.

    Writes the run directory described in dream/storage/run_directory.py and returns its path. The checkpoint that did
    best on validation is kept beside the newest. Ctrl-C ends after the current round, saves, raises KeyboardInterrupt.

    Raises:
        UserError: the directory holds another run, cannot be written, or its checkpoints are damaged; or a loss is no
            longer finite, seen at the next validation.
    """
    progress = progress or SilentProgress()
    torch.set_num_threads(config.threads)
    keep_freed_memory()
    torch.manual_seed(config.seed)
    learning, evaluation = config.learning, config.evaluation
    method, env = build(config, learning.num_envs)
    validation_env = make_env(config, min(evaluation.trials, 512))
    generator = torch.Generator().manual_seed(config.seed)  # actions, noise
    rng = np.random.default_rng(config.seed)  # which problems
    env.reset(seed=config.seed)  # seeds the instructions
    replay = TrialReplay(learning.buffer_size, config.seed, config.device)
    clock = _Clock()
    step, updates, rounds, logged, best = 0, 0, 0, 0, -float("inf")
    pending: list[dict[str, Tensor]] = []  # metrics of the updates since the last line of the log
    collected: list[float] = []  # mean execution return of each round since then, random actions included

    showing: Showing | None = None

    environment = describe_environment(config.device, env.problems.hash)
    with RunDirectory.open(run_dir, config.as_dict(), environment, ignore=WITHOUT_EFFECT, overwrite=overwrite) as run:

        def save(*, is_best: bool, finished: bool) -> None:
            state = {
                "method": method.state_dict(),
                "replay": None if finished else replay.state_dict(),  # may be gigabytes that nobody will need
                "generator": pack_rng(generator),
                "rng": pack_rng(rng),
                "instructions": pack_rng(env.np_random),
                "counters": {"updates": updates, "rounds": rounds, "logged": logged, "best": best},
                "seconds": clock.total(),
                "pending": pending,
                "collected": collected,
            }
            run.save_checkpoint(step, method.weights(), state, best=is_best, last=finished)

        def restore(saved_step: int, weights: dict[str, Tensor], state: dict[str, Any]) -> None:
            nonlocal step, updates, rounds, logged, best, pending, collected
            check_weights(weights, method.weights())
            method.load_weights(weights)
            method.load_state_dict(state["method"])
            if state["replay"] is not None:
                replay.load_state_dict(state["replay"])
            restore_rng(generator, state["generator"])
            restore_rng(rng, state["rng"])
            restore_rng(env.np_random, state["instructions"])
            counters = state["counters"]
            updates, rounds, logged = counters["updates"], counters["rounds"], counters["logged"]
            best = counters["best"]
            clock.seconds["before"] = state["seconds"]
            pending = [{k: v.to(config.device) for k, v in metrics.items()} for metrics in state["pending"]]
            collected = state["collected"]
            step = saved_step

        if run.resume(restore) is not None:
            progress.note(f"resumed at step {step:,} from {run.path}")
        progress.note(
            f"memory: the replay of {learning.buffer_size:,} trials fills up to {_replay_gigabytes(config, env)}"
        )
        progress.start(config.steps, f"{config.method} on {config.env}, seed {config.seed}", step)

        with _delayed_interrupt() as interrupted, contextlib.closing(progress):
            while step < config.steps:
                with clock.measure("act"):
                    problem_id = env.problems.sample("train", learning.num_envs, rng)
                    trials = method.collect(env, problem_id, generator)
                    replay.add(trials)
                    collected.append(float(trials.execute.reward.sum(1).mean()))
                before, step, rounds = step, step + trials.environment_steps(), rounds + 1
                with clock.measure("learn"):
                    if replay.added >= learning.learning_starts:
                        for _ in range(learning.updates_per_round):
                            pending.append(method.update(replay, step / config.steps, generator))
                            updates += 1
                progress.update(step, {"updates": updates, "train": collected[-1]})

                finished = step >= config.steps
                is_best = False
                if finished or crossed(before, step, evaluation.every):
                    metrics = mean_metrics(pending)
                    _refuse_what_is_not_finite(metrics, step, run.path)
                    with clock.measure("evaluate"):
                        diagnosis = Diagnosis(method)
                        scores = score(diagnosis.play, validation_env, "validation", evaluation.trials, VALIDATION_SEED)
                        scores |= diagnosis.summary()
                    validated = scores.get("normalised", scores["return"])
                    is_best, best = validated >= best, max(best, validated)
                    metrics |= {f"eval/validation/{k}": v for k, v in scores.items()}
                    metrics |= {"updates": updates, "rounds": rounds, "execute/return": float(np.mean(collected))}
                    if pending:
                        metrics["replay/ratio"] = len(pending) * metrics["replay/transitions"] / (step - logged)
                    run.log(step, metrics, clock.report(step))
                    if evaluation.show_every and (finished or crossed(logged, step, evaluation.show_every)):
                        with clock.measure("show"):
                            showing = showing or _showing(config)
                            showing.show(run, method, step)
                    pending, collected, logged = [], [], step
                    shown = {"validation": validated, "replay ratio": metrics.get("replay/ratio", 0.0)}
                    progress.update(step, shown)
                if finished or interrupted or crossed(before, step, evaluation.checkpoint_every):
                    save(is_best=is_best, finished=finished)
                elif is_best:
                    run.save_best(step, method.weights())
                if interrupted and not finished:
                    raise KeyboardInterrupt
    return run.path


def _showing(config: TrainConfig) -> Showing:
    from dream.eval.show.validation import Showing  # what draws is loaded by who wants to see something

    return Showing(config)


def _replay_gigabytes(config: TrainConfig, env: Any) -> str:
    trial = trial_bytes(env, config.trial.explore_episodes, config.trial.execute_episodes)
    return f"{config.learning.buffer_size * trial / 1e9:.2g} GB"


def crossed(before: int, after: int, every: int) -> bool:
    """Whether a multiple of `every` lies in (before, after]."""
    return before // every != after // every


def mean_metrics(pending: list[dict[str, Tensor]]) -> dict[str, float]:
    """Mean of each metric over the updates; this is the only place where they leave the device."""
    if not pending:
        return {}
    return {name: float(torch.stack([metrics[name] for metrics in pending]).mean()) for name in pending[0]}


def _refuse_what_is_not_finite(metrics: dict[str, float], step: int, run_dir: Path) -> None:
    """Raises UserError if a loss is not finite: the weights are lost then, and cannot recover."""
    lost = sorted(name for name, value in metrics.items() if name.startswith("loss/") and not math.isfinite(value))
    if lost:
        raise UserError(
            f"{lost[0]} is {metrics[lost[0]]} at step {step:,} of {run_dir}, so the weights are lost: train with a "
            "smaller learning.learning_rate, and another --run-dir or --overwrite"
        )


@contextlib.contextmanager
def _delayed_interrupt() -> Iterator[list[int]]:
    """Ctrl-C waits for the end of the round, so that what is saved is a state an uninterrupted run goes through too.

    Yields a list that is empty until then. A second Ctrl-C does not wait and saves nothing: its
    KeyboardInterrupt says so (`AT_ONCE`), and the run goes on from its last checkpoint.
    """
    received: list[int] = []

    def handle(number: int, frame: Any) -> None:
        if received:
            raise KeyboardInterrupt(AT_ONCE)
        received.append(number)

    if threading.current_thread() is not threading.main_thread():
        yield received  # signals reach the main thread only
        return
    before = signal.signal(signal.SIGINT, handle)
    try:
        yield received
    finally:
        signal.signal(signal.SIGINT, before)


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

    def report(self, step: int) -> dict[str, Any]:
        report = {f"time/{what}_seconds": seconds for what, seconds in self.seconds.items()}
        return report | {"time/seconds": self.total(), "time/sps": step / max(self.total(), 1e-9)}
