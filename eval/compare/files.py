"""Write a comparison to a directory: results.csv, tables and figures, from tidy rows."""

from __future__ import annotations

import csv
import functools
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dream.errors import UserError
from dream.eval.compare.summary import Improvement, MethodSummary, improvements, read_runs, summarise
from dream.eval.compare.tables import improvement_rows, markdown, summary_rows
from dream.storage.atomic import atomic_file, disk_errors, write_atomic
from dream.storage.tidy_csv import CSV_COLUMNS, read_tidy_csv

IMPROVEMENT_COLUMNS = ("env", "method", "baseline", "probability", "probability_low", "probability_high")


@dataclass(frozen=True)
class Comparison:
    """The files written, and the summaries in them."""

    summaries: list[MethodSummary]
    improvements: list[Improvement]
    files: list[Path]


def choose_rows(paths: Sequence[Path], envs: Sequence[str] = (), methods: Sequence[str] = ()) -> list[dict[str, str]]:
    """Rows of tidy CSVs, of the given families and methods in the given order (all if none is given).

    Raises UserError for a file that does not exist or is not a tidy CSV, and for a name that no row has.
    """
    rows = []
    for path in paths:
        if not path.is_file():
            raise UserError(f"{path} does not exist: give a tidy CSV, such as results/bus.csv")
        rows += read_tidy_csv(path)
    for column, chosen in (("method", methods), ("env", envs)):
        known = list(dict.fromkeys(row[column] for row in rows))
        for name in chosen:
            if name not in known:
                raise UserError(f"no row has {column} {name!r}: choose from {', '.join(known)}")
        if chosen:
            rows = sorted((row for row in rows if row[column] in chosen), key=lambda row: chosen.index(row[column]))
    return rows


def write_comparison(
    rows: Sequence[Mapping[str, Any]], out: Path, references: Iterable[Mapping[str, Any]] = ()
) -> Comparison:
    """Write results.csv (the rows), summary.csv, summary.md, improvement.csv and the figures into a directory.

    The figures are curves_steps.svg, curves_wallclock.svg, scores.svg, profiles.svg and improvement.svg, in one
    directory per family if there are several. Figures without data (no validations, no times, one method) are omitted.

    Args:
        rows: tidy rows; the first method of a family is compared with the others.
        out: the directory, created if missing; files of these names are replaced.
        references: tidy rows whose validation curves are drawn for reference only.

    Raises:
        UserError: the rows hold no test score or contradict each other, or the directory cannot be written.
    """
    from dream.eval.compare import figures  # matplotlib takes a while to import

    runs = read_runs(rows)
    if not runs:
        raise UserError("no test score to compare: train first, or give rows of dream eval or dream compare")
    summaries = summarise(runs)
    compared = improvements(summaries)
    references = list(references)
    files = [
        _write_csv(out / "results.csv", CSV_COLUMNS, rows),
        _write_csv(out / "summary.csv", list(summary_rows(summaries)[0]), summary_rows(summaries)),
        _write(out / "summary.md", markdown(summaries)),
        _write_csv(out / "improvement.csv", IMPROVEMENT_COLUMNS, improvement_rows(compared)),
    ]
    envs = list(dict.fromkeys(run.env for run in runs))
    for env in envs:
        folder = out if len(envs) == 1 else out / env.replace(":", "-")
        mine = [run for run in runs if run.env == env]
        of_env = [summary for summary in summaries if summary.env == env]
        pairs = [pair for pair in compared if pair.env == env]
        points = _points(references, env, mine[0].measure)
        draws = {
            "curves_steps.svg": functools.partial(figures.curves_by_steps, runs=mine, references=points),
            "curves_wallclock.svg": functools.partial(figures.curves_by_minutes, runs=mine),
            "scores.svg": functools.partial(figures.scores, summaries=of_env),
            "profiles.svg": functools.partial(figures.profiles, summaries=of_env),
            "improvement.svg": functools.partial(figures.improvement, found=pairs),
        }
        for name, draw in draws.items():
            path = folder / name
            with disk_errors(path):
                path.unlink(missing_ok=True)  # no stale figure of other rows
            with atomic_file(path) as temporary:
                if draw(temporary):
                    files.append(path)
    return Comparison(summaries, compared, files)


def _points(references: Sequence[Mapping[str, Any]], env: str, measure: str) -> dict[str, list[tuple[float, float]]]:
    """Reference curves on a family: name -> (step, score)."""
    found: dict[str, list[tuple[float, float]]] = {}
    for row in references:
        if (row["env"], row["split"], row["metric"]) == (env, "validation", measure):
            found.setdefault(row["method"], []).append((float(row["step"]), float(row["value"])))
    return {name: sorted(points) for name, points in found.items()}


def _write_csv(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> Path:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return _write(path, text.getvalue())


def _write(path: Path, text: str) -> Path:
    write_atomic(path, text)
    return path
