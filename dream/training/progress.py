"""Live progress of a training run: a bar in a terminal, a line now and then in a log file, or nothing at all."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

_WINDOW = 30.0  # seconds over which the speed is measured: it jumps less than the updates do


class Progress(Protocol):
    """What the training loop reports."""

    def start(self, total_steps: int, label: str, step: int = 0) -> None:
        """Begin, at `step` where a run is resumed."""

    def update(self, step: int, metrics: Mapping[str, float]) -> None:
        """`step` environment steps are done. Metrics stay shown until they come again, in the order they first came."""

    def note(self, text: str) -> None:
        """Show a line that stays readable, such as the step at which a run was resumed."""

    def close(self) -> None:
        """End, whether finished or not. Does nothing a second time."""


class SilentProgress:
    """Shows nothing: for tests, and for training from Python."""

    def start(self, total_steps: int, label: str, step: int = 0) -> None:
        """Nothing."""

    def update(self, step: int, metrics: Mapping[str, float]) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class ConsoleProgress:
    """A live bar where the console is a terminal, a plain line every `every` seconds where it is not.

    Args:
        console: where to; standard error by default, so that standard output holds results only.
        every: seconds between plain lines.
        clock: seconds, monotonic.
    """

    def __init__(
        self, console: Console | None = None, every: float = 10.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.console = console or Console(stderr=True)
        self._every, self._clock = every, clock
        self._live: Live | None = None
        self._running = False

    def start(self, total_steps: int, label: str, step: int = 0) -> None:
        """Show the bar, or the first line."""
        self._total, self._label, self._step = total_steps, label, step
        self._metrics: dict[str, float] = {}
        self._history = deque([(self._clock(), step)])
        self._next_line = self._clock() + self._every
        self._running = True
        if self.console.is_terminal:
            self._live = Live(get_renderable=self._bar, console=self.console, refresh_per_second=2)
            self._live.start()
        else:
            self.console.print(Text(f"{label}: {step:,} of {total_steps:,} steps"), soft_wrap=True)

    def update(self, step: int, metrics: Mapping[str, float]) -> None:
        """Store the values; the display refreshes by itself."""
        now = self._clock()
        self._step = step
        self._metrics.update(metrics)
        self._history.append((now, step))
        while len(self._history) > 2 and self._history[1][0] < now - _WINDOW:
            self._history.popleft()
        if self._live is None and now >= self._next_line:
            self._print_line()

    def note(self, text: str) -> None:
        """Print above the bar."""
        self.console.print(Text(text), soft_wrap=True)

    def close(self) -> None:
        """Leave the last state on the screen."""
        if not self._running:
            return
        self._running = False
        if self._live is not None:
            self._live.stop()
            self._live = None
        else:
            self._print_line()

    def _speed(self) -> float | None:
        """Steps per second over the window, None before there is one."""
        (first, step), (last, _) = self._history[0], self._history[-1]
        return (self._step - step) / (last - first) if last > first and self._step > step else None

    def _facts(self) -> list[str]:
        speed = self._speed()
        left = max(self._total - self._step, 0)  # the last round of trials may run past the total
        eta = "0:00:00" if not left else "?" if speed is None else str(timedelta(seconds=round(left / speed)))
        share = 1.0 - left / self._total if self._total else 1.0
        return [
            f"{self._step:,}/{self._total:,} steps",
            f"{share:.0%}",
            "? steps/s" if speed is None else f"{speed:,.0f} steps/s",
            f"ETA {eta}",
        ]

    def _scores(self) -> str:
        return "  ".join(f"{name} {value:.3g}" for name, value in self._metrics.items())

    def _print_line(self) -> None:
        self._next_line = self._clock() + self._every
        line = "  ".join([f"{self._label}:", *self._facts(), self._scores()]).rstrip()
        self.console.print(Text(line), soft_wrap=True)

    def _bar(self) -> RenderableType:
        row = Table.grid(padding=(0, 2))
        row.add_row(
            Text(self._label, style="bold"),
            ProgressBar(total=max(self._total, 1), completed=min(self._step, self._total), width=30),
            *map(Text, self._facts()),
        )
        return Group(row, Text(self._scores(), style="cyan"))


@contextlib.contextmanager
def pieces_of_work(label: str, console: Console | None = None) -> Iterator[Callable[[int, int, str], None]]:
    """Progress of work that is counted in pieces: a bar in a terminal, else a line for each piece.

    Args:
        label: the work.
        console: where to; standard error by default.

    Yields:
        A function of how many pieces are done, how many there are, and what is done next ("" to leave it out).
    """
    console = console or Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:.0f}%"))
    columns_behind = (TextColumn("ETA"), TimeRemainingColumn(), TextColumn("{task.fields[what]}"))
    begin, last = time.monotonic(), (-1, "")
    with Bars(*columns, *columns_behind, console=console, disable=not console.is_terminal) as bars:
        task = bars.add_task(escape(label), total=1, what="")

        def tell(done: int, total: int, what: str) -> None:
            nonlocal last
            bars.update(task, completed=done, total=total, what=escape(what))
            if not console.is_terminal and (done, what) != last:
                eta = timedelta(seconds=round((time.monotonic() - begin) * (total - done) / done)) if done else "?"
                line = f"{label}: {done / total:.0%} done, ETA {eta}{', now ' if what else ''}{what}"
                console.print(Text(line), soft_wrap=True)
            last = done, what

        yield tell
