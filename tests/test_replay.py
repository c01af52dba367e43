"""Replay of trials: a ring that forgets the oldest, samples alike after a reload, and keeps trials whole."""

import dataclasses
import io
from dataclasses import fields

import numpy as np
import pytest
import torch
from torch import Tensor

from dream.core.replay import TrialReplay, trial_bytes
from dream.core.trial import Episodes, Hindsight, Trials
from tests.small_training import build

SLOTS = 6


def episodes(numbers: Tensor, lengths: Tensor, image: bool) -> Episodes:
    """Streams that say everywhere which trial they belong to."""
    count = len(numbers)
    shape = (3, 3, 3) if image else (2,)
    obs = torch.zeros(count, SLOTS + 1, *shape, dtype=torch.uint8 if image else torch.int16)
    obs += numbers.view(-1, *[1] * (1 + len(shape))).to(obs.dtype)
    mask = torch.arange(SLOTS) < lengths[:, None]
    return Episodes(
        obs=obs,
        action=numbers[:, None].repeat(1, SLOTS),
        reward=numbers[:, None].float().repeat(1, SLOTS),
        terminated=mask & False,
        mask=mask,
        start=torch.arange(SLOTS).repeat(count, 1) == 0,
        instruction=numbers[:, None],
    )


def trials(*numbers: int, n: int = 1, lengths: tuple[int, ...] = (), image: bool = False) -> Trials:
    """Trials with these problem ids; exploration lengths as given (3 by default), executions one step longer."""
    ids = torch.tensor(numbers)
    steps = torch.tensor(lengths or [3] * len(numbers))
    execute = ids.repeat_interleave(n) * 10 + torch.arange(n).repeat(len(numbers))
    return Trials(
        problem_id=ids,
        explore=episodes(ids, steps, image),
        execute=episodes(execute, steps.repeat_interleave(n) + 1, image),
        decoded_steps=torch.where(ids % 2 == 0, -1, steps),
        hindsight=Hindsight(
            valid=execute % 3 == 0,
            problem_id=execute + 1,
            instruction=execute[:, None] + 2,
            reward=execute + 0.5,
            terminated=execute % 2 == 0,
        ),
    )


def same(one: Trials, other: Trials) -> bool:
    pairs = [(one.problem_id, other.problem_id), (one.decoded_steps, other.decoded_steps)]
    for part in ("explore", "execute"):
        a, b = getattr(one, part), getattr(other, part)
        pairs += [(getattr(a, item.name), getattr(b, item.name)) for item in fields(Episodes)]
    assert one.hindsight is not None and other.hindsight is not None
    pairs += [(getattr(one.hindsight, item.name), getattr(other.hindsight, item.name)) for item in fields(Hindsight)]
    return all(a.dtype == b.dtype and torch.equal(a, b) for a, b in pairs)


def held(replay: TrialReplay) -> list[int]:
    return sorted(set(replay.sample(300).problem_id.tolist()))


def test_the_oldest_trials_are_overwritten() -> None:
    replay = TrialReplay(5, seed=0)
    assert len(replay) == 0
    replay.add(trials(1, 2, 3))
    assert len(replay) == 3 and held(replay) == [1, 2, 3]
    replay.add(trials(4, 5, 6))
    assert len(replay) == 5 and held(replay) == [2, 3, 4, 5, 6]
    replay.add(trials(7, 8, 9, 10))
    assert len(replay) == 5 and held(replay) == [6, 7, 8, 9, 10]
    replay.add(trials(11, 12, 13, 14, 15))
    assert held(replay) == [11, 12, 13, 14, 15] and replay.added == 15


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("image", [False, True])
def test_the_parts_of_a_trial_stay_together(n: int, image: bool) -> None:
    replay = TrialReplay(8, seed=0)
    for first in range(0, 12, 3):
        replay.add(trials(first, first + 1, first + 2, n=n, image=image))
    drawn = replay.sample(20)
    assert drawn.execute_episodes == n
    whole = trials(*drawn.problem_id.tolist(), n=n, image=image)
    trimmed = {name: getattr(whole, name).trimmed() for name in ("explore", "execute")}
    assert same(drawn, dataclasses.replace(whole, **trimmed))
    assert drawn.explore.obs.dtype == (torch.uint8 if image else torch.int16)


