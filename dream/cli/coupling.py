"""`dream coupling`: end-to-end against decoupled learning in tabular problems."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from dream.cli.arguments import Seed, parse
from dream.cli.printing import print_json
from dream.cli.tables import print_table
from dream.config import Range
from dream.errors import UserError


@dataclass(frozen=True)
class CouplingArguments:
    """Arguments of `dream coupling`."""

    actions: Annotated[tuple[int, ...], Range(2, 100_000)] = (4, 8, 16, 32, 64)
    """numbers of actions, at least two"""
    problems: Annotated[int, Range(1, 10_000)] = 4
    """number of problems, at most the smallest number of actions"""
    runs: Annotated[int, Range(1, 100_000)] = 100
    """runs for each learner and number of actions"""
    seed: Seed = 0
    """random seed"""
    max_trials: Annotated[int, Range(1, 10**12)] = 2_000_000
    """trials after which a run counts as unsolved"""
    epsilon: Annotated[float, Range(0, 1, above=True)] = 1.0
    """share of uniformly random actions during learning; the theory assumes 1"""
    out: Path = Path("results/coupling")
    """directory of coupling.csv and coupling.svg, which are overwritten"""
    json: bool = False
    """print one JSON object"""


def command(arguments: list[str]) -> int:
    """Measure how the trials that end-to-end and decoupled learning need grow with the number of actions.

    Tabular learners, no networks. Takes about a minute.

    Example: dream coupling --actions 4 8 16 32 --runs 50
    """
    given = parse(CouplingArguments, arguments, "coupling", command)
    settings = {name: getattr(given, name) for name in ("actions", "problems", "runs", "seed", "max_trials", "epsilon")}
    from dream.eval.coupling.study import PARTS, check_study, expected_work, study, summary, to_csv

    check_study(**settings)
    try:
        given.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"{given.out} cannot be created ({error.strerror}): choose another directory with --out"
        ) from error
    from dream.eval.coupling.figure import draw
    from dream.storage.atomic import write_atomic
    from dream.training.progress import pieces_of_work

    work = expected_work(given.actions, given.problems)
    with pieces_of_work("coupling") as tell:
        found = study(**settings, on_progress=lambda done: tell(20 * done // work, 20, ""))
    table_path, figure_path = given.out / "coupling.csv", given.out / "coupling.svg"
    write_atomic(table_path, to_csv(found, given.seed, given.epsilon))
    write_atomic(figure_path, draw(found, given.epsilon))
    result = summary(found)
    if given.json:
        print_json({**result, "csv": str(table_path), "figure": str(figure_path)})
        return 0
    rows, ruled = [], []
    for learner, slopes in result["slopes"].items():
        for row in (row for row in result["rows"] if row["learner"] == learner):
            medians = [f"{row[part][1]:,.0f}" for part in PARTS]
            rows.append([learner, str(row["actions"]), *medians, f"{row['solved']} of {row['runs']}"])
        fitted = ["{value:.2f} [{low:.2f}, {high:.2f}]".format(**slopes[part]) for part in PARTS]
        rows.append([learner, f"slope, theory {slopes['theory']}", *fitted, ""])
        ruled.append(len(rows) - 1)
    title = f"Trials until solved, median of {given.runs} runs, {given.problems} problems"
    print_table(("learner", "actions", *PARTS, "solved"), rows, title=title, ruled=ruled)
    if any(row["solved"] < row["runs"] for row in result["rows"]):
        print("Some runs were not solved: raise --max-trials. Without most runs of a row there is no slope (nan).")
    print(f"Figure: {figure_path}. Every run: {table_path}.")
    return 0
