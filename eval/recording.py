"""Explorations made once and kept: what several analyses, and several executors, then look at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dream.core.trial import Episodes, concatenate
from dream.envs import MetaEnv, Watcher
from dream.eval.bounds import Explorer


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
    summary: dict[str, NDArray[np.float64]]
    """`Watcher.summary`, (B,) each."""
    env_state: dict[str, Any]
    """Of the environment's random generator when the executions were about to begin."""


@dataclass(frozen=True)
class Recording:
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
    def summary(self) -> dict[str, NDArray[np.float64]]:
        """What the family tells of the explorations, (N,) each."""
        names = self.batches[0].summary
        return {name: np.concatenate([b.summary[name][: b.count] for b in self.batches]) for name in names}


def record(
    explorer: Explorer,
    env: MetaEnv,
    problem_id: NDArray[np.int64],
    seed: int,
    *,
    execute_episodes: int = 1,
    done: Callable[[], None] = lambda: None,
) -> Recording:
    """Explore once in each of the given problems, in batches of the environment's members.

    The random draws are those of `run_trials` with this seed: what is executed on a batch later (`execute_on`) gets the
    same instructions and starts there, whoever explored and whoever executes.

    Args:
        explorer: who explores.
        env: any number of members; what it was playing is lost.
        problem_id: (N,) ints.
        seed: of starts, of instructions, and of a random explorer's actions.
        execute_episodes: n, execution episodes of a trial.
        done: called after each batch.
    """
    generator = torch.Generator().manual_seed(seed)
    env.reset(seed=seed)
    batches = []
    for first in range(0, len(problem_id), env.num_envs):
        count = len(problem_id[first : first + env.num_envs])
        whole = np.resize(problem_id[first : first + count], env.num_envs)
        watcher = Watcher(env)
        explore = explorer.explore(watcher, whole, generator)
        obs, action, mask = (t.cpu().numpy() for t in (explore.obs, explore.action, explore.mask))
        batches.append(
            Batch(
                whole,
                count,
                explore,
                watcher.position,
                watcher.summary(whole, obs, action, mask),
                dict(env.np_random.bit_generator.state),
            )
        )
        for _ in range(execute_episodes):  # the draws of an execution, so that the next batch finds what it would find
            instruction = env.sample_instruction(whole, env.np_random)
            env.reset(options={"problem_id": whole, "phase": "execute", "instruction": instruction})
        done()
    return Recording(tuple(batches))
