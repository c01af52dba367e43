"""Q(lambda) targets and losses against numbers worked out by hand; padding and neighbours change nothing."""

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
from dream.core.decisions import PolicyLoss
from dream.core.qlearning import (
    double_q_value,
    epsilon_greedy,
    lambda_returns,
    q_loss,
    q_policy_loss,
    skip_reset_steps,
    td_error,
)
from dream.core.rollout import Now, rollout
from dream.core.trial import Episodes
from dream.envs import make
from dream.execution.executor import LearnedExecutor, executor_decisions
from dream.exploration.learned import LearnedExplorer, explorer_decisions

GAMMA, TRACE = 0.5, 0.8
REWARD = [1.0, 2.0, 3.0, 4.0]
VALUE = [10.0, 20.0, 30.0, 40.0, 50.0]


def targets(
    greedy: list[int],
    *,
    terminated: tuple[int, ...] = (),
    length: int = 4,
    trace: float = TRACE,
    reward: list[float] = REWARD,
    value: list[float] = VALUE,
) -> list[float]:
    """Targets of one stream of REWARD and VALUE, inside the mask."""
    ends = torch.zeros(1, 4, dtype=torch.bool)
    ends[0, list(terminated)] = True
    mask = (torch.arange(4) < length)[None]
    got = lambda_returns(
        torch.tensor([reward]),
        ends,
        mask,
        torch.tensor([value]),
        torch.tensor([greedy]).bool(),
        gamma=GAMMA,
        lambda_=trace,
    )
    return got[0, :length].tolist()


def test_a_stream_that_stops_bootstraps_from_its_last_observation() -> None:
    g3 = 4 + 0.5 * 50
    g2 = 3 + 0.5 * (0.2 * 40 + 0.8 * g3)
    g1 = 2 + 0.5 * (0.2 * 30 + 0.8 * g2)
    g0 = 1 + 0.5 * (0.2 * 20 + 0.8 * g1)
    assert g2 == pytest.approx(18.6) and g0 == pytest.approx(7.976)
    assert targets([1, 1, 1, 1]) == pytest.approx([g0, g1, g2, g3])


def test_a_truncated_stream_bootstraps_at_its_end() -> None:
    g1 = 2 + 0.5 * 30  # greedy or not, there is no step 2
    assert targets([1, 1, 1, 1], length=2) == pytest.approx([1 + 0.5 * (0.2 * 20 + 0.8 * g1), g1])


def test_a_termination_is_not_bootstrapped() -> None:
    g0 = 1 + 0.5 * (0.2 * 20 + 0.8 * 2)
    assert targets([1, 1, 1, 1], terminated=(1,), length=2) == pytest.approx([g0, 2])
    assert targets([1, 1, 1, 1], terminated=(3,))[2:] == pytest.approx([3 + 0.5 * (0.2 * 40 + 0.8 * 4), 4])


def test_a_non_greedy_action_cuts_the_trace() -> None:
    g3 = 4 + 0.5 * 50
    g2 = 3 + 0.5 * (0.2 * 40 + 0.8 * g3)  # what happened after an action is its own, greedy or not
    g1 = 2 + 0.5 * 30  # but the value of being there is that of the greedy one
    g0 = 1 + 0.5 * (0.2 * 20 + 0.8 * g1)
    assert targets([1, 1, 0, 1]) == pytest.approx([g0, g1, g2, g3])
    assert targets([0, 1, 0, 1]) == targets([1, 1, 0, 1])  # the first action cuts no trace


def test_without_a_trace_targets_are_one_step_targets() -> None:
    one_step = [1 + 10, 2 + 15, 3 + 20, 4 + 25]
    assert targets([1, 1, 1, 1], trace=0.0) == pytest.approx(one_step)
    assert targets([0, 0, 0, 0]) == pytest.approx(one_step)
    assert targets([1, 1, 1, 1], trace=0.0, terminated=(3,)) == pytest.approx([*one_step[:3], 4])


def test_with_a_full_trace_targets_are_discounted_returns() -> None:
    assert targets([1, 1, 1, 1], trace=1.0, terminated=(3,))[0] == pytest.approx(1 + 2 / 2 + 3 / 4 + 4 / 8)
    assert targets([1, 1, 1, 1], trace=1.0)[0] == pytest.approx(1 + 2 / 2 + 3 / 4 + 4 / 8 + 50 / 16)


finite = st.floats(-10, 10, width=32)


