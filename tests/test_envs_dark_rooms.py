"""Dark rooms: the rules by hand, and the exact returns against all walks of small rooms and against simulated ones."""

from itertools import product
from typing import Any

import numpy as np
import pytest

from dream.envs import make
from dream.envs.dark_rooms.family import DarkRooms, rooms
from dream.envs.dark_rooms.planning import best_walks

LEFT, UP, RIGHT, DOWN, WAIT = range(5)
MOVES = ((-1, 0), (0, 1), (1, 0), (0, -1), (0, 0))
START = (4, 4)


def room_with(found: dict[tuple[int, int], float], **parameters: Any) -> DarkRooms:
    """A family whose room 0 holds these values and nothing else."""
    env = make("dark-rooms", 1, **parameters)
    assert isinstance(env, DarkRooms)
    env.values[0] = 0
    for (x, y), value in found.items():
        env.values[0, x * env.grid_size + y] = value
    return env


def play(env: DarkRooms, actions: list[int], phase: str = "execute") -> tuple[list[Any], list[float], list[float]]:
    """Cells, what was found, and rewards in room 0."""
    obs, _ = env.reset(seed=0, options={"problem_id": np.zeros(1, int), "phase": phase})
    cells, found, rewards = [tuple(obs["cell"][0].tolist())], [float(obs["found"][0, 0])], []
    for action in actions:
        obs, reward, terminated, *_ = env.step(np.array([action]))
        assert not terminated.any()
        cells.append(tuple(obs["cell"][0].tolist()))
        found.append(float(obs["found"][0, 0]))
        rewards.append(float(reward[0]))
    return cells, found, rewards


def walked(cells: np.ndarray, values: np.ndarray, size: int, start: int, walk: Any) -> float:
    """The return of a walk, by the rules."""
    left = dict(zip(cells.tolist(), values.tolist(), strict=True))
    (x, y), total = divmod(start, size), 0.0
    for action in walk:
        dx, dy = MOVES[action]
        x, y = min(max(x + dx, 0), size - 1), min(max(y + dy, 0), size - 1)
        total += left.pop(x * size + y, 0.0)
    return total


def test_the_problems_are_those_of_the_paper() -> None:
    env = make("dark-rooms", 1)
    assert env.horizon == 9 and env.action_names == ("left", "up", "right", "down", "no-op")
    cells, values = rooms(10_000, 9, 8, -4.0)
    assert cells.shape == values.shape == (10_000, 8)
    assert (np.diff(np.sort(cells, axis=1), axis=1) > 0).all() and not (cells == 40).any()
    assert np.bincount(cells.ravel(), minlength=81)[[0, 39, 41, 80]] == pytest.approx([1000] * 4, abs=120)
    assert -4 <= values.min() < -3.99 and 1.99 < values.max() <= 2 and values.mean() == pytest.approx(-1, abs=0.03)
    assert env.problems.description is not None and env.problems.description.shape == (10_000, 81)
    assert sorted(env.problems.description[7][cells[7]].tolist()) == sorted(values[7].tolist())
    assert (np.count_nonzero(env.problems.description, axis=1) == 8).all()


def test_what_is_stepped_on_is_found_rewarded_and_consumed_until_the_next_episode() -> None:
    env = room_with({(4, 5): 1.5, (3, 5): -2.0})
    for phase, paid in (("execute", [1.5, 0, -2, 0, 0, 0]), ("explore", [0.0] * 6), ("execute", [1.5, 0, -2, 0, 0, 0])):
        cells, found, rewards = play(env, [UP, WAIT, LEFT, RIGHT, LEFT, DOWN], phase)
        assert cells == [START, (4, 5), (4, 5), (3, 5), (4, 5), (3, 5), (3, 4)]
        assert found == [0, 1.5, 0, -2, 0, 0, 0] and rewards == paid


def test_walls_stop_the_agent_and_the_ninth_step_is_the_last() -> None:
    env = room_with({(8, 4): 1.0})
    cells, found, _ = play(env, [RIGHT] * 8)
    assert cells[4:] == [(8, 4)] * 5 and found == [0, 0, 0, 0, 1, 0, 0, 0, 0]
    *_, truncated, info = env.step(np.array([WAIT]))
    assert truncated.all() and info["active"].all() and not env.active.any()


