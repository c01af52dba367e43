"""Why, not only who: runs of one family in; swap matrix, what explorers found out and what they did out.

The analyses are in swap.py, probe.py and behaviour.py, the figures in explain_figures.py, the words in
explain_words.py; here they are brought together and written to a directory.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dream.core.frames import is_frame
from dream.envs import MetaEnv, Part
from dream.errors import UserError
from dream.eval.evaluate import MEMBERS, load_method, spread_over_problems
from dream.eval.explain.behaviour import behaviour
from dream.eval.explain.bounds import Executor, Explorer, ScriptedExplorer, bound_executors, bound_explorers
from dream.eval.explain.explorations import record_explorations
from dream.eval.explain.probe import Known, ProbeSettings, chance, exact_posterior, known, probe
from dream.eval.explain.swap import execute_on
from dream.eval.show.visit_map import count_visits
from dream.methods.labels import label_of_run
from dream.storage.checkpoints import disk_errors
from dream.storage.run_directory import RunDirectory, write_atomic


class _Method(Explorer, Executor, Protocol):
    """Who explores and executes."""


@dataclass(frozen=True)
class LoadedRun:
    """A trained run."""

    label: str
    seed: int
    method: _Method


@dataclass(frozen=True)
class LoadedRuns:
    """Runs of one family, and the environment to play them in."""

    runs: list[LoadedRun]
    env: MetaEnv
    family: str
    explore_episodes: int
    execute_episodes: int
    skipped: list[str]
    """A sentence for each run that could not be loaded."""


@dataclass(frozen=True)
class Explored:
    """What came out about one explorer: a run, or a bound, which has no seed."""

    label: str
    seed: int | None
    behaviour: dict[str, float]
    """Means of `dream.eval.behaviour.behaviour`."""
    visits: NDArray[np.float64] | None
    """(rows, columns) `dream.eval.show.visit_map.count_visits` , the mean; None where there is no map."""
    told: Known | None
    """By a reader; None where the family does not say what its problems are made of, and for a script on frames."""
    possible: Known | None
    """By the exact posterior, where it is known."""


@dataclass(frozen=True)
class Cell:
    """An explorer with an executor."""

    explorer: str
    explorer_seed: int | None
    executor: str
    executor_seed: int | None
    mean: float
    standard_error: float
    """Over trials."""


@dataclass(frozen=True)
class Explanation:
    """All that was found; of several seeds of a method the means are taken by the methods here."""

    family: str
    trials: int
    parts: tuple[Part, ...]
    chance: Known | None
    explored: list[Explored]
    cells: list[Cell]
    extent: tuple[float, float, float, float] | None
    skipped: list[str] = field(default_factory=list)

    @property
    def explorers(self) -> list[str]:
        """Labels, those of runs first, then the bounds."""
        return list(dict.fromkeys(one.label for one in self.explored))

    @property
    def executors(self) -> list[str]:
        """Labels, those of runs first, then the expert."""
        return list(dict.fromkeys(cell.executor for cell in self.cells))

    def of(self, label: str) -> list[Explored]:
        """The seeds of an explorer."""
        return [one for one in self.explored if one.label == label]

    def swap(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean return and its standard error, (explorers, executors) both, NaN where no seed has such a pair.

        The error is over seeds where there are several, else over trials.
        """
        shape = (len(self.explorers), len(self.executors))
        mean, error = np.full(shape, np.nan), np.full(shape, np.nan)
        for row, explorer in enumerate(self.explorers):
            for column, executor in enumerate(self.executors):
                cells = [c for c in self.cells if (c.explorer, c.executor) == (explorer, executor)]
                if cells:
                    means = np.array([cell.mean for cell in cells])
                    mean[row, column] = means.mean()
                    error[row, column] = (
                        means.std(ddof=1) / np.sqrt(len(means)) if len(means) > 1 else cells[0].standard_error
                    )
        return mean, error

    def curve(self, label: str, measure: str, relevant: bool, *, possible: bool = False) -> NDArray[np.float64] | None:
        """Accuracy or nats after each step, (T + 1,): mean over seeds and over the relevant or the other parts.

        None where the family has no such parts, or what was possible is not known.
        """
        columns = [i for i, part in enumerate(self.parts) if part.relevant == relevant]
        if not columns:
            return None
        found = [one.possible if possible else one.told for one in self.of(label)]
        values = [getattr(one, measure)[:, columns].mean(axis=1) for one in found if one is not None]
        return np.mean(values, axis=0) if values else None

    def done(self, label: str) -> dict[str, float]:
        """Means of the behaviour over seeds."""
        seeds = self.of(label)
        return {name: float(np.mean([one.behaviour[name] for one in seeds])) for name in seeds[0].behaviour}


