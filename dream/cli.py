"""The `dream` command: reads the arguments, calls the toolkit, prints what came out.

Everything heavy is imported by the command that needs it, after its arguments were checked: help and refusals come
at once.
"""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import difflib
import inspect
import io
import json
import math
import re
import shlex
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, TypeVar

import tyro
from rich.console import Console
from rich.table import Table
from rich.text import Text
from tyro.conf import FlagCreatePairsOff, Positional, arg
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from dream.config import TrainConfig, default_config
from dream.errors import UserError
from dream.presets import PRESETS, override

T = TypeVar("T")

WELCOME = """\
dream: meta-reinforcement learning that explores on purpose

What you can do next
  dream demo                           see exploring pay off, in five minutes
  dream envs                           the problem families there are
  dream methods                        the ways to explore there are
  dream train dream --env map          train a pair; the same command resumes it
  dream eval runs/map/dream/s0         how good it is on held-out problems
  dream watch --pretrained bus         watch trials: a film, and what happened in words
  dream report --pretrained sign       one page to look at runs: scores, trials step by step, maps
  dream compare --env map --methods dream random    several methods and seeds: tables and figures
  dream explain runs/map/dream/s0      what explorers do and find out, which half of a pair is weak
  dream coupling                       why exploring and executing are learned apart
  dream bench                          how fast this machine trains
  dream doctor                         what works here, and what to install

Each has --help, with an example. Scripts: add --json to envs, methods, eval, watch, report, compare, explain,
coupling, bench and doctor."""


def main() -> NoReturn:
    """Entry point of the console script."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command line. Returns the exit code: 0 done, 2 the user has something to put right, 130 interrupted."""
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(WELCOME)
        return 0
    if arguments[0] == "--version":
        print(version("dream-metarl"))
        return 0
    try:
        with _plain_warnings():
            if arguments[0] not in COMMANDS:
                raise UserError(f"unknown command {arguments[0]!r}: {_choose(arguments[0], COMMANDS)}")
            return COMMANDS[arguments[0]](list(arguments[1:])) or 0
    except UserError as error:
        print(f"dream: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("dream: interrupted", file=sys.stderr)
        return 130


# -- train -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TrainArguments:
    """What `dream train` takes besides the settings of the run."""

    config: Annotated[TrainConfig, arg(name="")]
    preset: Literal["default", "debug"] = "default"
    """settings to start from: debug does all that a run does, in seconds"""
    run_dir: Path | None = None
    """where the run is written (default: runs/ENV/METHOD/sSEED)"""
    overwrite: bool = False
    """delete the run that is there and start again"""


def train(arguments: list[str]) -> int:
    """Train a method on a problem family. The same command resumes a run that was stopped.

    Example: dream train dream --env bus --seed 1 --steps 2000000
    """
    asks_for_help = bool({"-h", "--help"} & set(arguments))
    method = arguments.pop(0) if arguments and not arguments[0].startswith("-") else None
    if method is None and not asks_for_help and not _value_of("--method", arguments):
        raise UserError("which method? Write for example: dream train dream --env map (see dream methods)")
    preset = _value_of("--preset", arguments) or "default"
    env = _value_of("--env", arguments) or TrainConfig.env
    base = override(default_config(method or "dream", env), PRESETS.get(preset, {}))
    given = _parse(TrainArguments, arguments, "train", train, TrainArguments(base), usage="train METHOD")
    config = given.config
    check_config(config)

    from dream.methods import find_method

    find_method(config.method)
    check_device(config.device)

    from dream.progress import ConsoleProgress
    from dream.training import train as train_run

    family, method = (name.replace(":", "-") for name in (config.env, config.method))
    run_dir = given.run_dir or Path("runs", family, method, f"s{config.seed}")
    progress = ConsoleProgress()
    try:
        train_run(config, run_dir, overwrite=given.overwrite, progress=progress)
    except KeyboardInterrupt:
        progress.close()
        again = ["dream", "train", config.method, *(word for word in arguments if word != "--overwrite")]
        print(f"Stopped; what was learned is saved in {run_dir}. To go on: {shlex.join(again)}", file=sys.stderr)
        return 130
    finally:
        progress.close()
    print(f"{run_dir} is trained. Next: dream eval {shlex.quote(str(run_dir))}")
    return 0


def check_config(config: TrainConfig) -> None:
    """Raise UserError for what can be seen to be wrong without torch: family, its parameters, numbers."""
    from dream.envs import make

    for name, value in (("steps", config.steps), ("threads", config.threads)):
        if value < 1:
            raise UserError(f"--{name} is {value}: it must be at least 1")
    if config.seed < 0:
        raise UserError(f"--seed is {config.seed}: it must be at least 0")
    try:
        make(config.env, 1, **config.env_parameters).close()
    except ValueError as error:
        raise UserError(f"{error} (see dream envs)") from error
    except TypeError as error:
        raise UserError(f"{config.env!r} cannot be made with {dict(config.env_parameters)}: {error}") from error


def check_device(device: str) -> None:
    """Raise UserError unless torch can use the device."""
    import torch

    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        found = ", ".join(["cpu", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))])
        raise UserError(f"device {device!r} cannot be used: this machine has {found} (see dream doctor)") from error


