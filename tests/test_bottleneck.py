"""f, g and the bottleneck: information telescopes, g is causal, and gradients reach the right networks only."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from torch import Tensor
from torch.nn import functional as F

from dream.core.actions import Actions
from dream.core.bottleneck import (
    ProblemEncoder,
    TrajectoryEncoder,
    encoder_loss,
    last_prefix,
    nats,
    prefix_error,
    rate,
)
from dream.core.networks import normed_relu
from dream.core.qlearning import q_policy_loss
from dream.core.rollout import Now, no_steps, rollout
from dream.core.trial import Episodes, Trials
from dream.envs import make
from dream.execution.executor import LearnedExecutor, executor_decisions
from dream.exploration.base import Belief
from dream.exploration.information import information_reward, revealed_information

MEMBERS, Z = 6, 3


def explorations(name: str = "signpost", k: int = 1, members: int = MEMBERS) -> Episodes:
    """Random explorations of different lengths."""
    env = make(name, members)
    rng = np.random.default_rng(2)

    def policy(now: Now, memory: Any) -> tuple[Tensor, None]:
        return torch.from_numpy(rng.integers(len(env.action_names), size=members)), None

    return rollout(env, policy, env.problems.sample("train", members, rng), phase="explore", episodes=k)


def encoder(name: str = "signpost") -> TrajectoryEncoder:
    torch.manual_seed(0)
    env = make(name, 1)
    space, actions = env.single_observation_space, Actions(env.single_action_space)
    g = TrajectoryEncoder(space, actions, width=10, memory_size=6, z_dim=Z)
    with torch.no_grad():
        g.out.weight.mul_(10.0)  # away from zero, so that a difference shows
    return g


def masked(lengths: list[int], steps: int, starts: tuple[int, ...] = ()) -> Episodes:
    """Streams of which only mask and start matter; with `starts` every stream starts again at these steps."""
    n = len(lengths)
    start = torch.zeros(n, steps, dtype=torch.bool)
    start[:, [0, *starts]] = True
    return Episodes(
        obs=torch.zeros(n, steps + 1, 1),
        action=torch.zeros(n, steps, dtype=torch.int64),
        reward=torch.zeros(n, steps),
        terminated=torch.zeros(n, steps, dtype=torch.bool),
        mask=torch.arange(steps) < torch.tensor(lengths)[:, None],
        start=start,
        instruction=torch.zeros(n, 1, dtype=torch.int64),
    )


# -- arithmetic --------------------------------------------------------------------------------------------------


def test_nats_by_hand() -> None:
    assert nats(torch.tensor(2.0), 0.5).item() == 4.0  # 2 / (2 * 0.25)
    code = torch.tensor([[1.0, 2.0]])
    prefixes = torch.tensor([[[0.0, 0.0], [1.0, 0.0], [1.0, 2.0]]])
    assert prefix_error(code, prefixes, 1.0).tolist() == [[2.5, 2.0, 0.0]]
    assert prefix_error(code, prefixes, 0.5).tolist() == [[10.0, 8.0, 0.0]]


def test_the_error_is_the_negative_log_likelihood_up_to_a_constant() -> None:
    torch.manual_seed(0)
    code, prefixes, noise = torch.randn(4, Z), torch.randn(4, 5, Z), 0.3
    likelihood = norm(prefixes.numpy(), noise).logpdf(code[:, None].numpy()).sum(-1)
    constant = norm(0.0, noise).logpdf(0.0) * Z
    np.testing.assert_allclose(-prefix_error(code, prefixes, noise).numpy(), likelihood - constant, rtol=1e-5)


def test_rate_by_hand_and_as_a_divergence() -> None:
    code = torch.tensor([[3.0, 4.0], [0.0, 0.0]])
    assert rate(code).tolist() == [12.5, 0.0]
    # KL(N(3, rho^2) || N(0, 1)) - KL(N(0, rho^2) || N(0, 1)), integrated numerically
    z, noise = np.linspace(-3, 9, 20_001), 0.3
    density = norm(3.0, noise).pdf(z)
    divergence = np.trapezoid(density * (norm(3.0, noise).logpdf(z) - norm(0.0, 1.0).logpdf(z)), z)
    of_zero = np.log(1 / noise) + (noise**2 - 1) / 2
    assert rate(torch.tensor([[3.0]])).item() == pytest.approx(divergence - of_zero, abs=1e-3)


def test_the_loss_of_g_is_the_mean_over_prefixes_that_exist() -> None:
    explore = masked([3, 1, 0], 3)
    assert explore.observed.tolist() == [[True] * 4, [True, True, False, False], [True, False, False, False]]
    error = torch.tensor([[1.0, 2.0, 3.0, 4.0], [10.0, 20.0, 1e6, 1e6], [100.0, 1e6, 1e6, 1e6]], requires_grad=True)
    loss = encoder_loss(error, explore)
    assert loss.item() == 140.0 / 7
    loss.backward()
    assert error.grad is not None
    torch.testing.assert_close(error.grad, explore.observed / 7)


def test_the_last_prefix_is_that_of_the_whole_exploration() -> None:
    prefixes = torch.arange(3 * 4 * 2.0).reshape(3, 4, 2)
    picked = last_prefix(prefixes, masked([3, 1, 0], 3))
    assert picked.tolist() == [prefixes[0, 3].tolist(), prefixes[1, 1].tolist(), prefixes[2, 0].tolist()]


# -- information rewards ------------------------------------------------------------------------------------------


@given(
    st.lists(st.lists(st.floats(0, 50, width=32), min_size=7, max_size=7), min_size=1, max_size=4),
    st.lists(st.integers(0, 6), min_size=4, max_size=4),
)
@settings(max_examples=60, deadline=None)
def test_information_telescopes(errors: list[list[float]], lengths: list[int]) -> None:
    """An exploration earns what is known at its end and was not at its beginning."""
    error = torch.tensor(errors)
    explore = masked(lengths[: len(errors)], 6)
    reward = information_reward(error, explore)
    assert not reward[~explore.mask].any()
    final = error.gather(1, explore.length[:, None])[:, 0]
    torch.testing.assert_close(reward.sum(1), error[:, 0] - final, atol=1e-4, rtol=1e-5)


def test_a_reset_step_can_have_a_reward() -> None:
    error = torch.tensor([[9.0, 8.0, 6.0, 5.0, 5.0]])
    explore = masked([4], 4, starts=(2,))
    assert explore.reset_step.tolist() == [[False, True, False, False]]
    assert information_reward(error, explore).tolist() == [[1.0, 2.0, 1.0, 0.0]]


def test_revealing_the_same_thing_twice_is_rewarded_once() -> None:
    error = torch.tensor([[4.0, 1.0, 4.0, 1.0]])
    assert information_reward(error, masked([3], 3)).tolist() == [[3.0, -3.0, 3.0]]
    assert float(information_reward(error, masked([3], 3)).sum()) == 3.0


def test_the_reward_of_dream_is_the_information_in_the_error() -> None:
    explore = masked([2, 3], 3)
    error = torch.rand(2, 4)
    trials = Trials(torch.arange(2), explore, explore, explore.length)
    belief = Belief(torch.zeros(2, Z), torch.zeros(2, 4, Z), error)
    assert torch.equal(revealed_information(trials, belief), information_reward(error, explore))


# -- encoders ----------------------------------------------------------------------------------------------------


def test_the_code_of_a_problem_depends_on_each_of_its_factors() -> None:
    torch.manual_seed(0)
    f = ProblemEncoder([3, 2], width=8, z_dim=Z, initial_scale=1.0)
    codes = f(torch.tensor([[0, 0], [0, 1], [1, 0], [2, 1], [0, 0]]))
    assert codes.shape == (5, Z)
    distances = torch.cdist(codes, codes)
    assert distances[0, 4] < 1e-6 and (distances[:4, :4] + torch.eye(4) > 1e-4).all()


def test_codes_start_near_each_other() -> None:
    torch.manual_seed(0)
    far = ProblemEncoder([50], width=32, z_dim=8, initial_scale=1.0)
    torch.manual_seed(0)
    near = ProblemEncoder([50], width=32, z_dim=8, initial_scale=0.1)
    every = torch.arange(50)[:, None]
    torch.testing.assert_close(near(every), 0.1 * far(every))


@pytest.mark.parametrize("k", [1, 2])
def test_a_prefix_does_not_depend_on_later_transitions(k: int) -> None:
    """Prefix t depends on the first t transitions and nothing after them."""
    g, explore = encoder(), explorations(k=k)
    whole = g(explore)
    steps = explore.mask.shape[1]
    assert whole.shape == (MEMBERS, steps + 1, Z)
    for t in range(steps):
        obs, action = explore.obs.clone(), explore.action.clone()
        obs[:, t + 1 :] = torch.tensor([0, 2], dtype=torch.int16)
        action[:, t:] = 3
        changed = g(dataclasses.replace(explore, obs=obs, action=action))
        torch.testing.assert_close(changed[:, : t + 1], whole[:, : t + 1])
        assert ((changed - whole)[:, t + 1].abs().amax(1) > 1e-6).all()


def test_a_prefix_depends_on_action_and_both_observations_of_a_transition() -> None:
    g, explore = encoder(), explorations()
    whole = g(explore)
    other_action = dataclasses.replace(explore, action=(explore.action + 1) % 5)
    assert ((g(other_action) - whole)[:, 1].abs().amax(1) > 1e-6).all()
    obs = explore.obs.clone()
    obs[:, 0] = torch.tensor([0, 1], dtype=torch.int16)
    assert ((g(dataclasses.replace(explore, obs=obs)) - whole)[:, :2].abs().amax(2) > 1e-6).all()


def test_g_reads_transition_by_transition() -> None:
    """By hand, the memory a step at a time: (none, o_0), then (o_0, a_0, o_1), (o_1, a_1, o_2) and so on."""
    g, explore = encoder(), explorations()
    whole = g(explore)
    state = None
    for t in range(explore.mask.shape[1] + 1):
        before, after = explore.obs[:, max(t - 1, 0)], explore.obs[:, t]
        action = explore.action[:, t - 1] if t else torch.full((MEMBERS,), 5)
        h = normed_relu(g.before(before) + g.action(action[:, None]) + g.after(after))
        h, state = g.memory.step(normed_relu(g.hidden(h)), state)
        torch.testing.assert_close(g.out(F.elu(g.head(h))), whole[:, t])


def test_the_empty_prefix_depends_on_the_first_observation_only() -> None:
    env = make("signpost", 4)
    nothing = no_steps(env, np.array([0, 1, 0, 1]), phase="explore")
    g = encoder()
    z = last_prefix(g(nothing.trimmed()), nothing)
    torch.testing.assert_close(z, g(nothing)[:, 0])
    torch.testing.assert_close(z, z[:1].expand(4, Z))
    torch.testing.assert_close(g(explorations())[:, 0], z[:1].expand(MEMBERS, Z))


def test_neighbours_and_padding_do_not_change_prefixes() -> None:
    g, explore = encoder("map"), explorations("map", k=2, members=4)
    prefixes = g(explore)
    whole = last_prefix(prefixes, explore)
    short = explore.trimmed()
    torch.testing.assert_close(last_prefix(g(short), explore), whole)
    for member in range(4):
        alone = explore.map(lambda tensor, member=member: tensor[[member]]).trimmed()  # type: ignore[misc]
        torch.testing.assert_close(last_prefix(g(alone), alone)[0], whole[member])
    blank = ~explore.mask
    obs = explore.obs.clone()
    obs[:, 1:][blank] = 1
    nonsense = dataclasses.replace(explore, obs=obs, action=explore.action.masked_fill(blank, 2))
    torch.testing.assert_close(last_prefix(g(nonsense), explore), whole)
    code = torch.randn(4, Z)
    torch.testing.assert_close(
        encoder_loss(prefix_error(code, g(nonsense), 0.1), explore),
        encoder_loss(prefix_error(code, prefixes, 0.1), explore),
    )


def test_the_gradient_of_the_executor_reaches_z() -> None:
    torch.manual_seed(0)
    env = make("signpost", MEMBERS)
    execute = explorations()
    sizes = {"width": 8, "memory_size": 4, "z_dim": Z}
    space, actions = env.single_observation_space, Actions(env.single_action_space)
    online, target = (LearnedExecutor(space, env.instruction_space, actions, **sizes) for _ in range(2))
    f = ProblemEncoder([2], width=8, z_dim=Z, initial_scale=0.5)
    z, target_z = f(torch.arange(MEMBERS)[:, None] % 2), f(torch.arange(MEMBERS)[:, None] % 2)
    target_z.retain_grad()
    seen = online.encode_frames(execute)
    q, target_q = online(execute, seen, z), target(execute, seen, target_z)
    q_policy_loss(q, target_q, executor_decisions(execute, 0.9), 0.9).loss.backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in f.parameters())
    assert target_z.grad is None and all(p.grad is None for p in target.parameters())
