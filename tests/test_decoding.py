"""-log p(o' | h) of observations of every kind, by hand."""

import math
from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from dream.core.decoding import Gaussian, ObservationLikelihood
from dream.core.observations import RunningNorm
from dream.spaces import integer_space, number_space

NUMBERS = number_space(-np.inf, np.inf, (2,))
IMAGE = gym.spaces.Box(0, 255, (5, 6, 1), np.uint8)
GAUSSIAN = Gaussian(0.5, (1, 2), lambda pixels: F.adaptive_avg_pool2d(pixels, (1, 2)) / 255.0)
STATISTICS = torch.tensor([10.0, -2.0]), torch.tensor([4.0, 0.25])
"""Mean and variance of numbers."""


def settled(likelihood: ObservationLikelihood) -> ObservationLikelihood:
    """With these statistics in place of running ones."""
    for norm in likelihood.modules():
        if isinstance(norm, RunningNorm):
            norm.mean.copy_(STATISTICS[0])
            norm.variance.copy_(STATISTICS[1])
    return likelihood


def test_integers_have_a_categorical_distribution_each() -> None:
    likelihood = ObservationLikelihood(integer_space([2, 3]), GAUSSIAN)
    assert (likelihood.outputs, likelihood.continuous) == (5, 0)
    logits = torch.tensor([0.25, 0.75, 0.5, 0.125, 0.375]).log().expand(1, 2, 5) + 7.0
    nats = likelihood(logits, torch.tensor([[[1, 2], [0, 1]]], dtype=torch.int16))
    torch.testing.assert_close(nats, -torch.tensor([[0.75 * 0.375, 0.25 * 0.125]]).log())


def test_codes_have_a_categorical_distribution_for_each_cell_and_channel() -> None:
    """All logits of the first channel come first, cell by cell; a cell with fewer values has as many as the others."""
    sizes = np.broadcast_to([2, 3], (5, 5, 2)).copy()
    sizes[4, 4] = 1
    likelihood = ObservationLikelihood(integer_space(sizes), GAUSSIAN)
    assert likelihood.outputs == 25 * (2 + 3)
    logits = torch.zeros(125)
    logits[2 * 7 + 1] = math.log(3.0)  # first channel, cell 7, value 1
    logits[50 + 3 * 11 + 2] = math.log(2.0)  # second channel, cell 11, value 2
    codes = torch.zeros(5, 5, 2, dtype=torch.int16)
    uniform = 25 * (math.log(2) + math.log(3))
    # cell 7: 1/4 in place of 1/2 for the value 0, 3/4 for 1; cell 11: 1/4 in place of 1/3, then 1/2
    assert likelihood(logits, codes).item() == pytest.approx(uniform + math.log(2) + math.log(4 / 3), abs=1e-4)
    codes[1, 2, 0], codes[2, 1, 1] = 1, 2
    assert likelihood(logits, codes).item() == pytest.approx(uniform - math.log(1.5) - math.log(1.5), abs=1e-4)


def test_images_have_a_gaussian_around_their_pooled_colours() -> None:
    likelihood = ObservationLikelihood(IMAGE, GAUSSIAN)
    assert (likelihood.outputs, likelihood.continuous) == (2, 2)
    frame = torch.zeros(1, 5, 6, 1, dtype=torch.uint8)
    frame[:, :, 3:] = 255  # black, white
    nats = likelihood(torch.tensor([[[0.5, 0.75]], [[0.0, 1.0]]]), frame[:, None].expand(2, 1, 5, 6, 1))
    torch.testing.assert_close(nats, torch.tensor([[(0.25 + 0.0625) / (2 * 0.25)], [0.0]]))


def test_numbers_have_a_gaussian_around_their_standardised_values() -> None:
    likelihood = settled(ObservationLikelihood(NUMBERS, GAUSSIAN))
    predicted, numbers = torch.tensor([1.0, -1.0]), torch.tensor([14.0, -2.0])  # (14 - 10) / 2, (-2 + 2) / 0.5
    assert likelihood(predicted, numbers).item() == pytest.approx((1 + 1) / (2 * 0.25), rel=0.01)


def test_the_nats_of_parts_add_up() -> None:
    parts = {"a.b": NUMBERS, "codes": integer_space([3]), "view": IMAGE}
    likelihood = settled(ObservationLikelihood(gym.spaces.Dict(parts), GAUSSIAN))
    assert (likelihood.outputs, likelihood.continuous) == (2 + 3 + 2, 4)
    generator = torch.Generator().manual_seed(0)
    predicted = torch.randn(4, 7, generator=generator)
    outcome: dict[str, Tensor] = {
        "a.b": torch.randn(4, 2, generator=generator) + 9.0,
        "codes": torch.tensor([[0], [1], [2], [0]]),
        "view": torch.randint(256, (4, 5, 6, 1), generator=generator).to(torch.uint8),
    }
    alone = [
        settled(ObservationLikelihood(parts[name], GAUSSIAN))(some, outcome[name])
        for name, some in zip(parts, predicted.split([2, 3, 2], -1), strict=True)
    ]
    torch.testing.assert_close(likelihood(predicted, outcome), sum(alone))


def test_one_outcome_is_read_by_several_predictions() -> None:
    """As in VariBAD: (N, P, T) predictions of (N, 1, T) outcomes."""
    for space, gaussian in ((integer_space([2, 3]), GAUSSIAN), (IMAGE, replace(GAUSSIAN, deviation=1.0))):
        likelihood = ObservationLikelihood(space, gaussian)
        predicted = torch.randn(2, 3, 4, likelihood.outputs, generator=torch.Generator().manual_seed(0))
        outcome = torch.randint(2, (2, 1, 4, *space.shape), generator=torch.Generator().manual_seed(1))
        outcome = outcome.to(torch.uint8)
        nats = likelihood(predicted, outcome)
        assert nats.shape == (2, 3, 4)
        torch.testing.assert_close(nats[1, 2, 3], likelihood(predicted[1, 2, 3], outcome[1, 0, 3]))
