"""Every explorer with every executor: which half of a pair fails?

Each explorer explores once; every executor then encodes the same streams with its own g or memory, and executes in the
same problems on the same instructions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dream.envs import MetaEnv
from dream.eval.evaluate import spread_over_problems
from dream.eval.explain.bounds import Executor, Explorer
from dream.eval.explain.explorations import RecordedExplorations, record_explorations


@dataclass(frozen=True)
class SwapMatrix:
    """Return of each explorer (rows) with each executor (columns)."""

    explorers: tuple[str, ...]
    executors: tuple[str, ...]
    mean: NDArray[np.float64]
    """(explorers, executors) undiscounted return, averaged over a trial's execution episodes; NaN: no such pair."""
    standard_error: NDArray[np.float64]
    """(explorers, executors) of the mean; NaN where it is not known."""
    trials: int
    """Of each pair."""

    @classmethod
    def from_returns(
        cls, explorers: Sequence[str], executors: Sequence[str], returns: NDArray[np.float64]
    ) -> SwapMatrix:
        """Mean and standard error over trials of returns (explorers, executors, trials)."""
        mean, trials = returns.mean(axis=2), returns.shape[2]
        error = returns.std(axis=2, ddof=1) / np.sqrt(trials) if trials > 1 else np.full(mean.shape, np.nan)
        return cls(tuple(explorers), tuple(executors), mean, error, trials)


def swap_returns(
    explorers: Mapping[str, Explorer],
    executors: Mapping[str, Executor],
    env: MetaEnv,
    trials: int,
    seed: int = 0,
    *,
    split: str = "test",
    execute_episodes: int = 1,
) -> NDArray[np.float64]:
    """Play the trials of `run_trials` with this seed, every explorer with every executor.

    An explorer with the executor of its own method scores what `evaluate_run` measures with as many members (an
    explorer that draws random actions: with as many members as trials).

    Args:
        explorers: name -> explorer, the rows.
        executors: name -> executor, the columns.
        env: any number of members; its current episodes are lost.
        trials: spread evenly over the problems.
        seed: of problems' order, instructions, starts and random actions.
        split: of the problems.
        execute_episodes: n, execution episodes of a trial.

    Returns:
        (explorers, executors, trials) undiscounted returns, averaged over a trial's execution episodes.
    """
    problem_id = spread_over_problems(env, split, trials, seed)
    rows = []
    for explorer in explorers.values():
        recording = record_explorations(explorer, env, problem_id, seed, execute_episodes=execute_episodes)
        rows.append([execute_on(recording, executor, env) for executor in executors.values()])
    return np.array(rows).reshape(len(rows), len(executors), trials)


def execute_on(recording: RecordedExplorations, executor: Executor, env: MetaEnv) -> NDArray[np.float64]:
    """Return of each trial (N,) when the executor continues from recorded explorations.

    Args:
        recording: from an environment with as many members as `env`.
        executor: trained, or the expert.
        env: its current episodes are lost.
    """
    returns = []
    for batch in recording.batches:
        env.np_random.bit_generator.state = batch.env_state
        trials = executor.execute(env, batch.problem_id, batch.explore)
        got = trials.execute.reward.double().sum(1).view(-1, trials.execute_episodes).mean(1)
        returns.append(got.cpu().numpy()[: batch.count])
    return np.concatenate(returns)
