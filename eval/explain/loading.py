"""Load trained runs of one family to analyse them together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from dream.envs import MetaEnv
from dream.errors import UserError
from dream.eval.evaluate import MEMBERS, load_method
from dream.eval.explain.bounds import Executor, Explorer
from dream.methods.labels import label_of_run
from dream.storage.run_directory import RunDirectory


class _Method(Explorer, Executor, Protocol):
    """A method that explores and executes."""


@dataclass(frozen=True)
class LoadedRun:
    """A trained run."""

    label: str
    seed: int
    method: _Method


@dataclass(frozen=True)
class LoadedRuns:
    """Trained runs of one family, and an environment for them."""

    runs: list[LoadedRun]
    env: MetaEnv
    family: str
    explore_episodes: int
    execute_episodes: int
    skipped: list[str]
    """One sentence for each run that could not be loaded."""


def load_runs(paths: Sequence[Path], trials: int) -> LoadedRuns:
    """Load runs of one family, in the given order; untrained and damaged runs are skipped.

    Args:
        paths: run directories.
        trials: to be played; sets the number of parallel environments.

    Raises:
        UserError: a path does not exist; runs differ in family, parameters or trial; the same method and seed is given
            twice; no run can be loaded.
    """
    found: dict[tuple[str, int], tuple[Path, LoadedRun]] = {}
    skipped: list[str] = []
    first: tuple[Path, Mapping[str, Any]] | None = None
    env: MetaEnv | None = None
    for path in paths:
        if not path.is_dir():
            raise UserError(f"{path} is not a directory: give run directories that dream train wrote")
        try:
            config = RunDirectory.read(path).config
        except UserError as error:
            skipped.append(f"skipped {path}: {error}")
            continue
        first = first or (path, config)
        for name in ("env", "trial"):
            if config.get(name) != first[1].get(name):
                raise UserError(
                    f"{name} is {config.get(name)!r} in {path} and {first[1].get(name)!r} in {first[0]}: give runs of "
                    "one family with one kind of trial"
                )
        try:
            method, own_env, _ = load_method(path, members=min(trials, MEMBERS))
        except (UserError, ValueError) as error:  # a setting that this version does not know is a ValueError
            skipped.append(f"skipped {path}: {error}")
            continue
        if env is None:
            env = own_env
        else:
            own_env.close()
            if _identity(own_env) != _identity(env):
                raise UserError(
                    f"{path} plays {config.get('env')} with {config.get('env_parameters')} and {first[0]} with "
                    f"{first[1].get('env_parameters')}: give runs of one family with the same parameters"
                )
        run = LoadedRun(label_of_run(path, method.config.method), method.config.seed, method)
        if (run.label, run.seed) in found:
            other = found[run.label, run.seed][0]
            raise UserError(f"{other} and {path} are both {run.label} with seed {run.seed}: give one of them")
        found[run.label, run.seed] = (path, run)
    if env is None or first is None:
        raise UserError(f"no run to explain ({'; '.join(skipped) or 'none was given'}): train one first")
    trial = first[1].get("trial") or {}
    runs = [run for _, run in found.values()]
    return LoadedRuns(
        sorted(runs, key=lambda run: [other.label for other in runs].index(run.label)),
        env,
        str(first[1]["env"]),
        trial.get("explore_episodes", 1),
        trial.get("execute_episodes", 1),
        skipped,
    )


def _identity(env: MetaEnv) -> tuple[Any, ...]:
    """Equal for environments that play the same problems; how problems are described to f does not count."""
    problems = env.problems
    return problems.family, dict(problems.parameters), {name: ids.tolist() for name, ids in problems.splits.items()}
