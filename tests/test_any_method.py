"""Every method runs in every kind of space, and resumes."""

import copy
from itertools import islice
from typing import Any

import pytest
import torch
from torch import Tensor

from dream.config import TrainConfig, override
from dream.methods.build import build_method
from dream.methods.registry import METHODS
from dream.training.rounds import Training, rounds
from tests.any_space import AnySpace

SMALL: dict[str, Any] = {
    "network.width": 8,
    "network.memory_size": 4,
    "bottleneck.z_dim": 3,
    "learning.num_envs": 6,
    "learning.explore_batch_size": 4,
    "learning.execute_batch_size": 4,
    "learning.transition_batch_size": 4,
    "learning.buffer_size": 30,
    "learning.learning_starts": 6,
    "learning.updates_per_round": 1,
    "ppo.epochs": 1,
    "ppo.minibatches": 1,
    "explorer.min_explained": -1.0,
    "trial.explore_episodes": 2,
}
NOT_TRAINED = dict.fromkeys(("contextual", "none", "oracle"), "online.g.single.")
"""Without explorations there are no single transitions to learn from."""
EVERY = pytest.mark.parametrize("method", METHODS)
SPACES = pytest.mark.parametrize(
    ("observation", "action", "learner"),
    [
        ("numbers", "box", "ppo"),
        ("parts", "discrete", "q"),
        ("parts", "discrete", "ppo"),
        ("codes", "several", "ppo"),
    ],
)


def training_of(method: str, observation: str, action: str, learner: str, seed: int = 0) -> Training:
    learners = {f"{policy}.learner": learner for policy in ("explorer", "executor", "end_to_end")}
    config = override(TrainConfig(method=method, steps=500), {**SMALL, **learners})
    env = AnySpace(config.learning.num_envs, observation, action)
    torch.manual_seed(seed)
    return Training(build_method(env, config), env, seed)


def weights_of(training: Training) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in training.method.weights().items()}


def finite(values: dict[str, Tensor]) -> bool:
    return all(bool(torch.isfinite(value).all()) for value in values.values())


@SPACES
@EVERY
def test_every_method_learns(method: str, observation: str, action: str, learner: str) -> None:
    training = training_of(method, observation, action, learner)
    before = weights_of(training)
    for done in islice(rounds(training), 2):
        assert done.updates and all(finite(metrics) for metrics in done.updates)
    after = weights_of(training)
    assert finite(after)
    still = [name for name in before if name.startswith("online.") and torch.equal(before[name], after[name])]
    still = [name for name in still if not name.startswith(NOT_TRAINED.get(method, "nothing"))]
    assert not still


@pytest.mark.parametrize(
    ("method", "observation", "action", "learner"),
    [
        ("dream", "numbers", "box", "ppo"),
        ("count", "parts", "discrete", "q"),
        ("hyperx", "parts", "discrete", "ppo"),
        ("prediction", "codes", "several", "ppo"),
        ("varibad", "numbers", "box", "ppo"),
    ],
)
def test_training_resumes_exactly(method: str, observation: str, action: str, learner: str) -> None:
    training = training_of(method, observation, action, learner)
    next(rounds(training))
    saved = copy.deepcopy([training.method.state_dict(), training.replay.state_dict()])
    weights, draws, step = weights_of(training), training.generator.get_state(), training.step
    draws_of = [copy.deepcopy(rng.bit_generator.state) for rng in (training.rng, training.env.np_random)]
    next(rounds(training))
    resumed = training_of(method, observation, action, learner, seed=1)
    resumed.method.load_weights(weights)
    resumed.method.load_state_dict(saved[0])
    resumed.replay.load_state_dict(saved[1])
    resumed.step, resumed.rounds = step, 1
    resumed.generator.set_state(draws)
    for rng, state in zip((resumed.rng, resumed.env.np_random), draws_of, strict=True):
        rng.bit_generator.state = state
    next(rounds(resumed))
    one, other = weights_of(training), weights_of(resumed)
    assert [name for name in one if not torch.equal(one[name], other[name])] == []
    assert any(not torch.equal(one[name], weights[name]) for name in one)