# -- eval --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class EvalArguments:
    """What `dream eval` takes."""

    run: Positional[Path | None] = None
    """run directory that dream train wrote"""
    pretrained: str | None = None
    """instead of a run: the trained pair for this family that comes with the package"""
    env_parameters: Mapping[str, Any] = field(default_factory=dict)
    """parameters of the family that differ from those of training, such as variant=walls"""
    split: Literal["train", "validation", "test"] = "test"
    """problems to evaluate on"""
    trials: int = 1000
    """trials, spread evenly over the problems"""
    seed: int = 0
    """seed of the trials"""
    device: str = "cpu"
    """torch device"""
    csv: Path | None = None
    """also add the rows to this tidy CSV, which may hold those of other runs"""
    json: bool = False
    """print one JSON object"""


def evaluate(arguments: list[str]) -> int:
    """Evaluate a trained pair with greedy policies and no problem ids; adds the rows to eval.csv in the run directory.

    Example: dream eval runs/bus/dream/s1 --trials 2000
    Or: dream eval --pretrained sign --env-parameters variant=walls
    """
    given = _parse(EvalArguments, arguments, "eval", evaluate)
    if given.trials < 1:
        raise UserError(f"--trials is {given.trials}: it must be at least 1")
    _check_directory(given.run)
    from dream.eval.evaluate import eval_rows, evaluate_run
    from dream.run import merge_tidy_csv

    check_device(given.device)
    run = _trained(given.run, given.pretrained, given.env_parameters, "eval")
    found = evaluate_run(
        run,
        split=given.split,
        trials=given.trials,
        seed=given.seed,
        device=given.device,
        env_parameters=given.env_parameters,
    )
    rows, result = eval_rows(found), dataclasses.asdict(found)
    for path in (given.run and given.run / "eval.csv", given.csv):
        if path is not None:
            merge_tidy_csv(path, rows)
    if given.json:
        _print_json(result)
        return 0
    table = Table(title=f"{result['method']} on {result['env']}, {result['split']} problems")
    table.add_column("")
    table.add_column(f"{result['trials']:,} trials at step {result['step']:,}", justify="right")
    for label, text in (
        ("return", _text(result["return_mean"])),
        ("optimal return", _text(result["optimal_mean"])),
        ("regret", _text(result["regret"])),
        ("best return without exploring", _text(result["no_exploration"])),
        ("normalised score", _text(result["normalised"])),
        ("its 95% interval", f"{_text(result['normalised_low'])} to {_text(result['normalised_high'])}"),
        ("exploration steps", _text(result["explore_length"])),
    ):
        table.add_row(label, text)
    Console().print(table)
    return 0


def _check_directory(run: Path | None) -> None:
    if run is not None and not run.is_dir():
        raise UserError(f"{run} is not a directory: give the run directory that dream train wrote")


def _trained(run: Path | None, name: str | None, env_parameters: Mapping[str, Any], command: str) -> Path:
    """The run directory that is meant. Raises UserError unless one was named, and parameters fit its family."""
    from dream.eval.pretrained import pretrained
    from dream.run import RunDirectory

    if (run is None) == (name is None):
        raise UserError(
            f"give either a run directory or --pretrained FAMILY, for example: dream {command} --pretrained bus"
        )
    run = run or pretrained(name or "")
    if env_parameters:
        config = RunDirectory.read(run).config
        parameters = {**config["env_parameters"], **env_parameters}
        check_config(TrainConfig(env=config["env"], env_parameters=parameters))
    return run


# -- watch -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class WatchArguments:
    """What `dream watch` takes."""

    run: Positional[Path | None] = None
    """run directory that dream train wrote"""
    pretrained: str | None = None
    """instead of a run: the trained pair for this family that comes with the package"""
    trials: int = 3
    """trials to show"""
    split: Literal["train", "validation", "test"] = "test"
    """whose problems are played"""
    problem: tuple[int, ...] = ()
    """play these problems, in turn"""
    pick: Literal["any", "best", "worst", "failures"] = "any"
    """which trials of many: failures got less than halfway from the best return without exploring to the optimum"""
    seed: int = 0
    """seed of problems, starts and instructions"""
    env_parameters: Mapping[str, Any] = field(default_factory=dict)
    """parameters of the family that differ from those of training, such as variant=walls"""
    out: Path | None = None
    """FILE.webm or FILE.gif (a film), FILE.png (a contact sheet) or FILE.npz (the recording); default: a film in
    RUN/videos and a recording in RUN/episodes, or ./watch-FAMILY.webm"""
    live: bool = False
    """play the film in a window too; where there is no display a sentence says so"""
    json: bool = False
    """print one JSON object"""


