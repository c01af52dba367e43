"""The families as gymnasium and libraries built on it use them: registration, the vector protocol, wrappers."""

import warnings
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers.vector import DictInfoToList, NormalizeReward, RecordEpisodeStatistics

from dream.envs import MetaEnv, families, make
from dream.spaces import each, zeros

FAMILIES = list(families())
END = 6
"""The end action of bus."""


def full_name(family: str) -> str:
    return f"dream/{family.title().replace('-', '')}-v0"


@pytest.mark.parametrize("name", FAMILIES)
def test_gymnasium_makes_and_checks_every_family(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env = gym.make(full_name(name))
        envs = gym.make_vec(full_name(name), num_envs=8)
        if envs.unwrapped.horizon > 1:  # the check refuses episodes of one step, such as the pulls of a bandit
            check_env(env.unwrapped)
    assert isinstance(envs, MetaEnv) and envs.family == name and envs.num_envs == 8
    for made in (env, envs):
        assert made.spec is not None and made.spec.id == full_name(name)
        assert made.spec.max_episode_steps == envs.horizon
    assert envs.metadata["autoreset_mode"] == envs.autoreset_mode == AutoresetMode.DISABLED


def test_one_problem_at_a_time() -> None:
    env = gym.make("dream/Bus-v0", grid_size=5)
    obs, info = env.reset(seed=0, options={"problem_id": 30, "phase": "explore"})
    assert obs["observation"].tolist() == [2, 2, 0] and obs["phase"] == 0 and obs["instruction"].tolist() == [0, 0]
    assert info == {"problem_id": 30}
    obs, info = env.reset(options={"problem_id": 31, "instruction": np.array([4, 0])})
    assert obs["phase"] == 1 and obs["instruction"].tolist() == [4, 0] and info == {"problem_id": 31}
    rewards = [env.step(np.int64(action))[1] for action in (2, 2, 3)]
    _, reward, terminated, truncated, _ = env.step(np.int64(3))
    assert rewards == pytest.approx([-0.1] * 3)
    assert (reward, terminated, truncated) == (1.0, True, False)
    with pytest.raises(ValueError, match="problem_id 900 does not exist"):
        env.reset(options={"problem_id": 900})


def test_the_horizon_is_a_parameter_that_gymnasium_does_not_cut() -> None:
    env = gym.make("dream/Bus-v0", horizon=30)
    assert env.spec is not None and env.spec.max_episode_steps == 30
    env.reset(seed=0)
    ends = [env.step(np.int64(4))[2:4] for _ in range(30)]
    assert ends == [(False, False)] * 29 + [(False, True)]
    again = gym.make(env.spec)
    assert again.spec is not None and again.spec.max_episode_steps == 30


@pytest.mark.parametrize("build", [gym.make, gym.make_vec])
def test_an_unknown_parameter_is_a_type_error_as_libraries_expect(build: Any) -> None:
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'frameskip'.*family 'bus' takes grid_size"):
        build("dream/Bus-v0", frameskip=4)


def test_a_partial_reset_starts_the_members_of_the_mask_and_no_other() -> None:
    envs, alone = make("bus", 3), make("bus", 3)
    ids, corner = np.array([5, 6, 7]), np.array([[0, 8]] * 3)
    for env in (envs, alone):
        before, _ = env.reset(seed=0, options={"problem_id": ids, "instruction": corner})
    walk = np.random.default_rng(1).choice([0, 1, 2, 3, 5], size=(20, 3))
    for step, action in enumerate(walk):
        if step == 7:
            mask = np.array([False, True, False])
            asked = {"problem_id": np.array([1, 2, 3]), "instruction": np.array([[8, 8]] * 3), "reset_mask": mask}
            obs, info = envs.reset(options=asked)
            assert obs[1].tolist() == [4, 4, 0] and (obs[[0, 2]] == before[[0, 2]]).all()
            assert info["problem_id"].tolist() == [5, 2, 7] == envs.problem_id.tolist()
            assert info["instruction"].tolist() == [[0, 8], [8, 8], [0, 8]] and envs.elapsed.tolist() == [7, 0, 7]
            assert envs.active[1] and "reset_mask" in asked  # wrappers read it after us
        before, *mine = envs.step(action)
        obs, *theirs = alone.step(action)
        assert (before[[0, 2]] == obs[[0, 2]]).all()
        for one, other in zip(mine[:3], theirs[:3], strict=True):
            assert (one[[0, 2]] == other[[0, 2]]).all()
    assert envs.elapsed.tolist() == [*(alone.elapsed[[0]]), 13, *(alone.elapsed[[2]])]


@pytest.mark.parametrize("name", FAMILIES)
def test_members_that_start_at_different_steps_have_their_own_time_limits(name: str) -> None:
    envs = make(name, 4)
    envs.reset(seed=0, options={"phase": "explore"})
    late, none = np.array([False, True, False, True]), zeros(envs.single_action_space, 4)
    delay = min(3, envs.horizon - 1)
    for _ in range(delay):
        envs.step(none)
    envs.reset(options={"reset_mask": np.full(4, True)})
    assert envs.phase == "explore"
    for _ in range(delay):
        envs.step(none)
    before = envs.last_obs
    start, info = envs.reset(options={"reset_mask": late})
    assert envs.phase == "explore"
    each(np.testing.assert_array_equal, *(each(lambda part: part[~late], obs) for obs in (start, before)))
    assert np.isin(info["problem_id"][late], envs.problems.ids("train")).all()
    out_of_time = np.zeros(4, int)
    for step in range(delay + 1, envs.horizon + delay + 1):
        truncated = envs.step(none)[3]
        out_of_time[truncated] = step
    assert out_of_time.tolist() == [envs.horizon, envs.horizon + delay] * 2 and not envs.active.any()


def test_a_partial_reset_leaves_frozen_members_frozen() -> None:
    envs = make("bus", 2)
    envs.reset(seed=0)
    frozen = envs.step(np.array([END, 0]))[0][0]
    envs.step(np.array([0, 0]))  # the action of a frozen member changes nothing that is seen
    obs, _ = envs.reset(options={"reset_mask": np.array([False, True])})
    assert (obs[0] == frozen).all() and envs.active.tolist() == [False, True]


def test_partial_resets_of_signs_render_only_the_members_that_start() -> None:
    envs = make("sign", 3)
    envs.reset(seed=0)
    obs, *_ = envs.step(np.array([2, 2, 2]))
    pose = envs.pose  # type: ignore[attr-defined]
    again, _ = envs.reset(options={"reset_mask": np.array([True, False, False])})
    assert (again[1:] == obs[1:]).all() and (again[0] != obs[0]).any()
    assert (envs.pose[1:] == pose[1:]).all() and (envs.pose[0] != pose[0]).any()  # type: ignore[attr-defined]
    shown = [envs.episode_picture(member) for member in range(3)]  # type: ignore[attr-defined]
    assert all(picture.shape == (400, 352, 3) for picture in shown)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reset_mask": np.array([True])}, r"reset_mask is bool of shape \(1,\): give 2 booleans"),
        ({"reset_mask": np.array([1, 0])}, "reset_mask is int64 of shape"),
        ({"reset_mask": np.array([False, False])}, "at least one true"),
        ({"reset_mask": np.array([True, False]), "phase": "explore"}, "phase is 'explore' for some members while"),
    ],
)
def test_an_invalid_mask_is_refused(options: dict[str, Any], message: str) -> None:
    envs = make("bus", 2)
    with pytest.raises(ValueError, match="reset all members first"):
        envs.reset(options={"reset_mask": np.array([True, False])})
    envs.reset(seed=0)
    with pytest.raises(ValueError, match=message):
        envs.reset(options=options)


