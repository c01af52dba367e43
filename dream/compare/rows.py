"""What a comparison reads from runs on disk: whether they are finished and evaluated, and their tidy rows."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from dream.compare.plan import PlannedRun
from dream.config import WITHOUT_EFFECT
from dream.errors import UserError
from dream.eval.evaluate import EvalResult, Weights, eval_rows, evaluate_run
from dream.storage.logs import METRICS, TIMING, read_log
from dream.storage.run_directory import RunDirectory, settings_that_differ
from dream.storage.tidy_csv import OTHER_WEIGHTS, merge_tidy_csv, read_tidy_csv

SPLITS: tuple[Literal["test", "train"], ...] = ("test", "train")
"""Splits that every run is evaluated on: test problems give the score, training problems show overfitting."""
TRIALS_SEED = 0
"""Seed of the evaluated trials, the same for every method and training seed."""
_VALIDATION = "eval/validation/"


def refuse_other_settings(runs: Iterable[PlannedRun]) -> None:
    """Raise UserError if a directory holds a run of other settings. A damaged run is passed over here."""
    for run in runs:
        try:
            differing = settings_that_differ(run.run_dir, run.config.as_dict(), WITHOUT_EFFECT)
        except UserError:
            continue
        if differing:
            raise UserError(
                f"{run.run_dir} holds a run with other settings ({'; '.join(differing)}): give the same settings, or "
                "another directory with --runs"
            )


def is_finished(run: PlannedRun) -> bool:
    """Whether the run is trained: all its steps are done, or it is solved. Raises UserError if it is damaged."""
    if not os.path.lexists(run.run_dir / "config.yaml"):
        return False
    checkpoints = RunDirectory.read(run.run_dir).checkpoints.all()
    if not checkpoints:
        return False
    step = checkpoints[-1].step
    if step >= run.config.steps:
        return True
    if run.config.evaluation.stop_at is None:
        return False
    lines, _ = read_log(run.run_dir / METRICS)
    return bool(lines) and lines[-1]["step"] == step and lines[-1].get("eval/solved") == 1.0


def choose_trained(runs: Sequence[PlannedRun]) -> tuple[list[PlannedRun], list[PlannedRun]]:
    """The runs that are finished, and the others. A damaged run counts as finished: `run_all` names it.

    Raises UserError if a directory holds a run of other settings.
    """
    refuse_other_settings(runs)
    trained: list[PlannedRun] = []
    others: list[PlannedRun] = []
    for run in runs:
        try:
            (trained if is_finished(run) else others).append(run)
        except UserError:
            trained.append(run)
    return trained, others


def is_evaluated(run: PlannedRun, trials: int) -> bool:
    """Whether eval.csv holds both splits for the best and for the final weights, with these trials.

    Raises UserError if eval.csv is damaged.
    """
    steps = set(_weight_steps(run).values())
    rows = read_tidy_csv(run.run_dir / "eval.csv")
    return all(_evaluated(rows, run, split, step, trials) for split in SPLITS for step in steps)


def evaluate(run: PlannedRun, trials: int) -> None:
    """Evaluate both splits, with the best and with the final weights, and keep the rows in the run's eval.csv.

    Does nothing where they are there. Raises UserError.
    """
    if is_evaluated(run, trials):
        return
    for split in SPLITS:
        results: dict[int, EvalResult] = {}
        for weights, step in _weight_steps(run).items():
            if step in results:  # the same weights and the same trials
                counts = not results[step].counts
                result = dataclasses.replace(results[step], weights=weights, counts=counts)
            else:
                result = results[step] = evaluate_run(
                    run.run_dir, split=split, trials=trials, seed=TRIALS_SEED, device=run.config.device, weights=weights
                )
            merge_tidy_csv(run.run_dir / "eval.csv", eval_rows(result))


def _weight_steps(run: PlannedRun) -> dict[Weights, int]:
    """The step of the best and of the final weights; where a run has only one of them, both are that one."""
    store = RunDirectory.read(run.run_dir).checkpoints
    final, best = store.all(), store.all(best=True)
    return {"best": (best or final)[-1].step, "final": (final or best)[-1].step}


def read_rows(runs: Iterable[PlannedRun]) -> tuple[list[dict[str, Any]], dict[PlannedRun, str]]:
    """Tidy rows of finished and evaluated runs, and for each run that cannot be read the reason."""
    rows: list[dict[str, Any]] = []
    failed: dict[PlannedRun, str] = {}
    for run in runs:
        try:
            rows += run_rows(run)
        except UserError as error:
            failed[run] = str(error)
    return rows, failed


def run_rows(run: PlannedRun) -> list[dict[str, Any]]:
    """Tidy rows of a run under its label: its evaluations, then every validation.

    Raises UserError if a file of the run is missing or damaged.
    """
    evaluated = [{**row, "method": run.label} for row in read_tidy_csv(run.run_dir / "eval.csv") if _is_own(row, run)]
    return [*evaluated, *_validation_rows(run)]


def _is_own(row: Mapping[str, Any], run: PlannedRun) -> bool:
    """Whether a row of eval.csv is of the run as it was trained, not of another variant of the family."""
    return row["env"] == run.config.env and row["method"] == run.config.method and row["split"] in SPLITS


def _evaluated(rows: Sequence[Mapping[str, Any]], run: PlannedRun, split: str, step: int, trials: int) -> bool:
    values = {
        row["metric"]: float(row["value"])
        for row in rows
        if _is_own(row, run) and row["split"] == split and int(row["step"]) == step
    }
    return any(
        (values.get(f"{prefix}trials"), values.get(f"{prefix}trials_seed")) == (trials, TRIALS_SEED)
        for prefix in ("", *OTHER_WEIGHTS)
    )


def _validation_rows(run: PlannedRun) -> Iterator[dict[str, Any]]:
    """Scores of each validation, with updates and seconds of wall-clock time, as rows of the split `validation`."""
    metrics, timing = _whole_log(run.run_dir / METRICS), _whole_log(run.run_dir / TIMING)
    steps = [line["step"] for line in metrics]
    if steps != [line["step"] for line in timing]:
        raise _damaged(run.run_dir / TIMING, f"its {len(timing)} lines are not of the {len(steps)} steps in {METRICS}")
    for number, (line, times) in enumerate(zip(metrics, timing, strict=True), 1):
        values = {name.removeprefix(_VALIDATION): value for name, value in line.items() if name.startswith(_VALIDATION)}
        for name, where, tag, log in (
            ("updates", line, "updates", METRICS),
            ("seconds", times, "time/seconds", TIMING),
        ):
            if tag not in where:
                raise _damaged(run.run_dir / log, f"line {number} has no {tag}")
            values[name] = where[tag]
        for metric, value in values.items():
            if value is None:  # it was not finite
                continue
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise _damaged(run.run_dir / METRICS, f"{metric} in line {number} is no number")
            yield {
                "env": run.config.env,
                "method": run.label,
                "seed": run.config.seed,
                "step": int(line["step"]),
                "split": "validation",
                "metric": metric,
                "value": value,
            }


def _whole_log(path: Path) -> list[dict[str, Any]]:
    """All lines of a log. Raises UserError if there is none, or one that is damaged."""
    lines, complaint = read_log(path)
    if complaint is None and not lines:
        complaint = "is empty"
    if complaint is not None:
        raise UserError(f"{path} {complaint}: {_CURE}")
    return lines


def _damaged(path: Path, what: str) -> UserError:
    return UserError(f"{path} is damaged ({what}): {_CURE}")


_CURE = "restore it, or train the run again with --overwrite"
