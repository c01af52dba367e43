"""Point goals by hand: PEARL's reward, when it is observed, and the bounds against what is reachable."""

import numpy as np
import pytest

from dream.envs import SPLITS, consistent_problems, make
from dream.envs.point_goals.family import PointGoals
from dream.envs.point_goals.planning import best_wait, reward_at, way_to

UP = [(0.0, 1.0)]


def walk(problem: int, actions: list[tuple[float, float]], phase: str) -> tuple[np.ndarray, ...]:
    """obs (T + 1, 3), reward (T,) and terminated (T,) of one member."""
    env = make("point-goals", 1)
    obs = [env.reset(seed=0, options={"problem_id": np.array([problem]), "phase": phase})[0][0]]
    results = [env.step(np.array([action], np.float32)) for action in actions]
    obs += [result[0][0] for result in results]
    return np.array(obs), np.array([r[1][0] for r in results]), np.array([r[2][0] for r in results])


def test_goals_are_on_the_half_circle_and_splits_interleave() -> None:
    problems = make("point-goals", 1).problems
    assert problems.description is not None and problems.description[:, 1].min() > 0
    angles = np.arctan2(problems.description[:, 1], problems.description[:, 0])
    assert angles == pytest.approx(np.pi * (np.arange(140) + 0.5) / 140, abs=1e-6)
    assert np.hypot(*problems.description.T) == pytest.approx(np.ones(140), abs=1e-6)
    assert [problems.ids(split)[:6].tolist() for split in SPLITS] == [
        [0, 1, 2, 3, 4, 7], [5, 12, 19, 26, 33, 40], [6, 13, 20, 27, 34, 41],
    ]  # fmt: skip


def test_the_reward_of_an_execution_is_one_minus_the_distance_within_the_radius() -> None:
    """Goal 70 is at (-0.0112, 0.9999): up by 0.1 at a time it is near from y = 0.8 on, and nothing ends."""
    obs, reward, terminated = walk(70, UP * 12, "execute")
    goal = np.array([np.cos(np.pi * 70.5 / 140), np.sin(np.pi * 70.5 / 140)])
    distance = np.hypot(0 - goal[0], 0.1 * np.arange(1, 13) - goal[1])
    assert (distance <= 0.2).tolist() == [False] * 8 + [True] * 3 + [False]  # at 0.8 it is 0.2002 away
    assert reward == pytest.approx(np.where(distance <= 0.2, 1 - distance, 0), abs=1e-6)
    assert not terminated.any() and not obs[:, 2].any()


def test_an_explorer_observes_the_reward_of_its_last_step_instead() -> None:
    obs, reward, _ = walk(70, UP * 12, "explore")
    assert not reward.any() and obs[:, 2] == pytest.approx([0, *walk(70, UP * 12, "execute")[1]])
    assert obs[:, :2] == pytest.approx(np.stack([np.zeros(13), 0.1 * np.arange(13)], 1), abs=1e-6)


def test_steps_are_a_tenth_of_the_action_in_each_direction() -> None:
    obs, *_ = walk(0, [(1, 1), (-0.5, 0.25), (3, -3)], "explore")
    assert obs[:, :2] == pytest.approx(np.array([(0, 0), (0.1, 0.1), (0.05, 0.125), (0.15, 0.025)]), abs=1e-6)


def test_the_expert_earns_the_optimal_return_and_no_step_could_be_nearer() -> None:
    env, ids, nothing = make("point-goals", 140), np.arange(140), np.zeros((140, 1), np.int64)
    expert = env.expert(ids, nothing)
    obs, _ = env.reset(seed=0, options={"problem_id": ids, "instruction": nothing})
    total, nearest = np.zeros(140), []
    while env.active.any():
        obs, reward, *_ = env.step(expert.act(obs))
        total += reward
        nearest.append(reward)
    assert total == pytest.approx(env.optimal_return(ids, nothing), abs=1e-5)
    # Places that can be reached in t steps are a square: on a grid of it none has more reward.
    goals = env.goals  # type: ignore[attr-defined]
    for t in (7, 8, 9):
        line = np.linspace(-0.1 * t, 0.1 * t, 101)
        places = np.stack(np.meshgrid(line, line), -1).reshape(-1, 1, 2)
        assert (reward_at(places, goals, 0.2).max(axis=0) <= nearest[t - 1] + 1e-5).all()


