"""The bandit with a fixed arm: payoffs, their distribution, bounds, words."""

from typing import Any

import numpy as np
import pytest

from dream.envs import make
from dream.envs.fixed_arm.family import FixedArm, arm_means

COUNT = 10_000


def pulled(env: Any, arm: Any, phase: str = "execute", seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Observed payoffs and rewards (B,) of one pull in problems 0, 1, ..."""
    obs, _ = env.reset(seed=seed, options={"problem_id": np.arange(env.num_envs), "phase": phase})
    assert not obs.any()
    obs, reward, terminated, truncated, _ = env.step(np.broadcast_to(arm, env.num_envs))
    assert truncated.all() and not terminated.any() and not env.active.any()
    return obs[:, 0], reward


def test_the_means_are_those_of_the_paper() -> None:
    means = arm_means(COUNT, 10, 0.5)
    assert means.shape == (COUNT, 10) and (means[:, 0] == 0.5).all()
    assert means[:, 1:].mean() == pytest.approx(0, abs=0.02) and means[:, 1:].std() == pytest.approx(1, abs=0.02)
    env = make("fixed-arm", 1)
    assert env.problems.description is not None and (env.problems.description == means).all()
    assert env.horizon == 1 and env.action_names[:2] == ("fixed arm", "arm 1") and len(env.action_names) == 10


def test_the_fixed_arm_pays_the_same_and_the_others_with_noise() -> None:
    env, means = make("fixed-arm", COUNT), arm_means(COUNT, 10, 0.5)
    obs, reward = pulled(env, 0)
    assert (obs == 0.5).all() and (reward == 0.5).all()
    obs, reward = pulled(env, 3)
    noise = reward - means[:, 3]
    assert (obs == reward).all() and noise.mean() == pytest.approx(0, abs=0.03)
    assert noise.std() == pytest.approx(0.5, abs=0.02)
    again, other = pulled(env, 3)[0], pulled(env, 3, seed=1)[0]
    assert (again == obs).all() and (other != obs).mean() > 0.99
    explored, nothing = pulled(env, 3, phase="explore")
    assert (explored == obs).all() and not nothing.any()
    quiet = pulled(make("fixed-arm", 50, noise=0.0), 3)[0]
    assert quiet == pytest.approx(means[:50, 3])


def test_the_noise_of_a_member_is_its_own() -> None:
    env = make("fixed-arm", COUNT)
    noise = pulled(env, 1)[1] - arm_means(COUNT, 10, 0.5)[:, 1]
    assert abs(np.corrcoef(noise[:-1], noise[1:])[0, 1]) < 0.05


def test_a_payoff_far_out_stays_in_the_space() -> None:
    env = make("fixed-arm", 2)
    env.means = np.tile(np.array([0.5, 100, -100], np.float32), (COUNT, 1))  # type: ignore[attr-defined]
    env.reset(seed=0)
    obs, *_ = env.step(np.array([1, 2]))
    assert obs in env.observation_space and obs[0, 0] == -obs[1, 0] == env.single_observation_space.high[0]


def test_bounds() -> None:
    env, ids = make("fixed-arm", 400), np.arange(400)
    nothing, means = np.zeros((400, 1), np.int64), arm_means(COUNT, 10, 0.5)[:400]
    best = env.optimal_return(ids, nothing)
    assert best == pytest.approx(means.max(axis=1)) and (best >= 0.5).all()
    action = env.expert(ids, nothing).act(np.zeros((400, 1)))
    assert (means[ids, action] == means.max(axis=1)).all()
    assert env.no_exploration_return() == 0.5
    assert make("fixed-arm", 1, fixed=-0.3).no_exploration_return() == 0.0  # any other arm
    with pytest.raises(ValueError, match="unknown split 'tset'"):
        env.no_exploration_return("tset")
    with pytest.raises(NotImplementedError, match="has no scripted explorer"):
        env.scripted_explorer(1)


def test_parts_say_which_arms_pay_more() -> None:
    env, means = make("fixed-arm", 1), arm_means(COUNT, 10, 0.5)
    parts = env.parts()
    assert [part.name for part in parts] == [f"arm {arm}" for arm in range(1, 10)]
    labels = np.stack([part.labels for part in parts], axis=1)
    assert ((labels > 0) == (means[:, 1:] > 0.5)).all()
    assert (labels.argmax(axis=1) + 1 == means.argmax(axis=1))[means.max(axis=1) > 0.5].all()
    assert ((labels == 2).sum(axis=1) == (means.max(axis=1) > 0.5)).all()


def test_an_exploration_in_words_and_numbers() -> None:
    env = make("fixed-arm", 1)
    means = arm_means(COUNT, 10, 0.5)
    problem = int(np.flatnonzero(means.argmax(axis=1) == 3)[0])
    # Two pulls of arm 3, one of the fixed arm and one of arm 1, with reset steps (action 10) in between.
    obs = np.array([0, 1.5, 0, 1.25, 0, 0.5, 0, -1, 7], np.float32)[None, :, None]
    action, mask = np.array([[3, 10, 3, 10, 0, 10, 1, 0]]), np.array([[True] * 7 + [False]])
    found = env.exploration_summary(np.array([problem]), obs, action, mask)
    assert {name: value.tolist() for name, value in found.items()} == {
        "arms_pulled": [2], "fixed_pulls": [1], "best_pulls": [2], "total_value": [2.25],
    }  # fmt: skip
    assert env.tell(problem, obs[0, :2], np.array([3])) == ["pulled arm 3: +1.50"]
    assert env.tell(problem, obs[0, 4:6], np.array([0])) == ["pulled the fixed arm: +0.50"]
    assert env.revealed(problem, obs[0, :2], np.array([3]), {}).tolist() == [
        [False] * 9,
        [False, False, True, *[False] * 6],
    ]
    env.reset(options={"problem_id": np.array([problem]), "phase": "explore"})
    assert env.scene()["arm"].tolist() == [-1] and env.informative().tolist() == [False]
    paid = env.step(np.array([3]))[0][0, 0]
    assert env.scene()["arm"].tolist() == [3] and env.informative().tolist() == [paid > 0.5]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"arms": 1}, "arms is 1: give 2 to 100"),
        ({"fixed": 11.0}, "fixed is 11.0: give -10 to 10"),
        ({"noise": -0.1}, "noise is -0.1: give 0 to 10"),
        ({"num_problems": 5}, "num_problems is 5: give at least 20"),
    ],
)
def test_parameters_that_are_not_allowed_are_refused(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make("fixed-arm", 1, **parameters)
    assert isinstance(make("fixed-arm", 1), FixedArm)