def test_streams_are_trimmed_to_the_longest_drawn() -> None:
    replay = TrialReplay(4, seed=0)
    replay.add(trials(0, 1, lengths=(0, 2)))
    assert replay.sample(50).explore.mask.shape == (50, 2)
    assert replay.sample(50).execute.mask.shape == (50, 3)
    replay.add(trials(2, 3, lengths=(5, 1)))
    drawn = replay.sample(50)
    assert drawn.explore.mask.shape == (50, 5) and drawn.explore.obs.shape == (50, 6, 2)
    assert drawn.execute.obs.shape == (50, 7, 2)
    lengths = dict(zip(drawn.problem_id.tolist(), drawn.explore.length.tolist(), strict=True))
    assert lengths == {0: 0, 1: 2, 2: 5, 3: 1}
    assert (drawn.execute.length == drawn.explore.length + 1).all()


def test_sampling_is_uniform_and_follows_the_seed() -> None:
    replays = [TrialReplay(4, seed=seed) for seed in (0, 0, 1)]
    for replay in replays:
        replay.add(trials(0, 1, 2, 3))
    one, two, other = (replay.sample(2000).problem_id for replay in replays)
    assert torch.equal(one, two) and not torch.equal(one, other)
    counts = torch.bincount(one, minlength=4)
    assert (counts - 500).abs().max() < 100  # five standard deviations
    assert not torch.equal(replays[0].sample(2000).problem_id, one)


@pytest.mark.parametrize("added", [3, 7])
def test_a_reloaded_replay_continues_like_the_saved_one(added: int) -> None:
    saved = TrialReplay(5, seed=0)
    for number in range(added):
        saved.add(trials(number, n=2))
    saved.sample(3)
    file = io.BytesIO()
    torch.save(saved.state_dict(), file)
    file.seek(0)
    loaded = TrialReplay(5, seed=99)
    loaded.add(trials(50, 51))
    loaded.load_state_dict(torch.load(file, weights_only=True))
    assert len(loaded) == len(saved) and loaded.added == added
    assert same(loaded.sample(16), saved.sample(16))
    for replay in (loaded, saved):
        replay.add(trials(20, 21, 22, n=2))
    assert same(loaded.sample(16), saved.sample(16)) and held(loaded) == held(saved)


def test_trials_are_drawn_in_proportion_to_their_priority() -> None:
    replay = TrialReplay(8, seed=0)
    replay.add(trials(0, 1, 2, 3))
    drawn, rows = replay.sample_by_priority(4000, 1.0)
    assert torch.equal(drawn.problem_id, rows)  # no priorities known: uniform
    assert (torch.bincount(rows, minlength=4) - 1000).abs().max() < 140  # five standard deviations
    replay.set_priority(torch.tensor([0, 1, 2, 3]), torch.tensor([1.0, 4.0, 9.0, 16.0]))
    counts = torch.bincount(replay.sample_by_priority(6000, 1.0)[1], minlength=4)
    assert (counts - 200 * torch.tensor([1, 4, 9, 16])).abs().max() < 200
    counts = torch.bincount(replay.sample_by_priority(6000, 0.5)[1], minlength=4)
    assert (counts - 600 * torch.tensor([1, 2, 3, 4])).abs().max() < 200
    counts = torch.bincount(replay.sample_by_priority(6000, 0.0)[1], minlength=4)
    assert (counts - 1500).abs().max() < 180
    even = torch.bincount(replay.sample(6000).problem_id, minlength=4)
    assert (even - 1500).abs().max() < 180


def test_a_new_trial_gets_the_largest_priority() -> None:
    replay = TrialReplay(3, seed=0)
    replay.add(trials(0, 1))
    replay.set_priority(torch.tensor([0, 1]), torch.tensor([1e-3, 5.0]))
    replay.add(trials(2))
    counts = torch.bincount(replay.sample_by_priority(3000, 1.0)[0].problem_id, minlength=3)
    assert counts[0] < 10 and (counts[1:] - 1500).abs().max() < 150
    replay.add(trials(3))  # takes the place of trial 0, and does not inherit its low priority
    counts = torch.bincount(replay.sample_by_priority(3000, 1.0)[0].problem_id, minlength=4)
    assert counts[0] == 0 and (counts[1:] - 1000).abs().max() < 150


