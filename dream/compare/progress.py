"""Live progress of a comparison: a table with a row for each method in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from dream.compare.plan import PlannedRun


@dataclass
class _State:
    """The progress of one run."""

    total: int
    what: str = "waiting"  # then "running", then "done" or "failed"
    step: int = 0
    score: float | None = None
    first: tuple[float, int] | None = None
    """Clock and step at its first report in this call: a resumed run begins above 0."""


class CompareProgress:
    """Shows the runs of a comparison, family and method by family and method.

    Args:
        console: where to; standard error by default, so that standard output holds results only.
        every: seconds between plain lines where the console is no terminal.
        clock: seconds, monotonic.
    """

    def __init__(
        self, console: Console | None = None, every: float = 30.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.console = console or Console(stderr=True)
        self._every, self._clock = every, clock
        self._live: Live | None = None
        self._states: dict[PlannedRun, _State] = {}

    def begin(self, runs: Sequence[PlannedRun], done: Sequence[PlannedRun]) -> None:
        """Show all runs; those of `done` are finished and evaluated."""
        self._states = {run: _State(run.config.steps, "done" if run in done else "waiting") for run in runs}
        self._next = self._clock() + self._every
        self._say(f"{len(runs)} runs, {len(done)} of them finished and evaluated before")
        if self.console.is_terminal:
            self._live = Live(get_renderable=self.table, console=self.console, refresh_per_second=2)
            self._live.start()

    def started(self, run: PlannedRun) -> None:
        """A run begins, or is resumed."""
        self._states[run].what = "running"

    def stepped(self, run: PlannedRun, step: int, score: float | None) -> None:
        """A run is at `step`; `score` is that of a new validation, or None."""
        state = self._states[run]
        state.step = step
        if score is not None:
            state.score = score
        if state.first is None:
            state.first = (self._clock(), step)

    def ended(self, run: PlannedRun, failure: str | None) -> None:
        """A run is trained and evaluated, or has failed."""
        state = self._states[run]
        state.what = "done" if failure is None else "failed"
        if failure is None:
            state.step = max(state.step, state.total)
        ended = sum(state.what in ("done", "failed") for state in self._states.values())
        self._say(f"{ended}/{len(self._states)} {run}: {'done' if failure is None else f'FAILED: {failure}'}")

    def note(self, text: str) -> None:
        """Print above the table."""
        self.console.print(Text(text), soft_wrap=True)

    def tick(self) -> None:
        """Without a table: a line for each running run every `every` seconds."""
        if self._live is None and self._clock() >= self._next:
            self._next = self._clock() + self._every
            for run, state in self._states.items():
                if state.what == "running":
                    score = "" if state.score is None else f"  validation {state.score:.3g}"
                    share = f"{state.step:,}/{state.total:,} steps  {state.step / state.total:.0%}"
                    self._say(f"{run}: {share}{score}  ETA {_duration(self._seconds_left(state))}")

    def close(self) -> None:
        """Leave the last state on the screen."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def table(self) -> RenderableType:
        """The table as it is now: a row for each method of each family, and the time left for all."""
        table = Table("family", "method", *_KINDS, "step", "validation", "ETA of running")
        for env, label in dict.fromkeys((run.config.env, run.label) for run in self._states):
            mine = [state for run, state in self._states.items() if (run.config.env, run.label) == (env, label)]
            running = [state for state in mine if state.what == "running"]
            counts = [str(sum(state.what == what for state in mine)) for what in _KINDS]
            scores = [state.score for state in mine if state.score is not None]
            lefts = [self._seconds_left(state) for state in running]
            left = None if None in lefts else max((seconds for seconds in lefts if seconds is not None), default=0.0)
            table.add_row(
                *map(Text, (env, label, *counts)),
                Text(" ".join(f"{state.step / state.total:.0%}" for state in running)),
                Text(" ".join(f"{score:.2f}" for score in scores)),
                Text(_duration(left) if running else ""),
            )
        return Group(table, Text(f"all: ETA {_duration(self._all_left())}", style="cyan"))

    def _seconds_left(self, state: _State) -> float | None:
        """Of one running run, by its speed in this call; None before it has one."""
        speed = self._speed(state)
        return None if speed is None else max(state.total - state.step, 0) / speed

    def _speed(self, state: _State) -> float | None:
        """Steps per second of one run."""
        if state.first is None or state.step <= state.first[1] or self._clock() <= state.first[0]:
            return None
        return (state.step - state.first[1]) / (self._clock() - state.first[0])

    def _all_left(self) -> float | None:
        """Seconds until all have ended, if every run were as fast as those running now; None before one has a speed."""
        left = sum(max(s.total - s.step, 0) for s in self._states.values() if s.what in ("running", "waiting"))
        speeds = [speed for s in self._states.values() if s.what == "running" and (speed := self._speed(s))]
        return 0.0 if not left else left / sum(speeds) if speeds else None

    def _say(self, text: str) -> None:
        self.console.print(Text(text), soft_wrap=True)


_KINDS = ("done", "running", "waiting", "failed")


def _duration(seconds: float | None) -> str:
    return "?" if seconds is None else str(timedelta(seconds=round(seconds)))
