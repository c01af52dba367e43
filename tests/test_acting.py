"""What every policy needs to act in training: shares of random actions, and which random actions."""

from types import SimpleNamespace

import gymnasium as gym
import pytest
import torch

from dream.core.acting import interleave, member_epsilons, random_actions
from dream.core.trial import Episodes


def test_random_actions_are_uniform_where_no_action_ends_an_episode() -> None:
    env = SimpleNamespace(single_action_space=gym.spaces.Discrete(4), end_action=None)
    assert random_actions(env).tolist() == [0.25] * 4


def test_the_action_that_ends_an_episode_is_seldom_random() -> None:
    env = SimpleNamespace(single_action_space=gym.spaces.Discrete(5), end_action=1)
    assert random_actions(env).tolist() == pytest.approx([0.245, 0.02, 0.245, 0.245, 0.245])


@pytest.mark.parametrize(("members", "low"), [(5, 0.01), (2, 0.5), (1, 0.1)])
def test_shares_of_random_actions_are_geometric_from_one_down(members: int, low: float) -> None:
    expected = [low ** (i / max(members - 1, 1)) for i in range(members)]
    assert member_epsilons(members, low).tolist() == pytest.approx(expected, rel=1e-5)


def episodes(first: int) -> Episodes:
    """Two streams of three steps; every number says which stream of which batch it belongs to."""
    number = torch.tensor([first, first + 1])
    return Episodes(
        obs=number[:, None, None].repeat(1, 4, 2),
        action=number[:, None].repeat(1, 3),
        reward=number[:, None].repeat(1, 3).float(),
        terminated=torch.zeros(2, 3, dtype=torch.bool),
        mask=torch.ones(2, 3, dtype=torch.bool),
        start=torch.zeros(2, 3, dtype=torch.bool),
        instruction=number[:, None],
    )


def test_episodes_are_interleaved_trial_by_trial() -> None:
    joined = interleave([episodes(0), episodes(10), episodes(20)])
    assert joined.instruction[:, 0].tolist() == [0, 10, 20, 1, 11, 21]
    for name in ("action", "reward"):
        assert getattr(joined, name)[:, 0].tolist() == [0, 10, 20, 1, 11, 21]
    assert joined.obs.shape == (6, 4, 2) and joined.mask.shape == (6, 3)
    alone = episodes(5)
    assert interleave([alone]) is alone
