"""Explorations recorded with all that later executions need, so that several executors continue from the same ones.

Whole trials recorded for viewing are in eval/record.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dream.core.trial import Episodes, concatenate
from dream.envs import MetaEnv, Watcher
from dream.envs.watch import one_behind_the_other
from dream.eval.evaluate import seeded_batches
from dream.eval.explain.bounds import Explorer


@dataclass(frozen=True)
class Batch:
    """Explorations of all B members of an environment; the first `count` are wanted, the rest is padding."""

    problem_id: NDArray[np.int64]
    """(B,)"""
    count: int
    explore: Episodes
    """B streams."""
    position: NDArray[np.float64] | None
    """(B, T + 1, 2) position of the agent, NaN in padding; None where the family has no positions."""
    informative: NDArray[np.bool_] | None
    """(B, T + 1) whether the observation was informative, False in padding; None where the family does not say."""
    env_state: dict[str, Any]
    """State of the environment's random generator just before the executions."""


@dataclass(frozen=True)
class RecordedExplorations:
    """Explorations of N problems by one explorer."""

    batches: tuple[Batch, ...]

    @property
    def problem_id(self) -> NDArray[np.int64]:
        """(N,)"""
        return np.concatenate([batch.problem_id[: batch.count] for batch in self.batches])

    @property
    def episodes(self) -> Episodes:
        """N streams on the CPU (a copy)."""
        wanted = [batch.explore.map(lambda t, n=batch.count: t[:n].cpu()) for batch in self.batches]  # type: ignore[misc]
        return reduce(concatenate, wanted)

    @property
    def position(self) -> NDArray[np.float64] | None:
        """(N, T + 1, 2) position of the agent, NaN in padding; None where the family has no positions."""
        found = [batch.position[: batch.count] for batch in self.batches if batch.position is not None]
        return np.concatenate(found) if found else None

    @property
    def informative(self) -> NDArray[np.bool_] | None:
        """(N, T + 1) whether the observation was informative, False in padding; None where the family does not say."""
        found = [batch.informative[: batch.count] for batch in self.batches if batch.informative is not None]
        return np.concatenate(found) if found else None


def record_explorations(
    explorer: Explorer,
    env: MetaEnv,
    problem_id: NDArray[np.int64],
    seed: int,
    *,
    execute_episodes: int = 1,
) -> RecordedExplorations:
    """Explore once in each of the given problems.

    The random draws are those of `run_trials` with this seed: later executions (`execute_on`) get the same instructions
    and starts, whichever explorer and executor are combined.

    Args:
        explorer: trained, or a bound.
        env: any number of members; its current episodes are lost.
        problem_id: (N,) ints.
        seed: of starts, of instructions, and of a random explorer's actions.
        execute_episodes: n, execution episodes of a trial.
    """
    batches = []
    for whole, count, generator in seeded_batches(env, problem_id, seed):
        watcher = Watcher(env)
        explore = explorer.explore(watcher, whole, generator)
        noted = one_behind_the_other(watcher.take(), explore.mask.shape[1] + 1)
        env_state = dict(env.np_random.bit_generator.state)
        batches.append(Batch(whole, count, explore, noted.get("position"), noted.get("informative"), env_state))
        for _ in range(execute_episodes):  # the draws of an execution, so that the next batch is as in `run_trials`
            instruction = env.sample_instruction(whole, env.np_random)
            env.reset(options={"problem_id": whole, "phase": "execute", "instruction": instruction})
    return RecordedExplorations(tuple(batches))