@pytest.mark.parametrize(("size", "treasures", "horizon"), [(3, 2, 5), (3, 5, 6), (3, 8, 5), (5, 4, 6)])
def test_the_best_walk_is_the_best_of_all(size: int, treasures: int, horizon: int) -> None:
    cells, values = rooms(4, size, treasures, -1.0)
    start = size**2 // 2
    returns, walks = best_walks(cells, values, size, start, horizon)
    for room in range(4):
        walk = (cells[room], values[room], size, start)
        best = max(walked(*walk, actions) for actions in product(range(5), repeat=horizon))
        assert returns[room] == pytest.approx(best, abs=1e-6)
        assert walked(*walk, walks[room].tolist()) == pytest.approx(best, abs=1e-6)


def test_a_penalty_in_the_way_is_paid_if_it_is_worth_it() -> None:
    ring = [(1, 0), (0, 1), (2, 1), (1, 2)]
    cells = np.array([[3 * x + y for x, y in [*ring, (0, 0)]]])
    for penalty, expected in ((-1.0, 0.5), (-1.6, 0.0)):
        values = np.array([[penalty] * 4 + [1.5]])
        returns, walks = best_walks(cells, values, 3, 4, 4)
        assert returns[0] == pytest.approx(expected)
        assert (walks[0] == WAIT).sum() == (2 if expected else 4) and (walks[0, -2:] == WAIT).all()


def test_the_expert_earns_the_optimal_return_and_a_false_belief_its_own_walk() -> None:
    ids = make("dark-rooms", 1).problems.ids("validation")[:200]
    env = make("dark-rooms", len(ids))
    nothing = np.zeros((len(ids), 1), np.int64)
    for believed in (ids, ids[::-1]):
        expert = env.expert(believed, nothing)
        obs, _ = env.reset(seed=0, options={"problem_id": ids})
        total = np.zeros(len(ids))
        while env.active.any():
            obs, reward, *_ = env.step(expert.act(obs))
            total += reward
        assert (total <= env.optimal_return(ids, nothing) + 1e-5).all()
        if believed is ids:
            assert total == pytest.approx(env.optimal_return(ids, nothing), abs=1e-5)
        else:
            assert total.mean() < 0.5
    assert env.optimal_return(ids, nothing).mean() > 1.8


@pytest.mark.parametrize("penalty", [0.0, -1.0, -4.0])
def test_without_exploring_new_cells_are_worth_their_mean(penalty: float) -> None:
    """The scripted explorer enters nine new cells; its return is that of the bound, or of waiting where that is 0."""
    env = make("dark-rooms", 10_000, penalty=penalty)
    explorer = env.scripted_explorer(10_000)
    obs, _ = env.reset(seed=0, options={"problem_id": np.arange(10_000)})
    total = np.zeros(10_000)
    while env.active.any():
        obs, reward, *_ = env.step(explorer.act(obs))
        total += reward
    expected = 9 * 8 / 80 * (penalty + 2) / 2
    assert total.mean() == pytest.approx(expected, abs=5 * total.std() / 100)
    assert env.no_exploration_return() == pytest.approx(max(expected, 0.0))
    with pytest.raises(ValueError, match="unknown split 'tset'"):
        env.no_exploration_return("tset")


def test_the_scripted_explorer_walks_around_the_start() -> None:
    env = room_with({})
    explorer = env.scripted_explorer(1)
    cells, *_ = play(env, [int(explorer.act({})[0]) for _ in range(9)], "explore")
    assert set(cells[:9]) == set(product((3, 4, 5), repeat=2)) and len(set(cells)) == 10
    small = make("dark-rooms", 1, grid_size=3, treasures=1, horizon=12).scripted_explorer(1)
    assert [int(small.act({})[0]) for _ in range(12)][-4:] == [WAIT] * 4  # it has seen the whole room


def brute_force(layouts: list[dict[tuple[int, int], float]], cell: Any, seen: Any, steps: int) -> float:
    """Best expected return over all adaptive policies, all layouts being equally likely; values found are observed."""
    if not steps:
        return 0.0
    best = -np.inf
    for dx, dy in MOVES:
        new = (min(max(cell[0] + dx, 0), 2), min(max(cell[1] + dy, 0), 2))
        groups: dict[float, list[dict[tuple[int, int], float]]] = {}
        for layout in layouts:
            groups.setdefault(0.0 if new in seen else layout.get(new, 0.0), []).append(layout)
        worth = 0.0
        for found, agreeing in groups.items():
            worth += len(agreeing) / len(layouts) * (found + brute_force(agreeing, new, seen | {new}, steps - 1))
        best = max(best, worth)
    return best


