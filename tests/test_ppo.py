"""Advantages, the loss of PPO and the statistics of returns against numbers worked out by hand."""

import math
from dataclasses import replace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dream.core.actions import Actions
from dream.core.decisions import Decisions
from dream.core.ppo import Targets, ValueNorm, advantages, ppo_loss, ppo_targets

TWO = Actions(gym.spaces.Discrete(2))
GAMMA, TRACE = 0.5, 0.8
REWARD = [1.0, 2.0, 3.0, 4.0]
VALUE = [10.0, 20.0, 30.0, 40.0, 50.0]


def flags(*at: int, steps: int = 4) -> Tensor:
    one = torch.zeros(1, steps, dtype=torch.bool)
    one[0, list(at)] = True
    return one


def estimates(
    *, terminated: tuple[int, ...] = (), length: int = 4, resets: tuple[int, ...] = (), discount: Any = GAMMA
) -> list[float]:
    """Advantages of one stream of REWARD and VALUE, inside the mask."""
    got = advantages(
        torch.tensor([REWARD]),
        flags(*terminated),
        torch.arange(4)[None] < length,
        flags(*resets),
        torch.tensor([VALUE]),
        discount=discount,
        lambda_=TRACE,
    )
    return got[0, :length].tolist()


# -- advantages --------------------------------------------------------------------------------------------------


def test_a_stream_that_stops_bootstraps_from_its_last_observation() -> None:
    a3 = 4 + 0.5 * 50 - 40
    a2 = (3 + 0.5 * 40 - 30) + 0.4 * a3
    a1 = (2 + 0.5 * 30 - 20) + 0.4 * a2
    a0 = (1 + 0.5 * 20 - 10) + 0.4 * a1
    assert a2 == pytest.approx(-11.4) and a0 == pytest.approx(1 + 0.4 * (-3 + 0.4 * -11.4))
    assert estimates() == pytest.approx([a0, a1, a2, a3])
    assert estimates(length=2) == pytest.approx([1 + 0.4 * -3, -3])  # a time limit: V(o_2) = 30 counts


def test_a_termination_is_not_bootstrapped() -> None:
    assert estimates(terminated=(1,), length=2) == pytest.approx([1 + 0.4 * (2 - 20), 2 - 20])
    assert estimates(terminated=(3,))[2:] == pytest.approx([-7 + 0.4 * (4 - 40), 4 - 40])


def test_each_step_may_have_its_own_discount() -> None:
    a1 = 2 + 0.25 * 30 - 20
    a0 = (1 + 1.0 * 20 - 10) + 1.0 * 0.8 * a1
    discount = torch.tensor([[1.0, 0.25, 9.0, 9.0]])
    assert estimates(length=2, discount=discount) == pytest.approx([a0, a1])


@pytest.mark.parametrize("discount", [GAMMA, torch.tensor([[GAMMA, 1.0, GAMMA, GAMMA]])])
def test_values_and_traces_pass_a_reset_step_unchanged(discount: Any) -> None:
    """Step 1 is a reset: V(o_1) is its reward plus V(o_2), and neither lambda nor the discount counts there."""
    a3 = 4 + 0.5 * 50 - 40
    a2 = (3 + 0.5 * 40 - 30) + 0.4 * a3
    value_1 = 2 + 30
    a0 = (1 + 0.5 * value_1 - 10) + 0.4 * a2
    got = estimates(resets=(1,), discount=discount)
    assert [got[0], *got[2:]] == pytest.approx([a0, a2, a3])


finite = st.floats(-10, 10, width=32)
STEPS = st.tuples(finite, finite, st.booleans())


@given(
    st.lists(STEPS, min_size=1, max_size=6), finite, st.booleans(), st.lists(STEPS, max_size=3), *[st.floats(0, 1)] * 2
)
@settings(max_examples=60, deadline=None)
def test_advantages_are_sums_of_errors_and_padding_changes_none(
    steps: list[tuple[float, float, bool]],
    last: float,
    ends: bool,
    padding: list[tuple[float, float, bool]],
    gamma: float,
    trace: float,
) -> None:
    """Against eq. 16, sum_l (gamma lambda)^l delta_t+l, summed forwards; the second stream is a neighbour."""
    length = len(steps)
    every = steps + padding
    reward, done = [step[0] for step in every], [False] * (length - 1) + [ends] + [step[2] for step in padding]
    value = [step[1] for step in steps] + [last] + [step[1] for step in padding]
    neighbour = torch.full((1, len(every)), 7.0)
    got = advantages(
        torch.cat([torch.tensor([reward]), neighbour]),
        torch.cat([torch.tensor([done]), neighbour.bool()]),
        torch.stack([torch.arange(len(every)) < length, torch.ones(len(every), dtype=torch.bool)]),
        torch.zeros(2, len(every), dtype=torch.bool),
        torch.tensor([value, [3.0] * (len(every) + 1)]),
        discount=gamma,
        lambda_=trace,
    )
    after = [*value[1:length], 0.0 if ends else last]
    errors = [reward[t] + gamma * after[t] - value[t] for t in range(length)]
    for t in range(length):
        expected = sum((gamma * trace) ** (i - t) * errors[i] for i in range(t, length))
        assert float(got[0, t]) == pytest.approx(expected, abs=1e-3)