def watch(arguments: list[str]) -> int:
    """Play trials of a trained pair; write a film, a GIF or a contact sheet of them, and say in words what happened.

    Example: dream watch runs/bus/dream/s1 --pick failures
    Or: dream watch --pretrained sign --trials 2 --out sign.gif
    Or: dream watch --pretrained bus --problem 17 100 --out trials.png
    """
    given = _parse(WatchArguments, arguments, "watch", watch)
    if given.trials < 1:
        raise UserError(f"--trials is {given.trials}: it must be at least 1")
    if given.seed < 0:
        raise UserError(f"--seed is {given.seed}: it must be at least 0")
    suffixes = (".webm", ".gif", ".png", ".npz")
    if given.out is not None and given.out.suffix not in suffixes:
        raise UserError(f"--out {given.out} has no ending that is known: give a name in {', '.join(suffixes)}")
    _check_directory(given.run)
    from dream.eval.watching import record_run, trial_facts, write_recorded

    run = _trained(given.run, given.pretrained, given.env_parameters, "watch")
    recorded, env = record_run(
        run,
        trials=given.trials,
        split=given.split,
        problems=given.problem,
        pick=given.pick,
        seed=given.seed,
        env_parameters=given.env_parameters,
    )
    if given.out is not None:
        files = [given.out]
    elif given.run is None:
        files = [Path(f"watch-{given.pretrained}.webm")]
    else:
        which = "-".join(map(str, given.problem)) or given.split
        name = f"watch-{which}-{given.pick}-s{given.seed}"
        files = [given.run / "videos" / f"{name}.webm", given.run / "episodes" / f"{name}.npz"]
    for file in files:
        write_recorded(recorded, env, file)
    facts = trial_facts(recorded, env)
    if given.json:
        identity = {name: getattr(recorded, name) for name in ("env", "method", "step", "seed")}
        _print_json({**identity, "files": [str(file) for file in files], "trials": facts})
    else:
        for number, trial in enumerate(facts, 1):
            print(f"Trial {number}. {trial['words']}\n")
        print(f"Written: {', '.join(map(str, files))}")
    if given.live:
        _play_live(recorded, env)
    return 0


def _play_live(recorded: Any, env: Any) -> None:
    from dream.eval.movie import Movie
    from dream.eval.window import NoWindow, show_film

    movie = Movie(recorded, env)
    try:
        films = [movie.film(trial) for trial in range(len(recorded.problem_id))]
        show_film(films, f"dream watch: {recorded.method} on {recorded.env}")
    except NoWindow as why:
        print(f"dream: no window can be opened ({why}): watch the file instead", file=sys.stderr)


# -- report ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ReportArguments:
    """What `dream report` takes."""

    runs: Positional[tuple[Path, ...]] = ()
    """run directories, or directories with runs below them, such as runs/bus"""
    pretrained: str | None = None
    """instead of runs: the trained pair for this family that comes with the package"""
    out: Annotated[Path | None, arg(aliases=["-o"])] = None
    """the HTML file; default: report.html in the directory given, ./report.html for several, ./report-FAMILY.html for a
    pretrained pair"""
    trials: int | None = None
    """trials to step through of each method; default: 3 to 12, fewer of many methods"""
    seed: int = 0
    """seed of problems, starts and instructions of these trials"""
    json: bool = False
    """print one JSON object"""


def report(arguments: list[str]) -> int:
    """Make one HTML file of runs: scores, curves, trials to step through, where explorers went, who fits with whom.

    It opens without a network. Scores are those that dream compare or dream eval --csv left in the runs; a run without
    is evaluated on 500 trials. Of several seeds of a method the one with the median score is played. Runs that are
    damaged are named in it.

    Example: dream report runs/bus --out bus.html
    Or: dream report runs/sign/dream/s0
    Or: dream report --pretrained sign
    """
    given = _parse(ReportArguments, arguments, "report", report)
    if bool(given.runs) == (given.pretrained is not None):
        raise UserError("give either runs or --pretrained FAMILY, for example: dream report runs/bus")
    if given.trials is not None and given.trials < 1:
        raise UserError(f"--trials is {given.trials}: it must be at least 1")
    if given.seed < 0:
        raise UserError(f"--seed is {given.seed}: it must be at least 0")
    if given.out is not None and given.out.suffix not in (".html", ".htm"):
        raise UserError(f"--out {given.out} is no HTML file: give a name that ends in .html")

    from dream.eval.pretrained import pretrained
    from dream.eval.report.build import write_report
    from dream.progress import ConsoleProgress

    paths = given.runs or (pretrained(given.pretrained or ""),)
    out = given.out
    if out is None and given.runs:
        out = given.runs[0] / "report.html" if len(given.runs) == 1 else Path("report.html")
    out = out or Path(f"report-{given.pretrained}.html")
    progress = ConsoleProgress()

    def tell(done: int, total: int, what: str) -> None:
        if done == 0:
            progress.start(total, "report")
        progress.update(done, {})
        progress.note(what)

    try:
        page = write_report(paths, out, seed=given.seed, trials=given.trials, tell=tell)
    finally:
        progress.close()
    if given.json:
        _print_json({"file": str(out), "title": page.title, "summary": page.summary, "missing": page.missing})
        return 0
    for sentence in page.missing:
        print(f"Missing: {sentence}.")
    print(f"{out}: {page.title}, {out.stat().st_size / 1e6:.1f} MB. Open it in a browser.")
    return 0


