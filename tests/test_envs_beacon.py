"""Beacon by hand: steps, walls, the crossing, what is shown when, and the bounds against scripts that are played."""

import numpy as np
import pytest

from dream.envs import SPLITS, MetaEnv, consistent_problems, make
from dream.envs.beacon.family import Beacon

HIT = 25
"""Gates, a degree apart, that one crossing meets: those within 2 asin(0.15 / 1.4) = 12.3 degrees."""


def walk(problem: int, actions: list[tuple[float, float]], phase: str, **parameters: float) -> tuple[np.ndarray, ...]:
    """obs (T + 1, 5), reward (T,) and terminated (T,) of one member."""
    env = make("beacon", 1, **parameters)
    obs = [env.reset(seed=0, options={"problem_id": np.array([problem]), "phase": phase})[0][0]]
    results = [env.step(np.array([action], np.float32)) for action in actions]
    obs += [result[0][0] for result in results]
    return np.array(obs), np.array([r[1][0] for r in results]), np.array([r[2][0] for r in results])


def heading(degrees: float, steps: int, length: float = 1.0) -> list[tuple[float, float]]:
    angle = np.deg2rad(degrees)
    return [(length * np.cos(angle), length * np.sin(angle))] * steps


def test_steps_are_a_fifth_of_the_action_and_long_ones_are_shortened() -> None:
    obs, *_ = walk(0, [(0.5, 0), (0, -1), (1, 1), (0.6, -0.8)], "explore")
    way = np.cumsum([(0, 0), (0.1, 0), (0, -0.2), (0.2 / 2**0.5, 0.2 / 2**0.5), (0.12, -0.16)], axis=0)
    assert obs[:, :2] == pytest.approx(way, abs=1e-6) and not obs[:, 2:].any()


def test_walls_stop_a_step_in_their_own_direction_only() -> None:
    obs, *_ = walk(0, [(0, 1)] * 6 + [(0.6, 0.8)], "explore")
    assert obs[6, :2] == pytest.approx((0, 1)) and obs[7, :2] == pytest.approx((0.12, 1))


@pytest.mark.parametrize(("off", "reward"), [(0, 1), (12, 1), (-12, 1), (13, 0), (-13, 0), (180, 0)])
def test_the_crossing_decides_and_ends_an_execution(off: int, reward: int) -> None:
    obs, rewards, terminated = walk(50, heading(50.5 + off, 6), "execute")
    assert rewards.tolist() == [0, 0, 0, reward, 0, 0] and terminated.tolist() == [False] * 3 + [True] + [False] * 2
    assert not obs[:, 2:].any()


def test_not_the_end_of_the_step_but_the_crossing_has_to_be_near_the_gate() -> None:
    """From (0.6, 0), 0.1 inside, two steps of 0.2 that end outside: one crosses at (0.7, 0), one at (0.61, 0.34)."""
    to_the_edge = [(1, 0)] * 3
    assert walk(0, [*to_the_edge, (1, 0)], "execute")[1][-1] == 1
    assert walk(20, [*to_the_edge, (1, 0)], "execute")[1][-1] == 0
    along = [*to_the_edge, (0, 1), (0, 1)]  # x = 0.6 crosses the circle at y = 0.36, 31 degrees; ends at (0.6, 0.4)
    obs, rewards, terminated = walk(31, along, "execute")
    assert obs[-1, :2] == pytest.approx((0.6, 0.4)) and rewards[-1] == 1 and terminated[-1]
    for problem, met in ((19, True), (17, False), (42, True), (44, False)):
        assert walk(problem, along, "execute")[1][-1] == met


def test_an_explorer_sees_the_gate_on_leaving_through_it_and_at_the_beacon_only() -> None:
    gate = 0.7 * np.array([np.cos(np.deg2rad(50.5)), np.sin(np.deg2rad(50.5))])
    obs, rewards, terminated = walk(50, heading(50.5, 5), "explore")
    assert obs[:, 2].tolist() == [0, 0, 0, 0, 1, 0] and obs[4, 3:] == pytest.approx(gate) and not obs[5, 3:].any()
    assert not rewards.any() and not terminated.any()
    obs, *_ = walk(50, [(-1, 0)] * 3 + [(-0.74, 0), (-0.02, 0), (0, 1), (0, 1)], "explore")  # x = -0.748, -0.752
    assert obs[:, 2].tolist() == [0, 0, 0, 0, 0, 1, 0, 0] and obs[5, 3:] == pytest.approx(gate)
    assert not walk(50, [(-1, 0)] * 5, "execute")[0][:, 2:].any()


def test_coming_back_in_through_the_gate_shows_nothing() -> None:
    for problem in (270, 90):  # the gate that it passes, and the one that it is heading for
        obs, *_ = walk(problem, heading(240, 4) + [(0.97, -0.24)] * 2 + [(0, 1)] * 3, "explore")
        outside = (obs[:, :2] ** 2).sum(axis=1) >= 0.49
        assert outside.tolist() == [False] * 4 + [True] * 3 + [False] * 3 and not obs[:, 2].any()


