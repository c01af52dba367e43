"""What families report about themselves: parts, what explorations did, positions, how probable an instruction is."""

from itertools import permutations, product

import numpy as np
import pytest

from dream.envs import GymnasiumAdapter, MetaEnv, make, split_problems

LEFT, UP, RIGHT, DOWN, NO_OP, RIDE, END, PICK_UP, DROP = range(9)
RESET = 9
ORDERS = list(permutations(range(4)))
GRIDS = ("bus", "map", "cooking", "signpost")


def stream(cells: list[tuple[int, ...]], actions: list[int], padding: int = 2) -> tuple[np.ndarray, ...]:
    """obs (1, T + 1, D), action (1, T), mask (1, T) of a stream by hand, followed by padding."""
    assert len(cells) == len(actions) + 1
    obs = np.array(cells + [(0,) * len(cells[0])] * padding, np.int16)[None]
    action = np.array(actions + [0] * padding)[None]
    return obs, action, np.arange(action.shape[1])[None] < len(actions)


def summary(family: str, cells: list[tuple[int, ...]], actions: list[int]) -> dict[str, float]:
    found = make(family, 1).exploration_summary(np.array([0]), *stream(cells, actions))
    assert all(value.shape == (1,) and value.dtype == np.float64 for value in found.values())
    return {name: float(value[0]) for name, value in found.items()}


@pytest.mark.parametrize("description", ["id", "lines"])
def test_parts_of_a_bus_problem_are_its_lines_for_every_encoding(description: str) -> None:
    parts = make("bus", 1, description=description).parts()
    assert [part.name for part in parts] == [f"line {letter}" for letter in "ABCDEFGH"]
    assert [part.relevant for part in parts] == [True] * 4 + [False] * 4
    assert {part.classes for part in parts} == {4}
    problem = 5 + 24 * 7  # the sixth order of useful ends, the eighth of useless ones
    assert [int(part.labels[problem]) for part in parts] == [*ORDERS[5], *ORDERS[7]]


@pytest.mark.parametrize(
    ("family", "names", "problem", "labels"),
    [
        ("map", ["line A", "line B", "line C", "line D"], 23, [3, 2, 1, 0]),
        ("cooking", ["drawer 1", "drawer 2", "drawer 3"], 2 + 4 * 0 + 16 * 3, [2, 0, 3]),
        ("signpost", ["right button"], 1, [1]),
        ("sign", ["colour"], 2, [2]),
        ("sign-ball", ["colour"], 1, [1]),
        ("sign-worlds", ["colour"], 1000, [1]),
        ("kitchen", ["fridge", "locker", "cupboard", "oven", "carton", "drawers"], 0, [6, 4, 6, 5, 1, 2]),
    ],
)
def test_parts(family: str, names: list[str], problem: int, labels: list[int]) -> None:
    env = make(family, 1)
    parts = env.parts()
    assert [part.name for part in parts] == names and all(part.relevant for part in parts)
    assert [int(part.labels[problem]) for part in parts] == labels
    for part in parts:
        assert part.labels.shape == (env.problems.num_problems,)
        assert part.labels.min() == 0 and part.labels.max() == part.classes - 1


def test_relevant_parts_are_those_that_the_optimal_return_depends_on() -> None:
    """Problems that agree in them have the same line to each corner: here by the rides of the family itself."""
    env = make("bus", 576)
    parts = env.parts()
    env.reset(options={"problem_id": np.arange(576), "phase": "explore"})
    env.step(np.full(576, UP))
    obs = env.step(np.full(576, RIDE))[0]
    ends = np.array([(0, 1), (0, 7), (8, 1), (8, 7)])
    assert (obs[:, :2] == ends[parts[0].labels]).all()


def test_rides_are_counted_by_line() -> None:
    start, a, b, c = (4, 4, 0), (4, 5, 1), (5, 4, 1), (3, 4, 1)
    far, useless_stop, useless_end = (0, 1, 1), (5, 5, 1), (0, 4, 1)
    there_and_back = ([start, a, far, a, far], [UP, RIDE, RIDE, RIDE])
    assert summary("bus", *there_and_back) == {"useful_rides": 3, "distracting_rides": 0, "useful_lines_known": 1}
    useless = ([start, a, useless_stop, useless_end, useless_stop], [UP, RIGHT, RIDE, RIDE])
    assert summary("bus", *useless) == {"useful_rides": 0, "distracting_rides": 2, "useful_lines_known": 0}
    nothing = ([start, start, a], [RIDE, UP])  # nothing stops in the middle
    assert summary("bus", *nothing) == {"useful_rides": 0, "distracting_rides": 0, "useful_lines_known": 0}
    # Two known lines count as two; the third determines the fourth. Reached from the far end, a line is known as well.
    two = ([start, a, far, a, start, b, (0, 7, 1)], [UP, RIDE, RIDE, DOWN, RIGHT, RIDE])
    assert summary("bus", *two)["useful_lines_known"] == 2
    three = ([*two[0], (8, 1, 1), c], [*two[1], RIGHT, RIDE])
    assert summary("bus", *three)["useful_lines_known"] == 4


