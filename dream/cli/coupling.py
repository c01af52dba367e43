"""`dream coupling`: end-to-end against decoupled learning, in tables."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from rich.console import Console
from rich.table import Table

from dream.cli.arguments import Seed, parse
from dream.cli.printing import print_json
from dream.config import Range
from dream.errors import UserError


@dataclass(frozen=True)
class CouplingArguments:
    """What `dream coupling` takes."""

    actions: Annotated[tuple[int, ...], Range(2, 100_000)] = (4, 8, 16, 32, 64)
    """numbers of actions, two or more"""
    problems: Annotated[int, Range(1, 10_000)] = 4
    """problems, at most as many as actions"""
    runs: Annotated[int, Range(1, 100_000)] = 100
    """runs of each learner and number of actions"""
    seed: Seed = 0
    """seed of all runs"""
    max_trials: Annotated[int, Range(1, 10**12)] = 2_000_000
    """trials after which a run counts as unsolved"""
    epsilon: Annotated[float, Range(0, 1, above=True)] = 1.0
    """share of actions drawn evenly while learning; 1 is the setting of the theory"""
    out: Path = Path("results/coupling")
    """directory for coupling.csv and coupling.svg, which are replaced"""
    json: bool = False
    """print one JSON object"""


def command(arguments: list[str]) -> int:
    """Measure how many trials end-to-end and decoupled learning need as actions grow in number: tables, no networks.

    Takes about a minute. Example: dream coupling --actions 4 8 16 32 --runs 50
    """
    given = parse(CouplingArguments, arguments, "coupling", command)
    settings = {name: getattr(given, name) for name in ("actions", "problems", "runs", "seed", "max_trials", "epsilon")}
    from dream.eval.coupling.study import PARTS, check_study, expected_work, study, summary, to_csv

    check_study(**settings)
    try:
        given.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"{given.out} cannot be made ({error.strerror}): choose another directory with --out"
        ) from error
    from dream.eval.coupling.figure import draw
    from dream.storage.atomic import write_atomic
    from dream.training.progress import ConsoleProgress

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
        print_json({**result, "csv": str(table_path), "figure": str(figure_path)})
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