# -- compare -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CompareArguments:
    """What `dream compare` takes."""

    env: tuple[str, ...] = ()
    """families to compare on"""
    methods: tuple[str, ...] = ()
    """NAME, or NAME[setting=value,...] with settings changed; the first is compared with each other one"""
    seeds: int = 5
    """seeds of training of each method"""
    first_seed: int = 0
    """the first of them"""
    processes: int = 1
    """runs trained side by side, one core each"""
    trials: int = 1000
    """trials of each evaluation, the same ones for all"""
    steps: int | None = None
    """environment steps of each run (default: the family's)"""
    bound_steps: int | None = None
    """environment steps of none and oracle, whose trials are short: fewer hold as many updates (default: --steps)"""
    settings: Annotated[tuple[str, ...], arg(name="set", metavar="SETTING=VALUE")] = ()
    """settings to change in all methods; they become a part of each one's label"""
    preset: Literal["default", "debug"] = "default"
    """settings to start from: debug does all that a run does, in seconds"""
    runs: Path = Path("runs")
    """where runs are: RUNS/ENV/METHOD/sSEED, as dream train writes them"""
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


def compare(arguments: list[str]) -> int:
    """Train what is missing, evaluate all on the same test trials, write tidy rows, tables and figures.

    The same command goes on where it was stopped, and trains nothing twice. A run that fails stops no other: it is
    named at the end, and the exit code is 1. All methods that explore get the same number of environment steps.

    Example: dream compare --env bus --methods dream random "dream[explorer.cost=0]" --seeds 5 --processes 2
    Or, from rows alone: dream compare --from results/grids.csv --env bus --out figures
    """
    given = _parse(CompareArguments, arguments, "compare", compare)
    for name, value in (("seeds", given.seeds), ("processes", given.processes), ("trials", given.trials)):
        if value < 1:
            raise UserError(f"--{name} is {value}: it must be at least 1")
    if given.first_seed < 0:
        raise UserError(f"--first-seed is {given.first_seed}: it must be at least 0")
    if given.from_:
        if given.only_trained or given.settings or given.steps is not None:
            raise UserError("--from reads rows and trains nothing: leave out --only-trained, --set and --steps")
        from dream.eval.comparison import choose_rows

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


