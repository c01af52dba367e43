"""A comparison in numbers: from tidy rows to what each method reached, how surely and how soon. Pure: no files.

Scores of a family are normalised (0 the best without exploring, 1 the optimum) where every run has a normalised
score; where the family knows no bounds they are returns, and what needs bounds is None.
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
    Interval,
    iqm,
    mean,
    probability_of_improvement,
    share_escaped,
    stratified_bootstrap,
)

SHARES = (0.5, 0.9)
"""Normalised scores whose first reaching on validation is timed."""


@dataclass(frozen=True)
class Curve:
    """What one run scored at each validation, all (V,)."""

    steps: NDArray[np.float64]
    """Environment steps, increasing."""
    score: NDArray[np.float64]
    seconds: NDArray[np.float64] | None
    """Of wall-clock, acting, learning and evaluating; None where the rows do not tell."""


@dataclass(frozen=True)
class RunScores:
    """One run: its score on test problems, and its validations."""

    env: str
    method: str
    seed: int
    measure: str
    """"normalised" or "return": what `score`, `train` and the curve are."""
    score: float
    train: float | None
    """On training problems; None where not evaluated."""
    test: Mapping[str, float]
    """All that was measured on test problems: metric -> value."""
    curve: Curve | None


@dataclass(frozen=True)
class Reached:
    """When a method's seeds first reached a share of the normalised score on validation."""

    share: float
    seeds: int
    """Seeds that did."""
    steps: float
    """Environment steps, median over all seeds; one that never did counts as infinity, and so may the median be."""
    minutes: float | None
    """Minutes of wall-clock, likewise; None where the rows hold no seconds."""


@dataclass(frozen=True)
class MethodSummary:
    """One method on one family, over its seeds in increasing order."""

    env: str
    method: str
    measure: str
    seeds: tuple[int, ...]
    scores: tuple[float, ...]
    iqm: Interval
    """Interquartile mean of the scores; its bounds are NaN for a single seed, which says nothing about others."""
    mean: float
    escaped: float | None
    """Share of seeds that escaped the no-exploration optimum (`share_escaped`)."""
    reached: tuple[Reached, ...]
    """For each of `SHARES`; empty where there is no normalised score or no curve."""
    return_mean: float
    explore_length: float | None
    """Environment steps of exploration in a trial."""
    train_iqm: float | None
    """Interquartile mean on training problems."""


@dataclass(frozen=True)
class Improvement:
    """Probability that a run of `method` scores higher than one of `rival`."""

    env: str
    method: str
    rival: str
    probability: Interval


def read_runs(rows: Iterable[Mapping[str, Any]]) -> list[RunScores]:
    """Runs of tidy rows (`env,method,seed,step,split,metric,value`), families and methods in the order they come.

    A run without test rows (one still training) is left out.

    Raises:
        UserError: a run was evaluated at two steps on one split, has a value twice, has no return, or a value is no
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
            raise UserError(f"{row['value']!r} is no number ({row['env']} {row['method']} {row['metric']})") from None
    envs, methods = list(dict.fromkeys(key[0] for key in table)), list(dict.fromkeys(key[1] for key in table))
    tested = [key for key in table if "test" in table[key]]
    keys = sorted(tested, key=lambda key: (envs.index(key[0]), methods.index(key[1]), key[2]))
    return [_run(key, table[key], _measure(table, key[0])) for key in keys]


def first_reaching(x: Sequence[float] | NDArray[np.float64], score: NDArray[np.float64], share: float) -> float:
    """The first of x (V,) where score (V,) is `share` or more; infinity where it never is."""
    hits = np.flatnonzero(score >= share)
    return float(x[hits[0]]) if len(hits) else math.inf


def summarise(runs: Sequence[RunScores]) -> list[MethodSummary]:
    """Each method of each family, in the order in which they first appear."""
    groups: dict[tuple[str, str], list[RunScores]] = defaultdict(list)
    for run in runs:
        groups[run.env, run.method].append(run)
    return [_summary(group) for group in groups.values()]


def improvements(summaries: Sequence[MethodSummary]) -> list[Improvement]:
    """The first method of each family against each other one, with 95% stratified bootstrap intervals over seeds."""
    firsts: dict[str, MethodSummary] = {}
    found = []
    for rival in summaries:
        first = firsts.setdefault(rival.env, rival)
        if first is not rival:
            probability = stratified_bootstrap(probability_of_improvement, first.scores, rival.scores)
            if len(first.scores) < 2 or len(rival.scores) < 2:
                probability = Interval(probability.value, math.nan, math.nan)
            found.append(Improvement(rival.env, first.method, rival.method, probability))
    return found


def _measure(table: Mapping[tuple[str, str, int], Any], env: str) -> str:
    tests = [run["test"] for (family, _, _), run in table.items() if family == env and "test" in run]
    whole = all("normalised" in values for by_step in tests for values in by_step.values())
    return "normalised" if whole else "return"


def _run(key: tuple[str, str, int], splits: Mapping[str, Mapping[int, Mapping[str, float]]], measure: str) -> RunScores:
    env, method, seed = key
    for split in ("test", "train"):
        if len(splits.get(split, {})) > 1:
            steps = ", ".join(f"{step:,}" for step in splits[split])
            raise UserError(f"{env} {method} seed {seed} has {split} rows of several steps ({steps}): keep one of them")
    (test,) = splits["test"].values()
    if measure not in test or "return" not in test:
        raise UserError(f"{env} {method} seed {seed} has no test return: evaluate it again with dream eval --csv")
    train = next(iter(splits.get("train", {}).values()), {}).get(measure)
    return RunScores(env, method, seed, measure, test[measure], train, test, _curve(splits.get("validation"), measure))


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
    interval = stratified_bootstrap(iqm, scores)
    normalised = runs[0].measure == "normalised"
    lengths = [run.test["explore_length"] for run in runs if "explore_length" in run.test]
    train = [run.train for run in runs if run.train is not None]
    return MethodSummary(
        env=runs[0].env,
        method=runs[0].method,
        measure=runs[0].measure,
        seeds=tuple(run.seed for run in runs),
        scores=scores,
        iqm=interval if len(scores) > 1 else Interval(interval.value, math.nan, math.nan),
        mean=float(mean(scores)),
        escaped=float(share_escaped(scores)) if normalised else None,
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
