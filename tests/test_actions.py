"""How actions are stored, shown to networks, chosen and given to an environment."""

from types import SimpleNamespace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch

from dream.core.acting import SAMPLED, ActionChooser, random_actions
from dream.core.actions import Actions
from dream.core.distributions import parameters_of
from dream.core.heads import ActorCriticHead, make_head

DISCRETE = gym.spaces.Discrete(4)
SEVERAL = gym.spaces.MultiDiscrete([3, 2])
BOX = gym.spaces.Box(np.float32([-1.0, 2.0]), np.float32([1.0, 10.0]))
CPU = torch.device("cpu")


def chooser(space: gym.Space[Any], learner: str = "ppo", end: int | None = None, repeat: float = 0.0) -> ActionChooser:
    env = SimpleNamespace(single_action_space=space, end_action=end)
    return ActionChooser(env, learner, CPU, repeat)  # type: ignore[arg-type]


# -- storing -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("space", "shape", "sizes", "numbers", "none"),
    [(DISCRETE, (), (4,), 0, 4), (SEVERAL, (2,), (3, 2), 0, [3, 2]), (BOX, (2,), (), 2, [0.0, 0.0])],
)
def test_shapes_sizes_and_what_stands_for_no_action(
    space: gym.Space[Any], shape: tuple[int, ...], sizes: tuple[int, ...], numbers: int, none: Any
) -> None:
    actions = Actions(space)
    assert (actions.shape, actions.sizes, actions.numbers) == (shape, sizes, numbers)
    assert actions.nothing().tolist() == none
    many = actions.nothing(5, 3)
    assert many.shape == (5, 3, *shape) and many.dtype == actions.dtype and many[4, 2].tolist() == none
    assert actions.integer_sizes == tuple(size + 1 for size in sizes)  # "no action" is a value of its own
    empty = actions.empty(2, 6)
    assert empty.shape == (2, 6, *shape) and torch.from_numpy(empty).dtype == actions.dtype and not empty.any()
    assert actions.discrete == (space is DISCRETE)


def test_what_a_network_reads_of_a_previous_action() -> None:
    one = torch.tensor([[0, 4], [2, 1]])
    assert torch.equal(Actions(DISCRETE).integers(one), one[..., None])
    several = torch.tensor([[[0, 1], [3, 2]]])
    assert torch.equal(Actions(SEVERAL).integers(several), several)
    numbers = torch.tensor([[0.5, -3.0]])
    assert Actions(BOX).integers(numbers) is None and torch.equal(Actions(BOX).as_numbers(numbers), numbers)
    assert Actions(DISCRETE).as_numbers(one) is None
    assert Actions(DISCRETE).integers(one[:0]).shape == (0, 2, 1)
    assert Actions(SEVERAL).integers(several[:0]).shape == (0, 2, 2)


def test_no_action_is_made_a_valid_one() -> None:
    assert Actions(DISCRETE).valid(torch.tensor([0, 3, 4])).tolist() == [0, 3, 3]
    assert Actions(SEVERAL).valid(torch.tensor([[0, 1], [2, 0], [3, 2]])).tolist() == [[0, 1], [2, 0], [2, 1]]
    assert Actions(BOX).valid(torch.tensor([[0.0, 7.0]])).tolist() == [[0.0, 7.0]]


def test_an_environment_is_given_numbers_in_its_own_units_within_its_bounds() -> None:
    stored = torch.tensor([[-1.0, -1.0], [0.0, 0.0], [0.5, 0.25], [1.0, 1.0], [-9.0, 9.0]])
    taken = Actions(BOX).for_environment(stored)
    assert taken.tolist() == [[-1.0, 2.0], [0.0, 6.0], [0.5, 7.0], [1.0, 10.0], [-1.0, 10.0]]
    assert taken.dtype == np.float32 and all(BOX.contains(action) for action in taken)
    assert Actions(DISCRETE).for_environment(torch.tensor([3, 0])).tolist() == [3, 0]
    assert Actions(SEVERAL).for_environment(torch.tensor([[2, 1]])).tolist() == [[2, 1]]


# -- choosing ----------------------------------------------------------------------------------------------------


def test_random_actions_of_every_space() -> None:
    count, generator = 30_000, torch.Generator().manual_seed(0)
    assert random_actions(SimpleNamespace(single_action_space=SEVERAL, end_action=None)) is None
    several = chooser(SEVERAL).random(count, generator)
    for i, values in enumerate(SEVERAL.nvec):
        shares = torch.bincount(several[:, i]) / count
        torch.testing.assert_close(shares, torch.full((values,), 1.0 / values), rtol=0, atol=0.01)
    numbers = chooser(BOX).random(count, generator)
    assert numbers.min() >= -1 and numbers.max() <= 1 and numbers.shape == (count, 2)
    torch.testing.assert_close(numbers.mean(0), torch.zeros(2), rtol=0, atol=0.02)
    torch.testing.assert_close(numbers.var(0), torch.full((2,), 1 / 3), rtol=0, atol=0.01)
    ending = chooser(DISCRETE, end=3).random(count, generator)
    assert (ending == 3).float().mean() == pytest.approx(0.02, abs=0.005)


