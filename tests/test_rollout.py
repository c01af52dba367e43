"""Rollouts: what is recorded of members that play side by side, end at different times and start again."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from torch import Tensor

from dream.core.actions import Actions
from dream.core.rollout import Now, no_steps, rollout
from dream.core.trial import Episodes, chain
from dream.envs import MetaEnv, make
from tests.toys import Corridor

LEFT, RIGHT, END, NONE = 0, 1, 4, 5
"""Actions of the signpost; NONE is the index of a reset step."""
ACTIONS = Actions(gym.spaces.Discrete(NONE))


class Script:
    """A policy whose memory counts its observations and picks the action from each member's row of a table."""

    def __init__(self, table: np.ndarray | Tensor):
        self.table = torch.as_tensor(table)
        self.seen: list[tuple[Now, Tensor]] = []

    def __call__(self, now: Now, memory: Any) -> tuple[Tensor, Any]:
        count = torch.zeros(len(now.obs), 1, dtype=torch.int64) if memory is None else memory[0]
        self.seen.append((Now(*(part.clone() for part in now)), count[:, 0].clone()))
        action = self.table.gather(1, count)[:, 0]
        # What a member that is done would play must not matter, nor the rest of its memory.
        return action, (count + 1, count.float() * 0)


def end_right_right_end() -> np.ndarray:
    """Two episodes of three members of the signpost (horizon 6); row b, column c: what member b does at its step c."""
    return np.array(
        [
            [END, LEFT, RIGHT, RIGHT, END, *[LEFT] * 8],
            [RIGHT, RIGHT, LEFT, END, LEFT, END, *[LEFT] * 7],
            [*[LEFT] * 6, LEFT, *[RIGHT] * 6],
        ]
    )


def explore_twice(table: np.ndarray, ids: list[int]) -> tuple[Episodes, Script]:
    script = Script(table)
    env = make("signpost", len(ids))
    return rollout(env, script, np.array(ids), phase="explore", episodes=2), script


def test_two_episodes_are_one_stream() -> None:
    episodes, _ = explore_twice(end_right_right_end(), [0, 1, 1])
    assert episodes.length.tolist() == [5, 6, 13]
    assert episodes.obs.shape == (3, 14, 2) and episodes.obs.dtype == torch.int16
    sign = [[4, 1]]
    assert episodes.obs[0].tolist() == [[2, 0], [2, 0], [2, 0], [3, 0], *sign * 2, *[[0, 0]] * 8]
    sign = [[4, 2]]
    assert episodes.obs[1].tolist() == [[2, 0], [3, 0], *sign, [3, 0], [3, 0], [2, 0], [2, 0], *[[0, 0]] * 7]
    left = [[1, 0], *[[0, 0]] * 5]
    assert episodes.obs[2].tolist() == [[2, 0], *left, [2, 0], [3, 0], *sign * 5]
    assert episodes.action.tolist() == [
        [END, NONE, RIGHT, RIGHT, END, *[0] * 8],
        [RIGHT, RIGHT, LEFT, END, NONE, END, *[0] * 7],
        [*[LEFT] * 6, NONE, *[RIGHT] * 6],
    ]
    assert [row.nonzero().flatten().tolist() for row in episodes.start] == [[0, 2], [0, 5], [0, 7]]
    assert [row.nonzero().flatten().tolist() for row in episodes.reset_step] == [[1], [4], [6]]
    assert [row.nonzero().flatten().tolist() for row in episodes.terminated] == [[0, 4], [3, 5], []]
    assert episodes.transition.sum(1).tolist() == [4, 5, 12]
    assert not episodes.reward.any() and not episodes.instruction.any()


@pytest.mark.parametrize("horizon", [3, 4])
@pytest.mark.parametrize("k", [1, 3])
def test_a_stream_of_k_episodes_has_room_for_all_their_steps_and_the_resets_between(k: int, horizon: int) -> None:
    env = Corridor(2, horizon=horizon)
    slots = k * horizon + k - 1
    episodes = rollout(env, Script(np.full((2, slots + 1), LEFT)), np.array([0, 1]), phase="explore", episodes=k)
    assert episodes.mask.shape == (2, slots) and episodes.obs.shape == (2, slots + 1, 2)
    assert episodes.length.tolist() == [slots, slots]
    assert episodes.reset_step[0].nonzero()[:, 0].tolist() == [j * (horizon + 1) - 1 for j in range(1, k)]
    assert no_steps(env, np.array([0, 1]), phase="explore").obs.shape == (2, horizon + 1, 2)