@pytest.mark.parametrize("penalty", [-2.5, -1.0])
def test_the_bound_without_exploring_is_that_of_all_adaptive_policies(penalty: float) -> None:
    """Two values, both ends of the range, in all pairs of cells: they have the mean of the uniform distribution."""
    free = [(x, y) for x, y in product(range(3), repeat=2) if (x, y) != (1, 1)]
    pairs = [(a, b) for a in free for b in free if a < b]
    layouts = [dict(zip(pair, values, strict=True)) for pair in pairs for values in product((penalty, 2.0), repeat=2)]
    env = make("dark-rooms", 1, grid_size=3, treasures=2, penalty=penalty, horizon=4)
    assert env.no_exploration_return() == pytest.approx(brute_force(layouts, (1, 1), {(1, 1)}, 4))


def test_the_summary_counts_cells_and_values_of_all_episodes() -> None:
    env = make("dark-rooms", 1)
    cells = [(4, 4), (4, 5), (4, 6), (4, 6), (4, 4), (4, 5), (5, 5), (0, 0)]
    found = [0, 1.5, -2, 0, 0, 1.5, 0, 9]
    obs = {"cell": np.array([cells], np.int16), "found": np.array(found, np.float32)[None, :, None]}
    mask = np.array([[True] * 6 + [False]])
    summary = env.exploration_summary(np.array([0]), obs, np.array([[UP, UP, WAIT, 5, UP, RIGHT, 0]]), mask)
    assert {name: value.tolist() for name, value in summary.items()} == {
        "cells_visited": [4], "treasures_found": [1], "penalties_found": [1], "best_found": [1.5], "total_value": [1.0],
    }  # fmt: skip


def test_an_episode_in_words_and_what_it_revealed() -> None:
    env = room_with({(4, 5): 1.5, (3, 5): -2.0})
    actions = [WAIT, WAIT, UP, LEFT, LEFT, LEFT]
    obs, _ = env.reset(seed=0, options={"problem_id": np.zeros(1, int), "phase": "explore"})
    seen, informative = [obs], [env.informative().tolist()]
    for action in actions:
        seen.append(env.step(np.array([action]))[0])
        informative.append(env.informative().tolist())
    stream = {name: np.concatenate([obs[name] for obs in seen]) for name in obs}
    assert env.tell(0, stream, np.array(actions)) == [
        "waited 2 times", "found a treasure of +1.50 at (4, 5)", "found a penalty of -2.00 at (3, 5)",
        "walked to (1, 5)",
    ]  # fmt: skip
    parts, shown = env.parts(), env.revealed(0, stream, np.array(actions), {})
    assert len(parts) == 80 and [sum(row) for row in shown.tolist()] == [0, 0, 0, 1, 1, 1, 1]
    assert parts[int(shown[3].argmax())].name == "cell (4, 5)" and parts[int(shown[4].argmax())].name == "cell (3, 5)"
    assert informative == [[False]] * 3 + [[True]] + [[False]] * 3
    assert env.positions(stream)[:4].tolist() == [[4, 4], [4, 4], [4, 4], [4, 5]]


def test_parts_are_what_the_cells_hold() -> None:
    env = make("dark-rooms", 1)
    cells, values = rooms(10_000, 9, 8, -4.0)
    by_name = {part.name: part for part in env.parts()}
    assert all(part.labels.min() == 0 and part.labels.max() == 2 == part.classes - 1 for part in by_name.values())
    for cell, value in zip(cells[3].tolist(), values[3].tolist(), strict=True):
        part = by_name[f"cell ({cell // 9}, {cell % 9})"]
        assert part.value_name(int(part.labels[3])) == ("treasure" if value > 0 else "penalty")


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"grid_size": 8}, "grid_size is 8: give an odd number of at least 3"),
        ({"treasures": 11}, "treasures is 11: give 1 to 10"),
        ({"treasures": 9, "grid_size": 3}, "treasures is 9: give 1 to 8"),
        ({"penalty": 2.0}, "penalty is 2.0: give -100 to below 2"),
        ({"num_problems": 19}, "num_problems is 19: give at least 20"),
        ({"horizon": 0}, "horizon is 0"),
    ],
)
def test_parameters_that_are_not_allowed_are_refused(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make("dark-rooms", 1, **parameters)


def test_a_bound_that_is_not_known_is_refused() -> None:
    with pytest.raises(NotImplementedError, match="9 steps in 8 cells"):
        make("dark-rooms", 1, grid_size=3, penalty=0.0).no_exploration_return()
