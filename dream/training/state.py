"""The state of a run: what a checkpoint holds besides the weights, so that a resumed run continues bit for bit."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dream.core.environment import Environment
from dream.errors import UserError
from dream.methods.protocol import Method
from dream.storage.checkpoint_files import check_weights
from dream.storage.rng import pack_rng, restore_rng
from dream.storage.run_directory import RunDirectory
from dream.training.clock import Clock
from dream.training.rounds import Round, Training


class RunState:
    """A method in training and what its run has measured since the last line of the log.

    Args:
        method: untrained; its `config` is that of the run.
        env: see `Training`.

    Attributes:
        training: the method, replay buffer, random generators and counters.
        clock: seconds of each part of the run, resumed parts included.
        best: best validation score so far.
        solved: whether the validation score has reached `evaluation.stop_at`.
        logged: step of the last line of the log.
    """

    def __init__(self, method: Method, env: Environment) -> None:
        self.config = method.config
        self.training = Training(method, env, self.config.seed)
        self.clock = Clock()
        self.best = -math.inf
        self.solved = False
        self.logged = 0
        self._updates: list[dict[str, Tensor]] = []  # metrics of each update since then
        self._returns: list[float] = []  # mean execution return of each round since then, random actions included

    @property
    def step(self) -> int:
        """Environment steps so far."""
        return self.training.step

    @property
    def finished(self) -> bool:
        """Whether the run has ended: all steps are done, or it is solved."""
        return self.solved or self.step >= self.config.steps

    def record(self, done: Round) -> dict[str, float]:
        """Add a round. Returns what is shown of it."""
        self._updates += done.updates
        self._returns.append(float(done.trials.execute.reward.sum(1).mean()))
        return {"updates": self.training.updates, "train": self._returns[-1]}

    def judge(self, scores: Mapping[str, float], run: RunDirectory) -> bool:
        """Record validation scores. Returns whether they are the best so far; of equal ones the latest count."""
        if self.best > -math.inf and not run.checkpoints.all(best=True):
            warnings.warn(
                f"the best checkpoint was deleted from {run.path}: the best of the validations from step {self.step:,} "
                "on is kept in its place",
                stacklevel=2,
            )
            self.best = -math.inf
        score, stop_at = validation_score(scores), self.config.evaluation.stop_at
        is_best, self.best = score >= self.best, max(self.best, score)
        self.solved = stop_at is not None and scores["normalised"] >= stop_at
        return is_best

    def metrics(self, scores: Mapping[str, float]) -> dict[str, float]:
        """A line of metrics.jsonl: means over the updates since the last line, and the validation scores.

        Raises UserError if a loss is not finite: the weights are lost then, and cannot recover.
        """
        metrics = mean_metrics(self._updates)
        for name in sorted(metrics):
            if name.startswith("loss/") and not math.isfinite(metrics[name]):
                raise UserError(
                    f"{name} is {metrics[name]} at step {self.step:,}, so the weights are lost: train with a smaller "
                    "learning.learning_rate, and another --run-dir or --overwrite"
                )
        metrics |= {"updates": self.training.updates, "rounds": self.training.rounds}
        metrics["execute/return"] = float(np.mean(self._returns))
        if self._updates:
            replayed = len(self._updates) * metrics["replay/transitions"]
            metrics["replay/ratio"] = replayed / (self.step - self.logged)
        metrics |= {f"eval/validation/{name}": value for name, value in scores.items()}
        if self.config.evaluation.stop_at is not None:
            metrics["eval/solved"] = float(self.solved)
        return metrics

    def start_line(self, scores: Mapping[str, float]) -> dict[str, float]:
        """Reset the accumulators after logging. Returns what is shown of the validation."""
        shown = {"validation": validation_score(scores)}
        if "normalised" not in scores:
            shown = {"validation return": scores["return"], "+-": (scores["return_high"] - scores["return_low"]) / 2}
        self._updates, self._returns, self.logged = [], [], self.step
        return shown

    # ---- checkpoints --------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Plain data for a checkpoint. A finished run keeps no replay buffer, which may be gigabytes."""
        training = self.training
        return {
            "method": training.method.state_dict(),
            "replay": None if self.finished else training.replay.state_dict(),
            "generator": pack_rng(training.generator),
            "rng": pack_rng(training.rng),
            "instructions": pack_rng(training.env.np_random),
            "counters": {
                "updates": training.updates,
                "rounds": training.rounds,
                "logged": self.logged,
                "best": self.best,
                "solved": self.solved,
            },
            "seconds": self.clock.total(),
            "pending": self._updates,
            "collected": self._returns,
        }

    def load(self, step: int, weights: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Continue from a checkpoint. Raises an exception if it does not fit the method or lacks a part."""
        training = self.training
        check_weights(weights, training.method.weights())
        training.method.load_weights(weights)
        training.method.load_state_dict(state["method"])
        if state["replay"] is not None:
            training.replay.load_state_dict(state["replay"])
        restore_rng(training.generator, state["generator"])
        restore_rng(training.rng, state["rng"])
        restore_rng(training.env.np_random, state["instructions"])
        counters, device = state["counters"], self.config.device
        training.step, training.updates, training.rounds = step, counters["updates"], counters["rounds"]
        self.logged, self.best, self.solved = counters["logged"], counters["best"], counters["solved"]
        self.clock.seconds["before"] = state["seconds"]
        self._updates = [{name: value.to(device) for name, value in metrics.items()} for metrics in state["pending"]]
        self._returns = state["collected"]


def validation_score(scores: Mapping[str, float]) -> float:
    """What is compared between validations: the normalised score; the return where the family has no bounds."""
    return scores.get("normalised", scores["return"])


def crossed(before: int, after: int, every: int) -> bool:
    """Whether a multiple of `every` lies in (before, after]."""
    return before // every != after // every


def mean_metrics(updates: list[dict[str, Tensor]]) -> dict[str, float]:
    """Mean of each metric over the updates that have it; this is the only place where they leave the device."""
    if not updates:
        return {}
    names = dict.fromkeys(name for metrics in updates for name in metrics)
    found = {name: [metrics[name] for metrics in updates if name in metrics] for name in names}
    return {name: float(torch.stack(values).mean()) for name, values in found.items()}
