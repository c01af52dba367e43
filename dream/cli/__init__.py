"""The `dream` command: reads the arguments, calls the toolkit, prints what came out.

Each command is a file here, dream/cli/NAME.py, with a dataclass of its arguments and a function
`command(arguments) -> exit code`, whose docstring is the help; what they share is in arguments.py, checks.py and
printing.py. A command is loaded when it is called, and loads all that is heavy after its arguments were checked: help
and refusals come at once.
"""

from __future__ import annotations

import difflib
import importlib
import os
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
"""Their names, as they are listed where one is not known."""

WELCOME = """\
dream: agents that first find out, then act: train them, compare them, see what they do

Look first, nothing to train
  dream watch --pretrained bus         trials of a trained pair: a film, and what happened in words
  dream report --pretrained bus        one page: trials step by step, scores, maps
  dream eval --pretrained bus          how good that pair is on held-out problems
  dream envs                           the problem families there are
  dream methods                        the ways to explore there are
Train, judge, compare
  dream demo                           see exploring pay off, in five minutes
  dream train dream --env map          train a pair; the same command resumes it
  dream eval runs/map/dream/s0         how good it is
  dream compare --env map --methods dream random    several methods and seeds: tables and figures
Understand
  dream explain runs/map/dream/s0      what explorers do and find out, which half of a pair is weak
  dream coupling                       why exploring and executing are learned apart
This machine
  dream bench                          how fast it trains
  dream doctor                         what works here, and what to install

Each has --help with an example; docs/quickstart.md leads through them, docs/faq.md helps where one fails.
Scripts: add --json to all but demo and train."""


def main() -> NoReturn:
    """Entry point of the console script."""
    # Before torch is loaded. Its threads wait for each other in a loop, so a second one gains these small networks
    # little on an idle machine, and on a busy one costs them nearly everything. `--threads` of a training overrides it.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command line. Returns the exit code.

    0: done. 2: the user has something to put right. 128 + the signal that stopped it: 130 for Ctrl-C, 143 for SIGTERM.
    """
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
