"""`dream explain`: what explorers do and find out."""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from dream.cli.arguments import Seed, parse
from dream.cli.printing import print_json
from dream.cli.tables import print_table
from dream.config import Range
from dream.errors import UserError


@dataclass(frozen=True)
class ExplainArguments:
    """Arguments of `dream explain`."""

    runs: Annotated[Positional[tuple[Path, ...]], arg(metavar="RUN ...")] = ()
    """run directories of one family, any methods and seeds"""
    out: Path | None = None
    """directory of the tables and figures (default: runs/ENV/explain)"""
    trials: Annotated[int, Range(2, 1_000_000)] = 500
    """test trials of each explorer, the same for all"""
    seed: Seed = 0
    """seed of the trials and of the classifiers"""
    updates: Annotated[int | None, Range(1, 1_000_000)] = None
    """maximum number of updates of each classifier (default: 600, on frames 1000)"""
    json: bool = False
    """print one JSON object"""


def command(arguments: list[str]) -> int:
    """Explain scores: every explorer with every executor, problems decoded from explorations, behaviour.

    Baselines: random exploration, no exploration and the family's scripted explorer, and its expert executor. Takes
    about a minute per run and core, several on frames. Writes swap.csv, found.csv, behaviour.csv, visits.npz,
    explanation.md and figures.

    Example: dream explain runs/bus/dream/s* runs/bus/rnd/s* --out why
    """
    given = parse(ExplainArguments, arguments, "explain", command)
    if not given.runs:
        raise UserError("no runs given: write for example dream explain runs/map/dream/s0 runs/map/random/s0")

    from dream.eval.explain.analysis import explain as explain_runs
    from dream.eval.explain.files import write_explanation
    from dream.eval.explain.loading import load_runs
    from dream.eval.explain.probe import default_settings
    from dream.eval.explain.words import as_text, columns, sentences
    from dream.storage.atomic import disk_errors
    from dream.training.progress import pieces_of_work

    loaded = load_runs(given.runs, given.trials)
    for sentence in loaded.skipped:
        print(f"dream: {sentence}", file=sys.stderr)
    settings = default_settings(loaded.env)
    if given.updates is not None:
        settings = dataclasses.replace(settings, updates=given.updates)
    out = given.out or Path("runs", loaded.family.replace(":", "-"), "explain")
    with disk_errors(out):  # now, not after an hour
        out.mkdir(parents=True, exist_ok=True)
    with pieces_of_work("explain") as tell:
        found = explain_runs(loaded, given.trials, given.seed, settings, tell)
    files = write_explanation(found, out)
    names, lines = columns(found)
    if given.json:
        print_json(
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
    title = f"Explorers on test problems of {found.family}, {found.trials} trials"
    print_table(names, [[as_text(value) for value in line] for line in lines], title=title)
    for sentence in sentences(found):
        print(f"- {sentence}")
    print(f"Tables and figures: {out}. How to read them: docs/explain.md")
    return 0