# -- statistics of returns ---------------------------------------------------------------------------------------


def test_statistics_of_returns_by_hand() -> None:
    norm = ValueNorm(rate=0.25)
    values = torch.tensor([[1.0, -3.0]])
    assert torch.equal(norm.normalise(values), values) and torch.equal(norm.denormalise(values), values)
    norm.observe(torch.tensor([[2.0, 4.0], [99.0, 6.0]]), torch.tensor([[1.0, 1.0], [0.0, 1.0]]))
    mean, square = 4.0, (4 + 16 + 36) / 3  # the start at zero is corrected: as if there were no other batch
    assert float(norm.normalise(torch.tensor(6.0))) == pytest.approx(2.0 / math.sqrt(square - mean**2))
    norm.observe(torch.tensor([[10.0]]), torch.ones(1, 1))
    first, second = 0.75 * 0.25, 0.25
    mean = (first * 4 + second * 10) / (first + second)
    square = (first * 56 / 3 + second * 100) / (first + second)
    deviation = math.sqrt(square - mean**2)
    assert float(norm.denormalise(torch.tensor(1.5))) == pytest.approx(mean + 1.5 * deviation, rel=1e-5)
    torch.testing.assert_close(norm.normalise(norm.denormalise(values)), values)
    assert set(norm.state_dict()) == {"weight", "mean", "square"}  # so that checkpoints keep them


def test_constant_returns_are_not_divided_by_zero() -> None:
    norm = ValueNorm()
    norm.observe(torch.full((3, 2), 5.0), torch.ones(3, 2))
    assert float(norm.normalise(torch.tensor(5.0))) == pytest.approx(0.0, abs=1e-4)
    assert torch.isfinite(norm.normalise(torch.tensor(6.0)))


# -- what is fixed before the updates ----------------------------------------------------------------------------


def decisions(action: list[list[int]], reward: list[list[float]], length: list[int]) -> Decisions:
    """Streams that end in a termination."""
    slot, lengths = torch.arange(len(action[0])), torch.tensor(length)[:, None]
    mask = slot < lengths
    return Decisions(
        action=torch.tensor(action),
        reward=torch.tensor(reward),
        terminated=slot == lengths - 1,
        mask=mask,
        reset_step=torch.zeros_like(mask),
        discount=GAMMA,
        weight=mask.float(),
    )


def outputs(probabilities: list[list[float]], values: list[list[float]]) -> Tensor:
    """Outputs for two actions, whose second one has these probabilities; the last observation has no action."""
    p = torch.tensor(probabilities)
    logits = torch.stack([torch.zeros_like(p), (p / (1 - p)).log()], -1)
    last = torch.zeros(len(p), 1, 2)
    return torch.cat([torch.cat([logits, last], 1), torch.tensor(values)[..., None]], -1)


def test_targets_by_hand() -> None:
    """Two streams, the second of one step; in units of returns with mean 1 and deviation 2."""
    norm = ValueNorm(rate=1.0)
    norm.observe(torch.tensor([[-1.0, 3.0]]), torch.ones(1, 2))
    out = outputs([[0.25, 0.5], [0.8, 0.9]], [[0.0, 0.5, 9.0], [-0.5, 9.0, 9.0]])
    d = decisions([[1, 0], [1, 0]], [[1.0, 4.0], [3.0, 99.0]], [2, 1])
    got = ppo_targets(out, d, TWO, norm, TRACE)
    v00, v01, v10 = 1.0, 2.0, 0.0
    a01 = 4 - v01
    a00 = (1 + 0.5 * v01 - v00) + 0.4 * a01
    a10 = 3 - v10
    returns = np.array([a00 + v00, a01 + v01, a10 + v10])
    raw = np.array([a00, a01, a10])
    expected = (raw - raw.mean()) / raw.std()
    assert [float(got.advantage[i]) for i in ((0, 0), (0, 1), (1, 0))] == pytest.approx(expected.tolist(), rel=1e-4)
    # With a rate of 1 the statistics are those of these returns
    normalised = (returns - returns.mean()) / returns.std()
    assert [float(got.returns[i]) for i in ((0, 0), (0, 1), (1, 0))] == pytest.approx(normalised.tolist(), rel=1e-4)
    chosen = [math.log(0.25), math.log(0.5), math.log(0.8)]
    assert [float(got.log_prob[i]) for i in ((0, 0), (0, 1), (1, 0))] == pytest.approx(chosen, rel=1e-5)


