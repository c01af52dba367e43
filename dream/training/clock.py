"""Seconds of wall-clock time spent on each part of a run."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any


class Clock:
    """Adds up the seconds of each part: acting, learning, evaluating.

    Args:
        wait: called before each reading of the clock, such as `torch.cuda.synchronize`; training does not wait.
    """

    def __init__(self, wait: Callable[[], object] | None = None) -> None:
        self.seconds: dict[str, float] = {}
        """Part -> seconds; the parts of a resumed run that came before are the part `before`."""
        self._wait = wait or (lambda: None)

    @contextlib.contextmanager
    def measure(self, part: str) -> Iterator[None]:
        """Add the seconds spent in this context to a part."""
        begin = time.perf_counter()
        yield
        self._wait()
        self.seconds[part] = self.seconds.get(part, 0.0) + time.perf_counter() - begin

    def total(self) -> float:
        """Seconds of all parts."""
        return sum(self.seconds.values())

    def report(self, step: int) -> dict[str, Any]:
        """`time/*` metrics for timing.jsonl: seconds of each part and in total, and environment steps per second."""
        report = {f"time/{part}_seconds": seconds for part, seconds in self.seconds.items()}
        return report | {"time/seconds": self.total(), "time/sps": step / max(self.total(), 1e-9)}