def test_a_ppo_policy_is_greedy_random_or_sampled_by_its_share() -> None:
    members, generator = 30_000, torch.Generator().manual_seed(0)
    out = torch.tensor([[0.0, 2.0, 1.0, -1.0, 50.0]]).expand(members, -1)  # the last one is the value
    choose = chooser(DISCRETE)
    before = generator.get_state()
    assert (choose(out, torch.zeros(members), generator) == 1).all()
    assert torch.equal(generator.get_state(), before)  # greedy draws no random number
    expected = out[0, :-1].softmax(0)
    sampled = choose(out, torch.full((members,), SAMPLED), generator)
    torch.testing.assert_close(torch.bincount(sampled) / members, expected, rtol=0, atol=0.01)
    # Shares of 1 act at random, others sample, in one batch; a single share above 0 lets all others sample
    epsilon = torch.tensor([1.0, 0.99, 0.0]).repeat_interleave(members // 3)
    mixed = choose(out, epsilon, generator).view(3, -1)
    shares = torch.stack([torch.bincount(row, minlength=4) for row in mixed]) / (members // 3)
    torch.testing.assert_close(shares, torch.stack([torch.full((4,), 0.25), expected, expected]), rtol=0, atol=0.02)


@pytest.mark.parametrize("space", [SEVERAL, BOX], ids=["several", "box"])
def test_actions_of_several_components_are_chosen_by_the_same_rule(space: gym.Space[Any]) -> None:
    actions, choose = Actions(space), chooser(space)
    peaked = torch.tensor([0.0, 90.0, 0.0, 90.0, 0.0]) if space is SEVERAL else torch.tensor([7.0, 5.0, -9.0, -9.0])
    best = torch.tensor([1, 0] if space is SEVERAL else [7.0, 5.0])
    assert len(peaked) == parameters_of(actions)
    out = torch.cat([peaked, torch.zeros(1)]).expand(400, -1)
    epsilon = torch.tensor([1.0, SAMPLED]).repeat_interleave(200)
    assert torch.equal(choose(out, torch.zeros(400), None), best.expand(400, -1))
    chosen = choose(out, epsilon, torch.Generator().manual_seed(0))
    assert chosen.dtype == actions.dtype
    torch.testing.assert_close(chosen[200:], best.expand(200, -1), atol=0.01, rtol=0)
    assert len(chosen[:200].unique(dim=0)) == (6 if space is SEVERAL else 200)


def test_only_a_policy_trained_by_q_is_kept_from_ending_an_episode() -> None:
    zero, likes_end = torch.zeros(3), torch.tensor([[0.0, 1.0, 2.0, 9.0]]).expand(3, -1)
    assert chooser(DISCRETE, "q", end=3)(likes_end, zero, None).tolist() == [3, 3, 3]
    assert chooser(DISCRETE, "q", end=3)(likes_end, zero, None, may_end=False).tolist() == [2, 2, 2]
    out = torch.cat([likes_end, torch.zeros(3, 1)], 1)
    assert chooser(DISCRETE, "ppo", end=3)(out, zero, None, may_end=False).tolist() == [3, 3, 3]


@pytest.mark.parametrize("learner", ["q", "ppo"])
def test_a_random_action_repeats_the_one_before_with_a_probability(learner: str) -> None:
    """Drawn actions are uniform over four, so 0.7 + 0.3 / 4 of them are as before; greedy ones do not repeat."""
    members, none = 40_000, 4
    previous = torch.tensor([1, none, 1, 1]).repeat_interleave(members // 4)
    epsilon = torch.tensor([1.0, 1.0, 0.0, 1.0]).repeat_interleave(members // 4)
    out = torch.zeros(members, 5 if learner == "ppo" else 4)
    out[:, 2] = 50.0

    def play(repeat: float, **options: Any) -> list[torch.Tensor]:
        chosen = chooser(DISCRETE, learner, repeat=repeat)(out, epsilon, torch.Generator().manual_seed(0), **options)
        return list(torch.stack([torch.bincount(row, minlength=4) for row in chosen.view(4, -1)]) / (members // 4))

    uniform, greedy = torch.full((4,), 0.25), torch.tensor([0.0, 0.0, 1.0, 0.0])
    again = torch.tensor([0.075, 0.775, 0.075, 0.075])
    for found, expected in zip(play(0.7, previous=previous), [again, uniform, greedy, again], strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=0.02)
    for options in ({"repeat": 0.0, "previous": previous}, {"repeat": 0.7}):
        for found, expected in zip(play(**options), [uniform, uniform, greedy, uniform], strict=True):
            torch.testing.assert_close(found, expected, rtol=0, atol=0.02)


# -- heads -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("space", [DISCRETE, SEVERAL, BOX], ids=["discrete", "several", "box"])
def test_a_head_gives_the_parameters_of_a_distribution_and_a_value(space: gym.Space[Any]) -> None:
    torch.manual_seed(0)
    actions = Actions(space)
    head = make_head("ppo", 6, 16, actions)
    assert isinstance(head, ActorCriticHead)
    features = torch.randn(5, 7, 6)
    out = head(features)
    assert out.shape == (5, 7, parameters_of(actions) + 1)
    torch.testing.assert_close(out[..., -1], head.value(torch.tanh(head.value_hidden(features)))[..., 0])
    chosen = head.policy(torch.tanh(head.hidden(features)))
    torch.testing.assert_close(out[..., : chosen.shape[-1]], chosen)
    assert chosen.abs().max() < 0.05  # a policy begins nearly independent of its input
    if space is BOX:
        assert head.log_deviation is not None
        torch.testing.assert_close(out[..., 2:4], head.log_deviation.expand(5, 7, 2))


def test_a_head_begins_at_given_probabilities() -> None:
    torch.manual_seed(0)
    initial = torch.tensor([0.3, 0.3, 0.38, 0.02])
    out = make_head("ppo", 6, 16, Actions(DISCRETE), initial)(torch.randn(50, 6))
    torch.testing.assert_close(out[:, :-1].softmax(-1), initial.expand(50, -1), rtol=0.2, atol=0)


def test_a_head_of_q_gives_action_values() -> None:
    assert make_head("q", 6, 16, Actions(DISCRETE))(torch.randn(5, 6)).shape == (5, 4)