def _train_and_evaluate(given: CompareArguments) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Rows of all runs that were asked for, and of each run that failed why. Everything is checked before training."""
    from dream.labels import parse_labels

    if not given.env or not given.methods:
        raise UserError("which ones? Write for example: dream compare --env map --methods dream random")
    for name, steps in (("steps", given.steps), ("bound-steps", given.bound_steps)):
        if steps is not None and steps < 1:
            raise UserError(f"--{name} is {steps}: it must be at least 1")
    labels = parse_labels(given.methods, given.settings)
    for env in given.env:
        check_config(TrainConfig(env=env))

    from dream.methods import find_method

    for label in labels:
        find_method(label.method)

    from dream.compare import is_finished, job_rows, plan, run_jobs
    from dream.compare_progress import JobProgress
    from dream.run import merge_tidy_csv

    jobs = plan(
        labels,
        list(dict.fromkeys(given.env)),
        range(given.first_seed, given.first_seed + given.seeds),
        given.runs,
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
            raise UserError(f"no such run in {given.runs} is trained: leave out --only-trained, or give another --runs")
    failed = run_jobs(jobs, given.trials, given.processes, JobProgress())
    rows = [row for job in jobs if job not in failed for row in job_rows(job)]
    if given.csv is not None:
        merge_tidy_csv(given.csv, rows)
    return rows, {str(job): why for job, why in failed.items()}


def _write_comparison(given: CompareArguments, rows: list[dict[str, Any]], failed: Mapping[str, str]) -> None:
    """Write tables and figures, and print what is in the first."""
    from dream.eval.comparison import choose_rows, write_comparison
    from dream.eval.tables import brief, improvement_rows, summary_rows

    envs = list(dict.fromkeys(str(row["env"]) for row in rows))
    out = given.out or given.runs / (envs[0].replace(":", "-") if len(envs) == 1 else "") / "compare"
    written = write_comparison(rows, out, [] if given.reference is None else choose_rows([given.reference]))
    if given.json:
        _print_json(
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


# -- what there is -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ListArguments:
    """What the commands that list something take."""

    json: bool = False
    """print one JSON object"""


def envs(arguments: list[str]) -> int:
    """List the problem families: what they are, their splits, returns, spaces and parameters.

    Example: dream envs --json
    """
    given = _parse(ListArguments, arguments, "envs", envs)
    found = [describe_family(name) for name in _families()]
    if given.json:
        _print_json({"envs": found})
        return 0
    for family in found:
        print(f"{family['env']}: {family['summary']}")
        splits = ", ".join(f"{size} {split}" for split, size in family["splits"].items())
        for label, text in (
            ("problems", f"{splits} (split {family['problems']})"),
            (
                "return",
                f"{_text(family['optimal_return'])} at best, "
                f"{_text(family['no_exploration_return'])} without exploring (test problems)",
            ),
            ("observes", f"{family['observation_space']}, for {family['horizon']} steps"),
            ("actions", ", ".join(family["actions"])),
            ("parameters", " ".join(f"{name}={value}" for name, value in family["parameters"].items()) or "none"),
        ):
            print(f"  {label:12}{text}")
    print("Set parameters so: dream train dream --env cooking --env-parameters grid_size=4 drawers=4")
    return 0


def describe_family(name: str) -> dict[str, Any]:
    """What there is to know about a family with its default parameters; returns are those of the test split."""
    import numpy as np

    from dream.envs import SPLITS, families, make

    env = make(name, 1)
    parameters = inspect.signature(families()[name]).parameters.values()
    ids = np.repeat(env.problems.ids("test"), 20)
    optimal = no_exploration = None  # a family that is too large has neither
    with contextlib.suppress(NotImplementedError):
        optimal = float(env.optimal_return(ids, env.sample_instruction(ids, np.random.default_rng(0))).mean())
        no_exploration = env.no_exploration_return()
    return {
        "env": name,
        "summary": env.summary,
        "observation_space": str(env.single_observation_space),
        "instruction_space": str(env.instruction_space),
        "actions": list(env.action_names),
        "horizon": env.horizon,
        "splits": {split: len(env.problems.ids(split)) for split in SPLITS},
        "problems": env.problems.hash,
        "optimal_return": optimal,
        "no_exploration_return": no_exploration,
        "parameters": {p.name: p.default for p in parameters if p.name not in ("num_envs", "render_mode")},
    }


def methods(arguments: list[str]) -> int:
    """List the methods: what they are, how they explore, where they come from.

    Example: dream methods --json
    """
    given = _parse(ListArguments, arguments, "methods", methods)
    from dream.methods import METHODS

    found = [
        {"method": name, "summary": spec.summary, "explores": spec.explores, "paper": spec.paper}
        for name, spec in METHODS.items()
    ]
    if given.json:
        _print_json({"methods": found})
        return 0
    table = Table("method", "what it is", "explores", "from", title="Methods", show_lines=True)
    for method in found:
        table.add_row(*method.values())
    Console().print(table)
    return 0


@dataclass(frozen=True)
class DoctorArguments:
    """What `dream doctor` takes."""

    frames: Path | None = None
    """an .npz of MiniWorld's frames of sign: say how far ours are from them, and look at nothing else"""
    json: bool = False
    """print one JSON object"""


def doctor(arguments: list[str]) -> int:
    """Check this machine: versions, devices, video, what works and what to install. Exit code 0 if all needed works.

    Example: dream doctor --json
    """
    given = _parse(DoctorArguments, arguments, "doctor", doctor)
    if given.frames is not None:
        return _compare_frames(given.frames, given.json)
    from dream.doctor import examine

    checks = examine()
    healthy = all(check.status != "failed" for check in checks)
    if given.json:
        _print_json({"ok": healthy, "checks": [dataclasses.asdict(check) for check in checks]})
        return 0 if healthy else 1
    colours = {"ok": "green", "warning": "yellow", "failed": "red"}
    table = Table("", "what", "found", "what to do", title="dream doctor")
    for check in checks:
        table.add_row(f"[{colours[check.status]}]{check.status}", check.name, check.found, check.advice)
    Console().print(table)
    print("Everything needed works." if healthy else "Something needed does not work: see the lines marked failed.")
    return 0 if healthy else 1


def _compare_frames(path: Path, as_json: bool) -> int:
    from dream.envs.sign_check import compare_frames

    error = compare_frames(path).error
    found = {
        "frames": len(error),
        "mean_abs_error": float(error.mean()),
        "worst_frame_error": float(error.max()),
        "worst_frame": int(error.argmax()),
    }
    if as_json:
        _print_json(found)
    else:
        print(
            f"{found['frames']} frames: mean absolute error {found['mean_abs_error']:.3f} of 255, worst frame "
            f"{found['worst_frame_error']:.3f} (number {found['worst_frame']})."
        )
    return 0