@given(
    st.lists(st.tuples(finite, finite, finite, st.booleans(), st.booleans()), min_size=1, max_size=6),
    st.lists(st.tuples(finite, finite, st.booleans(), st.booleans()), max_size=3),
    st.floats(0, 1),
    st.floats(0, 1),
)
@settings(max_examples=60, deadline=None)
def test_targets_are_the_recursion_and_padding_changes_none(
    steps: list[tuple[float, float, float, bool, bool]],
    padding: list[tuple[float, float, bool, bool]],
    gamma: float,
    trace: float,
) -> None:
    """Against the definition, read backwards in plain Python; only the last step may terminate."""
    length = len(steps)
    reward = [step[0] for step in steps] + [pad[0] for pad in padding]
    value = [step[1] for step in steps] + [steps[-1][2]] + [pad[1] for pad in padding]
    greedy = [step[3] for step in steps] + [pad[2] for pad in padding]
    ends = [False] * (length - 1) + [steps[-1][4]] + [pad[3] for pad in padding]
    got = lambda_returns(
        torch.tensor([reward]),
        torch.tensor([ends]),
        torch.arange(len(reward))[None] < length,
        torch.tensor([value]),
        torch.tensor([greedy]),
        gamma=gamma,
        lambda_=trace,
    )
    expected = reward[length - 1] + (0.0 if ends[length - 1] else gamma * value[length])
    for t in reversed(range(length)):
        if t < length - 1:
            carry = trace if greedy[t + 1] else 0.0
            expected = reward[t] + gamma * ((1 - carry) * value[t + 1] + carry * expected)
        assert float(got[0, t]) == pytest.approx(expected, abs=1e-4)


def test_the_online_network_selects_and_the_target_network_evaluates() -> None:
    online = torch.tensor([[[1.0, 5.0, 2.0], [9.0, 0.0, 1.0]]])
    target = torch.tensor([[[7.0, 3.0, 8.0], [-1.0, 4.0, 4.0]]])
    value, best = double_q_value(online, target)
    assert best.tolist() == [[1, 0]] and value.tolist() == [[3.0, -1.0]]


def test_the_value_before_a_reset_step_is_its_reward_plus_the_value_after() -> None:
    value = torch.tensor([[1.0, 2.0, 3.0, 4.0]])
    reset_step = torch.tensor([[False, True, False]])
    reward = torch.tensor([[10.0, 20.0, 30.0]])
    assert skip_reset_steps(value, reset_step, reward).tolist() == [[1.0, 23.0, 3.0, 4.0]]
    assert value.tolist() == [[1.0, 2.0, 3.0, 4.0]]


def test_loss_by_hand() -> None:
    q = torch.tensor([[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]], requires_grad=True)
    target = torch.tensor([[0.0, 7.0, 100.0]], requires_grad=True)
    weight = torch.tensor([[1.0, 1.0, 0.0]])
    error = td_error(q, torch.tensor([[1, 0, 1]]), target, weight)
    assert error.tolist() == [[2.0, -4.0, 0.0]]
    loss = q_loss(error, weight)
    assert float(loss.detach()) == 0.5 * (2**2 + 4**2) / 2
    loss.backward()
    assert target.grad is None
    assert q.grad is not None and q.grad.tolist() == [[[0.0, 1.0], [-2.0, 0.0], [0.0, 0.0]]]
    assert float(q_loss(error.detach() * 0, weight * 0)) == 0.0


def stream(action: list[int], *, length: int, start: tuple[int, ...] = (0,), **fields: Any) -> Episodes:
    steps = len(action)
    begins = torch.zeros(1, steps, dtype=torch.bool)
    begins[0, list(start)] = True
    plain = Episodes(
        obs=torch.zeros(1, steps + 1, 1),
        action=torch.tensor([action]),
        reward=torch.zeros(1, steps),
        terminated=torch.zeros(1, steps, dtype=torch.bool),
        mask=(torch.arange(steps) < length)[None],
        start=begins,
        instruction=torch.zeros(1, 1, dtype=torch.int64),
    )
    return replace(plain, **fields)


ONLINE = torch.tensor([[[1.0, 2.0], [4.0, 3.0], [5.0, 6.0], [9.0, 9.5]]])
TARGET = torch.tensor([[[10.0, 20.0], [30.0, 40.0], [50.0, 60.0], [70.0, 80.0]]])


def executed(online: Tensor, target: Tensor, execute: Episodes) -> PolicyLoss:
    return q_policy_loss(online, target, executor_decisions(execute, GAMMA), TRACE)


def explored(online: Tensor, target: Tensor, explore: Episodes, reward: Tensor, trace: float = TRACE) -> PolicyLoss:
    return q_policy_loss(online, target, explorer_decisions(explore, reward, GAMMA), trace)


