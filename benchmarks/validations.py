"""Add the validation rows of runs to a tidy CSV, unfinished runs included.

python -m benchmarks.validations runs/sign --csv results/sign_ablations.csv

`dream compare` writes them for finished runs only; ablations are often stopped early.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.script import run_script
from dream.eval.report.disk import find_runs
from dream.storage.tidy_csv import merge_tidy_csv


def main() -> None:
    """See the module docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--csv", type=Path, required=True)
    given = parser.parse_args()
    runs, missing = find_runs(given.runs)
    for sentence in missing:
        print(sentence)
    for run in runs:
        rows = [row for row in run.rows if row["split"] == "validation"]
        merge_tidy_csv(given.csv, rows)
        print(f"{run.name}: {len({row['step'] for row in rows})} validations, to step {max(r['step'] for r in rows):,}")


if __name__ == "__main__":
    run_script(main)
