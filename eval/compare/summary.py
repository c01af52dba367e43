"""Summarise a comparison: scores of each method from tidy rows, their uncertainty, and the time to reach them.

Pure functions, no files. Scores of a family are normalised (0: best without exploring, 1: optimum) if every run has a
normalised score. Otherwise they are returns, and values that need bounds are None.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dream.errors import UserError
from dream.eval.statistics import (
    FEWEST_SEEDS,
    Interval,
    improvement_interval,
    iqm,
    mean,
    seed_interval,
)

SHARES = (0.5, 0.9)
"""Normalised validation scores whose time to reach is reported."""


@dataclass(frozen=True)
class Curve:
    """Validation scores of one run, all (V,)."""

    steps: NDArray[np.float64]
    """Environment steps, increasing."""
    score: NDArray[np.float64]
    seconds: NDArray[np.float64] | None
    """Wall-clock time of acting, learning and evaluating; None where the rows hold none."""


@dataclass(frozen=True)
class RunScores:
    """One run: its test score and its validation scores."""

    env: str
    method: str
    seed: int
    measure: str
    """"normalised" or "return": what `score`, `train` and the curve are."""
    score: float
    train: float | None
    """On training problems; None where not evaluated."""
    final: float | None
    """Of the final weights on test problems; None where not evaluated."""
    test: Mapping[str, float]
    """Every metric on test problems: name -> value."""
    curve: Curve | None


@dataclass(frozen=True)
class Reached:
    """Time until the seeds of a method first reached a normalised score on validation."""

    share: float
    seeds: int
    """Seeds that reached it."""
    steps: float
    """Environment steps, median over all seeds; seeds that never reached it count as infinity."""
    minutes: float | None
    """Minutes of wall-clock time, median over all seeds; None where the rows hold no seconds."""


@dataclass(frozen=True)
class MethodSummary:
    """One method on one family, over its seeds in increasing order."""

    env: str
    method: str
    measure: str
    seeds: tuple[int, ...]
    scores: tuple[float, ...]
    iqm: Interval
    """Interquartile mean of the scores with `seed_interval`; NaN bounds for a single seed."""
    final_iqm: float | None
    """Interquartile mean of the scores of the final weights; None where a seed has none."""
    mean: float
    reached: tuple[Reached, ...]
    """For each of `SHARES`; empty without normalised scores or validation curves."""
    return_mean: float
    explore_length: float | None
    """Environment steps of exploration in a trial."""
    train_iqm: float | None
    """Interquartile mean on training problems."""

    @property
    def ranged(self) -> bool:
        """Whether the bounds are only the range of the seeds, too few for an interval."""
        return len(self.seeds) < FEWEST_SEEDS


@dataclass(frozen=True)
class Improvement:
    """Probability that a run of `method` scores higher than a run of `baseline`."""

    env: str
    method: str
    baseline: str
    probability: Interval


def read_runs(rows: Iterable[Mapping[str, Any]]) -> list[RunScores]:
    """Runs of tidy rows (`env,method,seed,step,split,metric,value`), in order of appearance.

    Runs without test rows (still training) are skipped.

    Raises:
        UserError: a run was evaluated at two steps on one split, has a value twice or no return, or a value is not a
            number.
    """
    table: dict[tuple[str, str, int], dict[str, dict[int, dict[str, float]]]] = {}
    for row in rows:
        run = table.setdefault((row["env"], row["method"], int(row["seed"])), {})
        values = run.setdefault(row["split"], {}).setdefault(int(row["step"]), {})
        if row["metric"] in values:
            where = f"{row['env']} {row['method']} seed {row['seed']} step {row['step']}"
            raise UserError(f"{where} has {row['split']} {row['metric']} twice: give each file, and each row, once")
        try:
            values[row["metric"]] = float(row["value"])
        except ValueError:
            raise UserError(
                f"{row['value']!r} is not a number ({row['env']} {row['method']} {row['metric']})"
            ) from None
    envs, methods = list(dict.fromkeys(key[0] for key in table)), list(dict.fromkeys(key[1] for key in table))
    tested = [key for key in table if "test" in table[key]]
    keys = sorted(tested, key=lambda key: (envs.index(key[0]), methods.index(key[1]), key[2]))
    return [_run(key, table[key], _measure(table, key[0])) for key in keys]


def first_reaching(x: Sequence[float] | NDArray[np.float64], score: NDArray[np.float64], share: float) -> float:
    """The first of x (V,) at which score (V,) is at least `share`; infinity if it never is."""
    hits = np.flatnonzero(score >= share)
    return float(x[hits[0]]) if len(hits) else math.inf


def summarise(runs: Sequence[RunScores]) -> list[MethodSummary]:
    """One summary per method and family, in order of appearance."""
    groups: dict[tuple[str, str], list[RunScores]] = defaultdict(list)
    for run in runs:
        groups[run.env, run.method].append(run)
    return [_summary(group) for group in groups.values()]


def improvements(summaries: Sequence[MethodSummary]) -> list[Improvement]:
    """The first method of each family against each other one, with 95% intervals (`improvement_interval`)."""
    firsts: dict[str, MethodSummary] = {}
    found = []
    for other in summaries:
        first = firsts.setdefault(other.env, other)
        if first is not other:
            probability = improvement_interval(first.scores, other.scores)
            if len(first.scores) < 2 or len(other.scores) < 2:
                probability = Interval(probability.value, math.nan, math.nan)
            found.append(Improvement(other.env, first.method, other.method, probability))
    return found


def _measure(table: Mapping[tuple[str, str, int], Any], env: str) -> str:
    tests = [run["test"] for (family, _, _), run in table.items() if family == env and "test" in run]
    whole = all("normalised" in values for by_step in tests for values in by_step.values() if "return" in values)
    return "normalised" if whole else "return"


def _run(key: tuple[str, str, int], splits: Mapping[str, Mapping[int, Mapping[str, float]]], measure: str) -> RunScores:
    env, method, seed = key
    counting: dict[str, Mapping[str, float]] = {}
    for split in ("test", "train"):
        by_step = {step: values for step, values in splits.get(split, {}).items() if "return" in values}
        if len(by_step) > 1:
            steps = ", ".join(f"{step:,}" for step in by_step)
            raise UserError(f"{env} {method} seed {seed} has {split} rows of several steps ({steps}): keep one of them")
        counting[split] = next(iter(by_step.values()), {})
    test = counting["test"]
    if measure not in test:
        raise UserError(f"{env} {method} seed {seed} has no test return: evaluate it again with dream eval --csv")
    # The final weights either give the score, and then the best ones have rows of their own, or the other way round
    tests = splits["test"].values()
    finals = [values[f"final_{measure}"] for values in tests if f"final_{measure}" in values]
    if not finals and any(f"best_{measure}" in values for values in tests):
        finals = [test[measure]]
    return RunScores(
        env,
        method,
        seed,
        measure,
        test[measure],
        counting["train"].get(measure),
        finals[0] if finals else None,
        test,
        _curve(splits.get("validation"), measure),
    )


def _curve(validations: Mapping[int, Mapping[str, float]] | None, measure: str) -> Curve | None:
    scored = sorted(step for step, values in (validations or {}).items() if measure in values)
    if validations is None or not scored:
        return None
    seconds = [validations[step].get("seconds", math.nan) for step in scored]
    return Curve(
        np.array(scored, dtype=np.float64),
        np.array([validations[step][measure] for step in scored]),
        None if np.isnan(seconds).any() else np.array(seconds),
    )


def _summary(runs: Sequence[RunScores]) -> MethodSummary:
    scores = tuple(run.score for run in runs)
    bounds = seed_interval(scores) if len(scores) > 1 else (math.nan, math.nan)
    finals = [run.final for run in runs if run.final is not None]
    normalised = runs[0].measure == "normalised"
    lengths = [run.test["explore_length"] for run in runs if "explore_length" in run.test]
    train = [run.train for run in runs if run.train is not None]
    return MethodSummary(
        env=runs[0].env,
        method=runs[0].method,
        measure=runs[0].measure,
        seeds=tuple(run.seed for run in runs),
        scores=scores,
        iqm=Interval(float(iqm(scores)), *bounds),
        final_iqm=float(iqm(finals)) if len(finals) == len(runs) else None,
        mean=float(mean(scores)),
        reached=_reached([run.curve for run in runs]) if normalised else (),
        return_mean=float(np.mean([run.test["return"] for run in runs])),
        explore_length=float(np.mean(lengths)) if len(lengths) == len(runs) else None,
        train_iqm=float(iqm(train)) if len(train) == len(runs) else None,
    )


def _reached(curves: Sequence[Curve | None]) -> tuple[Reached, ...]:
    whole = [curve for curve in curves if curve is not None]
    if len(whole) < len(curves):
        return ()
    found = []
    for share in SHARES:
        steps = [first_reaching(curve.steps, curve.score, share) for curve in whole]
        minutes = [
            first_reaching(curve.seconds / 60, curve.score, share) for curve in whole if curve.seconds is not None
        ]
        found.append(
            Reached(
                share,
                int(np.isfinite(steps).sum()),
                float(np.median(steps)),
                float(np.median(minutes)) if len(minutes) == len(whole) else None,
            )
        )
    return tuple(found)