def test_gates_are_one_degree_apart_and_arcs_of_fifteen_belong_to_one_split() -> None:
    problems = make("beacon", 1).problems
    assert problems.description is not None
    angles = np.rad2deg(np.arctan2(problems.description[:, 1], problems.description[:, 0])) % 360
    assert angles == pytest.approx(np.arange(360) + 0.5, abs=1e-3)
    order = np.full(360, "", object)
    for split in SPLITS:
        assert not order[problems.ids(split)].astype(bool).any()
        order[problems.ids(split)] = split
    expected = ["train", "validation", "train", "test"] * 6
    assert order.reshape(24, 15).tolist() == [[split] * 15 for split in expected]
    assert problems.features(np.array([0, 14, 15, 359])).tolist() == [[0, 0], [0, 14], [1, 0], [23, 14]]


def returns_of(env: MetaEnv, believed: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Returns of executing the gates believed in, (N,), in the problems `true` (N,)."""
    nothing = np.zeros((len(true), 1), np.int64)
    expert = env.expert(believed, nothing)
    obs, _ = env.reset(seed=0, options={"problem_id": true, "instruction": nothing})
    total = np.zeros(len(true))
    while env.active.any():
        obs, reward, *_ = env.step(expert.act(obs))
        total += reward
    return total


def test_bounds_are_those_of_the_scripts() -> None:
    ids = np.arange(360)
    env = make("beacon", 360)
    assert isinstance(env, Beacon)
    optimal = env.optimal_return(ids, np.zeros((360, 1), np.int64))
    assert optimal.tolist() == returns_of(env, ids, ids).tolist() == [1.0] * 360
    # Without exploration: one gate for all, the best one.
    blind = [returns_of(env, np.full(360, guess), ids).mean() for guess in (0, 180)]
    assert blind == pytest.approx([HIT / 360] * 2) and env.no_exploration_return() == pytest.approx(HIT / 360)
    assert env.no_exploration_return("test") == pytest.approx(15 / 90)  # one arc at a time
    with pytest.raises(ValueError, match="unknown split"):
        env.no_exploration_return("tests")
    for radius, hit in ((0.3, 50), (0.05, 9)):
        assert make("beacon", 1, gate_radius=radius).no_exploration_return() == pytest.approx(hit / 360)


def test_the_return_of_posterior_sampling_is_what_it_gets_when_it_is_played() -> None:
    """All pairs of a true and a sampled gate: the second sample is drawn from those that agree with the exploration."""
    env = make("beacon", 360)
    assert isinstance(env, Beacon)
    everyone, total = np.arange(360), 0.0
    true = np.full(360, 77)
    expert = env.expert(everyone, np.zeros((360, 1), np.int64))
    obs = [env.reset(seed=0, options={"problem_id": true, "phase": "explore"})[0]]
    actions = []
    for _ in range(env.horizon):
        actions.append(expert.act(obs[-1]))
        obs.append(env.step(actions[-1])[0])
    stream = np.stack(obs, 1), np.stack(actions, 1), np.ones((360, env.horizon), bool)
    left = consistent_problems(env, *stream)
    assert sorted({int(row.sum()) for row in left}) == [1, 360 - HIT]
    success = returns_of(env, everyone, true)
    for row in left:
        total += success[row].mean()
    assert env.posterior_sampling_return() == pytest.approx(total / 360)
    assert 0.13 < env.posterior_sampling_return() < 0.14
    assert env.posterior_sampling_return("test", "train") < 0.15


def test_the_scripted_explorer_identifies_every_problem_and_posterior_sampling_never_reads_the_beacon() -> None:
    env, ids = make("beacon", 360), np.arange(360)
    for script, expected in ((env.scripted_explorer(360), 1.0), (env.expert(ids, np.zeros((360, 1), int)), 0.0)):
        obs = [env.reset(seed=0, options={"problem_id": ids, "phase": "explore"})[0]]
        informative, actions = [env.informative()], []
        for _ in range(env.horizon):
            actions.append(script.act(obs[-1]))
            obs.append(env.step(actions[-1])[0])
            informative.append(env.informative())
        seen, done, mask = np.stack(obs, 1), np.stack(actions, 1), np.ones((360, env.horizon), bool)
        summary = env.exploration_summary(ids, seen, done, mask)
        assert (summary["read_beacon"] == expected).all() and (summary["passed_gate"] >= 1 - expected).all()
        assert (np.stack(informative, 1) == (seen[..., 2] > 0)).all()
        assert (consistent_problems(env, seen, done, mask) == np.eye(360, dtype=bool)).all()
        shown = [env.revealed(int(i), seen[i], done[i], {}) for i in (0, 99)]
        assert all(row is not None and row.any() and not row[:4].any() for row in shown)


def test_words_positions_and_parts() -> None:
    env = make("beacon", 1)
    obs, *_ = walk(50, [*heading(48, 4), (0, 0)], "explore")
    assert env.tell(50, obs, np.zeros((5, 2))) == [
        "left the circle at 48.0 degrees", "saw the gate at 50.5 degrees", "ended at (0.54, 0.59)",
    ]  # fmt: skip
    assert env.positions(obs)[:, 0] == pytest.approx(obs[:, 0]) and env.map_extent == (-1, 1, -1, 1)
    (part,) = env.parts()
    assert [part.value_name(int(part.labels[i])) for i in (0, 22, 23, 90, 180, 270, 359)] == [
        "east", "east", "north-east", "north", "west", "south", "east",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"gate_radius": 0.0}, "gate_radius is 0.0: give a number above 0, at most 0.35"),
        ({"gate_radius": 0.4}, "gate_radius is 0.4"),
        ({"horizon": 3}, "horizon is 3: give at least 4, the steps out of the circle"),
    ],
)
def test_parameters_out_of_range_are_refused(parameters: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make("beacon", 1, **parameters)
