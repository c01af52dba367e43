"""`dream watch`: record trials of a trained method, choose some, and write films, contact sheets or recordings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dream.envs import MetaEnv
from dream.errors import UserError
from dream.eval.evaluate import load_method, spread_over_problems
from dream.eval.record.recorded import RecordedTrials, save_trials
from dream.eval.record.recorder import record_trials
from dream.eval.show.movie import Movie
from dream.eval.show.picture_files import write_film, write_png
from dream.eval.show.words import narrate

SUFFIXES = (".webm", ".gif", ".png", ".npz")
POOL = 128
"""Trials from which the best, the worst or the failures are chosen."""

Pick = Literal["any", "best", "worst", "failures"]


def record_run(
    run_dir: Path | str,
    *,
    trials: int = 3,
    split: str = "test",
    problems: Sequence[int] = (),
    pick: Pick = "any",
    seed: int = 0,
    env_parameters: Mapping[str, Any] | None = None,
) -> tuple[RecordedTrials, MetaEnv]:
    """Record trials of a run's method, and an environment to draw them with.

    Args:
        run_dir: a run directory, or the result of `pretrained`.
        trials: how many; more if more problems are named.
        split: of the problems.
        problems: these problems instead, in turn.
        pick: "any"; "best" or "worst" by regret, or by return where the optimum is not known; "failures", the worst of
            those that got less than halfway from the best return without exploring to their optimum. All but "any" are
            chosen among `POOL` trials.
        seed: of problems, starts and instructions.
        env_parameters: as for `load_method`.

    Raises:
        UserError: no trained run, a problem that does not exist, or no failures among the trials.
    """
    trials = max(trials, len(problems))
    pool = trials if pick == "any" else max(trials, POOL)
    method, env, step = load_method(run_dir, members=pool, env_parameters=env_parameters)
    last = env.problems.num_problems - 1
    for problem in problems:
        if not 0 <= problem <= last:
            raise UserError(f"--problem {problem} does not exist: {env.family} has problems 0 to {last}")
    ids = np.resize(problems, pool) if problems else spread_over_problems(env, split, pool, seed)
    recorded = record_trials(method, env, ids, seed, step=step)
    return recorded.select(picked(recorded, env, pick, trials)), env


def write_recorded(recorded: RecordedTrials, env: MetaEnv, path: Path) -> None:
    """Write trials as .webm or .gif (a film), .png (a contact sheet) or .npz. Raises UserError where that fails."""
    movie, everyone = Movie(recorded, env), range(len(recorded.problem_id))
    if path.suffix == ".npz":
        save_trials(recorded, path)
    elif path.suffix == ".png":
        write_png(path, movie.sheet(everyone))
    else:
        write_film(path, [movie.film(trial) for trial in everyone])


def trial_facts(recorded: RecordedTrials, env: MetaEnv) -> list[dict[str, Any]]:
    """Each trial as plain data, and in words."""
    information, error, n = recorded.information, recorded.error, recorded.returns.shape[1]
    return [
        {
            "problem_id": int(recorded.problem_id[trial]),
            "instruction": recorded.execute.instruction[trial * n : (trial + 1) * n].tolist(),
            "explore_steps": int(recorded.explore.transition[trial].sum()),
            "execute_steps": recorded.execute.length[trial * n : (trial + 1) * n].tolist(),
            "return": recorded.returns[trial].tolist(),
            "optimal_return": None if recorded.optimal is None else recorded.optimal[trial].tolist(),
            "information": None if information is None else float(information[trial, -1]),
            "information_max": None if error is None else float(error[trial, 0]),
            "words": words,
        }
        for trial, words in enumerate(narrate(recorded, env))
    ]


def picked(recorded: RecordedTrials, env: MetaEnv, pick: Pick, trials: int) -> list[int]:
    """Rows of the trials to show."""
    behind = shortfall(recorded)
    if pick == "any":
        return list(range(trials))
    worst = np.argsort(-behind, kind="stable")
    if pick == "best":
        return np.argsort(behind, kind="stable")[:trials].tolist()
    if pick == "failures":
        failed = failures(recorded, floor_of(env))
        if failed is None:
            raise UserError(f"{env.family} does not know what a failure is (it has no exact bounds): use --pick worst")
        worst = worst[failed[worst]]
        if not len(worst):
            raise UserError(f"none of {len(failed)} trials failed: use --pick worst, or another --seed")
    return worst[:trials].tolist()


def shortfall(recorded: RecordedTrials) -> NDArray[np.float64]:
    """(N,) regret of each trial; the negative return where the optimum is not known."""
    returns = recorded.returns.mean(axis=1)
    return -returns if recorded.optimal is None else recorded.optimal.mean(axis=1) - returns


def floor_of(env: MetaEnv) -> float | None:
    """The best return without exploration; None where it is not known. It may take seconds."""
    try:
        return env.no_exploration_return()
    except NotImplementedError:
        return None


def failures(recorded: RecordedTrials, floor: float | None) -> NDArray[np.bool_] | None:
    """(N,) trials with less than the mean of `floor`, the best return without exploration, and their optimum.

    None where one of the two is not known.
    """
    if recorded.optimal is None or floor is None:
        return None
    return recorded.returns.mean(axis=1) < (floor + recorded.optimal.mean(axis=1)) / 2
