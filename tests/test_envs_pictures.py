"""Pictures: right sizes, not empty, and different contents give different pictures."""

import gymnasium as gym
import numpy as np
import pytest

from dream.envs import families, make
from dream.envs.render import HEADER, contact_sheet
from dream.spaces import random_values


@pytest.mark.parametrize("name", families())
def test_members_can_be_rendered(name: str) -> None:
    envs = make(name, 3, render_mode="rgb_array")
    with pytest.raises(RuntimeError, match="render was called before reset"):
        envs.render()
    for phase in ("explore", "execute"):
        envs.reset(seed=0, options={"phase": phase})
        before = envs.render()
        assert before is not None and len(before) == 3
        envs.step(random_values(envs.single_action_space, np.random.default_rng(1), 3))
        after = envs.render()
        assert after is not None
        for old, new in zip(before, after, strict=True):
            assert old.shape == new.shape == (400, 352, 3) and old.dtype == new.dtype == np.uint8
            assert old.std() > 10 and (old != new).any()
    assert len(envs.render_members([2, 0])) == 2
    assert make(name, 1).render() is None
    assert envs.metadata["render_modes"] == ["rgb_array"]


def test_a_recorded_episode_can_be_drawn_without_stepping() -> None:
    envs = make("cooking", 1)
    start = np.array([1, 1, 2, 4, 4, 4, 4])
    there = np.array([2, 1, 3, 2, 4, 4, 4])
    recipe = np.array([2, 1])
    plain = envs.draw(27, "execute", there, recipe)
    assert envs.elapsed.tolist() == [-1]  # not even reset
    for other in (
        envs.draw(26, "execute", there, recipe),
        envs.draw(27, "explore", there, recipe),
        envs.draw(27, "execute", start, recipe),
        envs.draw(27, "execute", there, np.array([1, 2])),
        envs.draw(27, "execute", there, recipe, caption="hello"),
        envs.draw(27, "execute", there, recipe, trail=[start]),
    ):
        assert (plain != other)[HEADER:].any()
    assert (envs.draw(27, "explore", there, recipe) == envs.draw(27, "explore", there, recipe * 0)).all()
    assert (plain == envs.draw(27, "execute", there, recipe)).all()


@pytest.mark.parametrize("name", ["bus", "map"])
def test_lines_and_goal_are_drawn(name: str) -> None:
    envs = make(name, 1)
    obs = np.array([4, 4, 0, 0][: 3 + (name == "map")])
    one, two = (envs.draw(i, "execute", obs, np.array([0, 0])) for i in (0, 1))
    assert (one != two)[HEADER:].any()
    assert (one != envs.draw(0, "execute", obs, np.array([8, 8]))).any()
    grown = make(name, 1, grid_size=31)
    assert grown.draw(5, "explore", np.zeros_like(obs), np.array([0, 0])).std() > 10


def test_draw_refuses_nonsense() -> None:
    envs = make("bus", 1)
    obs, corner = np.array([4, 4, 0]), np.array([0, 0])
    with pytest.raises(ValueError, match="problem_id 576 does not exist"):
        envs.draw(576, "explore", obs, corner)
    with pytest.raises(ValueError, match="phase is 'test'"):
        envs.draw(0, "test", obs, corner)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"obs has shape \(1, 3\): give that of one member, \(3,\)"):
        envs.draw(0, "explore", obs[None], corner)
    with pytest.raises(ValueError, match="instruction has shape"):
        envs.draw(0, "explore", obs, corner[:1])
    with pytest.raises(ValueError, match="an observation of the trail has shape"):
        envs.draw(0, "explore", obs, corner, trail=[obs, obs[:2]])


def test_a_single_env_can_be_rendered() -> None:
    env = gym.make("dream/Map-v0", render_mode="rgb_array")
    env.reset(seed=0)
    assert np.shape(env.render()) == (400, 352, 3)


def test_contact_sheet() -> None:
    frames = [np.full((20, 30, 3), shade, np.uint8) for shade in (0, 60, 120, 180, 240)]
    sheet = contact_sheet(frames, columns=2, gap=4)
    assert sheet.shape == (3 * 24 + 4, 2 * 34 + 4, 3) and sheet.dtype == np.uint8
    assert [int(sheet[14 + 24 * (i // 2), 19 + 34 * (i % 2), 0]) for i in range(5)] == [0, 60, 120, 180, 240]
    assert contact_sheet(frames, gap=4).shape == (2 * 24 + 4, 3 * 34 + 4, 3)
    assert contact_sheet(frames[:1], columns=9, gap=0).shape == (20, 30, 3)
    named = contact_sheet(frames, columns=5, captions=list("abcde"), gap=4)
    assert named.shape == (20 + 24 + 8, 5 * 34 + 4, 3)
    assert named[25:47].std() > sheet[:3].std()


def test_contact_sheet_refuses_nonsense() -> None:
    frame = np.zeros((4, 5, 3), np.uint8)
    with pytest.raises(ValueError, match="there are no frames"):
        contact_sheet([])
    with pytest.raises(ValueError, match="one size"):
        contact_sheet([frame, frame[:2]])
    with pytest.raises(ValueError, match="1 captions for 2 frames"):
        contact_sheet([frame, frame], captions=["a"])
    with pytest.raises(ValueError, match="columns is 0"):
        contact_sheet([frame], columns=0)
