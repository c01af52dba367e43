"""A trial as one stream: the inputs at each step, where credit flows, targets by hand."""

import gymnasium as gym
import numpy as np
import pytest
import torch

from dream.core.actions import Actions
from dream.core.qlearning import q_policy_loss
from dream.core.trial import Episodes, Trials
from dream.execution.stream import Layout, TrialStream, stream_decisions, trial_stream

A = 3
ACTIONS = Actions(gym.spaces.Discrete(A))
LAYOUT = Layout(actions=ACTIONS, instruction=(4,), explore_episodes=1)


def episodes(lengths: list[int], slots: int, instruction: list[int], first: int = 0) -> Episodes:
    """Streams of given lengths; observations and rewards count up, the last step terminates."""
    count = len(lengths)
    slot, length = torch.arange(slots), torch.tensor(lengths)[:, None]
    mask = slot < length
    obs = first + 100 * torch.arange(count)[:, None] + torch.arange(slots + 1)
    return Episodes(
        obs=(obs * (torch.arange(slots + 1) <= length))[..., None],
        action=(obs[:, :-1] % A) * mask,
        reward=(obs[:, 1:] * mask).float(),
        terminated=(slot == length - 1) & mask,
        mask=mask,
        start=(slot == 0) & mask,
        instruction=torch.tensor(instruction)[:, None],
    )


def trials(n: int = 1) -> Trials:
    """Trial 0: explores 2 steps; trial 1: 1 step. They execute 1 + j and 2 steps in episode j."""
    parts = [episodes([1 + j, 2], 3, [j + 1, 3], first=10 * (j + 1)) for j in range(n)]
    names = Episodes.__dataclass_fields__
    execute = Episodes(**{k: torch.stack([getattr(p, k) for p in parts], 1).flatten(0, 1) for k in names})
    return Trials(torch.tensor([5, 6]), episodes([2, 1], 3, [0, 0]), execute, torch.zeros(2, dtype=torch.bool))


def test_inputs_at_each_step() -> None:
    stream = trial_stream(trials(), LAYOUT)
    integers = stream.inputs.integers
    # previous action, start, phase, instruction (4: none); slot 2 is the last of the exploration, a reset step follows
    assert integers[0, :5].tolist() == [
        [A, 1, 0, 4],
        [0, 0, 0, 4],
        [1, 0, 0, 4],
        [A, 1, 1, 1],
        [1, 0, 1, 1],
    ]
    assert integers[1, :5].tolist() == [
        [A, 1, 0, 4],
        [1, 0, 0, 4],
        [A, 1, 1, 3],
        [2, 0, 1, 3],
        [0, 0, 1, 3],
    ]
    assert stream.episodes.obs[0, :5, 0].tolist() == [0, 1, 2, 10, 11]
    assert stream.episodes.obs[1, :5, 0].tolist() == [100, 101, 110, 111, 112]
    assert stream.inputs.previous_reward[0, :5].tolist() == [0, 0, 0, 0, 11]  # an exploration's reward is not given
    assert stream.reward[0, :4].tolist() == [0, 0, 0, 11] and stream.reward[1, :4].tolist() == [0, 0, 111, 112]
    assert stream.exploring[0, :4].tolist() == [True, True, True, False]
    assert stream.terminated.nonzero().tolist() == [[0, 3], [1, 3]]  # the end of the exploration ends nothing
    assert stream.episodes.reset_step.nonzero().tolist() == [[0, 2], [1, 1]]
    assert stream.problem_id.tolist() == [5, 6]


def test_rewarded_explorations_are_ordinary_episodes() -> None:
    stream = trial_stream(trials(), Layout(ACTIONS, (4,), 1, rewarded=True))
    integers = stream.inputs.integers
    assert integers[0, :5].tolist() == [
        [A, 1, 0, 0],
        [0, 0, 0, 0],
        [1, 0, 0, 0],
        [A, 1, 1, 1],
        [1, 0, 1, 1],
    ]
    assert stream.inputs.previous_reward[0, :5].tolist() == [0, 1, 2, 0, 11]
    assert stream.reward[0, :4].tolist() == [1, 2, 0, 11]
    assert stream.terminated.nonzero().tolist() == [[0, 3], [1, 3]]


