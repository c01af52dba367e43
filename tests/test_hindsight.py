"""Hindsight: an episode is one of the problem and instruction it is relabelled with, and is learned from as such."""

from typing import Any

import numpy as np
import pytest
import torch

from dream.core.hindsight import as_tensors
from dream.envs import MetaEnv, hindsight, make
from dream.envs.sign.family import Sign
from tests.small_training import Loop, build

MEMBERS = 96


def play(env: MetaEnv, actions: np.ndarray, ids: np.ndarray, instruction: np.ndarray) -> list[Any]:
    """Frames, rewards and ends of an execution of given actions (T, B), from the starts of seed 3."""
    obs, _ = env.reset(seed=3, options={"problem_id": ids, "instruction": instruction})
    steps: list[Any] = [(obs, None, None)]
    for action in actions:
        obs, reward, terminated, _, _ = env.step(action)
        steps.append((obs, reward, terminated))
    return steps


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("sign", {}),
        ("sign-ball", {}),
        ("sign-worlds", {"worlds": 8}),
        ("kitchen", {"kitchens": 8}),
        ("kitchen", {"kitchens": 8, "shaped": True}),
    ],
)
def test_an_episode_would_have_been_the_same_and_right(name: str, parameters: dict[str, Any]) -> None:
    """Played again in the problem and with the instruction of hindsight: the same frames, then the other reward.

    But for one in twenty on sign, where a longer word reaches into a frame.
    """
    env = make(name, MEMBERS, **parameters)
    env.training = name == "sign-worlds"  # there starts depend on the house alone, in kitchen on the instruction, too
    rng = np.random.default_rng(0)
    likely = [0.2, 0.2, 0.6, 0.0] if name != "kitchen" else [0.2, 0.15, 0.3, 0.35, 0.0]
    actions = rng.choice(len(likely), size=(env.horizon, MEMBERS), p=likely)
    ids = env.problems.sample("train", MEMBERS, rng)
    instruction = env.sample_instruction(ids, rng)
    first = play(env, actions, ids, instruction)
    length, told = env.elapsed.copy(), env.hindsight()
    assert told is not None
    other = told.valid & ((told.problem_id != ids) | (told.instruction != instruction).any(axis=1))
    assert other.sum() >= 10
    again = play(
        env,
        actions,
        np.where(other, told.problem_id, ids),
        np.where(other[:, None], told.instruction, instruction),
    )
    longer = 0
    for member in np.flatnonzero(other):
        steps = range(length[member] + 1)
        longer += any((again[step][0][member] != first[step][0][member]).any() for step in steps)
        for step in steps:
            if 0 < step < length[member]:
                assert again[step][1][member] == first[step][1][member] and not again[step][2][member]
        assert again[length[member]][1][member] == told.reward[member]
        assert again[length[member]][2][member] == told.terminated[member]
    assert longer <= (0 if name == "kitchen" else 0.05 * other.sum())


def test_who_saw_the_sign_was_not_right_for_another_colour() -> None:
    env = make("sign", MEMBERS)
    rng = np.random.default_rng(0)
    ids = env.problems.sample("train", MEMBERS, rng)
    env.reset(seed=3, options={"problem_id": ids, "instruction": np.zeros((MEMBERS, 1), np.int64)})
    assert isinstance(env, Sign)
    seen, touched = env.sign_pixels() > 0, np.zeros(MEMBERS, bool)
    while env.active.any():
        active = env.active.copy()
        _, reward, _, _, _ = env.step(rng.choice(3, size=MEMBERS, p=[0.3, 0.1, 0.6]))
        seen |= active & (env.sign_pixels() > 0)
        touched |= reward != 0
    told = env.hindsight()
    assert told is not None
    assert (told.valid <= touched).all() and (touched & ~told.valid).any()
    assert (told.problem_id == ids)[told.valid & seen].all()
    assert (told.problem_id != ids)[told.valid & ~seen].any()


def test_families_without_hindsight_tell_nothing() -> None:
    assert make("map", 2).hindsight() is None


