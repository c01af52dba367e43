"""The watcher: slot by slot like the recorded stream, and nothing of a play is changed by it."""

from dataclasses import fields

import numpy as np
import pytest
import torch

from dream.core.rollout import Now, rollout
from dream.core.trial import Episodes
from dream.envs import MetaEnv, Watcher, make
from dream.envs.watch import side_by_side

IDS = np.array([0, 1, 1, 0])


def random_policy(actions: int, count: int):  # type: ignore[no-untyped-def]
    generator = torch.Generator().manual_seed(0)

    def policy(now: Now, memory: None) -> tuple[torch.Tensor, None]:
        return torch.randint(actions, (count,), generator=generator), None

    return policy


def explored(env: MetaEnv | Watcher, episodes: int = 2) -> Episodes:
    env.reset(seed=0)
    return rollout(
        env, random_policy(int(env.single_action_space.n), len(IDS)), IDS, phase="explore", episodes=episodes
    )


@pytest.mark.parametrize("family", ["signpost", "bus", "cooking"])
@pytest.mark.parametrize("episodes", [1, 3])
def test_positions_are_those_of_the_stream(family: str, episodes: int) -> None:
    env = make(family, len(IDS))
    plain, watcher = explored(env, episodes), Watcher(make(family, len(IDS)))
    stream = explored(watcher, episodes)
    for item in fields(Episodes):
        assert torch.equal(getattr(plain, item.name), getattr(stream, item.name))
    seen = torch.cat([torch.ones(len(IDS), 1, dtype=torch.bool), stream.mask], 1).numpy()
    position = watcher.position
    assert position is not None and position.shape == (*stream.obs.shape[:2], 2)
    assert (position[seen] == env.positions(stream.obs.numpy())[seen]).all()
    assert np.isnan(position[~seen]).all() and (~seen).any()
    if family == "signpost":
        assert watcher.informative is not None
        assert (watcher.informative == (stream.obs[..., 1] > 0).numpy() & seen).all()
    else:
        assert watcher.informative is None and watcher.informed is None


def test_an_exploration_after_an_execution_starts_again() -> None:
    watcher = Watcher(make("signpost", 2))
    for _ in range(2):
        watcher.reset(options={"problem_id": np.array([0, 1]), "phase": "explore"})
        watcher.step(np.array([1, 0]))
        watcher.reset(options={"problem_id": np.array([0, 1]), "phase": "execute"})
        watcher.step(np.array([1, 1]))  # no part of the exploration
        assert watcher.position is not None and watcher.position.shape == (2, 7, 2)
        assert watcher.position[:, :2, 0].tolist() == [[2, 3], [2, 1]] and np.isnan(watcher.position[:, 2:]).all()
    assert watcher.informed is not None and watcher.informed.tolist() == [False, False]


def test_every_episode_is_noted_and_blank_where_a_member_has_finished() -> None:
    watcher = Watcher(make("bus", 2))
    watcher.reset(seed=0, options={"problem_id": np.array([0, 1])})
    for actions in ([1, 6], [1, 0], [2, 0]):  # up, up, right; the other one ends at once
        watcher.step(np.array(actions))
    for _ in range(2):
        watcher.reset(options={"problem_id": np.array([0, 1])})
    first, second, third = watcher.take()
    assert first.length.tolist() == [3, 1] and third.length.tolist() == [0, 0] and watcher.take() == []
    position = side_by_side([first, second])["position"]
    assert position[0, :4].tolist() == [[4, 4], [4, 5], [4, 6], [5, 6]] and np.isnan(position[0, 4:]).all()
    assert position[2, :2].tolist() == [[4, 4], [4, 4]] and np.isnan(position[2, 2:]).all()
    assert (position[1::2, 0] == 4).all() and np.isnan(position[1::2, 1:]).all()


def test_sign_is_watched_in_play() -> None:
    watcher = Watcher(make("sign", 2))
    now, _ = watcher.reset(seed=0, options={"problem_id": np.array([0, 1]), "phase": "explore"})
    explorer, poses, mask = watcher.scripted_explorer(2), [watcher.pose[:, :2]], []
    for _ in range(watcher.horizon):
        now, *_, info = watcher.step(explorer.act(now))
        poses.append(watcher.pose[:, :2])
        mask.append(info["active"])
    inside = np.stack(mask, 1)
    assert watcher.position is not None and watcher.informed is not None and watcher.informed.all()
    seen = np.concatenate([np.ones((2, 1), bool), inside], 1)
    assert (watcher.position[seen] == np.stack(poses, 1)[seen]).all() and np.isnan(watcher.position[~seen]).all()
    assert watcher.informative is not None
    share = watcher.informative.sum(1) / (inside.sum(1) + 1)
    assert (share > 0).all() and (share < 1).all()
