"""The cells in which observations are counted, and inverse models, for spaces beyond integers and frames."""

from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
import torch

from dream.core.actions import Actions
from dream.core.observations import RunningNorm
from dream.exploration.hashing import BITS, CELLS, SETTLED, ObservationHash
from dream.exploration.icm import IntrinsicCuriosity
from dream.spaces import integer_space, number_space
from tests.any_space import ACTIONS, OBSERVATIONS, AnySpace
from tests.test_any_method import training_of

NUMBERS = number_space(-np.inf, np.inf, (2,))


def random(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def norm_of(cell: ObservationHash) -> RunningNorm:
    (norm,) = (module for module in cell.modules() if isinstance(module, RunningNorm))
    return norm


def test_numbers_are_hashed_by_the_sides_of_hyperplanes_on_which_they_lie() -> None:
    cell = ObservationHash(NUMBERS)
    norm_of(cell).mean.copy_(torch.tensor([10.0, 0.0]))
    norm_of(cell).variance.copy_(torch.tensor([25.0, 1.0]))
    numbers = torch.tensor([[[15.0, -2.0], [10.0, 0.0]]])
    planes = cell.parts[0].projection
    first = planes[0] / 1.0002 - 2 * planes[1] / 1.001 + planes[2]  # standardised: 5 / (5 + 1e-3), -2 / (1 + 1e-3)
    assert cell(numbers)[0].tolist() == [sum(2**i for i in range(BITS) if v[i] > 0) for v in (first, planes[2])]


def test_numbers_of_one_direction_are_told_apart() -> None:
    """Signs of projections alone would give all of them one cell."""
    line = torch.linspace(0.1, 3.0, 50)[None, :, None] * torch.tensor([1.0, 2.0])
    assert len(ObservationHash(NUMBERS)(line).unique()) > 3
    assert len(ObservationHash(NUMBERS)(random(1, 2000, 2)).unique()) > 60


def test_the_statistics_of_the_hash_settle() -> None:
    norm = norm_of(ObservationHash(NUMBERS))
    norm.observe(100.0 + random(SETTLED, 2))
    settled = norm.mean.clone()
    norm.observe(random(10, 2))
    assert settled.mean() > 99 and torch.equal(norm.mean, settled)


def test_codes_are_hashed_as_integers() -> None:
    codes = torch.randint(3, (1, 200, 5, 5, 2), generator=torch.Generator().manual_seed(0))
    cell = ObservationHash(integer_space(np.full((5, 5, 2), 3)))
    assert torch.equal(cell(codes), ObservationHash(integer_space([3] * 50))(codes.flatten(2)))


def test_parts_have_a_cell_for_each_combination_of_theirs() -> None:
    cell = ObservationHash(gym.spaces.Dict({"a": integer_space([3]), "b.c": integer_space([2, 4])}))
    every = torch.cartesian_prod(torch.arange(3), torch.arange(2), torch.arange(4))[None]
    assert cell({"a": every[..., :1], "b.c": every[..., 1:]})[0].sort().values.tolist() == list(range(24))
    mixed = ObservationHash(gym.spaces.Dict({"integers": integer_space([3]), "numbers": NUMBERS}))
    obs = {"integers": torch.arange(3)[None, :, None].repeat(1, 500, 1), "numbers": random(1, 1500, 2)}
    cells = mixed(obs)
    assert cells.min() >= 0 and cells.max() < CELLS
    alone = torch.stack([obs["integers"][..., 0], ObservationHash(NUMBERS)(obs["numbers"])], -1)[0]
    assert len(cells.unique()) > 0.95 * len(alone.unique(dim=0))


@pytest.mark.parametrize("action", ["several", "box"])
def test_the_inverse_model_of_any_actions_by_hand(action: str, monkeypatch: pytest.MonkeyPatch) -> None:
    actions = Actions(AnySpace(1, "integers", action).single_action_space)
    model = IntrinsicCuriosity(OBSERVATIONS["integers"], actions, 2)
    training = training_of("random", "integers", action, "ppo")
    trials = training.method.collect(training.env, np.zeros(6, np.int64), training.generator)
    if action == "box":  # beyond the bounds, as a policy may choose
        trials = replace(trials, explore=replace(trials.explore, action=2.0 * trials.explore.action))
    explore = trials.explore
    given = []
    size = 5 if action == "several" else 2
    monkeypatch.setattr(model.features, "forward", lambda obs, seen: torch.zeros(*seen.shape, 2))
    monkeypatch.setattr(model.inverse, "forward", lambda pair: torch.zeros(*pair.shape[:-1], size))
    monkeypatch.setattr(model.forward_model, "forward", lambda value: given.append(value) or value[..., :2])
    _, loss = model(trials, None)
    step = explore.transition
    if action == "several":
        assert ACTIONS[action] == gym.spaces.MultiDiscrete([3, 2])
        expected = np.log(3) + np.log(2)  # uniform for each integer
        first, second = explore.action[step].unbind(-1)
        assert torch.equal(given[0][step][:, 2:5].argmax(-1), first)
        assert torch.equal(given[0][step][:, 5:].argmax(-1), second)
    else:
        taken = explore.action[step].clamp(-1, 1)  # what took effect
        expected = 0.5 * taken.square().sum(-1).mean().item()
        assert torch.equal(given[0][step][:, 2:], taken)
    assert loss.item() == pytest.approx(0.8 * expected, rel=1e-5)