def test_several_episodes_of_a_trial_stand_together() -> None:
    def told(first: int) -> hindsight.Hindsight:
        number = np.arange(first, first + 3)
        return hindsight.Hindsight(number > 1, number, number[:, None], number.astype(np.float32), number < 3)

    joined = as_tensors([told(0), told(10)], torch.device("cpu"))
    assert joined.problem_id.tolist() == [0, 10, 1, 11, 2, 12]
    assert joined.instruction[:, 0].tolist() == [0, 10, 1, 11, 2, 12]


class Told:
    """In place of `MetaEnv.hindsight`: the next problem with the last instruction, for every second episode."""

    def __init__(self, env: MetaEnv) -> None:
        self.env = env

    def __call__(self) -> hindsight.Hindsight:
        env, count = self.env, self.env.num_envs
        return hindsight.Hindsight(
            valid=np.arange(count) % 2 == 0,
            problem_id=(env.problem_id + 1) % env.problems.num_problems,
            instruction=np.tile(env.instruction_space.nvec - 1, (count, 1)),
            reward=np.full(count, 5.0, np.float32),
            terminated=np.zeros(count, np.bool_),
        )


def learned_from(monkeypatch: pytest.MonkeyPatch, n: int, **changes: Any) -> tuple[Any, Any, Any, Any]:
    """Method, trials drawn, and episodes and z that the executor learned from, with `Told`."""
    method, env = build("oracle", env="map", trial__execute_episodes=n, bottleneck__init_scale=1.0, **changes)
    monkeypatch.setattr(env, "hindsight", Told(env))
    loop = Loop(method, env)
    loop.rounds(2)
    drawn: dict[str, Any] = {}
    sample = loop.replay.sample_by_priority
    monkeypatch.setattr(
        loop.replay, "sample_by_priority", lambda *a: drawn.setdefault("trials", sample(*a)) and drawn["trials"]
    )
    method.networks.executor.register_forward_hook(lambda module, arguments, output: drawn.update(fed=arguments))
    method.update(loop.replay, 0.5, loop.generator)
    episodes, _, z = drawn["fed"]
    return method, drawn["trials"][0], episodes, z


@pytest.mark.parametrize("n", [1, 3])
def test_the_executor_learns_in_hindsight_on_the_code_of_that_problem(monkeypatch: pytest.MonkeyPatch, n: int) -> None:
    method, trials, episodes, z = learned_from(
        monkeypatch, n, executor__hindsight_fraction=1.0, bottleneck__noise_std=1e-6
    )
    told = trials.hindsight
    assert told is not None and told.valid.any() and not told.valid.all()
    own = trials.problem_id.repeat_interleave(n)
    problem = torch.where(told.valid, told.problem_id, own)
    # The codes that it learned on are those of before the update: a step of the optimizer moves them a little
    torch.testing.assert_close(z, method.networks.f(method.factors(problem)), atol=0.1, rtol=0)
    assert (method.networks.f(method.factors(own)) - z)[told.valid].abs().max() > 0.5
    before = trials.execute
    for row in range(len(own)):
        last = int(before.length[row]) - 1
        if told.valid[row]:
            assert episodes.reward[row, last] == 5.0 and not episodes.terminated[row, last]
            assert torch.equal(episodes.instruction[row], told.instruction[row])
        else:
            assert torch.equal(episodes.reward[row], before.reward[row])
            assert torch.equal(episodes.terminated[row], before.terminated[row])
            assert torch.equal(episodes.instruction[row], before.instruction[row])
        assert torch.equal(episodes.reward[row, :last], before.reward[row, :last])


def test_a_share_is_relabelled_and_none_with_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    size = {"learning__execute_batch_size": 256, "learning__num_envs": 64}
    _, trials, episodes, _ = learned_from(monkeypatch, 1, **size)
    relabelled = (episodes.reward == 5.0).any(1)
    assert 0.35 < relabelled[trials.hindsight.valid].float().mean() < 0.65
    _, trials, episodes, _ = learned_from(monkeypatch, 1, **size, executor__hindsight_fraction=0.0)
    assert trials.hindsight is None and not (episodes.reward == 5.0).any()
