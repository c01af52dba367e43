"""What scripts share: how they end when their user has something to put right, and how they measure run directories."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from dream.config import TrainConfig
from dream.errors import UserError
from dream.storage.run_directory import merge_tidy_csv

Rows = list[dict[str, Any]]
"""Tidy rows, `env,method,seed,step,split,metric,value`."""


def run_script(main: Callable[[], None]) -> None:
    """Run a script: what its user has to put right ends it with one sentence and code 2, as it does `dream`."""
    try:
        main()
    except UserError as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from None


def measure_runs(
    description: str | None, which: str, measure: Callable[[Path], Rows], show: Callable[[Rows], list[str]]
) -> None:
    """The main function of a script that measures run directories, one after the other, on one thread.

    Args:
        description: what --help says, the script's own text.
        which: what --help says of the run directories.
        measure: run directory -> rows; they are added to --csv when that run is done.
        show: rows -> lines, each printed behind the run.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", help=which)
    parser.add_argument("--csv", type=Path, help="also add the rows to this tidy CSV")
    given = parser.parse_args()
    torch.set_num_threads(1)
    for run in given.runs:
        rows = measure(run)
        for line in show(rows):
            print(f"{run}  {line}", flush=True)
        if given.csv:
            merge_tidy_csv(given.csv, rows)


def tidy_rows(config: TrainConfig, step: int, split: str, values: Mapping[str, float]) -> Rows:
    """Rows of one run, metric -> value."""
    row = {"env": config.env, "method": config.method, "seed": config.seed, "step": step, "split": split}
    return [{**row, "metric": metric, "value": value} for metric, value in values.items()]
