"""Reads runs piece by piece: a missing or damaged piece is reported, the others are used."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dream.errors import UserError
from dream.methods.labels import label_of_run
from dream.storage.logs import read_log
from dream.storage.reading import number
from dream.storage.run_directory import RunDirectory
from dream.storage.tidy_csv import read_tidy_csv

VALIDATION = "eval/validation/"
_NO_RUNS = {"checkpoints", "tensorboard", "episodes", "videos"}


@dataclass
class FoundRun:
    """The readable pieces of a run."""

    path: Path
    label: str
    """`label_of_run`."""
    env: str
    seed: int
    config: Mapping[str, Any]
    rows: list[dict[str, Any]] = field(default_factory=list)
    """Tidy rows under the label: evaluations, then validations."""

    @property
    def name(self) -> str:
        """Such as "dream, seed 0"."""
        return f"{self.label}, seed {self.seed}"


def find_runs(paths: Sequence[Path]) -> tuple[list[FoundRun], list[str]]:
    """The runs in directories, which are runs or have runs below them, and a sentence for each missing piece.

    Raises:
        UserError: a path that does not exist or holds no run, the same method and seed twice, or runs of several
            families, or of one with different parameters.
    """
    found: dict[tuple[str, int], FoundRun] = {}
    missing: list[str] = []
    for path in paths:
        if not path.is_dir():
            raise UserError(f"{path} is not a directory: give runs that dream train or dream compare wrote")
        here = list(_run_directories(path))
        if not here:
            raise UserError(f"{path} holds no run (no config.yaml in it or below it): give runs that dream train wrote")
        for directory in here:
            try:
                run = _read(directory, missing)
            except UserError as error:
                missing.append(f"{directory} is left out: {error}")
                continue
            if other := found.get((run.label, run.seed)):
                if other.path.resolve() == directory.resolve():
                    continue
                raise UserError(f"{other.path} and {directory} are both {run.name}: give one of them")
            found[run.label, run.seed] = run
    runs = list(found.values())
    if not runs:
        raise UserError(f"none of these runs can be read: {'; '.join(missing)}")
    envs = list(dict.fromkeys(run.env for run in runs))
    if len(envs) > 1:
        raise UserError(f"these runs are of several families ({', '.join(envs)}): make a report of each")
    for run in runs:
        if (own := _parameters(run)) != (first := _parameters(runs[0])):
            raise UserError(
                f"{run.path} plays {run.env} with {own or 'no parameters'}, {runs[0].path} with "
                f"{first or 'no parameters'}: make a report of each"
            )
    return runs, missing


def _parameters(run: FoundRun) -> dict[str, Any]:
    """Of the family, without `description`: it changes the input of f, but not the problems."""
    given = run.config.get("env_parameters") or {}
    return {name: value for name, value in given.items() if name != "description"}


def _run_directories(path: Path) -> Iterator[Path]:
    """The directories with a config.yaml, in natural order of their names."""
    for directory, names, files in os.walk(path):
        names[:] = sorted((name for name in names if name not in _NO_RUNS), key=_by_number)
        if "config.yaml" in files:
            names.clear()
            yield Path(directory)


def _by_number(name: str) -> tuple[str, int]:
    digits = name[len(name.rstrip("0123456789")) :]
    return name.removesuffix(digits), int(digits or 0)


def _read(path: Path, missing: list[str]) -> FoundRun:
    directory = RunDirectory.read(path)
    if not {"method", "env", "seed"} <= directory.config.keys():
        raise UserError("its config.yaml names no method, env and seed")
    settings = directory.settings()
    run = FoundRun(path, label_of_run(path, settings.method), settings.env, settings.seed, directory.config)
    run.rows += _evaluations(run, missing)
    run.rows += _validations(run, missing)
    return run


def _evaluations(run: FoundRun, missing: list[str]) -> list[dict[str, Any]]:
    """Rows of the newest evaluated step of each split."""
    try:
        rows = read_tidy_csv(run.path / "eval.csv")
        kept: list[dict[str, Any]] = [
            {**row, "method": run.label, "step": int(row["step"]), "value": float(row["value"])}
            for row in rows
            if row["env"] == run.env and row["split"] in ("test", "train") and int(row["seed"]) == run.seed
        ]
    except UserError as error:
        missing.append(f"eval.csv of {run.name} cannot be read: {error}")
        return []
    newest: dict[str, int] = {}
    for row in kept:
        newest[row["split"]] = max(int(row["step"]), newest.get(row["split"], 0))
    return [row for row in kept if row["step"] == newest[row["split"]]]


def _validations(run: FoundRun, missing: list[str]) -> list[dict[str, Any]]:
    """Measurements and seconds of each validation up to the first damaged line; no seconds without timing.jsonl."""
    metrics = _lines(run, "metrics.jsonl", "it has no learning curve", missing)
    if not metrics:
        return []
    timed = _lines(run, "timing.jsonl", "its curve has no minutes", missing)
    timing = {line.get("step"): line.get("time/seconds") for line in timed}
    rows: dict[tuple[int, str], dict[str, Any]] = {}
    for line in metrics:
        values = {name.removeprefix(VALIDATION): value for name, value in line.items() if name.startswith(VALIDATION)}
        values["seconds"] = timing.get(line.get("step"))
        for metric, value in values.items():
            if math.isfinite(number(value)):
                identity = {"env": run.env, "method": run.label, "seed": run.seed, "step": int(line["step"])}
                rows[int(line["step"]), metric] = {
                    **identity,
                    "split": "validation",
                    "metric": metric,
                    "value": float(value),
                }
    return list(rows.values())


def _lines(run: FoundRun, name: str, so: str, missing: list[str]) -> list[dict[str, Any]]:
    lines, complaint = read_log(run.path / name)
    if complaint is not None:
        missing.append(f"{name} of {run.name} {complaint}: {'the rest of it is left out' if lines else so}")
    return lines