# -- bench and demo ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class BenchArguments:
    """What `dream bench` takes."""

    env: tuple[str, ...] = ("bus", "map", "cooking")
    """families to measure"""
    methods: tuple[str, ...] = ("dream",)
    """methods to measure on each"""
    device: str = "cpu"
    """torch device"""
    seconds: float = 10.0
    """seconds of training measured for each family"""
    threads: int = 1
    """CPU threads"""
    json: bool = False
    """print one JSON object"""


def bench(arguments: list[str]) -> int:
    """Measure training steps per second with the split env / act / learn, and the speed of the environment alone.

    Example: dream bench --env bus --methods dream rl2 --seconds 20
    """
    given = _parse(BenchArguments, arguments, "bench", bench)
    if not (given.env and given.methods) or given.seconds <= 0 or given.threads < 1:
        raise UserError(
            "--env, --methods, --seconds and --threads take one family or more, one method or more, seconds above 0, "
            "1 thread or more"
        )
    for name in given.env:
        check_config(TrainConfig(env=name))
    from dream.bench import run as measure
    from dream.methods import find_method

    for name in given.methods:
        find_method(name)
    check_device(given.device)
    found = measure(list(given.env), given.device, given.seconds, given.threads, given.methods)
    if given.json:
        # With one family its numbers stand at the top level too, where a script looks first.
        _print_json({**(found[0] if len(found) == 1 else {}), "families": found})
        return 0
    print(f"On {given.device}, {found[0]['threads']} thread(s):")
    for speed in found:
        print(
            f"{speed['env']}: {speed['method']} trains at {speed['train_steps_per_s']:,.0f} env steps/s with a replay "
            f"ratio of {speed['replay_ratio']:.1f} (env {speed['env_share']:.1%}, act {speed['act_share']:.1%}, "
            f"learn {speed['learn_share']:.1%}; {speed['sequences_per_s']:,.0f} replayed sequences/s); "
            f"the env alone {speed['env_steps_per_s']:,.0f} steps/s"
        )
        if "miniworld_steps_per_s" in speed:
            real = speed["miniworld_steps_per_s"]
            times = (
                f"{real:,.0f}, {speed['env_speedup_over_miniworld']:.1f} times fewer" if real else "cannot be run here"
            )
            print(f"{speed['env']}: MiniWorld, on one core too: {times}")
    return 0


@dataclass(frozen=True)
class DemoArguments:
    """What `dream demo` takes."""

    run_dir: Path = Path("runs/demo")
    """where the run and the picture are written; a second call resumes the run, or shows it again"""
    steps: int | None = None
    """environment steps to train (default: enough to solve it)"""
    overwrite: bool = False
    """train again"""


def demo(arguments: list[str]) -> int:
    """Train a pair on the smallest family where exploring pays, and show that it does. Takes about five minutes.

    Example: dream demo --run-dir runs/demo
    """
    given = _parse(DemoArguments, arguments, "demo", demo)
    if given.steps is not None and given.steps < 1:
        raise UserError(f"--steps is {given.steps}: it must be at least 1")
    from dream.demo import main as show

    steps = {} if given.steps is None else {"steps": given.steps}
    show(given.run_dir, overwrite=given.overwrite, **steps)
    return 0


# -- explain -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ExplainArguments:
    """What `dream explain` takes."""

    runs: Positional[tuple[Path, ...]] = ()
    """run directories of one family, any methods and seeds"""
    out: Path | None = None
    """where tables and figures are written (default: runs/ENV/explain)"""
    trials: int = 500
    """test trials of each explorer, the same ones for all"""
    seed: int = 0
    """seed of the trials and of the classifiers"""
    updates: int | None = None
    """at most so many updates of each classifier (default: 600, on frames 1000)"""
    json: bool = False
    """print one JSON object"""


