"""Learning, on a toy with a known answer: one bit to read off a sign out of the way, then two buttons to choose from.

Without exploring the expected return is 0; reading the sign and pressing its button earns 1.
"""

from typing import Any

import numpy as np
import pytest
import torch

from dream.config import TrainConfig, override
from dream.core.acting import random_actions
from dream.envs import make
from dream.methods.build import build
from dream.methods.pair import DecoupledPair
from dream.methods.protocol import Method
from dream.training.rounds import Training, rounds
from tests.toys import Dial, PartsCorridor

SMALL: dict[str, Any] = {
    "network.width": 32,
    "network.memory_size": 16,
    "learning.num_envs": 32,
    "learning.updates_per_round": 4,
    "learning.explore_batch_size": 16,
    "learning.execute_batch_size": 16,
    "learning.learning_starts": 128,
    # These are tests of explorers: an executor that does not learn to doubt is learned in fewer steps
    "executor.id_fraction": 0.5,
    "executor.empty_fraction": 0.0,
    "executor.prefix_fraction": 0.0,
    "executor.action_gap": 0.0,
}
TRIALS = 400


def learn(method: str, seed: int, steps: int, **changes: Any) -> Method:
    """Train on the signpost, without a run directory."""
    config = override(TrainConfig(method=method, seed=seed, steps=steps), {"env": "signpost"} | SMALL | changes)
    torch.manual_seed(seed)
    pair, env = build(config, config.learning.num_envs)
    training = Training(pair, env, seed)
    for _ in rounds(training):
        if training.step >= steps:
            break
    return pair


def play_trials(method: Method, **parameters: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """The return of each of many test trials, and whether its exploration came to see the sign."""
    env = make("signpost", TRIALS, **parameters)
    env.reset(seed=1)
    trials = method.play(env, np.arange(TRIALS) % env.problems.num_problems, torch.Generator().manual_seed(1))
    return trials.execute.reward.sum(1), (trials.explore.obs[..., 1] > 0).any(1)


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_dream_goes_to_read_the_sign_and_reaches_the_optimum(seed: int) -> None:
    returns, seen = play_trials(learn("dream", seed, steps=12_000))
    assert seen.all()
    assert returns.mean() > 0.99


@pytest.mark.parametrize(
    ("method", "core"),
    [
        ("rl2", "lstm"),
        pytest.param("e-rl2", "lstm", marks=pytest.mark.slow),
        ("import", "lstm"),
        ("varibad", "lstm"),
        ("e-rl2", "transformer"),
    ],
)
def test_an_end_to_end_policy_learns_where_no_exploration_is_needed(method: str, core: str) -> None:
    """The sign stands at the start: it has to be remembered, over an exploration for which there is no other use."""
    learned = learn(method, 0, 12_000, env_parameters={"distance": 0}, **{"network.memory": core})
    returns, seen = play_trials(learned, distance=0)
    assert method == "rl2" or seen.all()  # it explores in ordinary episodes, where there is no sign but a reward
    assert returns.mean() > 0.99


def test_an_end_to_end_policy_learns_to_explore_and_execute_jointly_or_not_at_all() -> None:
    """In the steps that dream needs: without pressing the right button the sign is worth nothing, and vice versa."""
    parameters = {"buttons": 4}
    learned = {name: learn(name, 0, 24_000, env_parameters=parameters) for name in ("dream", "e-rl2", "varibad")}
    returns = {name: float(play_trials(method, **parameters)[0].mean()) for name, method in learned.items()}
    assert returns["dream"] > 0.99
    assert returns["e-rl2"] < 0.3 and returns["varibad"] < 0.3


def test_without_exploring_there_is_nothing_to_gain() -> None:
    returns, seen = play_trials(learn("none", 0, steps=2_500))
    assert not seen.any()
    assert returns.mean() == 0.0  # both problems look the same: what is won in the one is lost in the other


def test_the_oracle_reaches_the_optimum() -> None:
    returns, seen = play_trials(learn("oracle", 0, steps=2_500))
    assert not seen.any()
    assert returns.mean() > 0.99


def test_after_random_exploration_trials_that_saw_the_sign_succeed() -> None:
    pair = learn("random", 0, steps=15_000)
    assert isinstance(pair, DecoupledPair)
    returns, seen = play_trials(pair)
    assert returns[seen].mean() > 0.9
    assert returns[~seen].mean().abs() < 0.2
    # How often that is: a walk of 6 steps that has to be at the right end, 2 steps away, before it ends the episode.
    left, right, *stay, _ = random_actions(make("signpost", 1)).tolist()
    at, arrived = np.array([0.0, 0.0, 1.0, 0.0]), 0.0
    for _ in range(6):
        arrived += at[3] * right
        to_the_left, to_the_right = np.append(at[1:], 0.0) * left, np.append(0.0, at[:3]) * right
        at = at * sum(stay) + to_the_left + to_the_right + np.array([at[0] * left, 0.0, 0.0, 0.0])
    assert seen.float().mean() == pytest.approx(arrived, abs=0.1)  # four standard deviations


# -- on-policy, and other spaces ---------------------------------------------------------------------------------

PPO: dict[str, Any] = {
    **{f"{policy}.learner": "ppo" for policy in ("explorer", "executor", "end_to_end")},
    **{f"{policy}.entropy_weight": 0.01 for policy in ("explorer", "executor", "end_to_end")},
    "ppo.epochs": 4,
    "ppo.minibatches": 2,
    "ppo.clip_range": 0.2,
    "ppo.gae_lambda": 0.95,
    "ppo.value_weight": 0.5,
    "ppo.learning_rate": 2e-3,
    "learning.learning_starts": 0,
}


def test_dream_learns_on_policy() -> None:
    returns, seen = play_trials(learn("dream", 0, 16_000, **PPO))
    assert seen.all()
    assert returns.mean() > 0.99


def test_an_end_to_end_policy_learns_on_policy() -> None:
    """RL^2 tries buttons while exploring, where it observes their reward."""
    returns, _ = play_trials(learn("rl2", 0, 20_000, **PPO))
    assert returns.mean() > 0.95


def test_dream_learns_continuous_actions_from_numbers() -> None:
    method = learn("dream", 0, 30_000, env="tests.toys:Dial", **PPO)
    env = Dial(TRIALS)
    env.reset(seed=1)
    trials = method.play(env, np.arange(TRIALS) % 2, torch.Generator().manual_seed(1))
    assert (trials.explore.obs[..., 1] != 0).any(1).all()
    assert trials.execute.reward.sum(1).mean() > 0.8


def test_dream_learns_by_q_from_observations_of_several_parts() -> None:
    method = learn("dream", 0, 12_000, env="tests.toys:PartsCorridor")
    env = PartsCorridor(TRIALS)
    env.reset(seed=1)
    trials = method.play(env, np.arange(TRIALS) % 2, torch.Generator().manual_seed(1))
    assert (trials.explore.obs["symbol"] > 0).any(1).all()
    assert trials.execute.reward.sum(1).mean() > 0.99
