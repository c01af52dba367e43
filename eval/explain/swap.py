"""Every explorer with every executor: whose fault is it when a method fails?

Explorations are made once for each explorer; every executor then reads the same streams with its own g or memory, and
executes in the same problems on the same instructions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dream.envs import MetaEnv
from dream.eval.evaluate import spread_over_problems
from dream.eval.explain.bounds import Executor, Explorer
from dream.eval.explain.explorations import RecordedExplorations, record_explorations


@dataclass(frozen=True)
class SwapMatrix:
    """What came out of each explorer with each executor."""

    explorers: tuple[str, ...]
    executors: tuple[str, ...]
    returns: NDArray[np.float64]
    """(explorers, executors, trials) undiscounted return, the mean over a trial's execution episodes."""

    @property
    def mean(self) -> NDArray[np.float64]:
        """(explorers, executors) mean return."""
        return self.returns.mean(axis=2)

    @property
    def standard_error(self) -> NDArray[np.float64]:
        """(explorers, executors) of the mean, over trials; what training again would change is not in it."""
        trials = self.returns.shape[2]
        return self.returns.std(axis=2, ddof=1) / np.sqrt(trials) if trials > 1 else np.full(self.mean.shape, np.nan)


def swap_matrix(
    explorers: Mapping[str, Explorer],
    executors: Mapping[str, Executor],
    env: MetaEnv,
    trials: int,
    seed: int = 0,
    *,
    split: str = "test",
    execute_episodes: int = 1,
) -> SwapMatrix:
    """Play the trials of `run_trials` with this seed, every explorer with every executor.

    An explorer with the executor of its own method comes to what `evaluate_run` finds with as many members (for one
    that draws random actions: with as many members as trials).

    Args:
        explorers: name -> who explores, the rows.
        executors: name -> who executes, the columns.
        env: any number of members; what it was playing is lost.
        trials: spread evenly over the problems.
        seed: of problems' order, instructions, starts and random actions.
        split: whose problems are played.
        execute_episodes: n, execution episodes of a trial.
    """
    problem_id = spread_over_problems(env, split, trials, seed)
    rows = []
    for explorer in explorers.values():
        recording = record_explorations(explorer, env, problem_id, seed, execute_episodes=execute_episodes)
        rows.append([execute_on(recording, executor, env) for executor in executors.values()])
    return SwapMatrix(tuple(explorers), tuple(executors), np.array(rows).reshape(len(rows), len(executors), trials))


def execute_on(recording: RecordedExplorations, executor: Executor, env: MetaEnv) -> NDArray[np.float64]:
    """Return of each trial (N,) when the executor goes on from recorded explorations.

    Args:
        recording: from an environment with as many members as `env`.
        executor: who executes.
        env: what it was playing is lost.
    """
    returns = []
    for batch in recording.batches:
        env.np_random.bit_generator.state = batch.env_state
        trials = executor.execute(env, batch.problem_id, batch.explore)
        got = trials.execute.reward.double().sum(1).view(-1, trials.execute_episodes).mean(1)
        returns.append(got.cpu().numpy()[: batch.count])
    return np.concatenate(returns)