def test_executor_loss_by_hand() -> None:
    reward = torch.tensor([[1.0, 2.0, 3.0]])
    execute = stream([1, 0, 0], length=2, reward=reward)  # out of time after two steps; both actions greedy
    loss, surprise, value, metrics = executed(ONLINE, TARGET, execute)
    g1 = 2 + 0.5 * 60  # online likes action 1 best there, target says 60
    g0 = 1 + 0.5 * (0.2 * 30 + 0.8 * g1)  # online likes action 0 best there, and it was taken
    assert float(loss) == pytest.approx(0.5 * ((2 - g0) ** 2 + (4 - g1) ** 2) / 2)
    assert float(value) == 20 and not metrics
    assert float(surprise) == pytest.approx(max(abs(2 - g0), abs(4 - g1)))
    done = replace(execute, terminated=torch.tensor([[False, True, False]]))
    loss = executed(ONLINE, TARGET, done).loss
    assert float(loss) == pytest.approx(0.5 * ((2 - (1 + 0.5 * (0.2 * 30 + 0.8 * 2))) ** 2 + (4 - 2) ** 2) / 2)


def test_advantage_learning_values_inferior_actions_lower() -> None:
    execute = stream([1, 0, 0], length=2, reward=torch.tensor([[1.0, 2.0, 3.0]]))
    target = torch.tensor([[[10.0, 20.0], [30.0, 40.0], [50.0, 60.0], [70.0, 80.0]]])
    loss, *_ = q_policy_loss(ONLINE, target, executor_decisions(execute, GAMMA), TRACE, action_gap=0.5)
    g1 = 2 + 0.5 * 60
    g0 = 1 + 0.5 * (0.2 * 30 + 0.8 * g1)  # of the return itself, not of the lowered target of the next step
    # target says that action 0, taken second, is 10 worse than action 1; action 1, taken first, is the best
    assert float(loss) == pytest.approx(0.5 * ((2 - g0) ** 2 + (4 - (g1 - 0.5 * 10)) ** 2) / 2)


def test_the_end_of_an_exploration_is_terminal_even_after_a_time_limit() -> None:
    reward = torch.tensor([[1.0, 2.0, 3.0]])
    explore = stream([1, 0, 0], length=2)  # a time limit, not a termination
    loss = explored(ONLINE, TARGET, explore, reward).loss
    g0 = 1 + 0.5 * (0.2 * 30 + 0.8 * 2)
    assert float(loss) == pytest.approx(0.5 * ((2 - g0) ** 2 + (4 - 2) ** 2) / 2)


def test_an_explorer_bootstraps_past_a_reset_step_which_has_no_loss() -> None:
    reward = torch.tensor([[1.0, 5.0, 3.0]])
    explore = stream([1, 2, 1], length=3, start=(0, 2))
    loss = explored(ONLINE, TARGET, explore, reward, trace=0.0).loss
    g0 = 1 + 0.5 * (5 + 60)  # not 30, the value of an observation without an action
    assert float(loss) == pytest.approx(0.5 * ((2 - g0) ** 2 + (6 - 3) ** 2) / 2)


def random_streams(name: str, members: int, phase: str) -> Episodes:
    env = make(name, members)
    rng = np.random.default_rng(0)
    ids = env.problems.sample("train", members, rng)

    def policy(now: Now, memory: Any) -> tuple[Tensor, None]:
        return torch.from_numpy(rng.integers(len(env.action_names), size=members)), None

    given = env.sample_instruction(ids, rng) if phase == "execute" else None
    return rollout(env, policy, ids, phase=phase, episodes=1 + (phase == "explore"), instruction=given)


def spoiled(episodes: Episodes, extra: int) -> Episodes:
    """The same streams, `extra` slots longer, with nonsense in all the padding."""
    n, steps = episodes.mask.shape
    rows = torch.arange(extra) % steps
    long = Episodes(
        obs=torch.cat([episodes.obs, episodes.obs[:, rows]], 1),
        action=torch.cat([episodes.action, episodes.action[:, rows]], 1),
        reward=torch.cat([episodes.reward, episodes.reward[:, rows]], 1),
        terminated=torch.cat([episodes.terminated, episodes.terminated[:, rows]], 1),
        mask=torch.cat([episodes.mask, torch.zeros(n, extra, dtype=torch.bool)], 1),
        start=torch.cat([episodes.start, torch.zeros(n, extra, dtype=torch.bool)], 1),
        instruction=episodes.instruction,
    )
    blank = ~long.mask
    seen = torch.cat([torch.ones(n, 1, dtype=torch.bool), long.mask], 1)
    return replace(
        long,
        obs=torch.where(seen[..., None], long.obs, 1),
        action=long.action.masked_fill(blank, 1),
        reward=long.reward.masked_fill(blank, 9.0),
        terminated=long.terminated | blank,
    )