def load_runs(paths: Sequence[Path], trials: int) -> LoadedRuns:
    """Load runs of one family, in the order given; what is untrained or damaged is skipped.

    Args:
        paths: run directories.
        trials: that will be played.

    Raises:
        UserError: a path that does not exist; runs of different families, parameters or trials; the same method and
            seed twice; no run that can be loaded.
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
            skipped.append(f"left out {path}: {error}")
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
            skipped.append(f"left out {path}: {error}")
            continue
        if env is None:
            env = own_env
        else:
            own_env.close()
            if _played(own_env) != _played(env):
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
        raise UserError(f"there is no run to explain ({'; '.join(skipped) or 'none was given'}): train one first")
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


def explain(
    loaded: LoadedRuns,
    trials: int = 500,
    seed: int = 0,
    settings: ProbeSettings | None = None,
    tell: Callable[[int, int, str], None] = lambda done, total, what: None,
) -> Explanation:
    """Analyse runs and the bounds beside them, on test problems.

    Each explorer explores once; what it did is read by a classifier, and every executor goes on from it: those of the
    same training seed, or of all seeds from a bound's exploration.

    Args:
        loaded: from `load_runs`.
        trials: on test problems, spread evenly.
        seed: of the trials and of the readers.
        settings: of the readers.
        tell: called with how many of how many pieces of work are done, and what comes next.
    """
    env = loaded.env
    who: list[tuple[str, int | None, Explorer]] = [(run.label, run.seed, run.method) for run in loaded.runs]
    labels = {run.label for run in loaded.runs}
    bounds = bound_explorers(env, loaded.explore_episodes)
    who += [(label, None, explorer) for label, explorer in bounds.items() if label not in labels]
    experts = bound_executors(env, loaded.execute_episodes)
    parts, problem_id = env.parts(), spread_over_problems(env, "test", trials, seed)
    explored: list[Explored] = []
    cells: list[Cell] = []
    expert_returns: dict[str, NDArray[np.float64]] = {}
    for number, (label, own_seed, explorer) in enumerate(who):
        name = label if own_seed is None else f"{label} seed {own_seed}"
        tell(3 * number, 3 * len(who), f"{name}: explores and is executed on")
        recording = record_explorations(explorer, env, problem_id, seed, execute_episodes=loaded.execute_episodes)
        for run in loaded.runs:
            if own_seed in (None, run.seed):
                returns = execute_on(recording, run.method, env)
                cells.append(_cell(label, own_seed, run.label, run.seed, returns))
        for expert_label, expert in experts.items():
            if expert_label not in expert_returns:  # the same whatever was explored: it knows the problem
                expert_returns[expert_label] = execute_on(recording, expert, env)
            cells.append(_cell(label, own_seed, expert_label, None, expert_returns[expert_label]))
        told = possible = None
        # Scripts on frames plan each way by rendering it, a third of a second: thousands to learn on take too long.
        if parts and not (isinstance(explorer, ScriptedExplorer) and is_frame(env.single_observation_space)):
            tell(3 * number + 1, 3 * len(who), f"{name}: what could be told")
            posterior = exact_posterior(env, recording.episodes)
            possible = None if posterior is None else known(posterior, parts, problem_id)
            tell(3 * number + 2, 3 * len(who), f"{name}: a reader is trained")
            told = probe(explorer, env, recording, settings, seed)
        means = {measure: float(values.mean()) for measure, values in behaviour(recording, env).items()}
        position = recording.position
        visits = None if position is None else count_visits(position, env.map_extent) / len(position)
        explored.append(Explored(label, own_seed, means, visits, told, possible))
    tell(3 * len(who), 3 * len(who), "done")
    return Explanation(
        loaded.family,
        trials,
        parts,
        chance(parts, problem_id) if parts else None,
        explored,
        cells,
        None if explored[0].visits is None else env.map_extent,
        loaded.skipped,
    )


def _cell(explorer: str, own_seed: int | None, executor: str, seed: int | None, returns: NDArray[np.float64]) -> Cell:
    error = float(returns.std(ddof=1) / np.sqrt(len(returns))) if len(returns) > 1 else float("nan")
    return Cell(explorer, own_seed, executor, seed, float(returns.mean()), error)


def _played(env: MetaEnv) -> tuple[Any, ...]:
    """What makes two environments the same for who plays; how problems are described to f is not a part of it."""
    problems = env.problems
    return problems.family, dict(problems.parameters), {name: ids.tolist() for name, ids in problems.splits.items()}


# -- on disk -----------------------------------------------------------------------------------------------------


def write_explanation(found: Explanation, out: Path) -> list[Path]:
    """Write swap.csv, found.csv, behaviour.csv, visits.npz, explanation.md and the figures into a directory.

    What the family does not tell (its parts, where the agent is) is not written. Returns the files.
    Raises UserError where nothing can be written.
    """
    from dream.eval.explain import figures
    from dream.eval.explain.words import markdown

    with disk_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        files = [out / "swap.csv", out / "behaviour.csv", out / "explanation.md", out / "swap.svg"]
        _write_csv(files[0], swap_rows(found))
        _write_csv(files[1], behaviour_rows(found))
        write_atomic(files[2], markdown(found))
        names = found.explorers
        figures.swap_figure(files[3], names, found.executors, *found.swap())
        done = [found.done(name) for name in names]
        measures = list(dict.fromkeys(measure for one in done for measure in one))
        values = np.array([[one.get(measure, np.nan) for measure in measures] for one in done])
        files.append(out / "behaviour.svg")
        figures.behaviour_figure(files[-1], names, measures, values)
        if found.parts:
            files.append(out / "found.csv")
            _write_csv(files[-1], found_rows(found))
            for measure in figures.MEASURES:
                files.append(out / f"found_{measure}.svg")
                figures.found_figure(files[-1], *_curves(found, measure), measure)
        if found.extent is not None:
            files += [out / "visits.npz", out / "visits.svg"]
            np.savez_compressed(
                files[-2],
                visits=np.stack([one.visits for one in found.explored if one.visits is not None]),
                method=np.array([one.label for one in found.explored]),
                seed=np.array([-1 if one.seed is None else one.seed for one in found.explored]),
                extent=np.array(found.extent),
            )
            figures.visits_figure(files[-1], {name: _mean_visits(found.of(name)) for name in names}, found.extent)
    return files


def swap_rows(found: Explanation) -> list[dict[str, Any]]:
    """One for each explorer with each executor, seeds apart."""
    return [
        {
            "env": found.family,
            "explorer": cell.explorer,
            "explorer_seed": cell.explorer_seed,
            "executor": cell.executor,
            "executor_seed": cell.executor_seed,
            "trials": found.trials,
            "return": cell.mean,
            "standard_error": cell.standard_error,
        }
        for cell in found.cells
    ]


def found_rows(found: Explanation) -> list[dict[str, Any]]:
    """One for each explorer, seed, step and part; empty where nothing is known."""
    assert found.chance is not None
    rows = []
    for one in found.explored:
        if one.told is None:
            continue
        for step, part in np.ndindex(one.told.accuracy.shape):
            rows.append(
                {
                    "env": found.family,
                    "method": one.label,
                    "seed": one.seed,
                    "step": step,
                    "part": found.parts[part].name,
                    "relevant": found.parts[part].relevant,
                    "accuracy": one.told.accuracy[step, part],
                    "nats": one.told.nats[step, part],
                    "possible_accuracy": None if one.possible is None else one.possible.accuracy[step, part],
                    "possible_nats": None if one.possible is None else one.possible.nats[step, part],
                    "chance_accuracy": found.chance.accuracy[0, part],
                    "chance_nats": found.chance.nats[0, part],
                }
            )
    return rows


def behaviour_rows(found: Explanation) -> list[dict[str, Any]]:
    """One for each explorer, seed and measure."""
    return [
        {"env": found.family, "method": one.label, "seed": one.seed, "measure": measure, "mean": value}
        for one in found.explored
        for measure, value in one.behaviour.items()
    ]


def _curves(found: Explanation, measure: str) -> tuple[dict[str, Any], dict[str, float]]:
    """What `found_figure` draws: curves of each explorer, and chance."""
    from dream.eval.explain.figures import Curves

    kinds = {kind: kind == "relevant" for kind in ("relevant", "irrelevant")}
    kinds = {kind: relevant for kind, relevant in kinds.items() if relevant in {p.relevant for p in found.parts}}
    curves = {}
    for name in found.explorers:
        told, possible = (
            {
                kind: curve
                for kind, relevant in kinds.items()
                if (curve := found.curve(name, measure, relevant, possible=exact)) is not None
            }
            for exact in (False, True)
        )
        if told:
            curves[name] = Curves(told, possible)
    level = getattr(found.chance, measure)[0]
    return curves, {
        kind: float(np.mean([level[i] for i, part in enumerate(found.parts) if part.relevant == relevant]))
        for kind, relevant in kinds.items()
    }


def _mean_visits(seeds: Sequence[Explored]) -> NDArray[np.float64]:
    return np.mean([one.visits for one in seeds if one.visits is not None], axis=0)


def _write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {name: f"{value:.6g}" if isinstance(value, float) else value for name, value in row.items()} for row in rows
    )
    write_atomic(path, text.getvalue())