def test_sample_decoded_draws_trials_executed_on_g_only() -> None:
    replay = TrialReplay(5, seed=0)
    replay.add(trials(0, 1, 2))
    replay.set_priority(torch.tensor([1]), torch.tensor([1e-6]))  # plays no part in this
    assert set(replay.sample_decoded(50).problem_id.tolist()) == {1}  # even numbers were executed on f(problem)
    replay.add(trials(3, 4, 5, 6))
    drawn = replay.sample_decoded(2000)
    counts = torch.bincount(drawn.problem_id, minlength=6)
    assert counts[3] + counts[5] == 2000 and abs(int(counts[3]) - 1000) < 120
    assert not drawn.used_id.any()
    assert drawn.execute.instruction[:, 0].tolist() == (10 * drawn.problem_id).tolist()


def test_trials_executed_on_a_part_of_their_exploration_are_decoded_but_not_whole() -> None:
    replay = TrialReplay(8, seed=0)
    some = trials(1, 2, 3, 5, 7, lengths=(3, 3, 0, 2, 4))  # 2 was executed on f(problem)
    replay.add(dataclasses.replace(some, decoded_steps=torch.tensor([0, -1, 0, 1, 4])))
    assert set(replay.sample_decoded(200).problem_id.tolist()) == {1, 3, 5, 7}
    drawn = replay.sample_decoded(200, whole=True)
    assert set(drawn.problem_id.tolist()) == {3, 7}  # all steps of 3 are none
    assert drawn.used_all.all() and not replay.sample_decoded(200).used_all.all()
    replay.add(dataclasses.replace(trials(*range(8)), decoded_steps=torch.ones(8, dtype=torch.int64)))
    assert replay.holds_decoded and not replay.holds_whole
    with pytest.raises(ValueError, match="empty_fraction"):
        replay.sample_decoded(4, whole=True)


def test_sample_decoded_is_refused_without_trials_executed_on_g() -> None:
    replay = TrialReplay(5, seed=0)
    replay.add(trials(0, 2, 4))
    with pytest.raises(ValueError, match="id_fraction"):
        replay.sample_decoded(4)


def saved_and_loaded(*before: int) -> tuple[TrialReplay, TrialReplay]:
    """A replay with priorities, and one that has loaded its state (and held these trials before)."""
    saved, loaded = TrialReplay(4, seed=0), TrialReplay(4, seed=1)
    saved.add(trials(0, 1, 2))
    saved.set_priority(torch.tensor([0, 1, 2]), torch.tensor([1.0, 5.0, 0.1]))
    if before:
        loaded.add(trials(*before))
        loaded.set_priority(torch.arange(len(before)), torch.full((len(before),), 1e6))
    loaded.load_state_dict(saved.state_dict())
    return saved, loaded


def test_priorities_are_reloaded() -> None:
    saved, loaded = saved_and_loaded()
    assert same(loaded.sample_by_priority(50, 0.7)[0], saved.sample_by_priority(50, 0.7)[0])
    for replay in (saved, loaded):
        replay.add(trials(3))
    assert same(loaded.sample_by_priority(50, 0.7)[0], saved.sample_by_priority(50, 0.7)[0])


def test_a_used_replay_forgets_its_priorities_when_another_is_loaded() -> None:
    saved, loaded = saved_and_loaded(5, 6, 7, 8)
    for replay in (saved, loaded):
        replay.add(trials(3))
    assert same(loaded.sample_by_priority(50, 0.7)[0], saved.sample_by_priority(50, 0.7)[0])


def test_the_saved_state_shares_its_large_tensors() -> None:
    replay = TrialReplay(2, seed=0)
    replay.add(trials(1, 2))
    state = replay.state_dict()
    for name, value in replay.state_dict()["store"].items():  # the same memory each time, not a copy
        assert value.data_ptr() == state["store"][name].data_ptr(), name
    fresh = TrialReplay(2, seed=5)
    fresh.load_state_dict(state)
    replay.add(trials(3, 4))  # what was loaded is its own
    assert held(fresh) == [1, 2] and held(replay) == [3, 4]
    assert torch.equal(state["priority"], torch.ones(2)) and len(state["generator"]) > 0


def test_an_empty_replay_can_be_saved() -> None:
    replay = TrialReplay(2, seed=0)
    other = TrialReplay(2, seed=1)
    other.load_state_dict(replay.state_dict())
    for each in (replay, other):
        each.add(trials(1, 2))
    assert same(replay.sample(8), other.sample(8))


