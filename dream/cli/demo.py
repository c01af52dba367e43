"""`dream demo`: a first result in a few minutes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from dream.cli.arguments import parse
from dream.config.ranges import Range
from dream.config.settings import MOST_STEPS


@dataclass(frozen=True)
class DemoArguments:
    """Arguments of `dream demo`."""

    run_dir: Path = Path("runs/demo")
    """directory of the run and the picture; a second call resumes the run, or shows its result again"""
    steps: Annotated[int | None, Range(1, MOST_STEPS)] = None
    """environment steps to train (default: enough to solve it)"""
    overwrite: bool = False
    """train again"""


def command(arguments: list[str]) -> int:
    """Train a pair on the smallest family where exploring pays, and show that it does. Takes about five minutes.

    Example: dream demo --run-dir runs/demo
    """
    given = parse(DemoArguments, arguments, "demo", command)
    from dream.tools.demo import main as show

    steps = {} if given.steps is None else {"steps": given.steps}
    show(given.run_dir, overwrite=given.overwrite, **steps)
    return 0