# -- the loss ----------------------------------------------------------------------------------------------------


def test_the_loss_by_hand() -> None:
    """Four decisions: ratios 2 and 1/2, each with an advantage of either sign; a fifth does not count."""
    before = torch.tensor([[0.25, 0.25, 0.8, 0.8, 0.5]]).log()
    advantage = torch.tensor([[1.0, -1.0, 2.0, -2.0, 50.0]])
    returns = torch.tensor([[0.0, 1.0, 2.0, 3.0, 100.0]])
    now, values = [[0.5, 0.5, 0.4, 0.4, 0.9]], [[0.5, 0.5, 0.5, 0.5, 7.0, 7.0]]
    out = outputs(now, values).requires_grad_()
    d = decisions([[1] * 5], [[0.0] * 5], [4])
    loss, surprise, value, metrics = ppo_loss(
        out, d, Targets(before, advantage, returns), TWO, clip=0.2, value_weight=0.3, entropy_weight=0.1
    )
    # min(r A, clip(r) A): 2 -> 1.2; -2 stays; 1/2 * 2 stays; 1/2 * -2 -> 0.8 * -2
    gain = (1.2 - 2.0 + 1.0 - 1.6) / 4
    errors = [0.5, -0.5, -1.5, -2.5]
    squared = sum(error**2 for error in errors) / 4

    def spread(p: float) -> float:
        return -p * math.log(p) - (1 - p) * math.log(1 - p)

    uncertainty = (2 * spread(0.5) + 2 * spread(0.4)) / 4
    assert float(loss.detach()) == pytest.approx(-gain + 0.3 * 0.5 * squared - 0.1 * uncertainty, rel=1e-5)
    assert float(surprise) == 2.5 and float(value) == 0.5
    assert float(metrics["entropy"]) == pytest.approx(uncertainty, rel=1e-5)
    kl = (2 * (2 - 1 - math.log(2)) + 2 * (0.5 - 1 - math.log(0.5))) / 4  # r - 1 - log r
    assert float(metrics["kl"]) == pytest.approx(kl, rel=1e-4)
    assert float(metrics["clipped"]) == 1.0
    assert float(metrics["explained"]) == pytest.approx(1 - squared / ((0 + 1 + 4 + 9) / 4), rel=1e-5)
    assert not any(tensor.requires_grad for tensor in (surprise, value, *metrics.values()))
    loss.backward()
    assert out.grad is not None
    policy = out.grad[0, :, :2] + 0.1 * entropy_gradient(now, values) / 4
    moved = policy.abs().sum(-1) > 1e-6
    assert moved.tolist() == [False, True, True, False, False, False]  # clipped ones pull no more


def entropy_gradient(now: list[list[float]], values: list[list[float]]) -> Tensor:
    """Of the summed entropy of the first four decisions, by the logits, (T + 1, 2)."""
    p = torch.tensor(now)[0, :4]
    slope = p * (1 - p) * (1 - p).div(p).log()  # d entropy / d logit of the second action
    gradient = torch.zeros(len(values[0]), 2)
    gradient[:4] = torch.stack([-slope, slope], -1)
    return gradient


def test_an_unchanged_policy_has_the_policy_gradient() -> None:
    """At ratio 1 the gradient is that of log pi times the advantage, nothing is clipped, and the KL is 0."""
    torch.manual_seed(0)
    actions = Actions(gym.spaces.Box(-1.0, 1.0, (2,)))
    out = torch.randn(3, 5, 5).requires_grad_()
    d = replace(decisions([[0] * 4] * 3, [[0.0] * 4] * 3, [4, 2, 1]), action=torch.randn(3, 4, 2))
    mean, log_deviation = out[:, :-1, :-1].chunk(2, -1)
    log_prob = torch.distributions.Normal(mean, log_deviation.exp()).log_prob(d.action).sum(-1)
    advantage = torch.randn(3, 4)
    targets = Targets(log_prob.detach(), advantage, out[:, :-1, -1].detach())
    loss, _, _, metrics = ppo_loss(out, d, targets, actions, clip=0.2, value_weight=1.0, entropy_weight=0.0)
    assert float(metrics["kl"]) == pytest.approx(0.0, abs=1e-6) and float(metrics["clipped"]) == 0.0
    (expected,) = torch.autograd.grad(-(log_prob * advantage * d.weight).sum() / 7, out, retain_graph=True)
    (gradient,) = torch.autograd.grad(loss, out)
    torch.testing.assert_close(gradient, expected)


