"""`dream compare`: train and evaluate several methods and seeds."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text
from tyro.conf import arg

from dream.cli.arguments import Seed, Trials, parse
from dream.cli.checks import check_config, check_device
from dream.cli.printing import print_json
from dream.config import PRESETS, Range, TrainConfig
from dream.config.settings import MOST_STEPS
from dream.errors import UserError


@dataclass(frozen=True)
class CompareArguments:
    """What `dream compare` takes."""

    env: tuple[str, ...] = ()
    """families to compare on"""
    methods: tuple[str, ...] = ()
    """NAME, or NAME[setting=value,...] with settings changed; the first is compared with each other one"""
    seeds: Annotated[int, Range(1, 10_000)] = 5
    """seeds of training of each method"""
    first_seed: Seed = 0
    """the first of them"""
    processes: Annotated[int, Range(1, 1024)] = 1
    """runs trained side by side, one core each"""
    trials: Trials = 1000
    """trials of each evaluation, the same ones for all"""
    steps: Annotated[int | None, Range(1, MOST_STEPS)] = None
    """environment steps of each run (default: the family's)"""
    bound_steps: Annotated[int | None, Range(1, MOST_STEPS)] = None
    """environment steps of none, oracle and contextual, whose trials are short: fewer hold as many updates
    (default: --steps)"""
    settings: Annotated[tuple[str, ...], arg(name="set", metavar="SETTING=VALUE")] = ()
    """settings to change in all methods; they become a part of each one's label"""
    preset: Literal["default", "debug"] = "default"
    """settings to start from: debug does all that a run does, in seconds"""
    runs: Path | None = None
    """where runs are: RUNS/ENV/METHOD/sSEED, as dream train writes them (default: runs; with a preset runs/PRESET)"""
    only_trained: bool = False
    """train nothing: evaluate and draw the runs that are finished"""
    from_: Annotated[tuple[Path, ...], arg(name="from")] = ()
    """no runs at all: read tidy CSVs; --env and --methods then choose among their rows"""
    reference: Path | None = None
    """tidy CSV of curves to draw beside the learning curves, such as one read off a paper"""
    out: Path | None = None
    """where tables and figures are written (default: RUNS/ENV/compare, for several families RUNS/compare)"""
    csv: Path | None = None
    """also add the rows to this tidy CSV, which may hold those of other runs"""
    json: bool = False
    """print one JSON object"""


def command(arguments: list[str]) -> int:
    """Train what is missing, evaluate all on the same test trials, write tidy rows, tables and figures.

    The same command goes on where it was stopped, and trains nothing twice. A run that fails stops no other: it is
    named at the end, and the exit code is 1. All methods that explore get the same number of environment steps.

    Example: dream compare --env bus --methods dream random "dream[explorer.step_cost=0]" --seeds 5 --processes 2
    Or, from rows alone: dream compare --from results/bus.csv --env bus --out figures
    """
    given = parse(CompareArguments, arguments, "compare", command)
    if given.from_:
        if given.only_trained or given.settings or given.steps is not None:
            raise UserError("--from reads rows and trains nothing: leave out --only-trained, --set and --steps")
        from dream.eval.compare.files import choose_rows

        rows: list[dict[str, Any]] = choose_rows(given.from_, given.env, given.methods)
        failed: dict[str, str] = {}
    else:
        try:
            rows, failed = _train_and_evaluate(given)
        except KeyboardInterrupt:
            again = shlex.join(["dream", "compare", *arguments])
            print(f"What was trained is saved. To go on: {again}", file=sys.stderr)
            raise
    if rows:
        _write_comparison(given, rows, failed)
    for run, why in failed.items():
        print(f"dream: failed: {run}: {why}", file=sys.stderr)
    return 1 if failed else 0


def _runs(given: CompareArguments) -> Path:
    """Where runs are."""
    return given.runs or (Path("runs") if given.preset == "default" else Path("runs", given.preset))


def _train_and_evaluate(given: CompareArguments) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Rows of all runs that were asked for, and of each run that failed why. Everything is checked before training."""
    from dream.methods.labels import parse_labels

    if not given.env or not given.methods:
        raise UserError("which ones? Write for example: dream compare --env map --methods dream random")
    labels = parse_labels(given.methods, given.settings)
    for env in given.env:
        check_config(TrainConfig(env=env))

    from dream.methods.registry import find_method

    for label in labels:
        find_method(label.method)

    from dream.compare.jobs import is_finished, job_rows, plan, run_jobs
    from dream.compare.progress import JobProgress
    from dream.storage.tidy_csv import merge_tidy_csv

    jobs = plan(
        labels,
        list(dict.fromkeys(given.env)),
        range(given.first_seed, given.first_seed + given.seeds),
        _runs(given),
        changes={**PRESETS[given.preset], **({} if given.steps is None else {"steps": given.steps})},
        bound_steps=given.bound_steps,
    )
    for job in jobs:
        if job.config.seed == given.first_seed:  # the other seeds differ in nothing else
            check_config(job.config)
            check_device(job.config.device)
    if given.only_trained:
        for job in (untrained := [job for job in jobs if not is_finished(job)]):
            print(f"dream: left out, as it is not trained to its end: {job}", file=sys.stderr)
        jobs = [job for job in jobs if job not in untrained]
        if not jobs:
            raise UserError(
                f"no such run in {_runs(given)} is trained: leave out --only-trained, or give another --runs"
            )
    failed = run_jobs(jobs, given.trials, given.processes, JobProgress())
    rows = [row for job in jobs if job not in failed for row in job_rows(job)]
    if given.csv is not None:
        merge_tidy_csv(given.csv, rows)
    return rows, {str(job): why for job, why in failed.items()}


def _write_comparison(given: CompareArguments, rows: list[dict[str, Any]], failed: Mapping[str, str]) -> None:
    """Write tables and figures, and print what is in the first."""
    from dream.eval.compare.files import choose_rows, write_comparison
    from dream.eval.compare.tables import brief, improvement_rows, summary_rows

    envs = list(dict.fromkeys(str(row["env"]) for row in rows))
    out = given.out or _runs(given) / (envs[0].replace(":", "-") if len(envs) == 1 else "") / "compare"
    written = write_comparison(rows, out, [] if given.reference is None else choose_rows([given.reference]))
    if given.json:
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
    table = Table(title=f"Test problems of {', '.join(envs)}")
    for column in columns[alone:]:
        table.add_column(column, overflow="fold")
    for line in lines:
        table.add_row(*map(Text, line[alone:]))
    Console().print(table)
    print(f"Tables and figures are in {out}.")