def test_without_exploration_no_step_could_be_better_than_on_the_way_to_the_place_to_wait() -> None:
    env = make("point-goals", 1)
    assert isinstance(env, PointGoals)
    place, value = best_wait(env.goals, 0.2, 0.1, 20)
    assert env.no_exploration_return() == value == pytest.approx(1.690, abs=1e-3)
    way = way_to(place[None], 0.1, 20)[0]
    expected = [reward_at(step, env.goals, 0.2).mean() for step in way]
    assert sum(expected) == pytest.approx(value)
    for t in range(1, 12):
        line = np.append(np.linspace(-0.1 * t, 0.1 * t, 241), 0.7053)
        places = np.stack(np.meshgrid(line, line), -1).reshape(-1, 2)
        places = places[(np.abs(np.hypot(*places.T) - 1) <= 0.2) & (np.abs(places).max(axis=1) <= 0.1 * t)]
        best = max((reward_at(row, env.goals, 0.2).mean() for row in places), default=0.0)
        assert best <= expected[t - 1] + 5e-5
    assert env.no_exploration_return("train") > value
    with pytest.raises(ValueError, match="unknown split"):
        env.no_exploration_return("tests")


def test_an_exploration_leaves_the_problems_that_agree_with_its_signals() -> None:
    env = make("point-goals", 200)
    actions = np.tile(np.array([(0.0, 1.0)] * 10, np.float32), (2, 1, 1))
    streams = [walk(problem, UP * 10, "explore")[0] for problem in (70, 10)]
    agrees = consistent_problems(env, np.stack(streams), actions, np.ones((2, 10), bool))
    assert np.flatnonzero(agrees[0]).tolist() in ([69, 70], [70])  # its mirror image has the same distances
    out = reward_at(way_to(np.array([[0.0, 1.0]]), 0.1, 10), env.goals[:, None], 0.2)  # type: ignore[attr-defined]
    assert (agrees[1] == (out == 0).all(axis=1)).all() and agrees[1].sum() == 122


def test_two_episodes_of_a_stream_are_told_apart_by_their_first_steps() -> None:
    env = make("point-goals", 140)
    first, second = walk(70, UP * 9, "explore")[0], walk(70, [(-0.1, 1)] * 10, "explore")[0]
    obs = np.concatenate([first, second])[None]
    up, left = np.array(UP * 9), np.array([(-0.1, 1.0)] * 10)
    action = np.concatenate([up, [(0, 0)], left]).astype(np.float32)[None]
    start = (np.arange(20) % 10 == 0)[None]
    agrees = consistent_problems(env, obs, action, np.ones((1, 20), bool), start)
    assert np.flatnonzero(agrees[0]).tolist() == [70]


def test_what_it_says_about_an_exploration() -> None:
    env = make("point-goals", 1)
    obs, *_ = walk(70, UP * 10, "explore")
    assert env.tell(70, obs, np.zeros((10, 2))) == [
        "came near the goal at (0.00, 0.90)", "was 0.01 from it at the nearest", "ended at (0.00, 1.00)",
    ]  # fmt: skip
    assert env.tell(10, walk(10, UP * 9, "explore")[0], np.zeros((9, 2))) == [
        "reached the half circle at 90 degrees", "ended at (0.00, 0.90)",
    ]  # fmt: skip
    mask = np.ones((1, 10), bool)
    assert env.exploration_summary(np.array([70]), obs[None], np.zeros((1, 10, 2)), mask)["found_goal"] == 1
    mask[:, 8:] = False
    assert env.exploration_summary(np.array([70]), obs[None], np.zeros((1, 10, 2)), mask)["found_goal"] == 0
    found = env.revealed(70, obs, np.zeros((10, 2)), {})
    assert found is not None and found[:, 0].tolist() == [False] * 9 + [True] * 2
    (part,) = env.parts()
    assert [part.value_name(int(part.labels[i])) for i in (0, 23, 24, 139)] == ["0-30", "0-30", "30-60", "150-180"]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [({"goal_radius": 0.6}, "goal_radius is 0.6: give"), ({"horizon": 101}, "horizon is 101: give 1 to 100")],
)
def test_parameters_out_of_range_are_refused(parameters: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make("point-goals", 1, **parameters)
