"""`dream compare`: train and evaluate several methods and seeds."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import OmitArgPrefixes, arg

from dream.cli.arguments import Seed, Trials, parse
from dream.cli.checks import check_config, check_device
from dream.cli.printing import print_json
from dream.cli.tables import print_table
from dream.config import PRESETS, Range, TrainConfig
from dream.config.settings import MOST_STEPS
from dream.config.text import split_assignments
from dream.errors import Stopped, UserError

if TYPE_CHECKING:
    from dream.compare.plan import PlannedRun


@dataclass(frozen=True)
class Runs:
    """Runs to compare: every method on every family with every seed."""

    env: tuple[str, ...] = ()
    """families to compare on"""
    methods: tuple[str, ...] = ()
    """NAME, or NAME[SETTING=VALUE,...] for a method with other settings; the first one is compared with the others"""
    seeds: Annotated[int, Range(1, 10_000)] = 5
    """training seeds of each method"""
    first_seed: Seed = 0
    """the first of these seeds"""
    preset: Literal["default", "debug"] = "default"
    """settings to start from; debug runs everything within seconds and learns nothing"""
    set: Annotated[tuple[str, ...], arg(metavar="SETTING=VALUE ...")] = ()
    """settings to change for all methods; they become part of the label of each method"""
    env_parameters: Annotated[tuple[str, ...], arg(metavar="NAME=VALUE ...")] = ()
    """parameters of the family, such as grid_size=5; the same as --set env_parameters.grid_size=5"""


@dataclass(frozen=True)
class Budget:
    """Training and evaluation."""

    steps: Annotated[int | None, Range(1, MOST_STEPS)] = None
    """environment steps of each run (default: those of the family)"""
    bound_steps: Annotated[int | None, Range(1, MOST_STEPS)] = None
    """environment steps of methods without exploration, whose shorter trials mean more updates per step (default:
    --steps)"""
    trials: Trials = 1000
    """trials of each evaluation, the same for all runs"""
    processes: Annotated[int, Range(1, 1024)] = 1
    """runs to train in parallel, one core each"""
    only_trained: bool = False
    """do not train: evaluate the finished runs"""


@dataclass(frozen=True)
class Files:
    """Input and output."""

    runs: Path | None = None
    """directory of the runs: RUNS/ENV/METHOD/sSEED, as dream train writes them (default: runs; with a preset
    runs/PRESET)"""
    from_: Annotated[tuple[Path, ...], arg(name="from")] = ()
    """read tidy CSVs instead of runs; --env and --methods then select rows"""
    reference: Path | None = None
    """tidy CSV of curves to draw beside the learning curves, such as one read off a paper"""
    out: Path | None = None
    """directory of tables and figures (default: RUNS/ENV/compare, for several families RUNS/compare)"""
    csv: Path | None = None
    """also add the rows to this tidy CSV, which may hold other runs"""
    json: bool = False
    """print one JSON object"""


@dataclass(frozen=True)
class CompareArguments:
    """Arguments of `dream compare`."""

    comparison: Annotated[Runs, OmitArgPrefixes] = field(default_factory=Runs)
    training: Annotated[Budget, OmitArgPrefixes] = field(default_factory=Budget)
    files: Annotated[Files, OmitArgPrefixes] = field(default_factory=Files)


def command(arguments: list[str]) -> int:
    """Train the missing runs, evaluate all on the same test trials, and write tidy rows, tables and figures.

    The same command resumes, and trains nothing twice. A run that fails does not stop the others: it is named at the
    end, and the exit code is 1. All methods that explore get the same number of environment steps.

    Example: dream compare --env bus --methods dream random "dream[explorer.step_cost=0]" --seeds 5 --processes 2

    Or, from rows alone: dream compare --from results/bus.csv --env bus --out figures
    """
    given = parse(CompareArguments, arguments, "compare", command)
    if given.files.from_:
        if given.training.only_trained or _settings(given) or given.training.steps is not None:
            raise UserError(
                "--from reads rows and trains nothing: leave out --only-trained, --set, --env-parameters and --steps"
            )
        from dream.eval.compare.files import choose_rows

        rows: list[dict[str, Any]] = choose_rows(given.files.from_, given.comparison.env, given.comparison.methods)
        failed: dict[str, str] = {}
    else:
        try:
            rows, failed = _train_and_evaluate(given)
        except Stopped as stop:
            again = shlex.join(["dream", "compare", *arguments])
            saved = "Every run is saved" if stop.saved else "The training after each run's last checkpoint is lost"
            print(f"{saved}. The same command continues: {again}", file=sys.stderr)
            raise
    if rows:
        _write_comparison(given, rows, failed)
    for run, why in failed.items():
        print(f"dream: failed: {run}: {why}", file=sys.stderr)
    return 1 if failed else 0


def _settings(given: CompareArguments) -> list[str]:
    """`SETTING=VALUE` for all methods."""
    parameters = split_assignments(given.comparison.env_parameters, "grid_size=5")
    return [*given.comparison.set, *(f"env_parameters.{parameter}" for parameter in parameters)]


def _runs(given: CompareArguments) -> Path:
    """The directory of the runs."""
    return given.files.runs or (
        Path("runs") if given.comparison.preset == "default" else Path("runs", given.comparison.preset)
    )


def planned_runs(given: CompareArguments) -> list[PlannedRun]:
    """The runs to compare. Raises UserError for whatever is wrong with one of them: nothing has been trained."""
    from dream.methods.labels import parse_labels

    chosen, training = given.comparison, given.training
    if not chosen.env or not chosen.methods:
        raise UserError(
            "no families or no methods given: write for example dream compare --env map --methods dream random"
        )
    labels = parse_labels(chosen.methods, _settings(given))
    for env in chosen.env:
        check_config(TrainConfig(env=env))

    from dream.methods.registry import find_method

    for label in labels:
        find_method(label.method)

    from dream.compare.plan import plan

    runs = plan(
        labels,
        list(dict.fromkeys(chosen.env)),
        range(chosen.first_seed, chosen.first_seed + chosen.seeds),
        _runs(given),
        changes={**PRESETS[chosen.preset], **({} if training.steps is None else {"steps": training.steps})},
        bound_steps=training.bound_steps,
    )
    for run in runs:
        if run.config.seed == chosen.first_seed:  # the other seeds differ in nothing else
            check_config(run.config)
            check_device(run.config.device)
    return runs


def _train_and_evaluate(given: CompareArguments) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Rows of the runs, and for each run that failed the reason."""
    runs = planned_runs(given)

    from dream.compare.launcher import run_all
    from dream.compare.progress import CompareProgress
    from dream.compare.rows import choose_trained, read_rows
    from dream.storage.tidy_csv import merge_tidy_csv

    if given.training.only_trained:
        runs, untrained = choose_trained(runs)
        for run in untrained:
            print(f"dream: left out, because it is not finished: {run}", file=sys.stderr)
        if not runs:
            raise UserError(
                f"no such run in {_runs(given)} is finished: leave out --only-trained, or give another --runs"
            )
    failed = run_all(runs, given.training.trials, given.training.processes, CompareProgress())
    rows, unreadable = read_rows([run for run in runs if run not in failed])
    if given.files.csv is not None:
        merge_tidy_csv(given.files.csv, rows)
    return rows, {str(run): why for run, why in {**failed, **unreadable}.items()}


def _write_comparison(given: CompareArguments, rows: list[dict[str, Any]], failed: Mapping[str, str]) -> None:
    """Write tables and figures, and print a summary."""
    from dream.eval.compare.files import choose_rows, write_comparison
    from dream.eval.compare.tables import brief, improvement_rows, summary_rows

    envs = list(dict.fromkeys(str(row["env"]) for row in rows))
    out = given.files.out or _runs(given) / (envs[0].replace(":", "-") if len(envs) == 1 else "") / "compare"
    written = write_comparison(rows, out, [] if given.files.reference is None else choose_rows([given.files.reference]))
    if given.files.json:
        print_json(
            {
                "methods": summary_rows(written.summaries),
                "improvement": improvement_rows(written.improvements),
                "failed": failed,
                "files": [str(path) for path in written.files],
            }
        )
        return
    columns, lines = brief(written.summaries)
    alone = len(envs) == 1
    print_table(columns[alone:], [line[alone:] for line in lines], title=f"Test problems of {', '.join(envs)}")
    print(f"Tables and figures are in {out}.")
