"""`dream report`: one HTML page about runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from dream.cli.arguments import Seed, parse
from dream.cli.printing import print_json
from dream.config import Range
from dream.errors import UserError


@dataclass(frozen=True)
class ReportArguments:
    """Arguments of `dream report`."""

    runs: Annotated[Positional[tuple[Path, ...]], arg(metavar="[RUN ...]")] = ()
    """run directories, or directories that contain runs, such as runs/bus"""
    pretrained: Annotated[str | None, arg(metavar="FAMILY")] = None
    """instead of runs: the pretrained pair for this family, part of the package"""
    out: Annotated[Path | None, arg(aliases=["-o"])] = None
    """HTML file to write (default: report.html in the given directory, ./report.html for several, ./report-FAMILY.html
    for a pretrained pair)"""
    trials: Annotated[int | None, Range(1, 1000)] = None
    """trials of each method to step through (default: 3 to 12, fewer for many methods)"""
    seed: Seed = 0
    """seed of these trials"""
    json: bool = False
    """print one JSON object"""


def command(arguments: list[str]) -> int:
    """Write one HTML file about runs: trials to step through, scores, learning curves, maps of where explorers went.

    It works offline. Scores are those in the eval.csv of the runs; a run without one is evaluated on 500 trials. Of
    several seeds of a method the one with the median score is played. Damaged runs are listed.

    Example: dream report runs/bus --out bus.html

    Or: dream report runs/sign/dream/s0

    Or: dream report --pretrained sign
    """
    given = parse(ReportArguments, arguments, "report", command)
    if bool(given.runs) == (given.pretrained is not None):
        raise UserError("give either runs or --pretrained FAMILY, for example: dream report runs/bus")
    if given.out is not None and given.out.suffix not in (".html", ".htm"):
        raise UserError(f"--out {given.out} is not the name of an HTML file: give a name that ends in .html")

    from dream.eval.pretrained import pretrained
    from dream.eval.report.build import write_report
    from dream.training.progress import pieces_of_work

    paths = given.runs or (pretrained(given.pretrained or ""),)
    out = given.out
    if out is None and given.runs:
        out = given.runs[0] / "report.html" if len(given.runs) == 1 else Path("report.html")
    out = out or Path(f"report-{given.pretrained}.html")
    with pieces_of_work("report") as tell:
        page = write_report(paths, out, seed=given.seed, trials=given.trials, tell=tell)
    if given.json:
        print_json({"file": str(out), "title": page.title, "summary": page.summary, "missing": page.missing})
        return 0
    for sentence in page.missing:
        print(f"Missing: {sentence}.")
    print(f"{out}: {page.title}, {out.stat().st_size / 1e6:.1f} MB. Open it in a browser.")
    return 0