def explain(arguments: list[str]) -> int:
    """Why, not only who: every explorer with every executor, what a classifier tells from explorations, what was done.

    Random, none and the family's script explore beside the runs, and its expert executes. Takes about a minute for each
    run and core, a few on frames. Writes swap.csv, found.csv, behaviour.csv, visits.npz, explanation.md and figures.

    Example: dream explain runs/bus/dream/s* runs/bus/rnd/s* --out why
    """
    given = _parse(ExplainArguments, arguments, "explain", explain)
    if not given.runs:
        raise UserError("which runs? Write for example: dream explain runs/map/dream/s0 runs/map/random/s0")
    for name, value, least in (("trials", given.trials, 2), ("updates", given.updates, 1), ("seed", given.seed, 0)):
        if value is not None and value < least:
            raise UserError(f"--{name} is {value}: it must be at least {least}")

    from dream.checkpoints import disk_errors
    from dream.eval.explain import explain as explain_runs
    from dream.eval.explain import load_runs, write_explanation
    from dream.eval.explain_words import as_text, columns, sentences
    from dream.eval.probe import default_settings
    from dream.progress import ConsoleProgress

    loaded = load_runs(given.runs, given.trials)
    for sentence in loaded.skipped:
        print(f"dream: {sentence}", file=sys.stderr)
    settings = default_settings(loaded.env)
    if given.updates is not None:
        settings = dataclasses.replace(settings, updates=given.updates)
    out = given.out or Path("runs", loaded.family.replace(":", "-"), "explain")
    with disk_errors(out):  # now, not after an hour
        out.mkdir(parents=True, exist_ok=True)
    progress = ConsoleProgress()

    def tell(done: int, total: int, what: str) -> None:
        if done == 0:
            progress.start(total, "explain")
        progress.update(done, {})
        progress.note(what)

    try:
        found = explain_runs(loaded, given.trials, given.seed, settings, tell)
    finally:
        progress.close()
    files = write_explanation(found, out)
    names, lines = columns(found)
    if given.json:
        _print_json(
            {
                "env": found.family,
                "trials": found.trials,
                "explorers": [dict(zip(names, line, strict=True)) for line in lines],
                "sentences": sentences(found),
                "skipped": found.skipped,
                "files": [str(path) for path in files],
            }
        )
        return 0
    table = Table(title=f"Explorers on test problems of {found.family}, {found.trials} trials")
    for number, name in enumerate(names):
        table.add_column(name, justify="right" if number else "left", overflow="fold")
    for line in lines:
        table.add_row(*(Text(as_text(value)) for value in line))
    Console().print(table)
    for sentence in sentences(found):
        print(f"- {sentence}")
    print(f"Tables and figures are in {out}; docs/explain.md says how to read them.")
    return 0


# -- coupling ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CouplingArguments:
    """What `dream coupling` takes."""

    actions: tuple[int, ...] = (4, 8, 16, 32, 64)
    """numbers of actions, two or more"""
    problems: int = 4
    """problems, at most as many as actions"""
    runs: int = 100
    """runs of each learner and number of actions"""
    seed: int = 0
    """seed of all runs"""
    max_trials: int = 2_000_000
    """trials after which a run counts as unsolved"""
    epsilon: float = 1.0
    """share of actions drawn evenly while learning; 1 is the setting of the theory"""
    out: Path = Path("results/coupling")
    """directory for coupling.csv and coupling.svg, which are replaced"""
    json: bool = False
    """print one JSON object"""


def coupling(arguments: list[str]) -> int:
    """Measure how many trials end-to-end and decoupled learning need as actions grow in number: tables, no networks.

    Takes about a minute. Example: dream coupling --actions 4 8 16 32 --runs 50
    """
    given = _parse(CouplingArguments, arguments, "coupling", coupling)
    settings = {name: getattr(given, name) for name in ("actions", "problems", "runs", "seed", "max_trials", "epsilon")}
    from dream.eval.coupling_study import PARTS, check_study, expected_work, study, summary, to_csv

    check_study(**settings)
    try:
        given.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"{given.out} cannot be made ({error.strerror}): choose another directory with --out"
        ) from error
    from dream.eval.coupling_figure import draw
    from dream.progress import ConsoleProgress
    from dream.run import write_atomic

    progress = ConsoleProgress()
    progress.start(expected_work(given.actions, given.problems), "coupling")
    try:
        found = study(**settings, on_progress=lambda done: progress.update(done, {}))
    finally:
        progress.close()
    table_path, figure_path = given.out / "coupling.csv", given.out / "coupling.svg"
    write_atomic(table_path, to_csv(found, given.seed, given.epsilon))
    write_atomic(figure_path, draw(found, given.epsilon))
    result = summary(found)
    if given.json:
        _print_json({**result, "csv": str(table_path), "figure": str(figure_path)})
        return 0
    table = Table(title=f"Trials until solved, median of {given.runs} runs, {given.problems} problems")
    for heading in ("learner", "actions", *PARTS, "solved"):
        table.add_column(heading, justify="left" if heading == "learner" else "right")
    for learner, slopes in result["slopes"].items():
        for row in (row for row in result["rows"] if row["learner"] == learner):
            medians = [f"{row[part][1]:,.0f}" for part in PARTS]
            table.add_row(learner, str(row["actions"]), *medians, f"{row['solved']} of {row['runs']}")
        fitted = ["{value:.2f} [{low:.2f}, {high:.2f}]".format(**slopes[part]) for part in PARTS]
        table.add_row(learner, f"slope, theory {slopes['theory']}", *fitted, end_section=True)
    Console().print(table)
    if any(row["solved"] < row["runs"] for row in result["rows"]):
        print("Some runs were not solved: raise --max-trials; there is no slope where most of a row were not (nan).")
    print(f"{figure_path} shows it; every run is in {table_path}.")
    return 0


