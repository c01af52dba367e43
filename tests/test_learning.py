"""Learning, on a toy with a known answer: one bit to read off a sign out of the way, then two buttons to choose from.

Who never explores can expect 0, who reads the sign and then presses its button gets 1.
"""

from typing import Any

import numpy as np
import pytest
import torch

from dream.config import TrainConfig
from dream.core.replay import TrialReplay
from dream.envs import make
from dream.eval.evaluate import build
from dream.pair import DecoupledPair
from dream.presets import override

SMALL: dict[str, Any] = {
    "network.width": 32,
    "network.memory": 16,
    "learning.members": 32,
    "learning.updates": 4,
    "learning.explore_batch": 16,
    "learning.execute_batch": 16,
    "learning.warmup": 128,
}
TRIALS = 400


def learn(
    method: str, seed: int, steps: int, env: str = "signpost", env_parameters: dict[str, Any] | None = None
) -> DecoupledPair:
    """Train as dream/training.py does, without the run directory."""
    config = TrainConfig(method=method, env=env, env_parameters=env_parameters or {}, seed=seed, steps=steps)
    config = override(config, SMALL)
    torch.manual_seed(seed)
    pair, members = build(config, config.learning.members)
    members.reset(seed=seed)
    generator, rng = torch.Generator().manual_seed(seed), np.random.default_rng(seed)
    replay = TrialReplay(config.learning.replay, seed)
    step = 0
    while step < steps:
        trials = pair.collect(members, members.problems.sample("train", members.num_envs, rng), generator, step / steps)
        replay.add(trials)
        step += trials.environment_steps()
        if replay.added >= config.learning.warmup:
            for _ in range(config.learning.updates):
                pair.update(replay, step / steps, generator)
    return pair


def play_trials(pair: DecoupledPair) -> tuple[torch.Tensor, torch.Tensor]:
    """The return of each of many test trials, and whether its exploration came to see the sign."""
    env = make("signpost", TRIALS)
    env.reset(seed=1)
    trials = pair.play(env, np.arange(TRIALS) % 2, torch.Generator().manual_seed(1))
    return trials.execute.reward.sum(1), (trials.explore.obs[..., 1] > 0).any(1)


@pytest.mark.parametrize("seed", [0, 1])
def test_dream_goes_to_read_the_sign_and_reaches_the_optimum(seed: int) -> None:
    returns, seen = play_trials(learn("dream", seed, steps=12_000))
    assert seen.all()
    assert returns.mean() > 0.99


def test_without_exploring_there_is_nothing_to_gain() -> None:
    returns, seen = play_trials(learn("none", 0, steps=2_500))
    assert not seen.any()
    assert returns.mean() == 0.0  # both problems look the same: what is won in the one is lost in the other


def test_who_is_told_the_problem_reaches_the_optimum() -> None:
    returns, seen = play_trials(learn("oracle", 0, steps=2_500))
    assert not seen.any()
    assert returns.mean() > 0.99


def test_exploring_at_random_pays_where_it_happened_to_see_the_sign() -> None:
    pair = learn("random", 0, steps=15_000)
    returns, seen = play_trials(pair)
    assert returns[seen].mean() > 0.9
    assert returns[~seen].mean().abs() < 0.2
    # How often that is: a walk of 6 steps that has to be at the right end, 2 steps away, before it ends the episode.
    left, right, *stay, _ = pair._random_action.tolist()
    at, arrived = np.array([0.0, 0.0, 1.0, 0.0]), 0.0
    for _ in range(6):
        arrived += at[3] * right
        to_the_left, to_the_right = np.append(at[1:], 0.0) * left, np.append(0.0, at[:3]) * right
        at = at * sum(stay) + to_the_left + to_the_right + np.array([at[0] * left, 0.0, 0.0, 0.0])
    assert seen.float().mean() == pytest.approx(arrived, abs=0.1)  # four standard deviations
