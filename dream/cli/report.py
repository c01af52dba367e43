"""`dream report`: one page to look at runs."""

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
    """What `dream report` takes."""

    runs: Positional[tuple[Path, ...]] = ()
    """run directories, or directories with runs below them, such as runs/bus"""
    pretrained: str | None = None
    """instead of runs: the trained pair for this family that comes with the package"""
    out: Annotated[Path | None, arg(aliases=["-o"])] = None
    """the HTML file; default: report.html in the directory given, ./report.html for several, ./report-FAMILY.html for a
    pretrained pair"""
    trials: Annotated[int | None, Range(1, 1000)] = None
    """trials to step through of each method; default: 3 to 12, fewer of many methods"""
    seed: Seed = 0
    """seed of problems, starts and instructions of these trials"""
    json: bool = False
    """print one JSON object"""


def command(arguments: list[str]) -> int:
    """Make one HTML file of runs: scores, curves, trials to step through, where explorers went, who fits with whom.

    It opens without a network. Scores are those that dream compare or dream eval --csv left in the runs; a run without
    is evaluated on 500 trials. Of several seeds of a method the one with the median score is played. Runs that are
    damaged are named in it.

    Example: dream report runs/bus --out bus.html
    Or: dream report runs/sign/dream/s0
    Or: dream report --pretrained sign
    """
    given = parse(ReportArguments, arguments, "report", command)
    if bool(given.runs) == (given.pretrained is not None):
        raise UserError("give either runs or --pretrained FAMILY, for example: dream report runs/bus")
    if given.out is not None and given.out.suffix not in (".html", ".htm"):
        raise UserError(f"--out {given.out} is no HTML file: give a name that ends in .html")

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