def test_several_executions_each_with_its_own_instruction() -> None:
    stream = trial_stream(trials(2), LAYOUT)
    assert stream.inputs.integers[0, :8, 3].tolist() == [4, 4, 4, 1, 1, 2, 2, 2]
    assert stream.inputs.integers[1, :8, 3].tolist() == [4, 4, 3, 3, 3, 3, 3, 3]
    assert stream.episodes.obs[0, :8, 0].tolist() == [0, 1, 2, 10, 11, 20, 21, 22]
    assert stream.episodes.length.tolist() == [2 + 1 + 1 + 1 + 2, 1 + 1 + 2 + 1 + 2]
    assert stream.terminated.nonzero().tolist() == [[0, 6], [1, 6]]


def test_without_exploration_a_trial_begins_with_its_first_execution() -> None:
    stream = trial_stream(trials(2), Layout(ACTIONS, (4,), 0))
    integers = stream.inputs.integers
    assert integers[0, :5].tolist() == [
        [A, 1, 1, 1],
        [1, 0, 1, 1],
        [A, 1, 1, 2],
        [2, 0, 1, 2],
        [0, 0, 1, 2],
    ]
    assert not stream.exploring.any()
    assert stream.episodes.length.tolist() == [4, 5]


def test_the_first_trials_alone() -> None:
    stream = trial_stream(trials(), LAYOUT)
    first = stream.select(slice(1))
    for name in ("problem_id", "exploring", "reward", "terminated"):
        assert torch.equal(getattr(first, name), getattr(stream, name)[:1])
    for part, whole in zip(first.inputs, stream.inputs, strict=True):
        assert torch.equal(part, whole[:1])
    assert torch.equal(first.episodes.obs, stream.episodes.obs[:1])


def test_targets_pass_from_the_execution_to_the_exploration_by_hand() -> None:
    """Trial 1: explore (action 1), reset, execute (2), (0) and end. All that is worth anything is earned at the end."""
    stream = trial_stream(trials(), LAYOUT)
    stream = TrialStream(**{**stream.__dict__, "reward": torch.zeros_like(stream.reward)})
    stream.reward[1, 3] = 1.0
    q = torch.zeros(2, stream.episodes.mask.shape[1] + 1, A)
    q[1, 2] = torch.tensor([0.0, 0.3, 0.5])  # first observation of the execution: the greedy action is the one taken
    q[1, 3] = torch.tensor([0.2, 0.0, 0.0])
    q.requires_grad_()
    target = q.detach() * 2
    decisions = stream_decisions(stream, explore_gamma=0.8, gamma=0.5)
    loss, surprise, value, _ = q_policy_loss(q, target, decisions, 0.5)
    g3 = 1.0
    g2 = 0.5 * (0.5 * 0.4 + 0.5 * g3)
    g1 = 0.5 * 1.0 + 0.5 * g2  # the reset step: no discount, V(execution) = 1.0
    g0 = 0.8 * (0.5 * 1.0 + 0.5 * g1)  # V before the reset step is the one after it
    taken = np.array([0.0, 0.5, 0.2])
    errors = np.abs(taken - np.array([g0, g2, g3]))
    assert float(surprise[1]) == pytest.approx(errors.max())
    assert float(surprise[0]) == 0.0
    assert float(loss.detach()) == pytest.approx(0.5 * (errors**2).sum() / (3 + 3))  # three transitions in each trial
    assert float(value) == 0.0
    loss.backward()
    assert q.grad is not None
    moved = q.grad.nonzero().tolist()
    assert moved == [[1, 0, 1], [1, 2, 2], [1, 3, 0]]  # nothing at the reset step


def test_a_truncated_last_episode_bootstraps() -> None:
    stream = trial_stream(trials(), LAYOUT)
    stream = TrialStream(**{**stream.__dict__, "terminated": torch.zeros_like(stream.terminated)})
    q = torch.zeros(2, stream.episodes.mask.shape[1] + 1, A)
    q[0, 4] = 3.0
    surprise = q_policy_loss(q, q, stream_decisions(stream, explore_gamma=1.0, gamma=0.5), 0.0).surprise
    assert float(surprise[0]) == pytest.approx(11 + 0.5 * 3)