def test_padding_is_at_the_end_and_zero() -> None:
    episodes, _ = explore_twice(end_right_right_end(), [0, 1, 1])
    columns = torch.arange(13)
    assert torch.equal(episodes.mask, columns < episodes.length[:, None])
    for field in (episodes.action, episodes.reward, episodes.terminated, episodes.start):
        assert not field[~episodes.mask].any()


def test_the_policy_observes_what_is_recorded() -> None:
    """The memory of a member that waits does not move: at each of its steps it has counted exactly its own stream."""
    episodes, script = explore_twice(end_right_right_end(), [0, 1, 1])
    reset_call = 6  # the longest first episode has 6 steps, so the reset step is the seventh call
    previous = episodes.previous_action(ACTIONS)
    for member, first_length in enumerate([1, 4, 6]):
        calls = [*range(first_length), reset_call]
        calls += range(reset_call + 1, reset_call + 1 + int(episodes.length[member]) - first_length - 1)
        for slot, call in enumerate(calls):
            now, count = script.seen[call]
            assert int(count[member]) == slot
            assert torch.equal(now.obs[member], episodes.obs[member, slot])
            assert int(now.previous_action[member]) == int(previous[member, slot])
            assert bool(now.start[member]) == (slot < episodes.mask.shape[1] and bool(episodes.start[member, slot]))
            assert now.active[member]
        first_waits = script.seen[first_length][0] if first_length < reset_call else None
        assert first_waits is None or not first_waits.active[member]
    assert len(script.seen) == 13


def test_a_policy_with_one_tensor_as_memory_or_none() -> None:
    def counts(now: Now, memory: Tensor | None) -> tuple[Tensor, Tensor]:
        memory = torch.zeros(len(now.obs), 1) if memory is None else memory
        count, member = memory[:, 0], torch.arange(len(now.obs))
        return torch.where((count == member) | (count == member + 2), END, LEFT), memory + 1

    env = make("signpost", 2)
    # Member 0 ends at its first step, member 1 at its second; after the reset step they have counted 2 and 3.
    episodes = rollout(env, counts, np.array([0, 1]), phase="explore", episodes=2)
    assert episodes.length.tolist() == [3, 4]
    episodes = rollout(env, lambda now, m: (torch.full((2,), END), None), np.array([0, 1]), phase="explore")
    assert episodes.length.tolist() == [1, 1] and episodes.mask.shape == (2, 6)


def single(env_name: str, problem: int, actions: list[int], phase: str, instruction: np.ndarray | None) -> list[Any]:
    """One episode of one member in a plain loop."""
    env = make(env_name, 1)
    given = None if instruction is None else instruction[None]
    obs, _ = env.reset(options={"problem_id": np.array([problem]), "phase": phase, "instruction": given})
    seen, rewards, ends = [obs[0].tolist()], [], []
    for action in actions:
        obs, reward, terminated, truncated, _ = env.step(np.array([action]))
        seen.append(obs[0].tolist())
        rewards.append(float(reward[0]))
        ends.append(bool(terminated[0]))
        if terminated[0] or truncated[0]:
            break
    return [seen, rewards, ends]


@pytest.mark.parametrize(("name", "phase"), [("signpost", "execute"), ("map", "explore"), ("map", "execute")])
def test_a_member_in_a_batch_records_the_same_stream_as_alone(name: str, phase: str) -> None:
    members = 6
    env = make(name, members)
    rng = np.random.default_rng(0)
    table = rng.integers(len(env.action_names), size=(members, env.horizon))
    ids = env.problems.sample("train", members, rng)
    instruction = env.sample_instruction(ids, rng) if phase == "execute" else None
    episodes = rollout(env, Script(table), ids, phase=phase, instruction=instruction)
    assert len(set(episodes.length.tolist())) > 1
    for member in range(members):
        steps = int(episodes.length[member])
        given = None if instruction is None else instruction[member]
        seen, rewards, ends = single(name, int(ids[member]), table[member].tolist(), phase, given)
        assert steps == len(rewards)
        assert episodes.obs[member, : steps + 1].tolist() == seen
        assert episodes.reward[member, :steps].tolist() == rewards
        assert episodes.terminated[member, :steps].tolist() == ends
        assert episodes.action[member, :steps].tolist() == table[member, :steps].tolist()
        if given is not None:
            assert episodes.instruction[member].tolist() == given.tolist()


