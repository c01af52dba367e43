"""Shared by the scripts: errors as one sentence, and measuring a list of run directories."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from dream.config import TrainConfig
from dream.errors import UserError
from dream.methods.labels import label_of_run
from dream.storage.tidy_csv import merge_tidy_csv

Rows = list[dict[str, Any]]
"""Tidy rows, `env,method,seed,step,split,metric,value`."""


def run_script(main: Callable[[], None]) -> None:
    """Run a script; a UserError ends it with one sentence and exit code 2, as in `dream`."""
    try:
        main()
    except UserError as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from None


def measure_runs(
    description: str | None,
    which: str,
    measure: Callable[..., Rows],
    show: Callable[[Rows], list[str]],
    **options: Mapping[str, Any],
) -> None:
    """Main function of a script that measures run directories one after the other, on one thread.

    Args:
        description: text of --help.
        which: --help of the run directories.
        measure: run directory and the options by name -> rows, added to --csv after each run with its label.
        show: rows -> lines to print.
        options: further options of the command line, name -> arguments of `add_argument`.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", help=which)
    parser.add_argument("--csv", type=Path, help="also add the rows to this tidy CSV")
    for name, settings in options.items():
        parser.add_argument(f"--{name}", **settings)
    given = parser.parse_args()
    torch.set_num_threads(1)
    for run in given.runs:
        rows = labelled(run, measure(run, **{name: getattr(given, name) for name in options}))
        for line in show(rows):
            print(f"{run}  {line}", flush=True)
        if given.csv:
            merge_tidy_csv(given.csv, rows)


def labelled(run: Path, rows: Rows) -> Rows:
    """Rows of a run directory, with the label of the run (changed settings and all) in place of its method."""
    return [row | {"method": label_of_run(run, row["method"])} for row in rows]


def tidy_rows(config: TrainConfig, step: int, split: str, values: Mapping[str, float]) -> Rows:
    """Rows of one run, metric -> value."""
    row = {"env": config.env, "method": config.method, "seed": config.seed, "step": step, "split": split}
    return [{**row, "metric": metric, "value": value} for metric, value in values.items()]
