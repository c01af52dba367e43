"""Statistics for few seeds and bimodal outcomes: interquartile means, intervals that hold, paired comparisons.

Scores of several runs are (seeds, tasks) arrays, where a task is a family; (seeds,) means one task. The statistics also
accept a stack of such arrays, (..., seeds, tasks), for the bootstrap. They follow Agarwal et al., "Deep RL at the edge
of the statistical precipice" (NeurIPS 2021), but for the intervals over seeds: percentile bootstrap intervals of five
seeds cover too little (`benchmarks/interval_coverage.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, stats

Statistic = Callable[..., NDArray[np.float64]]


class Interval(NamedTuple):
    """An estimate and its confidence interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def normalised(score: ArrayLike, no_exploration: ArrayLike, optimal: ArrayLike) -> NDArray[np.float64]:
    """(R - R_no) / (R* - R_no), elementwise: 0 is the best return without exploring, 1 the optimum.

    Raises ValueError if the optimum is not above the return without exploring.
    """
    score, low, high = (np.asarray(x, dtype=np.float64) for x in (score, no_exploration, optimal))
    if not np.all(high > low):
        raise ValueError(f"the optimal return {high} must be above the return without exploring {low}")
    return (score - low) / (high - low)


def iqm(scores: ArrayLike) -> NDArray[np.float64]:
    """Interquartile mean, (..., seeds, tasks) -> (...): the mean of the middle half of all runs of all tasks."""
    table = _table(scores)
    flat = table.reshape(*table.shape[:-2], -1)
    return np.asarray(stats.trim_mean(flat, 0.25, axis=-1))


def mean(scores: ArrayLike) -> NDArray[np.float64]:
    """Mean over runs and tasks, (..., seeds, tasks) -> (...)."""
    return np.asarray(_table(scores).mean((-2, -1)))


def probability_of_improvement(scores: ArrayLike, baseline: ArrayLike) -> NDArray[np.float64]:
    """P(a run scores higher than one of the baseline): (..., seeds, tasks), (..., seeds', tasks) -> (...).

    Over all pairs of runs on the same task, ties counting one half; then the mean over tasks. 0.5 is no difference.
    """
    ours, theirs = _table(scores)[..., :, None, :], _table(baseline)[..., None, :, :]
    return np.asarray(((ours > theirs) + 0.5 * (ours == theirs)).mean((-3, -2, -1)))


def performance_profile(scores: ArrayLike, thresholds: ArrayLike) -> NDArray[np.float64]:
    """Share of runs that score above each threshold, (..., seeds, tasks) and (K,) -> (..., K).

    The run-score distribution of Agarwal et al. (2021), equation 2: mean over tasks of the share of their seeds.
    """
    above = _table(scores)[..., None] > np.asarray(thresholds, dtype=np.float64)
    return np.asarray(above.mean((-3, -2)))


FEWEST_SEEDS = 5
"""With fewer seeds there is no interval, only a range."""


def seed_interval(scores: ArrayLike) -> tuple[float, float]:
    """Interval for what a typical seed scores: the k-th lowest to the k-th highest of the scores, (seeds,).

    The distribution-free interval of the median, with the largest k that covers it with a probability of 93% or more:
    k = 1 for 5 seeds (94%), 2 for 10 (98%), 6 for 20 (96%). It covers the interquartile mean about as often, whatever
    the distribution, two separate modes included (`benchmarks/interval_coverage.py`, docs/statistics.md). For fewer
    than `FEWEST_SEEDS` seeds it is the range, which covers less: 75% with 3.
    """
    ordered = np.sort(_table(scores)[:, 0])
    n = len(ordered)
    k = max(1, int(stats.binom.ppf(0.035, n, 0.5)))  # P(fewer than k seeds lie below the median) is below 3.5%
    return float(ordered[k - 1]), float(ordered[n - k])


