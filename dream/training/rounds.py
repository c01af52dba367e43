"""Rounds of training: collect trials, add them to the replay buffer, update the networks.

Every training goes through `rounds`: `train` adds validation and checkpoints, `dream bench` measures it, tests and
benchmarks run a few of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dream.core.environment import Environment
from dream.core.replay import TrialReplay, trial_bytes
from dream.core.trial import Trials
from dream.methods.protocol import Method
from dream.training.clock import Clock


class Training:
    """A method in training, with everything that a round reads and changes. Nothing of it is on disk.

    Args:
        method: the method to train; its `config` sets how.
        env: `learning.num_envs` members of its family (B); reset here, which seeds starts and instructions.
        seed: of problems, instructions, random actions, noise and replay.

    Attributes:
        replay: the replay buffer.
        generator: draws random actions and noise.
        rng: draws the problems.
        step: environment steps so far, exploration included.
        updates: gradient steps so far.
        rounds: rounds so far.
    """

    def __init__(self, method: Method, env: Environment, seed: int) -> None:
        self.method, self.env = method, env
        self.replay = TrialReplay(method.config.learning.buffer_size, seed, method.config.device)
        self.generator = torch.Generator().manual_seed(seed)
        self.rng = np.random.default_rng(seed)
        env.reset(seed=seed)
        self.step = self.updates = self.rounds = 0

    def memory(self) -> str:
        """What the replay buffer takes when it is full, in words."""
        config = self.method.config
        trial = trial_bytes(self.env, config.trial.explore_episodes, config.trial.execute_episodes)
        size = config.learning.buffer_size * trial / 1e6
        return f"memory: the replay buffer grows to {f'{size / 1e3:.2g} GB' if size > 1e3 else f'{size:.2g} MB'}"


@dataclass(frozen=True)
class Round:
    """What one round did."""

    before: int
    """Environment steps before it."""
    trials: Trials
    """The trials it collected."""
    updates: list[dict[str, Tensor]]
    """Metrics of each gradient step, on the device; empty before `learning.learning_starts` trials."""


def rounds(training: Training, clock: Clock | None = None) -> Iterator[Round]:
    """Train, one round at a time, for as long as rounds are asked for.

    The schedules of a method (step size, reward weights) follow `config.steps`: its share that is done.

    Args:
        training: changed in place.
        clock: measures the parts `act` and `learn`.
    """
    config, clock = training.method.config, clock or Clock()
    learning = config.learning
    while True:
        before = training.step
        with clock.measure("act"):
            problem_id = training.env.problems.sample("train", learning.num_envs, training.rng)
            trials = training.method.collect(training.env, problem_id, training.generator)
            if training.method.learns_from_replay:
                training.replay.add(trials)
        training.step += trials.environment_steps()
        training.rounds += 1
        updates = []
        with clock.measure("learn"):
            progress = training.step / config.steps
            if training.method.learns_from_replay and training.replay.added >= learning.learning_starts:
                for _ in range(learning.updates_per_round):
                    updates.append(training.method.update(training.replay, progress, training.generator))
            if training.method.learns_on_policy and training.rounds * learning.num_envs >= learning.learning_starts:
                updates += training.method.update_on_policy(trials, progress, training.generator)
        training.updates += len(updates)
        yield Round(before, trials, updates)
