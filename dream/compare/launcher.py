"""Train the runs that are missing, several at a time, and evaluate all on the same trials.

Each run has a process of its own, so one that fails or is killed does not affect the others. A finished run is
not trained again; one that was stopped is resumed.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection, wait

from dream.compare.plan import PlannedRun
from dream.compare.progress import CompareProgress
from dream.compare.rows import is_evaluated, is_finished, refuse_other_settings
from dream.compare.worker import work
from dream.errors import Stopped, UserError
from dream.training.signals import stop_signals

_SAVING = 600.0  # seconds that stopped runs have to finish their round and save


def run_all(
    runs: Sequence[PlannedRun], trials: int, processes: int, progress: CompareProgress
) -> dict[PlannedRun, str]:
    """Train and evaluate, at most `processes` runs at a time. Runs that are finished and evaluated are left alone.

    Should this process be killed, its workers end by themselves within seconds.

    Args:
        runs: of `plan`.
        trials: of each evaluation.
        processes: runs side by side, each with `config.threads` threads.
        progress: shows the runs.

    Returns:
        The runs that failed or are damaged, and why.

    Raises:
        UserError: a run directory holds a run of other settings; nothing has been trained.
        Stopped: Ctrl-C, SIGTERM or SIGUSR1. Every run has finished its round and saved, unless there was a second.
    """
    refuse_other_settings(runs)
    waiting, failed = [], {}
    for run in runs:
        try:
            if not (is_finished(run) and is_evaluated(run, trials)):
                waiting.append(run)
        except UserError as error:
            failed[run] = str(error)
    progress.begin(runs, [run for run in runs if run not in waiting and run not in failed])
    for run, why in failed.items():
        progress.ended(run, why)
    running: dict[Connection, _Worker] = {}
    until = float("inf")
    try:
        with stop_signals() as stop:
            while waiting or running:
                if stop and until == float("inf"):
                    progress.note("stopping: every run saves after its current round")
                    until = time.monotonic() + _SAVING
                    waiting.clear()
                    for worker in running.values():
                        worker.stop()
                if time.monotonic() > until:
                    break
                while waiting and len(running) < processes:
                    started = _Worker(waiting.pop(0), trials)
                    running[started.messages] = started
                    progress.started(started.run)
                for ready in wait(list(running), timeout=0.5):
                    assert isinstance(ready, Connection)
                    worker = running[ready]
                    if worker.take(progress):
                        del running[ready]
                        worker.close()
                        if worker.failure is not None:
                            failed[worker.run] = worker.failure
                        if not (stop and worker.failure):
                            progress.ended(worker.run, worker.failure)
                progress.tick()
            if stop:
                raise Stopped(stop.signal, saved=not running)
    finally:
        for worker in running.values():
            worker.close()
        progress.close()
    return failed


class _Worker:
    """A process that trains and evaluates one run, and what it has reported."""

    def __init__(self, run: PlannedRun, trials: int) -> None:
        self.run = run
        self.failure: str | None = "its process ended without a report"
        self._ended = self._listens = self._stopping = False
        context = multiprocessing.get_context("spawn")
        self.messages, theirs = context.Pipe(duplex=False)
        self._process = context.Process(target=work, args=(run, trials, theirs, os.getpid()), daemon=True)
        # Ctrl-C while the process starts is not for it; `work` restores the handler.
        main = threading.current_thread() is threading.main_thread()
        before = signal.signal(signal.SIGINT, signal.SIG_IGN) if main else None
        try:
            self._process.start()
        finally:
            if before is not None:
                signal.signal(signal.SIGINT, before)
        theirs.close()

    def take(self, progress: CompareProgress) -> bool:
        """Take one message. Returns whether the process has ended."""
        try:
            kind, content = self.messages.recv()
        except (EOFError, OSError):
            self._process.join()
            if not self._ended and (code := self._process.exitcode):
                killed = " (killed; out of memory?)" if code == -getattr(signal, "SIGKILL", 9) else ""
                self.failure = f"its process ended with code {code}{killed}"
            return True
        if kind == "listening":
            self._listens = True
            if self._stopping:
                self._interrupt()
        elif kind == "step":
            progress.stepped(self.run, *content)
        elif kind == "note":
            progress.note(f"{self.run}: {content}")
        elif kind == "end":
            self._ended, self.failure = True, content
        return False

    def stop(self) -> None:
        """Have the run save and end, as soon as its process listens to signals."""
        self._stopping = True
        if self._listens:
            self._interrupt()

    def _interrupt(self) -> None:
        if self._process.pid is not None and self._process.is_alive():
            os.kill(self._process.pid, signal.SIGINT)

    def close(self) -> None:
        """End the process at once, if it has not ended. What it wrote is whole: files are replaced atomically."""
        if self._process.is_alive():
            self._process.kill()
        self._process.join()
        self.messages.close()
