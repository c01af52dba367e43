"""Signals that ask a run to save and end: Ctrl-C, and what a cluster sends before it ends a job."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

from dream.errors import STOP_SIGNALS, Stopped

_SAME_REQUEST = 1.0  # seconds: `timeout` and some schedulers send the same signal twice at once


class StopRequest:
    """Whether a signal asked to stop, and which one came first."""

    def __init__(self) -> None:
        self.signal = 0
        self._received: dict[int, float] = {}

    def __bool__(self) -> bool:
        return self.signal != 0

    def receive(self, number: int) -> None:
        """Record a signal. Raises Stopped, with nothing saved, if the same signal came before.

        A second SIGTERM or SIGUSR1 within a second is the same request.
        """
        now = time.monotonic()
        first = self._received.get(number)
        if first is None:
            self._received[number] = now
            self.signal = self.signal or number
        elif number == signal.SIGINT or now - first > _SAME_REQUEST:
            raise Stopped(number, saved=False)


@contextlib.contextmanager
def stop_signals() -> Iterator[StopRequest]:
    """While in this context, signals set the request instead of ending the process; the second one ends it at once.

    The round in progress is finished first, so that a checkpoint is a state that the uninterrupted run passes through
    as well. Outside the main thread, which alone receives signals, the request is never set.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    def handle(number: int, frame: Any) -> None:
        request.receive(number)

    before = {number: signal.signal(number, handle) for number in STOP_SIGNALS}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
