"""The shares of benchmarks/world_links.py, where they are known."""

import numpy as np

from benchmarks.world_links import explained


def test_the_share_that_lies_between_groups() -> None:
    rng = np.random.default_rng(0)
    group = np.repeat(["a", "b", "c"], 100)
    noise = rng.normal(size=(300, 4))
    means = np.repeat(np.array([[0.0], [3.0], [6.0]]), 100, axis=0)
    assert explained(means + 0 * noise, group) == 1
    assert abs(explained(means + noise, group) - 6 / 7) < 0.02  # variance 6 between, 1 within
    many = rng.permutation(np.repeat(np.arange(60), 5))  # five of each: uncorrected, 0.2 by chance
    assert abs(explained(noise, many)) < 0.05
