"""The `dream` command: reads the arguments, calls the toolkit, prints the results.

Each command is a file, dream/cli/NAME.py, with a dataclass of its arguments and a function
`command(arguments) -> exit code`, whose docstring is the help. Shared are arguments.py (with reading.py and
complaints.py), checks.py, printing.py and tables.py. A command is imported when it is called, and imports everything
heavy after its arguments were checked: help and refusals are immediate.
"""

from __future__ import annotations

import difflib
import errno
import importlib
import io
import os
import signal
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import NoReturn

from dream.cli.printing import plain_warnings
from dream.errors import Stopped, UserError

COMMANDS = (
    "demo",
    "train",
    "eval",
    "watch",
    "report",
    "compare",
    "envs",
    "methods",
    "explain",
    "coupling",
    "bench",
    "doctor",
)
"""Names of the commands."""

WELCOME = """\
dream: meta-reinforcement learning that explores first: train, compare and watch agents

Start here, nothing to train
  dream watch --pretrained bus         film of a pretrained pair, and its trials in words
  dream report --pretrained bus        one page: trials step by step, scores, maps
  dream eval --pretrained bus          its score on held-out problems
  dream envs [FAMILY]                  the problem families, or one in detail
  dream methods                        the methods
Train and compare
  dream demo                           a first result in a few minutes
  dream train dream --env map          train a pair; the same command resumes
  dream eval runs/map/dream/s0         its score
  dream compare --env map --methods dream random    methods and seeds: tables and figures
Understand
  dream explain runs/map/dream/s0      what explorers find out; which half of a pair is weak
  dream coupling                       why exploration and execution are learned separately
This machine
  dream bench                          training speed
  dream doctor                         what works here, and what to install

Every command has --help with an example. Guide: docs/quickstart.md. Problems: docs/faq.md.
For scripts: --json prints one JSON object (all commands but demo and train)."""


def main() -> NoReturn:
    """Entry point of the console script."""
    # Set before torch is loaded. A second thread spins while it waits, so for these small networks it gains little on
    # an idle machine and costs almost everything on a busy one. `--threads` of a training overrides it.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    try:
        code = _exit_code(sys.argv[1:])
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as `head`, has closed its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 128 + signal.SIGPIPE
    except OSError as error:
        if error.errno != errno.ENOSPC or error.filename is not None:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        print(f"dream: cannot write the output: {error.strerror}", file=sys.stderr)
        code = 2
    sys.exit(code)


def _exit_code(arguments: Sequence[str]) -> int:
    """Run one command line. --help, which ends the process, has an exit code like any other."""
    try:
        return run(arguments)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 0


def run(arguments: Sequence[str]) -> int:
    """Run one command line. Returns the exit code.

    0: done. 2: the input is wrong. 128 + the signal that stopped it: 130 for Ctrl-C, 143 for SIGTERM.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a file name may hold bytes that are no text
            stream.reconfigure(errors="backslashreplace")
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(WELCOME)
        return 0
    if arguments[0] == "--version":
        print(version("dream-metarl"))
        return 0
    try:
        with plain_warnings():
            return find_command(arguments[0])(list(arguments[1:]))
    except UserError as error:
        print(f"dream: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as stop:
        print("dream: interrupted", file=sys.stderr)
        return stop.exit_code if isinstance(stop, Stopped) else 130


def find_command(name: str) -> Callable[[list[str]], int]:
    """The command of that name. Raises UserError if there is none."""
    if name not in COMMANDS:
        close = difflib.get_close_matches(name, COMMANDS, n=1)
        suggestion = f" (did you mean {close[0]!r}?)" if close else ""
        raise UserError(f"unknown command {name!r}: choose one of {', '.join(COMMANDS)}{suggestion}")
    command: Callable[[list[str]], int] = importlib.import_module(f"dream.cli.{name}").command
    return command