def test_two_episodes_are_counted_as_two_in_any_order_of_ending() -> None:
    """One member ends at once (-2.0: ending early costs every step), the other waits for the time limit (-2.0)."""
    envs = RecordEpisodeStatistics(gym.make_vec("dream/Bus-v0", num_envs=2))
    envs.reset(seed=0)
    for _ in range(20):
        envs.step(np.array([END, 4]))
    assert envs.episode_count == 2
    assert list(envs.length_queue) == [1, 20] and list(envs.return_queue) == pytest.approx([-2.0, -2.0])


def test_statistics_are_right_with_resets_as_soon_as_an_episode_ends() -> None:
    envs = RecordEpisodeStatistics(gym.make_vec("dream/Bus-v0", num_envs=2))
    envs.reset(seed=0)
    ends, actions = [], np.array([[4, 4]] * 60)
    actions[[2, 4], 0] = END
    for action in actions:
        *_, terminated, truncated, info = envs.step(action)
        if (done := terminated | truncated).any():
            ends += [
                (int(n), float(r)) for n, r in zip(info["episode"]["l"][done], info["episode"]["r"][done], strict=True)
            ]
            envs.reset(options={"reset_mask": done})
    assert [length for length, _ in ends] == [3, 2, 20, 20, 20, 20, 20]
    assert [total for _, total in ends] == pytest.approx([-2.0] * 7) and envs.episode_count == 7


def test_other_vector_wrappers_step_them() -> None:
    envs = DictInfoToList(NormalizeReward(gym.make_vec("dream/Cooking-v0", num_envs=3)))
    _, infos = envs.reset(seed=0)
    assert [set(info) for info in infos] == [{"problem_id", "instruction"}] * 3
    for _ in range(5):
        _, reward, *_, infos = envs.step(envs.action_space.sample())
        assert np.isfinite(reward).all() and all(set(info) == {"active"} for info in infos)