@pytest.mark.parametrize("k", [1, 2])
def test_neighbours_do_not_change_a_stream(k: int) -> None:
    env: MetaEnv = make("map", 5)
    rng = np.random.default_rng(1)
    slots = k * (env.horizon + 1) - 1
    table = rng.integers(len(env.action_names), size=(5, slots))
    ids = env.problems.sample("train", 5, rng)
    whole = rollout(env, Script(table), ids, phase="explore", episodes=k)
    alone = rollout(make("map", 1), Script(table[2:3]), ids[2:3], phase="explore", episodes=k)
    table[[0, 1, 3, 4]] = env.action_names.index("end-episode")  # the others are done at once
    among_others = rollout(env, Script(table), ids, phase="explore", episodes=k)
    for name in Episodes.__dataclass_fields__:
        assert torch.equal(getattr(whole, name)[2:3], getattr(alone, name)), name
        assert torch.equal(getattr(whole, name)[2], getattr(among_others, name)[2]), name


def test_without_instructions_the_environment_draws_them_once() -> None:
    env, other = make("map", 4), make("map", 4)
    env.reset(seed=3)
    other.reset(seed=3)
    ids = np.arange(4)
    ends = Script(np.full((4, 41), env.end_action))
    episodes = rollout(env, ends, ids, phase="execute", episodes=2)
    assert episodes.instruction.tolist() == other.sample_instruction(ids, other.np_random).tolist()
    assert env.np_random.bit_generator.state == other.np_random.bit_generator.state
    assert (env.instruction == episodes.instruction.numpy()).all()


@pytest.mark.parametrize("phase", ["explore", "execute"])
def test_no_steps_holds_the_first_observation_only(phase: str) -> None:
    env = make("map", 3)
    ids = np.array([0, 1, 2])
    nothing = no_steps(env, ids, phase=phase)
    obs, _ = env.reset(options={"problem_id": ids, "phase": phase})
    assert torch.equal(nothing.obs[:, 0], torch.from_numpy(obs)) and nothing.obs.dtype == torch.int16
    assert nothing.length.tolist() == [0, 0, 0]
    assert not nothing.mask.any() and not nothing.start.any() and not nothing.reset_step.any()
    # The same shapes and types as an exploration of one episode, so that both fit one replay.
    explored = rollout(env, Script(np.full((3, 20), env.end_action)), ids, phase=phase)
    for name in Episodes.__dataclass_fields__:
        blank, full = getattr(nothing, name), getattr(explored, name)
        assert blank.shape == full.shape and blank.dtype == full.dtype, name


def test_two_episodes_played_apart_and_chained_are_those_played_as_one_stream() -> None:
    table, ids = end_right_right_end(), np.array([0, 1, 1])
    together, _ = explore_twice(table, [0, 1, 1])
    env = make("signpost", 3)
    first = rollout(env, Script(table), ids, phase="explore")
    played = first.length.numpy()
    rest = np.stack([np.roll(row, -length - 1) for row, length in zip(table, played, strict=True)])
    second = rollout(env, Script(rest), ids, phase="explore")
    chained = chain(first, second, ACTIONS)
    for name in Episodes.__dataclass_fields__:
        expected, found = getattr(together, name), getattr(chained, name)
        if name == "obs":  # after the end of a stream they mean nothing
            expected, found = expected[together.observed], found[together.observed]
        assert torch.equal(expected, found), name


def test_the_policy_is_given_the_previous_reward_and_its_state() -> None:
    env, ids = make("signpost", 2), np.array([0, 1])
    script = Script(np.array([[LEFT] * 20, [LEFT, 2, *[LEFT] * 18]]))  # member 1 presses the wrong button
    count = torch.zeros(2, 1, dtype=torch.int64)
    rollout(env, script, ids, phase="execute", episodes=2, state=(count, count))
    rewarded = [now.previous_reward.tolist() for now, _ in script.seen]
    assert rewarded == [[0, 0], [0, 0], *[[0, -1]] * 5, *[[0, 0]] * 6]
    assert script.seen[0][1].tolist() == [0, 0]
    script = Script(np.full((2, 20), END))
    rollout(env, script, ids, phase="execute", state=(count + 3, count))
    assert script.seen[0][1].tolist() == [3, 3]
