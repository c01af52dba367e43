"""Exploration rewards where explorers learn by PPO: what counts, and what is counted once."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dream.core.ppo import advantages
from dream.core.trial import Trials
from dream.methods.pair import DecoupledPair
from dream.training.rounds import Training
from tests.test_any_method import training_of


def collected(method: str) -> tuple[Training, DecoupledPair, Trials]:
    """A pair whose explorer learns by PPO, and its first trials."""
    training = training_of(method, "numbers", "box", "ppo")
    pair: Any = training.method
    trials = pair.collect(training.env, np.arange(6) % 4, training.generator)
    training.replay.add(trials)
    pair.update(training.replay, 0.0, training.generator)
    return training, pair, trials


def reward_state(pair: DecoupledPair) -> dict[str, Tensor]:
    assert pair.reward is not None
    return {name: value.clone() for name, value in pair.reward.state_dict().items()}


def test_the_scale_of_novelty_changes_in_replayed_updates_only() -> None:
    training, pair, trials = collected("hyperx")
    before = reward_state(pair)
    assert before["scale"] > 0
    pair.update_on_policy(trials, 0.0, training.generator)
    assert all(torch.equal(value, before[name]) for name, value in reward_state(pair).items())
    assert pair.reward is not None and pair.reward.training
    pair.update(training.replay, 0.0, training.generator)
    assert not torch.equal(pair.reward.scale, before["scale"])


def test_the_statistics_of_numbers_in_a_reward_are_those_of_its_trials() -> None:
    _, pair, trials = collected("rnd")
    numbers = torch.cat([phase.obs[phase.observed] for phase in (trials.explore, trials.execute)])
    state = reward_state(pair)
    for network in ("target", "predictor"):
        assert state[f"{network}.frames.count"] == len(numbers)
        torch.testing.assert_close(state[f"{network}.frames.mean"].float(), numbers.mean(0))


def test_observations_are_counted_once_under_the_statistics_that_hold_them() -> None:
    training, pair, trials = collected("count")
    steps = int(trials.explore.transition.sum())
    pair.update_on_policy(trials, 0.0, training.generator)
    table, cell = reward_state(pair)["table"], pair.reward.cell(trials.explore.next_obs)  # type: ignore[union-attr, operator]
    assert int(table.sum()) == steps
    assert int(table[cell[trials.explore.transition]].min()) > 0


def test_an_outcome_counts_only_where_the_execution_was_on_g() -> None:
    """Explorations before executions on f(problem) change nothing of what the explorer learns."""
    learned = []
    for other in (False, True):
        training, pair, trials = collected("first-explore")
        assert trials.used_id.any() and not trials.used_id.all()
        if other:
            action = torch.where(trials.used_id[:, None, None], 0.5, trials.explore.action)
            trials = replace(trials, explore=replace(trials.explore, action=action))
        assert pair.networks.explorer is not None
        pair.update_on_policy(trials, 0.0, training.generator)
        learned.append([parameter.detach().clone() for parameter in pair.networks.explorer.parameters()])
    assert all(torch.equal(one, two) for one, two in zip(*learned, strict=True))


def test_a_reset_step_is_not_discounted() -> None:
    """With lambda = 1 the advantage is the discounted return less the value, and a reset step only adds its reward."""
    reward, gamma = torch.tensor([[1.0, 0.5, 2.0, 4.0]]), 0.5
    reset = torch.tensor([[False, True, False, False]])
    ends = torch.tensor([[False, False, False, True]])
    value = torch.tensor([[0.3, 9.0, -0.2, 0.7, 5.0]])
    got = advantages(reward, ends, torch.ones_like(reset), reset, value, discount=gamma, lambda_=1.0)
    last = 2.0 + gamma * 4.0
    expected = torch.tensor([1.0 + gamma * (0.5 + last) - 0.3, last + 0.2, 4.0 - 0.7])
    torch.testing.assert_close(got[0, [0, 2, 3]], expected)