def improvement_interval(scores: ArrayLike, baseline: ArrayLike, confidence: float = 0.95) -> Interval:
    """`probability_of_improvement` of (seeds,) over (seeds',) scores, and its interval.

    Newcombe's method 5 for the Mann-Whitney statistic (Newcombe 2006, Statistics in Medicine 25: 559-573): the values
    theta with |found - theta| <= z sqrt(V(theta)). It does not shrink to a point where every seed of one method is
    above every seed of the other, as a bootstrap does.
    """
    found = float(probability_of_improvement(scores, baseline))
    n, m = len(_table(scores)), len(_table(baseline))
    more, z = (n + m) / 2 - 1, float(stats.norm.ppf((1 + confidence) / 2))

    def excess(theta: float) -> float:
        variance = theta * (1 - theta) / (n * m) * (1 + more * ((1 - theta) / (2 - theta) + theta / (1 + theta)))
        return (found - theta) ** 2 - z**2 * variance

    step = 1e-9  # 0 and 1 are roots themselves where they were found
    low = float(optimize.brentq(excess, 0.0, found - step)) if found > 0 else 0.0
    high = float(optimize.brentq(excess, found + step, 1.0)) if found < 1 else 1.0
    return Interval(found, low, high)


def stratified_bootstrap(
    statistic: Statistic, *scores: ArrayLike, samples: int = 10_000, confidence: float = 0.95, seed: int = 0
) -> Interval:
    """A statistic of one or more methods with its percentile bootstrap interval.

    Runs are resampled with replacement within each task and method.

    Args:
        statistic: such as `iqm` (one array of scores) or `probability_of_improvement` (two).
        scores: (seeds, tasks) or (seeds,) of each method.
        samples: resamples.
        confidence: of the interval.
        seed: of the resampling.
    """
    rng = np.random.default_rng(seed)
    tables = [_table(table) for table in scores]
    resampled = []
    for table in tables:
        drawn = rng.integers(len(table), size=(samples, *table.shape))
        resampled.append(np.take_along_axis(table[None], drawn, axis=1))
    low, high = _percentiles(statistic(*resampled), confidence)
    return Interval(float(statistic(*tables)), low, high)


def normalised_interval(
    returns: ArrayLike,
    optimal: ArrayLike,
    no_exploration: float,
    *,
    samples: int = 2_000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Normalised score of ONE run over its trials, with a percentile bootstrap interval over trials.

    A ratio of means, (mean R - R_no) / (mean R* - R_no). The optimum differs between trials; a mean of ratios would
    give trials in which exploring hardly matters the same weight as others.

    Args:
        returns: (trials,) return of each trial's execution.
        optimal: (trials,) optimal return of the same trials; R and R* of a trial are resampled together.
        no_exploration: mean return of the best executor without exploration.
        samples: resamples.
        confidence: of the interval.
        seed: of the resampling.
    """
    got, best = np.asarray(returns, dtype=np.float64), np.asarray(optimal, dtype=np.float64)
    if got.shape != best.shape or got.ndim != 1 or not len(got):
        raise ValueError(f"returns and optimal must be (trials,) alike, not {got.shape} and {best.shape}")
    drawn = np.random.default_rng(seed).integers(len(got), size=(samples, len(got)))
    resampled = normalised(got[drawn].mean(1), no_exploration, best[drawn].mean(1))
    low, high = _percentiles(resampled, confidence)
    return Interval(float(normalised(got.mean(), no_exploration, best.mean())), low, high)


def _percentiles(values: NDArray[np.float64], confidence: float) -> tuple[float, float]:
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def _table(scores: ArrayLike) -> NDArray[np.float64]:
    """(seeds,) -> (seeds, 1); (..., seeds, tasks) unchanged. Raises ValueError without runs, and for NaN."""
    table = np.asarray(scores, dtype=np.float64)
    if table.ndim == 1:
        table = table[:, None]
    if table.ndim < 2 or not table.size:
        raise ValueError(f"scores must be (seeds,) or (seeds, tasks) with at least one run, not of shape {table.shape}")
    if np.isnan(table).any():
        raise ValueError("a score is NaN: find out why the run has no score rather than dropping it")
    return table
