"""Explorations made once and kept with what executions after them need: several executors go on from the same ones.

Whole trials that are kept to be looked at are in recorded.py.
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
    """Explorations of all members of an environment; the first `count` of the B are wanted, the others fill it up."""

    problem_id: NDArray[np.int64]
    """(B,)"""
    count: int
    explore: Episodes
    """B streams."""
    position: NDArray[np.float64] | None
    """(B, T + 1, 2) where the agent stood, NaN in padding; None where the family cannot tell."""
    informative: NDArray[np.bool_] | None
    """(B, T + 1) whether the decisive thing was in view, False in padding; None likewise."""
    env_state: dict[str, Any]
    """Of the environment's random generator when the executions were about to begin."""


@dataclass(frozen=True)
class RecordedExplorations:
    """What an explorer did in N problems."""

    batches: tuple[Batch, ...]

    @property
    def problem_id(self) -> NDArray[np.int64]:
        """(N,)"""
        return np.concatenate([batch.problem_id[: batch.count] for batch in self.batches])

    @property
    def episodes(self) -> Episodes:
        """N streams, a copy; on the CPU."""
        wanted = [batch.explore.map(lambda t, n=batch.count: t[:n].cpu()) for batch in self.batches]  # type: ignore[misc]
        return reduce(concatenate, wanted)

    @property
    def position(self) -> NDArray[np.float64] | None:
        """(N, T + 1, 2) where the agent stood, NaN in padding; None where the family cannot tell."""
        found = [batch.position[: batch.count] for batch in self.batches if batch.position is not None]
        return np.concatenate(found) if found else None

    @property
    def informative(self) -> NDArray[np.bool_] | None:
        """(N, T + 1) whether the decisive thing was in view, False in padding; None likewise."""
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

    The random draws are those of `run_trials` with this seed: what is executed on a batch later (`execute_on`) gets the
    same instructions and starts there, whoever explored and whoever executes.

    Args:
        explorer: who explores.
        env: any number of members; what it was playing is lost.
        problem_id: (N,) ints.
        seed: of starts, of instructions, and of a random explorer's actions.
        execute_episodes: n, execution episodes of a trial.
    """
    batches = []
    for whole, count, generator in seeded_batches(env, problem_id, seed):
        watcher = Watcher(env)
        explore = explorer.explore(watcher, whole, generator)
        seen = one_behind_the_other(watcher.take(), explore.obs.shape[1])
        env_state = dict(env.np_random.bit_generator.state)
        batches.append(Batch(whole, count, explore, seen.get("position"), seen.get("informative"), env_state))
        for _ in range(execute_episodes):  # the draws of an execution, so that the next batch finds what it would find
            instruction = env.sample_instruction(whole, env.np_random)
            env.reset(options={"problem_id": whole, "phase": "execute", "instruction": instruction})
    return RecordedExplorations(tuple(batches))
