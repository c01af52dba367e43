"""The script that measures whole trials: its cuts of explorations; values found are the reward of the steps."""

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.total_reward import as_arrays, first_episodes, measure
from dream import train
from dream.config import PRESETS, default_config, override
from dream.core.actions import Actions
from dream.core.rollout import Now, rollout
from dream.core.trial import Episodes
from dream.envs import Phase, make
from dream.errors import UserError

COUNT = 40


def played(family: str, phase: Phase, episodes: int) -> Episodes:
    """Streams of the same random actions in problems 0, 1, ..."""
    env, generator = make(family, COUNT), torch.Generator().manual_seed(0)
    env.reset(seed=0)
    actions = Actions(env.single_action_space)

    def policy(now: Now, memory: None) -> tuple[torch.Tensor, None]:
        return torch.randint(actions.sizes[0], (COUNT,), generator=generator), None

    return rollout(env, policy, np.arange(COUNT), phase=phase, episodes=episodes)


@pytest.mark.parametrize("family", ["dark-rooms", "fixed-arm"])
def test_the_first_episodes_are_what_a_shorter_exploration_would_have_been(family: str) -> None:
    explore = played(family, "explore", 3)
    horizon = make(family, 1).horizon
    for count in range(4):
        cut = first_episodes(explore, count)
        steps = max(0, count * (horizon + 1) - 1)  # a reset step between two episodes
        assert (cut.mask.sum(1) == steps).all() and cut.mask[:, :steps].all()
        assert cut.start[:, : max(steps, 1)][cut.mask[:, : max(steps, 1)]].sum() == COUNT * count
    assert torch.equal(first_episodes(explore, 3).mask, explore.mask)


@pytest.mark.parametrize("family", ["dark-rooms", "fixed-arm"])
def test_what_an_exploration_found_is_the_reward_of_its_steps_in_execution(family: str) -> None:
    explore, execute = (played(family, phase, 2) for phase in ("explore", "execute"))
    found = make(family, 1).exploration_summary(np.arange(COUNT), *as_arrays(explore))["total_value"]
    assert not explore.reward.any() and found == pytest.approx(execute.reward.sum(1).numpy(), abs=1e-4)
    assert np.abs(found).max() > 1


def test_episodes_that_a_run_was_not_trained_on_are_refused(tmp_path: Path) -> None:
    run = tmp_path / "s0"
    train(override(default_config("rl2", "fixed-arm"), PRESETS["debug"]), run)
    with pytest.raises(UserError, match=r"trained on [0-9]+: train with trial.explore_episodes=99"):
        measure(run, 100)
    with pytest.raises(UserError, match=r"give [0-9]+ or more"):
        measure(run, 1)