def test_padding_and_neighbours_change_neither_targets_nor_loss() -> None:
    torch.manual_seed(0)
    out, later = torch.randn(3, 5, 3), torch.randn(3, 5, 3)
    d = decisions([[0, 1, 2, 0], [1, 0, 1, 1], [0, 1, 0, 0]], torch.randn(3, 4).tolist(), [4, 2, 3])
    d.reset_step[0, 2], d.weight[0, 2] = True, 0.0  # its action is "no action"
    d = replace(d, discount=torch.rand(3, 4))
    targets = ppo_targets(out, d, TWO, ValueNorm(), TRACE)
    losing = {"clip": 0.2, "value_weight": 0.5, "entropy_weight": 0.1}
    loss, surprise, *_ = ppo_loss(later, d, targets, TWO, **losing)
    # Nonsense in the padding, more of it, and in what does not count
    other, other_later, blank = out.clone(), later.clone(), ~d.mask
    observed = torch.cat([torch.ones(3, 1, dtype=torch.bool), d.mask], 1)
    other[~observed], other_later[~observed] = 9.0, 9.0
    spoiled = Decisions(
        action=torch.nn.functional.pad(d.action.masked_fill(blank, 1), (0, 2), value=1),
        reward=torch.nn.functional.pad(d.reward.masked_fill(blank, 8.0), (0, 2), value=5.0),
        terminated=torch.nn.functional.pad(d.terminated | blank, (0, 2), value=True),
        mask=torch.nn.functional.pad(d.mask, (0, 2)),
        reset_step=torch.nn.functional.pad(d.reset_step, (0, 2)),
        discount=torch.nn.functional.pad(d.discount, (0, 2), value=0.5),
        weight=torch.nn.functional.pad(d.weight, (0, 2)),
    )
    more = torch.full((3, 2, 3), 4.0)
    other, other_later = torch.cat([other, more], 1), torch.cat([other_later, more], 1)
    again = ppo_targets(other, spoiled, TWO, ValueNorm(), TRACE)
    for name in ("log_prob", "advantage", "returns"):
        got, expected = getattr(again, name)[:, :4], getattr(targets, name)
        torch.testing.assert_close(got[d.weight > 0], expected[d.weight > 0], msg=name)
    spoiled_loss, spoiled_surprise, *_ = ppo_loss(other_later, spoiled, again, TWO, **losing)
    torch.testing.assert_close(spoiled_loss, loss)
    torch.testing.assert_close(spoiled_surprise, surprise)
    # The loss is a mean over decisions: each stream alone, weighted by how many it has
    parts = []
    for i in range(3):
        rows = torch.tensor([i])
        parts.append(ppo_loss(later[rows], d.select(rows), targets.select(rows), TWO, **losing).loss)
    count = d.weight.sum(1)
    torch.testing.assert_close((torch.stack(parts) * count).sum() / count.sum(), loss)


def test_streams_that_do_not_count_change_nothing() -> None:
    """`only` leaves the streams of other trials out of the loss, of the statistics and of the scale of advantages."""
    torch.manual_seed(0)
    out = torch.randn(4, 4, 3)
    d = decisions([[0, 1, 0]] * 4, torch.randn(4, 3).tolist(), [3, 2, 3, 1])
    some = torch.tensor([True, False, True, False])
    norm, alone_norm = ValueNorm(), ValueNorm()
    rows = some.nonzero()[:, 0]
    targets = ppo_targets(out, d.only(some), TWO, norm, TRACE)
    alone = ppo_targets(out[rows], d.select(rows), TWO, alone_norm, TRACE)
    for got, expected in zip(targets, alone, strict=True):
        torch.testing.assert_close(got[rows][d.mask[rows]], expected[d.mask[rows]])
    losing = {"clip": 0.2, "value_weight": 0.5, "entropy_weight": 0.1}
    whole = ppo_loss(out * 1.1, d.only(some), targets, TWO, **losing)
    part = ppo_loss(out[rows] * 1.1, d.select(rows), alone, TWO, **losing)
    torch.testing.assert_close(whole.loss, part.loss)
    assert whole.surprise[~some].tolist() == [0.0, 0.0]
    none = ppo_loss(out, d.only(~some & some), targets, TWO, **losing)
    assert float(none.loss) == 0.0
