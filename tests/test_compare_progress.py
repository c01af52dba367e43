"""Progress shown while a comparison runs."""

import dataclasses
import io
from pathlib import Path

from rich.console import Console

from dream.compare.plan import PlannedRun, plan
from dream.compare.progress import CompareProgress
from dream.methods.labels import parse_labels


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def jobs() -> list[PlannedRun]:
    return plan(parse_labels(["dream", "none"]), ["map"], [0, 1], Path("runs"), changes={"steps": 1000})


def test_plain_lines_where_there_is_no_terminal():
    out, clock, (dream, none, dream1, none1) = io.StringIO(), Clock(), jobs()
    progress = CompareProgress(Console(file=out, width=40), every=30, clock=clock)
    progress.begin([dream, none, dream1, none1], [none])
    progress.started(dream)
    progress.stepped(dream, 100, None)  # resumed at 100
    clock.now = 29.0
    progress.tick()
    progress.stepped(dream, 400, 0.25)
    clock.now = 30.0
    progress.tick()
    progress.ended(dream, None)
    progress.ended(dream1, "no space")
    progress.close()
    assert out.getvalue().splitlines() == [
        "4 runs, 1 of them finished and evaluated before",
        "dream on map, seed 0: 400/1,000 steps  40%  validation 0.25  ETA 0:01:00",  # 300 steps in 30 s, 600 left
        "2/4 dream on map, seed 0: done",
        "3/4 dream on map, seed 1: FAILED: no space",
    ]


def test_the_table_has_a_row_a_method():
    clock, (dream, none, dream1, none1) = Clock(), jobs()
    progress = CompareProgress(Console(file=io.StringIO()), clock=clock)
    progress.begin([dream, none, dream1, none1], [none])
    progress.started(dream)
    progress.stepped(dream, 0, None)
    clock.now = 10.0
    progress.stepped(dream, 250, 0.5)
    shown = io.StringIO()
    Console(file=shown, width=120).print(progress.table())
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in shown.getvalue().splitlines() if "│" in line]
    # done, running, waiting, failed; 25 steps a second, 750 left
    assert rows == [
        ["map", "dream", "0", "1", "1", "0", "25%", "0.50", "0:00:30"],
        ["map", "none", "1", "0", "1", "0", "", "", ""],
    ]
    assert "all: ETA 0:01:50" in shown.getvalue()  # 750 + 1000 + 1000 steps at 25 a second


def test_runs_that_end_in_this_call_count_as_done():
    (dream, *_), clock = jobs(), Clock()
    progress = CompareProgress(Console(file=io.StringIO()), clock=clock)
    job = dataclasses.replace(dream)
    progress.begin([job], [])
    progress.started(job)
    progress.ended(job, None)
    shown = io.StringIO()
    Console(file=shown, width=120).print(progress.table())
    assert "all: ETA 0:00:00" in shown.getvalue()