def test_invalid_calls_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 1 trial, got 0"):
        TrialReplay(0, seed=0)
    with pytest.raises(ValueError, match="empty replay"):
        TrialReplay(2, seed=0).sample(1)
    with pytest.raises(ValueError, match="empty replay"):
        TrialReplay(2, seed=0).sample_by_priority(1, 0.5)
    with pytest.raises(ValueError, match="empty replay"):
        TrialReplay(2, seed=0).sample_decoded(1)
    with pytest.raises(ValueError, match=r"cannot add 3 trials to a replay of 2"):
        TrialReplay(2, seed=0).add(trials(1, 2, 3))


def test_transitions_are_drawn_evenly_over_problems_and_their_trials() -> None:
    replay = TrialReplay(12, seed=0)
    replay.add(trials(7, 7, 7, 7, 7, 2, 2, 5, lengths=(1, 2, 3, 4, 5, 1, 2, 1)))  # a problem's trials differ in length
    problem_id, _ = replay.sample_transitions(90)
    assert torch.bincount(problem_id)[[2, 5, 7]].tolist() == [30, 30, 30]
    counts = torch.bincount(replay.sample_transitions(100)[0])[[2, 5, 7]]
    assert counts.sum() == 100 and counts.min() >= 32 and counts.max() <= 35


def test_single_transitions_are_steps_of_the_trials_they_come_from() -> None:
    replay = TrialReplay(4, seed=0)
    given = trials(0, 1, 2, lengths=(2, 5, 1))
    step = torch.arange(SLOTS + 1)
    for name in ("obs", "action", "reward"):  # every slot says which it is
        values = getattr(given.explore, name)
        slots = step[: values.shape[1]].view(1, -1, *[1] * (values.ndim - 2))
        values.mul_(10).add_(slots.to(values.dtype))
    replay.add(given)
    problem_id, one = replay.sample_transitions(3000)
    assert torch.bincount(problem_id).tolist() == [1000] * 3
    assert one.obs.shape == (3000, 2, 2) and one.mask.shape == (3000, 1) and one.mask.all()
    slot = one.action[:, 0] - 10 * problem_id
    assert torch.equal(one.obs[:, 0, 0].long(), 10 * problem_id + slot)
    assert torch.equal(one.obs[:, 1, 0].long(), 10 * problem_id + slot + 1)
    assert torch.equal(one.reward[:, 0].long(), one.action[:, 0])
    assert torch.equal(one.instruction[:, 0], problem_id)
    assert set(slot[problem_id == 2].tolist()) == {0}
    assert (torch.bincount(slot[problem_id == 1]) - 200).abs().max() < 65  # five standard deviations
    assert torch.equal(one.start[:, 0], slot == 0)


def test_observations_of_the_other_phase_are_not_fetched() -> None:
    drawn = {}
    for look in ("both", "explore", "execute"):
        replay = TrialReplay(8, seed=0)
        replay.add(trials(1, 2, 3))
        drawn[look] = replay.sample(6, look)
    whole, explore, execute = drawn["both"], drawn["explore"], drawn["execute"]
    assert torch.equal(explore.explore.obs, whole.explore.obs) and torch.equal(execute.execute.obs, whole.execute.obs)
    assert torch.equal(explore.execute.obs, whole.execute.obs[:, :1])
    assert torch.equal(execute.explore.obs, whole.explore.obs[:, :1])
    for part in (explore, execute):
        assert torch.equal(part.execute.reward, whole.execute.reward)
        assert torch.equal(part.explore.action, whole.explore.action)


@pytest.mark.parametrize("env_name", ["map", "cooking"])
@pytest.mark.parametrize(("k", "n"), [(1, 1), (2, 3)])
def test_the_bytes_of_a_trial_are_those_it_takes_in_the_replay(env_name: str, k: int, n: int) -> None:
    method, env = build("random", env=env_name, trial__explore_episodes=k, trial__execute_episodes=n)
    replay = TrialReplay(12, seed=0)
    replay.add(method.collect(env, np.zeros(12, np.int64), torch.Generator().manual_seed(0)))
    store = replay.state_dict()["store"]
    uncounted = ["problem_id", "decoded_steps", "explore_length", "explore.instruction", "execute.instruction"]
    taken = sum(value[0].numel() * value.element_size() for name, value in store.items() if name not in uncounted)
    assert trial_bytes(env, k, n) == taken
