"""The process that trains and evaluates one run of a comparison, and reports its progress to the command."""

from __future__ import annotations

import os
import signal
import threading
import time
import traceback
import warnings
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import Any

from dream.compare.plan import PlannedRun
from dream.compare.rows import evaluate, is_finished
from dream.errors import UserError
from dream.training.loop import train


def work(run: PlannedRun, trials: int, messages: Connection, parent: int) -> None:
    """Train a run, unless it is finished, and evaluate it.

    Sends ("listening", None) when it can be stopped by SIGINT, ("step", (step, score or None)) while training,
    ("note", text), and last ("end", failure or None).

    Args:
        run: the run.
        trials: of each evaluation.
        messages: where to.
        parent: process id of the command; this process ends when that one does.
    """
    if hasattr(os, "setpgid"):
        os.setpgid(0, 0)  # Ctrl-C at the terminal reaches the command only, which then signals each worker once
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _end_with(parent)
    warnings.showwarning = lambda message, *_, **__: _send(messages, "note", f"warning: {message}")
    failure: str | None = None
    try:
        _send(messages, "listening", None)
        if not is_finished(run):
            train(run.config, run.run_dir, progress=_Reporter(messages))
        evaluate(run, trials)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the command may send its signal after one from elsewhere
        failure = "stopped"
    except UserError as error:
        failure = str(error)
    except Exception as error:
        failure = f"{type(error).__name__}: {error}"
        _send(messages, "note", traceback.format_exc())
    _send(messages, "end", failure)
    messages.close()


class _Reporter:
    """Progress of a training, sent to the command at most twice a second."""

    def __init__(self, messages: Connection) -> None:
        self._messages = messages
        self._next = 0.0

    def start(self, total_steps: int, label: str, step: int = 0) -> None:
        """Send the step at which it begins."""
        _send(self._messages, "step", (step, None))

    def update(self, step: int, metrics: Mapping[str, float]) -> None:
        """Send the step, and the validation score if there is one."""
        score = metrics.get("validation", metrics.get("validation return"))
        if score is not None or time.monotonic() >= self._next:
            self._next = time.monotonic() + 0.5
            _send(self._messages, "step", (step, score))

    def note(self, text: str) -> None:
        """Does nothing: a comparison does not show the notes of its runs."""

    def close(self) -> None:
        """Nothing."""


def _send(messages: Connection, kind: str, content: Any) -> None:
    """Send a message; end this process at once if the command is gone."""
    try:
        messages.send((kind, content))
    except OSError:
        os._exit(1)


def _end_with(parent: int) -> None:
    """End this process when the command is killed; the same command resumes its run."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
