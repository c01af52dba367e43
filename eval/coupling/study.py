"""The coupling study: both learners over several numbers of actions, log-log slopes, summary and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from dream.errors import UserError
from dream.eval.coupling.exact import LEARNERS, Floats, Name, Samples, check, samples_to_solve
from dream.eval.statistics import Interval

Part = Literal["explorer", "executor", "pair"]
PARTS: tuple[Part, ...] = ("explorer", "executor", "pair")
THEORY: dict[Name, int] = {"coupled": 2, "decoupled": 1}
"""Exponent of |A| in theory, for uniform acting and a fixed number of problems (eval/coupling/exact.py)."""
COLUMNS = ("actions", "problems", "epsilon", "seed", "learner", "run", *PARTS)


def study(
    actions: Sequence[int],
    problems: int,
    runs: int,
    seed: int,
    max_trials: int,
    epsilon: float,
    on_progress: Callable[[int], None] = lambda done: None,
) -> list[Samples]:
    """`samples_to_solve` for both learners and each number of actions.

    Args:
        actions: numbers of actions, two or more, all different.
        problems: M.
        runs: of each learner and number of actions.
        seed: of everything.
        max_trials: limit of a run.
        epsilon: share of uniformly random actions.
        on_progress: called with the amount of `expected_work` done.

    Raises:
        UserError: a number is out of range; nothing has been run.
    """
    check_study(actions, problems, runs, seed, max_trials, epsilon)
    found, done = [], 0
    for learner in LEARNERS:
        for number in sorted(actions):
            work = expected_work([number], problems, [learner])

            def tell(solved: int, before: int = done, work: int = work) -> None:
                on_progress(before + work * solved // runs)

            found.append(samples_to_solve(learner, number, problems, runs, seed, max_trials, epsilon, tell))
            done += work
    return found


def check_study(actions: Sequence[int], problems: int, runs: int, seed: int, max_trials: int, epsilon: float) -> None:
    """Raise UserError for a number that `study` cannot use."""
    if len(actions) < 2 or len(set(actions)) < len(actions):
        raise UserError(f"--actions are {list(actions)}: give two numbers or more, all different, for a slope")
    for number in actions:
        check(number, problems, runs, seed, max_trials, epsilon)


def expected_work(actions: Sequence[int], problems: int, learners: Sequence[Name] = LEARNERS) -> int:
    """Expected trials in theory, one run each, summed: the relative cost of the parts of the study."""
    return sum(round(executor_trials(learner, number, problems)) for learner in learners for number in actions)


def executor_trials(learner: Name, actions: int, problems: int) -> float:
    """Expected trials until the executor is right in every problem under uniform acting (eval/coupling/exact.py).

    Exact for `coupled`. For `decoupled` it ignores that one in |A| trials that bring a coupon brings two.
    """
    harmonic = np.cumsum(1 / np.arange(1, 2 * problems + 1))
    if learner == "coupled":
        return float(actions**2 * problems * harmonic[problems - 1])
    return float(actions * problems * harmonic[-1])


def slope(found: Sequence[Samples], learner: Name, part: Part) -> Interval:
    """`fit_slope` of one learner in a study."""
    mine = [samples for samples in found if samples.learner == learner]
    return fit_slope([samples.actions for samples in mine], np.stack([getattr(samples, part) for samples in mine]))


def fit_slope(
    actions: Sequence[int], trials: Floats, bootstrap: int = 2000, confidence: float = 0.95, seed: int = 0
) -> Interval:
    """Exponent k of median trials ~ |A|^k: least squares in log-log, with a percentile bootstrap interval over runs.

    Args:
        actions: the numbers of actions, at least two of them different.
        trials: (len(actions), R) trials until solved, inf where not.
        bootstrap: resamples; runs are drawn with replacement within each number of actions.
        confidence: of the interval.
        seed: of the resampling.

    Returns:
        The exponent and its interval; all NaN if for some |A| the median run is unsolved. Resamples whose median is
        unsolved count as exponent inf, so that unsolved runs never narrow the interval.

    Raises:
        ValueError: fewer than two numbers of actions, or an array of another shape.
    """
    x = np.log(np.asarray(actions, dtype=np.float64))
    if len(set(actions)) < 2 or trials.ndim != 2 or len(trials) != len(x):
        raise ValueError(
            f"a slope needs at least two different numbers of actions and one row of trials for each, "
            f"not {list(actions)} and an array of shape {trials.shape}"
        )
    x = x - x.mean()

    def slope(medians: Floats) -> Floats:  # (..., len(actions)) -> (...)
        solved = np.isfinite(medians)
        value = (np.log(np.where(solved, medians, 1.0)) * x).sum(-1) / (x**2).sum()
        return np.where(solved.all(-1), value, np.inf)

    value = float(slope(np.median(trials, axis=1)))
    if not np.isfinite(value):
        return Interval(np.nan, np.nan, np.nan)
    drawn = np.random.default_rng(seed).integers(trials.shape[1], size=(bootstrap, *trials.shape))
    medians = np.median(np.take_along_axis(trials[None], drawn, axis=2), axis=2)
    ends = [(1 - confidence) / 2, (1 + confidence) / 2]
    low, high = np.quantile(slope(medians), ends, method="inverted_cdf")  # no arithmetic between inf and inf
    return Interval(value, float(low), float(high))


def summary(found: Sequence[Samples]) -> dict[str, Any]:
    """Results of a study: quantiles over runs for each learner and number of actions, slopes for each learner.

    Returns:
        rows: learner, actions, problems, runs, solved (runs), and for each part its 5%, 50% and 95% quantile over runs
            (trials; inf if unsolved), `executor_mean` (trials, over runs) and its value in theory under uniform
            acting, `executor_theory`;
        slopes: learner -> part -> value, low, high (95%), and `theory`.
    """
    rows = []
    for samples in found:
        row: dict[str, Any] = {
            "learner": samples.learner,
            "actions": samples.actions,
            "problems": samples.problems,
            "runs": len(samples.pair),
            "solved": int(np.isfinite(samples.pair).sum()),
        }
        for part in PARTS:
            row[part] = quantiles(getattr(samples, part))
        row["executor_mean"] = float(samples.executor.mean())
        row["executor_theory"] = executor_trials(samples.learner, samples.actions, samples.problems)
        rows.append(row)
    slopes = {
        learner: {**{part: slope(found, learner, part)._asdict() for part in PARTS}, "theory": THEORY[learner]}
        for learner in LEARNERS
    }
    return {"rows": rows, "slopes": slopes}


def quantiles(trials: Floats) -> tuple[float, float, float]:
    """5%, 50% and 95% quantile over runs, inf where unsolved."""
    low, high = np.quantile(trials, [0.05, 0.95], method="inverted_cdf")  # an observed run: no arithmetic with inf
    return float(low), float(np.median(trials)), float(high)


def to_csv(found: Sequence[Samples], seed: int, epsilon: float) -> str:
    """One line per run of a study: trials until explorer, executor and pair were solved, empty if unsolved."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for samples in found:
        for run in range(len(samples.pair)):
            trials = [getattr(samples, part)[run] for part in PARTS]
            counts = [int(value) if np.isfinite(value) else "" for value in trials]
            writer.writerow([samples.actions, samples.problems, epsilon, seed, samples.learner, run, *counts])
    return text.getvalue()