def rows(episodes: Episodes, which: list[int]) -> Episodes:
    return episodes.map(lambda tensor: tensor[which])


def test_executor_loss_ignores_padding_and_is_a_mean_over_steps() -> None:
    torch.manual_seed(0)
    env = make("map", 1)
    space, instruction = env.single_observation_space, env.instruction_space
    actions = Actions(env.single_action_space)
    online, target = (LearnedExecutor(space, instruction, actions, width=8, memory_size=4, z_dim=3) for _ in range(2))
    execute = random_streams("map", 6, "execute")
    assert int(execute.length.min()) < int(execute.length.max())
    z, target_z = torch.randn(6, 3), torch.randn(6, 3)

    def loss(episodes: Episodes, which: list[int]) -> tuple[Tensor, Tensor]:
        seen = online.encode_frames(episodes)
        q, target_q = online(episodes, seen, z[which]), target(episodes, seen, target_z[which])
        return q_policy_loss(q, target_q, executor_decisions(episodes, 0.9), 0.9)[:2]

    everyone = list(range(6))
    whole = loss(execute, everyone)
    torch.testing.assert_close(loss(spoiled(execute, 3), everyone), whole)
    torch.testing.assert_close(loss(execute.trimmed(), everyone), whole)
    each, surprises = zip(*(loss(rows(execute, [i]), [i]) for i in everyone), strict=True)
    torch.testing.assert_close((torch.stack(each) * execute.length).sum() / execute.length.sum(), whole[0])
    torch.testing.assert_close(torch.cat(surprises), whole[1])
    assert not whole[1].requires_grad
    target_z = target_z + 1.0
    assert not torch.allclose(loss(execute, everyone)[0], whole[0])


def test_explorer_loss_ignores_padding_and_is_a_mean_over_steps() -> None:
    torch.manual_seed(0)
    env = make("signpost", 1)
    space, actions = env.single_observation_space, Actions(gym.spaces.Discrete(5))
    online, target = (LearnedExplorer(space, actions, width=8, memory_size=4) for _ in range(2))
    explore = random_streams("signpost", 6, "explore")
    reward = torch.randn(explore.mask.shape)

    def loss(episodes: Episodes, reward: Tensor) -> Tensor:
        q, target_q = online(episodes, episodes.obs), target(episodes, episodes.obs)
        return q_policy_loss(q, target_q, explorer_decisions(episodes, reward, 0.9), 0.9).loss

    whole = loss(explore, reward)
    longer = torch.cat([reward, torch.full((6, 3), 7.0)], 1)
    longer = torch.where(spoiled(explore, 3).mask, longer, 7.0)
    torch.testing.assert_close(loss(spoiled(explore, 3), longer), whole)
    each = torch.stack([loss(rows(explore, [i]), reward[[i]]) for i in range(6)])
    weight = explore.transition.sum(1)
    torch.testing.assert_close((each * weight).sum() / weight.sum(), whole)


def test_greedy_draws_no_random_number() -> None:
    q = torch.tensor([[0.0, 2.0, 1.0], [3.0, 2.0, 1.0]])
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    assert epsilon_greedy(q, torch.zeros(2), generator).tolist() == [1, 0]
    assert epsilon_greedy(q, torch.zeros(2), None).tolist() == [1, 0]
    assert torch.equal(generator.get_state(), before)


def test_random_actions_have_probability_epsilon() -> None:
    members = 30_000
    q = torch.tensor([[0.0, 2.0, 1.0, -1.0]]).expand(members, 4)
    epsilon = torch.tensor([0.0, 0.3, 1.0]).repeat_interleave(members // 3)

    def shares(**options: Tensor) -> Tensor:
        action = epsilon_greedy(q, epsilon, torch.Generator().manual_seed(0), **options).view(3, -1)
        return torch.stack([torch.bincount(row, minlength=4) for row in action]) / (members // 3)

    expected = torch.tensor([[0, 1, 0, 0], [0.075, 0.775, 0.075, 0.075], [0.25, 0.25, 0.25, 0.25]])
    torch.testing.assert_close(shares(), expected, rtol=0, atol=0.02)
    weight = torch.tensor([0.6, 0.0, 0.3, 0.1])
    expected = torch.tensor([[0, 1, 0, 0], [0.18, 0.7, 0.09, 0.03], [0.6, 0, 0.3, 0.1]])
    torch.testing.assert_close(shares(action_weight=weight), expected, rtol=0, atol=0.02)
    assert torch.equal(shares(), shares())
