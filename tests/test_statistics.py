"""Every statistic against numbers worked out by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dream.eval.statistics import (
    Interval,
    improvement_interval,
    iqm,
    mean,
    normalised,
    normalised_interval,
    performance_profile,
    probability_of_improvement,
    seed_interval,
    stratified_bootstrap,
)


def test_normalised_by_hand():
    # bus: 0.3 without exploring, 0.8 at best
    np.testing.assert_allclose(normalised([0.3, 0.8, 0.55, 0.2], 0.3, 0.8), [0, 1, 0.5, -0.2])
    with pytest.raises(ValueError, match="must be above"):
        normalised(0.5, 0.8, 0.8)


def test_iqm_by_hand():
    assert iqm([0, 1, 2, 100]) == 1.5  # one of four goes at each end
    assert iqm([0.9, 0.0, 0.8, 1.0, 0.7]) == pytest.approx(0.8)  # one of five at each end: mean of .7 .8 .9
    assert iqm([3.0]) == 3
    assert iqm([[0, 1], [2, 100]]) == 1.5  # tasks are pooled
    stack = np.array([[[0], [1], [2], [100]], [[1], [2], [3], [3]]])
    assert iqm(stack).tolist() == [1.5, 2.5]
    assert iqm(stack[None]).tolist() == [[1.5, 2.5]]


def test_mean_by_hand():
    assert mean([[0, 1], [2, 5]]) == 2


@pytest.mark.parametrize(("seeds", "k"), [(1, 1), (3, 1), (5, 1), (8, 1), (9, 2), (10, 2), (20, 6)])
def test_the_interval_of_seeds_is_the_one_of_the_median_for_any_distribution(seeds: int, k: int):
    scores = np.random.default_rng(0).permutation(np.arange(seeds) ** 2.0)
    assert seed_interval(scores) == ((k - 1) ** 2, (seeds - k) ** 2)
    if seeds >= 5:  # P(k or more seeds on both sides of the median), and the next narrower interval covers too little
        assert 1 - 2 * stats.binom.cdf(k - 1, seeds, 0.5) >= 0.93 > 1 - 2 * stats.binom.cdf(k, seeds, 0.5)


def test_the_interval_of_a_probability_of_improvement():
    # All above: (1 - theta)^2 = z^2 V(theta); by hand for 5 and 5 seeds: theta = 0.6427
    above = improvement_interval(np.arange(5) + 10, np.arange(5))
    assert above.value == 1 and above.high == 1 and above.low == pytest.approx(0.6427, abs=1e-4)
    theta = above.low
    variance = theta * (1 - theta) / 25 * (1 + 4 * ((1 - theta) / (2 - theta) + theta / (1 + theta)))
    assert (1 - theta) ** 2 == pytest.approx(1.959964**2 * variance, rel=1e-6)
    below = improvement_interval(np.arange(5), np.arange(5) + 10)
    assert (below.value, below.low, below.high) == (0, 0, pytest.approx(1 - theta))
    equal = improvement_interval([1.0] * 5, [1.0] * 5)
    assert equal.value == 0.5 and equal.low == pytest.approx(1 - equal.high) and equal.low < 0.25
    assert improvement_interval(np.arange(10) + 20, np.arange(10)).low > theta  # more seeds, narrower


def test_probability_of_improvement_by_hand():
    # 3 > 1, 3 > 2, 2 > 1 and 2 = 2: 3.5 of 4 pairs
    assert probability_of_improvement([3, 2], [1, 2]) == 3.5 / 4
    assert probability_of_improvement([1, 2], [3, 2]) == 0.5 / 4
    # another number of seeds; first task all wins, second all losses
    assert probability_of_improvement([[1, 0], [1, 0]], [[0, 1], [0, 1], [0, 1]]) == 0.5


@given(
    st.lists(st.integers(-3, 3), min_size=1, max_size=6),
    st.lists(st.integers(-3, 3), min_size=1, max_size=6),
)
@settings(max_examples=50, deadline=None)
def test_probability_of_improvement_is_mann_whitney_u_per_pair(ours: list[int], theirs: list[int]):
    expected = stats.mannwhitneyu(ours, theirs).statistic / (len(ours) * len(theirs))
    assert probability_of_improvement(ours, theirs) == pytest.approx(expected)
    assert probability_of_improvement(theirs, ours) == pytest.approx(1 - expected)


def test_performance_profile_by_hand():
    scores = [[0.0, 0.5], [0.5, 1.0], [1.0, 1.0], [1.0, 0.5]]  # four seeds of two tasks
    np.testing.assert_allclose(performance_profile(scores, [-1, 0.0, 0.5, 0.75, 1.0]), [1, 7 / 8, 4 / 8, 4 / 8, 0])
    np.testing.assert_allclose(performance_profile([0.0, 0.2, 0.4], [0.1, 0.3]), [2 / 3, 1 / 3])
    stack = np.array([[[0.0], [1.0]], [[1.0], [1.0]]])  # two samples of two seeds of one task
    np.testing.assert_allclose(performance_profile(stack, [0.5]), [[0.5], [1.0]])


def test_bootstrap_of_equal_scores_has_no_width():
    assert stratified_bootstrap(iqm, [0.5] * 5) == Interval(0.5, 0.5, 0.5)


def test_bootstrap_of_two_seeds_by_hand():
    # resamples of (0, 1): mean 0 and 1 a quarter of the time each, so both ends lie inside the outer 2.5%
    assert stratified_bootstrap(mean, [0, 1]) == Interval(0.5, 0.0, 1.0)
    # at 40% confidence the quantiles .3 and .7 fall on the mean of a half
    assert stratified_bootstrap(mean, [0, 1], confidence=0.4) == Interval(0.5, 0.5, 0.5)


def test_bootstrap_draws_within_each_task():
    # All spread is between tasks: drawn within tasks, no resample differs. Drawn over all, they would.
    assert stratified_bootstrap(mean, [[0, 10], [0, 10], [0, 10]]) == Interval(5, 5, 5)
    # Drawn apart in each task, the two means are independent: the variance is 1/4 + 1/4 of a task's, not all of it
    together = stratified_bootstrap(mean, [[0, 0], [1, 1]], confidence=0.8)
    assert together == Interval(0.5, 0.25, 0.75)


def test_bootstrap_agrees_with_scipy():
    scores = np.random.default_rng(1).normal(size=20)
    ours = stratified_bootstrap(mean, scores)
    theirs = stats.bootstrap((scores,), np.mean, method="percentile", rng=np.random.default_rng(2)).confidence_interval
    assert ours.low == pytest.approx(theirs.low, abs=0.03) and ours.high == pytest.approx(theirs.high, abs=0.03)


def test_bootstrap_of_a_comparison_and_its_seed():
    better, worse = np.linspace(0.5, 1.0, 5), np.linspace(0.0, 0.45, 5)
    assert stratified_bootstrap(probability_of_improvement, better, worse) == Interval(1, 1, 1)
    same = stratified_bootstrap(probability_of_improvement, better, better)
    assert same.value == 0.5 and same.low < 0.25 and same.high > 0.75
    scores = np.random.default_rng(0).normal(size=50)
    first, again, other = (stratified_bootstrap(iqm, scores, samples=50, seed=seed) for seed in (1, 1, 2))
    assert first == again != other


def test_normalised_interval_is_a_ratio_of_means():
    # mean R = 0.5, mean R* = 0.75, without exploring 0.25: (0.5 - 0.25) / (0.75 - 0.25); the mean of ratios is another
    score = normalised_interval([0.25, 0.75], [0.5, 1.0], 0.25)
    assert score.value == 0.5
    assert score.low == 0.0 and score.high == pytest.approx(2 / 3)
    assert normalised_interval([0.8] * 10, [0.8] * 10, 0.3) == Interval(1, 1, 1)
    for returns, optimal in (([0.8] * 10, [0.8] * 9), ([], []), ([[0.8]], [[0.8]])):
        with pytest.raises(ValueError, match="alike"):
            normalised_interval(returns, optimal, 0.3)


def test_the_confidence_of_a_normalised_interval_is_that_of_its_quantiles():
    # resamples of two trials: mean 0, 1/2 and 1, a quarter, a half and a quarter of the time
    assert normalised_interval([0, 1], [1, 1], 0.0, confidence=0.4) == Interval(0.5, 0.5, 0.5)
    assert normalised_interval([0, 1], [1, 1], 0.0, confidence=0.8) == Interval(0.5, 0.0, 1.0)
    few = [normalised_interval(np.arange(50) / 50, np.ones(50), 0.0, samples=20, seed=seed) for seed in (1, 1, 2)]
    assert few[0] == few[1] != few[2]


def test_normalised_interval_covers_the_truth_about_95_times_in_100():
    rng = np.random.default_rng(0)
    covered = 0
    for repetition in range(200):
        optimal = rng.choice([0.6, 1.0], size=200)
        returns = np.where(rng.random(200) < 0.7, optimal, 0.0)  # the truth: (0.56 - 0.2) / (0.8 - 0.2) = 0.6
        score = normalised_interval(returns, optimal, 0.2, samples=400, seed=repetition)
        covered += score.low <= 0.6 <= score.high
    assert 180 <= covered <= 199


def test_invalid_scores_are_refused():
    with pytest.raises(ValueError, match="at least one run"):
        iqm([])
    with pytest.raises(ValueError, match="at least one run"):
        iqm(0.5)
    with pytest.raises(ValueError, match="NaN"):
        iqm([0.5, float("nan")])
    assert str(Interval(0.5, 0.25, 0.75)) == "0.500 [0.250, 0.750]"
