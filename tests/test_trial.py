"""Streams of transitions: masks, trimming, chaining, selecting."""

import gymnasium as gym
import pytest
import torch

from dream.core.actions import Actions
from dream.core.trial import Episodes, Trials, concatenate

NONE = 4


def streams() -> Episodes:
    """Three streams of at most 6 steps: 2 steps, a reset step and 3 steps; 1, a reset step and 2; nothing at all."""
    mask = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0], [0, 0, 0, 0, 0, 0]]).bool()
    start = torch.tensor([[1, 0, 0, 1, 0, 0], [1, 0, 1, 0, 0, 0], [0, 0, 0, 0, 0, 0]]).bool()
    action = torch.tensor([[0, 1, NONE, 2, 3, 0], [1, NONE, 2, 2, 0, 0], [0, 0, 0, 0, 0, 0]])
    return Episodes(
        obs=torch.arange(3 * 7 * 2, dtype=torch.int16).reshape(3, 7, 2),
        action=action,
        reward=torch.arange(18.0).reshape(3, 6),
        terminated=torch.zeros(3, 6, dtype=torch.bool),
        mask=mask,
        start=start,
        instruction=torch.arange(3)[:, None],
    )


def test_lengths_reset_steps_and_transitions() -> None:
    episodes = streams()
    assert episodes.length.tolist() == [6, 4, 0]
    assert episodes.reset_step.nonzero().tolist() == [[0, 2], [1, 1]]
    assert episodes.transition.sum(1).tolist() == [5, 3, 0]
    assert not (episodes.transition & episodes.reset_step).any()
    assert ((episodes.transition | episodes.reset_step) == episodes.mask).all()


def test_the_previous_action_stands_beside_the_observation_it_led_to() -> None:
    assert streams().previous_action(Actions(gym.spaces.Discrete(NONE))).tolist() == [
        [NONE, 0, 1, NONE, 2, 3, 0],
        [NONE, 1, NONE, 2, 2, 0, 0],
        [NONE, 0, 0, 0, 0, 0, 0],
    ]


@pytest.mark.parametrize(("rows", "steps"), [([0, 1, 2], 6), ([1, 2], 4), ([2], 1)])
def test_trimming_keeps_the_longest_stream_and_at_least_one_slot(rows: list[int], steps: int) -> None:
    whole = streams().map(lambda tensor: tensor[rows])
    short = whole.trimmed()
    assert short.obs.shape == (len(rows), steps + 1, 2)
    for name in ("action", "reward", "terminated", "mask", "start"):
        assert torch.equal(getattr(short, name), getattr(whole, name)[:, :steps]), name
    assert torch.equal(short.obs, whole.obs[:, : steps + 1])
    assert torch.equal(short.instruction, whole.instruction)
    assert torch.equal(short.length, whole.length)
    assert torch.equal(short.reset_step.nonzero(), whole.reset_step.nonzero())


def test_map_reaches_every_tensor_and_leaves_the_original_alone() -> None:
    explore = streams()
    doubled = explore.map(lambda tensor: tensor.to(torch.float64) * 2)
    for name in Episodes.__dataclass_fields__:
        assert torch.equal(getattr(doubled, name), getattr(explore, name).double() * 2)
    assert explore.obs.dtype == torch.int16 and explore.mask.dtype == torch.bool


def test_environment_steps_count_exploration_but_no_reset_step() -> None:
    explore = streams()
    execute = explore.map(lambda tensor: tensor.repeat_interleave(2, 0))
    trials = Trials(torch.arange(3), explore, execute, torch.ones(3, dtype=torch.bool))
    assert trials.execute_episodes == 2
    assert trials.environment_steps() == 8 + 16


def test_select_reorders_streams() -> None:
    episodes = streams()
    picked = episodes.select(torch.tensor([2, 0, 0]))
    assert picked.length.tolist() == [0, 6, 6] and picked.instruction[:, 0].tolist() == [2, 0, 0]
    for name in Episodes.__dataclass_fields__:
        assert torch.equal(getattr(picked, name), getattr(episodes, name)[[2, 0, 0]]), name
    assert len(episodes.select(torch.zeros(0, dtype=torch.int64)).mask) == 0


def test_streams_of_different_lengths_are_concatenated_with_padding() -> None:
    long = streams()
    short = long.select(torch.tensor([1, 2])).trimmed()
    for first, second in ((long, short), (short, long), (short, short)):
        both = concatenate(first, second)
        width = max(first.mask.shape[1], second.mask.shape[1])
        assert both.mask.shape == (len(first.mask) + len(second.mask), width)
        assert both.length.tolist() == [*first.length.tolist(), *second.length.tolist()]
        assert both.instruction.tolist() == [*first.instruction.tolist(), *second.instruction.tolist()]
        for part, rows in ((first, slice(0, len(first.mask))), (second, slice(len(first.mask), None))):
            kept = both.map(lambda tensor, rows=rows: tensor[rows])  # type: ignore[misc]
            slots = part.mask.shape[1]
            assert not kept.mask[:, slots:].any()
            for name in ("action", "reward", "terminated", "mask", "start"):
                assert torch.equal(getattr(kept, name)[:, :slots], getattr(part, name)), name
                assert getattr(kept, name).dtype == getattr(part, name).dtype
            assert torch.equal(kept.obs[:, : slots + 1], part.obs) and kept.obs.dtype == torch.int16