def test_a_reset_between_two_episodes_is_no_ride() -> None:
    start, a, far = (4, 4, 0), (4, 5, 1), (0, 1, 1)
    found = summary("bus", [start, a, far, far, start, a], [UP, RIDE, END, RESET, UP])
    assert found == {"useful_rides": 1, "distracting_rides": 0, "useful_lines_known": 1}


def test_map_reports_whether_the_sign_was_read() -> None:
    way = [(4, 4, 0, 0), (5, 4, 1, 0), (6, 4, 0, 0), (7, 4, 0, 0), (7, 3, 0, 13)]
    read = {"useful_rides": 0, "distracting_rides": 0, "useful_lines_known": 4, "read_sign": 1}
    assert summary("map", way, [RIGHT, RIGHT, RIGHT, DOWN]) == read
    assert summary("map", way[:4], [RIGHT] * 3) == {**read, "useful_lines_known": 0, "read_sign": 0}
    obs, action, mask = stream(way, [RIGHT, RIGHT, RIGHT, DOWN])
    mask[:, 3] = False  # the last step was never made
    assert make("map", 1).exploration_summary(np.array([12]), obs, action, mask)["read_sign"] == 0


def test_drawers_opened_are_different_ones() -> None:
    bowl, empty = [4, 4, 4], 4
    cells = [(1, 1, 2, empty), (2, 1, 3, empty), (2, 1, 3, 1), (2, 1, 3, 1), (2, 2, 3, 1), (2, 2, 3, 1), (1, 2, 0, 1)]
    actions = [RIGHT, PICK_UP, PICK_UP, UP, PICK_UP, LEFT]
    found = summary("cooking", [(*cell, *bowl) for cell in cells], actions)
    assert found == {"drawers_opened": 2, "pick_ups": 3}
    not_at_a_drawer = [(1, 1, 2, empty, *bowl)] * 2
    assert summary("cooking", not_at_a_drawer, [PICK_UP]) == {"drawers_opened": 0, "pick_ups": 0}


def test_signpost_reports_whether_the_sign_was_read() -> None:
    assert summary("signpost", [(2, 0), (3, 0), (4, 2), (3, 0)], [1, 1, 0]) == {"read_sign": 1}
    assert summary("signpost", [(2, 0), (3, 0), (2, 0)], [1, 0]) == {"read_sign": 0}


def test_positions_are_inside_the_map() -> None:
    for family in GRIDS:
        env = make(family, 64)
        left, right, bottom, top = env.map_extent
        obs, _ = env.reset(seed=0, options={"phase": "explore"})
        rng = np.random.default_rng(0)
        for _ in range(env.horizon):
            where = env.positions(obs)
            assert where.shape == (64, 2) and where.dtype == np.float64
            assert (env.position() == where).all()
            assert (where > (left, bottom)).all() and (where < (right, top)).all()
            obs = env.step(rng.integers(env.single_action_space.n - 4, size=64))[0]
    bus = make("bus", 1)
    assert bus.map_extent == (-0.5, 8.5, -0.5, 8.5)
    assert bus.positions(np.array([[[4, 4, 0], [4, 5, 1]]], np.int16)).tolist() == [[[4.0, 4.0], [4.0, 5.0]]]
    assert make("signpost", 1).positions(np.array([[3, 0]])).tolist() == [[3.0, 0.0]]


def test_sign_reports_positions_during_play_only() -> None:
    env = make("sign", 2)
    obs, _ = env.reset(seed=0, options={"phase": "explore"})
    assert (env.position() == env.pose[:, :2]).all()
    left, right, bottom, top = env.map_extent
    assert (left, right, bottom, top) == (0, 10, 13, 0)
    with pytest.raises(NotImplementedError, match="do not show where the agent is"):
        env.positions(obs)


@pytest.mark.parametrize("family", [*GRIDS, "sign"])
def test_probability_of_instructions_is_how_often_they_are_drawn(family: str) -> None:
    env, draws = make(family, 1), 20_000
    for problem in (0, 7 % env.problems.num_problems):  # kitchen 7 holds 3, 1 and 0
        drawn = env.sample_instruction(np.full(draws, problem), np.random.default_rng(0))
        every = np.array(list(product(*map(range, env.instruction_space.nvec.tolist()))))
        probability = env.instruction_probability(np.full(len(every), problem), every)
        share = (drawn[:, None] == every).all(axis=2).mean(axis=0)
        assert probability.sum() == pytest.approx(1)
        assert np.abs(share - probability).max() < 0.02


def test_a_family_without_insight_says_so() -> None:
    from gymnasium.envs.toy_text.frozen_lake import FrozenLakeEnv

    env: MetaEnv = GymnasiumAdapter(FrozenLakeEnv, 1, problems=split_problems("lakes", 20), horizon=5)
    nothing = np.zeros((1, 1), np.int64)
    assert env.parts() == ()
    assert env.exploration_summary(nothing[0], np.zeros((1, 2, 1)), nothing, nothing == 0) == {}
    for call in (
        lambda: env.map_extent,
        lambda: env.positions(nothing),
        lambda: env.instruction_probability(nothing[0], nothing),
        lambda: env.expert(nothing[0], nothing),
        lambda: env.scripted_explorer(1),
    ):
        with pytest.raises(NotImplementedError, match="lakes"):
            call()
