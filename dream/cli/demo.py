"""`dream demo`: a first result in a few minutes."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from dream.cli.arguments import parse
from dream.config.ranges import Range
from dream.config.settings import MOST_STEPS
from dream.errors import Stopped


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
    """Train a pair on the smallest family where exploring pays, and show that it does.

    Training stops when the task is solved: after about three minutes on a slow core.

    Example: dream demo --run-dir runs/demo
    """
    given = parse(DemoArguments, arguments, "demo", command)
    from dream.tools.demo import main as show

    steps = {} if given.steps is None else {"steps": given.steps}
    try:
        show(given.run_dir, overwrite=given.overwrite, **steps)
    except Stopped as stop:
        saved = "A checkpoint is saved" if stop.saved else "The training after the last checkpoint is lost"
        print(f"Stopped. {saved}; the same command without --overwrite continues.", file=sys.stderr)
        return stop.exit_code
    return 0
