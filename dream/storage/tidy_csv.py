"""Tidy CSV files of results: env,method,seed,step,split,metric,value."""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dream.errors import UserError
from dream.storage.atomic import disk_errors, write_atomic
from dream.storage.lock import wait_for_lock
from dream.storage.reading import Unreadable, read_file

CSV_COLUMNS = ("env", "method", "seed", "step", "split", "metric", "value")
OTHER_WEIGHTS = ("best_", "final_")
"""Beginnings of the metrics of weights that do not give the score of a run: they stand beside those that do."""


def read_tidy_csv(path: Path) -> list[dict[str, str]]:
    """Rows of a tidy CSV, [] where there is no file. A byte order mark, which spreadsheets write, is skipped.

    Raises:
        UserError: it cannot be read, is no text, or has other columns; a row is longer or shorter, or its seed, step or
            value is no finite number.
    """
    try:
        content = read_file(path)
    except FileNotFoundError:
        return []
    except Unreadable:
        raise
    except UserError as error:
        raise UserError(f"{error}: choose another file, or move it away") from error
    try:
        lines = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} is no tidy CSV ({error}): delete it, or choose another file") from error
    if not lines or tuple(lines[0]) != CSV_COLUMNS:
        what = "it is empty" if not lines else f"its first line is not {','.join(CSV_COLUMNS)}"
        raise UserError(f"{path} is no tidy CSV ({what}): delete it, or choose another file")
    rows = []
    for number, cells in enumerate(lines[1:], 2):
        if not cells:
            continue
        row = dict(zip(CSV_COLUMNS, cells, strict=False))
        if len(cells) != len(CSV_COLUMNS):
            what = f"{len(cells)} cells instead of {len(CSV_COLUMNS)}"
        elif wrong := [f"{name} {row[name]!r}" for name, kind in _NUMBERS.items() if not _is(kind, row[name])]:
            what = f"{wrong[0]} is no finite number"
        else:
            rows.append(row)
            continue
        raise UserError(f"{path} is damaged (row {number}: {what}): correct that row, or delete the file")
    return rows


_NUMBERS: Mapping[str, type[int] | type[float]] = {"seed": int, "step": int, "value": float}


def _is(kind: type[int] | type[float], text: str) -> bool:
    try:
        return math.isfinite(kind(text))
    except (ValueError, OverflowError):
        return False


def merge_tidy_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Add rows to a tidy CSV, atomically; they replace those of the same env, method, seed, split and weights.

    Args:
        path: the file; made if there is none. Several processes may add to one at the same time.
        rows: each with exactly the keys `env,method,seed,step,split,metric,value`.

    Raises:
        ValueError: a row has other keys.
        UserError: the file holds something else, or cannot be written; it stays as it was.
    """
    for row in rows:
        if set(row) != set(CSV_COLUMNS):
            raise ValueError(f"a tidy row has the columns {', '.join(CSV_COLUMNS)}, not {', '.join(row)}")
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(path.parent):
            replaced = {_group(row) for row in rows}
            kept = [row for row in read_tidy_csv(path) if _group(row) not in replaced]
            text = io.StringIO()
            writer = csv.DictWriter(text, CSV_COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows([*kept, *rows])
            write_atomic(path, text.getvalue())


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    if os.name == "nt":  # a directory cannot be opened there
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        wait_for_lock(descriptor)
        yield
    finally:
        os.close(descriptor)


def _group(row: Mapping[str, Any]) -> tuple[str, ...]:
    weights = next((prefix for prefix in OTHER_WEIGHTS if str(row["metric"]).startswith(prefix)), "")
    return (*(str(row[name]) for name in ("env", "method", "seed", "split")), weights)
