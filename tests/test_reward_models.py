"""What reward models learn and what they leave alone, on trials of a real family."""

from dataclasses import replace

import pytest
import torch

from dream.core.trial import Trials
from dream.exploration.base import Belief
from tests.small_training import Loop, build


def collected(name: str, **changes: object) -> tuple[Loop, Trials, Belief]:
    """A loop after a round, some of its trials, and any belief about them."""
    loop = Loop(*build(name, env="map", trial__explore_episodes=2, **changes))
    loop.rounds(1)
    trials = loop.replay.sample(6)
    steps = trials.explore.mask.shape[1]
    generator = torch.Generator().manual_seed(0)
    z_dim = loop.method.config.bottleneck.z_dim
    prefixes = torch.randn(6, steps + 1, z_dim, generator=generator)
    return loop, trials, Belief(torch.zeros(6, z_dim), prefixes, torch.zeros(6, steps + 1))


@pytest.mark.parametrize("name", ["rnd", "hyperx"])
def test_the_fixed_random_network_is_never_trained(name: str) -> None:
    loop, _, _ = collected(name)
    reward = loop.method.reward
    assert not any(parameter.requires_grad for parameter in reward.target.parameters())
    assert all(parameter.requires_grad for parameter in reward.predictor.parameters())
    fixed = [parameter.clone() for parameter in reward.target.parameters()]
    learned = [parameter.clone() for parameter in reward.predictor.parameters()]
    loop.rounds(1)
    assert all(torch.equal(*pair) for pair in zip(reward.target.parameters(), fixed, strict=True))
    assert not any(torch.equal(*pair) for pair in zip(reward.predictor.parameters(), learned, strict=True))


def test_explorations_without_steps_are_not_novel() -> None:
    loop, trials, belief = collected("hyperx")
    explore = replace(trials.explore, mask=torch.zeros_like(trials.explore.mask))
    loop.method.reward.scale.zero_()
    reward, loss = loop.method.reward(replace(trials, explore=explore), belief)
    assert not reward.any() and torch.isfinite(loss)


@pytest.mark.parametrize("env", ["map", "sign"])
def test_the_loss_of_prediction_is_the_mean_surprise_of_both_predictors(env: str) -> None:
    """In nats for integers; for frames in units of the variance of all their colours, 45 * 20 / (2 * 0.1^2)."""
    loop = Loop(
        *build("prediction", env=env, learning__num_envs=4, learning__learning_starts=4, trial__explore_episodes=2)
    )
    loop.rounds(1)
    trials, model = loop.replay.sample(3), loop.method.reward
    explore = trials.explore
    seen = model.trajectory.frames(explore.obs)
    guess = model.trajectory(explore)[:, :-1]
    factors = torch.from_numpy(loop.env.problems.factor_table)[trials.problem_id]
    contexts = (guess + model.problem(factors)[:, None], guess)
    knows, guesses = model.prediction(seen[:, :-1], explore.action, contexts, explore.obs[:, 1:])
    step = explore.mask & ~explore.reset_step
    unit = 15 * 20 * 3 / (2 * 0.1**2) if env == "sign" else 1.0
    steps = explore.mask.shape[1]
    reward, loss = model(trials, Belief(torch.zeros(3, 4), torch.zeros(3, steps + 1, 4), torch.zeros(3, steps + 1)))
    torch.testing.assert_close(loss, -(knows + guesses)[step].mean() / unit, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(reward[step], (knows - guesses)[step].detach(), rtol=1e-3, atol=1e-3)
    assert not reward[~step].any() and explore.reset_step.any()