COMMANDS: Mapping[str, Callable[[list[str]], int]] = {
    "demo": demo,
    "train": train,
    "eval": evaluate,
    "watch": watch,
    "report": report,
    "compare": compare,
    "envs": envs,
    "methods": methods,
    "explain": explain,
    "coupling": coupling,
    "bench": bench,
    "doctor": doctor,
}


# -- arguments ---------------------------------------------------------------------------------------------------


def _parse(
    what: type[T],
    arguments: list[str],
    command: str,
    documented: Callable[..., int],
    default: Any = None,
    usage: str | None = None,
) -> T:
    """Let tyro fill in a dataclass. Raises UserError, one sentence, for what it does not take."""
    complaint = io.StringIO()
    extra: dict[str, Any] = {} if default is None else {"default": default}
    try:
        with contextlib.redirect_stderr(complaint) if _asks_nothing(arguments) else contextlib.nullcontext():
            return tyro.cli(
                what,
                args=arguments,
                prog=f"dream {usage or command}",
                description=inspect.cleandoc(documented.__doc__ or ""),
                config=(FlagCreatePairsOff,),
                registry=_REGISTRY,
                **extra,
            )
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        raise UserError(_one_sentence(complaint.getvalue(), command)) from None


def _asks_nothing(arguments: list[str]) -> bool:
    return not {"-h", "--help"} & set(arguments)


def _one_sentence(box: str, command: str) -> str:
    """Tyro's box of an error as one sentence: what was wrong, what is allowed, where to read more."""
    sections: list[list[str]] = [[]]
    for line in box.splitlines():
        text = line.strip(" │|")
        if line.startswith(("╭", "╰")) or not text:
            continue
        if set(text) <= {"─", "-"}:
            sections.append([])
        else:
            sections[-1].append(text)
    if not box.startswith("╭"):
        sections.pop(0)  # where there is no Unicode the title is a line of its own, not a part of the frame
    what = " ".join(sections[0]).rstrip(".")
    options = [text for section in sections[1:] for text in section if text.startswith("--")]
    value = re.match(r"Error parsing (\S+): .*: '?(.*?)'?$", what)
    if value and options:
        kinds = {"INT": "an integer", "FLOAT": "a number"}
        metavar = options[0].partition(" ")[2]
        what = f"{value[1]} takes {kinds.get(metavar, metavar)}, not {value[2]!r}"
        options = []
    suggestion = f" (did you mean {options[0].partition(' ')[0]}?)" if options else ""
    return f"{what}{suggestion}: see dream {command} --help"


_REGISTRY = ConstructorRegistry()


@_REGISTRY.primitive_rule
def _name_value_pairs(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Mapping[str, Any]] | None:
    """`--env-parameters grid_size=4 split=paper` for settings that are a Mapping[str, Any]."""
    if info.type != Mapping[str, Any]:
        return None

    def read(words: list[str]) -> Mapping[str, Any]:
        pairs: dict[str, Any] = {}
        for word in words:
            name, equals, text = word.partition("=")
            if not name.isidentifier() or not equals:
                raise ValueError(f"expected NAME=VALUE: {word!r}")
            try:
                pairs[name] = ast.literal_eval(text)
            except (ValueError, SyntaxError):
                pairs[name] = text
        return pairs

    return PrimitiveConstructorSpec(
        nargs="*",
        metavar="NAME=VALUE",
        instance_from_str=read,
        is_instance=lambda value: isinstance(value, Mapping),
        str_from_instance=lambda pairs: [f"{name}={value}" for name, value in pairs.items()],
    )


def _value_of(option: str, arguments: Sequence[str]) -> str | None:
    """Value of an option before the arguments are parsed, as others' defaults depend on it."""
    for position, word in enumerate(arguments):
        if word == option and position + 1 < len(arguments):
            return arguments[position + 1]
        if word.startswith(f"{option}="):
            return word.partition("=")[2]
    return None


def _choose(word: str, known: Iterable[str]) -> str:
    known = list(known)
    close = difflib.get_close_matches(word, known, n=1)
    return f"choose one of {', '.join(known)}" + (f" (did you mean {close[0]!r}?)" if close else "")


def _families() -> list[str]:
    from dream.envs import families

    return list(families())


# -- printing ----------------------------------------------------------------------------------------------------


def _print_json(content: Mapping[str, Any]) -> None:
    """One line, and valid JSON: a number that is not finite becomes null."""

    def finite(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {name: finite(item) for name, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [finite(item) for item in value]
        return None if isinstance(value, float) and not math.isfinite(value) else value

    print(json.dumps(finite(content)))


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3f}"
    return "-" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


@contextlib.contextmanager
def _plain_warnings() -> Iterator[None]:
    """Warnings as one line each, without the source line that raised them."""

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        print(f"dream: warning: {message}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield
