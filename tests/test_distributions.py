"""Distributions over actions against torch.distributions, and how often each action is drawn."""

from itertools import pairwise

import gymnasium as gym
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import Categorical, Distribution, Independent, Normal

from dream.core.actions import Actions
from dream.core.distributions import entropy, log_prob, mode, parameters_of, sample

DISCRETE = Actions(gym.spaces.Discrete(4))
SEVERAL = Actions(gym.spaces.MultiDiscrete([3, 2, 4]))
BOX = Actions(gym.spaces.Box(np.float32([-1, 0]), np.float32([1, 10])))
EVERY = pytest.mark.parametrize("actions", [DISCRETE, SEVERAL, BOX], ids=["discrete", "several", "box"])


def parameters_for(actions: Actions, *leading: int, scale: float = 1.0) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return scale * torch.randn(*leading, parameters_of(actions), generator=generator)


def reference(parameters: Tensor, actions: Actions) -> list[Distribution]:
    """torch's distributions of the components, independent of each other."""
    if actions.numbers:
        mean, log_deviation = parameters[..., : actions.numbers], parameters[..., actions.numbers :]
        return [Independent(Normal(mean, log_deviation.exp()), 1)]
    ends = np.cumsum([0, *actions.sizes])
    return [Categorical(logits=parameters[..., a:b]) for a, b in pairwise(ends)]


def components(action: Tensor, actions: Actions) -> list[Tensor]:
    """The part of an action that each distribution of `reference` is about."""
    if actions.numbers or actions.discrete:
        return [action]
    return [action[..., i] for i in range(len(actions.sizes))]


def test_the_number_of_parameters() -> None:
    assert [parameters_of(actions) for actions in (DISCRETE, SEVERAL, BOX)] == [4, 3 + 2 + 4, 2 + 2]


@EVERY
def test_log_probabilities_and_entropies_are_those_of_torch(actions: Actions) -> None:
    parameters = parameters_for(actions, 5, 7, scale=2.0)
    parts = reference(parameters, actions)
    drawn = [part.sample() for part in parts]
    action = drawn[0] if len(drawn) == 1 else torch.stack(drawn, -1)
    expected = sum(part.log_prob(one) for part, one in zip(parts, components(action, actions), strict=True))
    torch.testing.assert_close(log_prob(parameters, action, actions), expected)
    torch.testing.assert_close(entropy(parameters, actions), sum(part.entropy() for part in parts))
    assert log_prob(parameters, action, actions).shape == entropy(parameters, actions).shape == (5, 7)


@EVERY
def test_gradients_reach_every_parameter(actions: Actions) -> None:
    parameters = parameters_for(actions, 6).requires_grad_()
    action = sample(parameters.detach(), actions, torch.Generator().manual_seed(1))
    (gradient,) = torch.autograd.grad(log_prob(parameters, action, actions).sum(), parameters)
    assert torch.isfinite(gradient).all() and gradient.any(0).all()


def test_numbers_outside_the_bounds_have_a_density() -> None:
    """The Gaussian is not cut at the bounds: the environment is given what it chose, clipped."""
    parameters = torch.tensor([[0.0, 0.5, 0.0, -1.0]])
    action = torch.tensor([[3.0, -2.0]])
    expected = Normal(0.0, 1.0).log_prob(torch.tensor(3.0)) + Normal(0.5, np.exp(-1.0)).log_prob(torch.tensor(-2.0))
    torch.testing.assert_close(log_prob(parameters, action, BOX)[0], expected)


@EVERY
def test_the_mode_is_the_most_likely_action(actions: Actions) -> None:
    parameters = parameters_for(actions, 5, 7, scale=2.0)
    best = mode(parameters, actions)
    assert best.shape == (5, 7, *actions.shape) and best.dtype == actions.dtype
    for part, one in zip(reference(parameters, actions), components(best, actions), strict=True):
        assert torch.equal(one, part.mode)


def shares(action: Tensor, values: int) -> Tensor:
    return torch.bincount(action, minlength=values) / len(action)


def test_integers_are_drawn_as_often_as_they_are_likely() -> None:
    count = 40_000
    for actions in (DISCRETE, SEVERAL):
        parameters = parameters_for(actions, 1).expand(count, -1)
        action = sample(parameters, actions, torch.Generator().manual_seed(3))
        assert action.shape == (count, *actions.shape) and action.dtype == torch.int64
        for part, one in zip(reference(parameters[0], actions), components(action, actions), strict=True):
            probabilities = part.probs  # type: ignore[attr-defined]
            torch.testing.assert_close(shares(one, len(probabilities)), probabilities, rtol=0, atol=0.01)


def test_integers_are_drawn_independently_of_each_other() -> None:
    action = sample(torch.zeros(40_000, 9), SEVERAL, torch.Generator().manual_seed(3))
    joint = shares(action[:, 0] * 2 + action[:, 1], 6)
    torch.testing.assert_close(joint, torch.full((6,), 1 / 6), rtol=0, atol=0.01)


def test_numbers_are_drawn_with_their_mean_and_deviation() -> None:
    parameters = torch.tensor([0.5, -2.0, 0.0, np.log(0.25)]).float().expand(40_000, -1)
    action = sample(parameters, BOX, torch.Generator().manual_seed(3))
    torch.testing.assert_close(action.mean(0), torch.tensor([0.5, -2.0]), rtol=0, atol=0.02)
    torch.testing.assert_close(action.std(0), torch.tensor([1.0, 0.25]), rtol=0, atol=0.02)
    assert abs(float(torch.corrcoef(action.T)[0, 1])) < 0.02


@EVERY
def test_a_seed_draws_the_same_actions_and_impossible_ones_never(actions: Actions) -> None:
    parameters = parameters_for(actions, 500)
    one, two = (sample(parameters, actions, torch.Generator().manual_seed(7)) for _ in range(2))
    assert torch.equal(one, two)
    if not actions.numbers:
        parameters[:, 0] = -torch.inf
        first = components(sample(parameters, actions, torch.Generator().manual_seed(7)), actions)[0]
        assert not (first == 0).any()
