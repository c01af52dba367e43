"""The exact returns against brute force over a naive implementation of the rules, itself compared with the families."""

from collections.abc import Callable
from functools import cache
from itertools import permutations, product
from typing import Any

import numpy as np
import pytest

from dream.envs import MetaEnv, make

MOVES = {0: (-1, 0), 1: (0, 1), 2: (1, 0), 3: (0, -1)}
RIDE, END, PICK_UP, DROP = 5, 6, 7, 8
Step = Callable[
    [int, Any, int, int], tuple[Any, float, bool]
]  # problem, state, action, steps left -> state, reward, end


def walk(cell: tuple[int, int], action: int, n: int) -> tuple[int, int]:
    dx, dy = MOVES.get(action, (0, 0))
    return min(max(cell[0] + dx, 0), n - 1), min(max(cell[1] + dy, 0), n - 1)


def naive_bus(n: int, corner: tuple[int, int], distracting: bool) -> Step:
    """State: the cell."""
    c, last = n // 2, n - 1

    @cache
    def lines(problem: int) -> dict[tuple[int, int], tuple[int, int]]:
        groups = [
            ([(c, c + 1), (c + 1, c), (c - 1, c), (c, c - 1)], [(0, 1), (0, last - 1), (last, 1), (last, last - 1)]),
            ([(c + 1, c + 1), (c - 1, c - 1), (c - 1, c + 1), (c + 1, c - 1)], [(0, c), (c, 0), (last, c), (c, last)]),
        ]
        rides = {}
        for (inner, outer), order in zip(groups, [problem % 24, problem // 24], strict=True):
            for stop, end in zip(inner, list(permutations(outer))[order], strict=True):
                rides[stop], rides[end] = end, stop
            if not distracting:
                break
        return rides

    def step(problem: int, cell: Any, action: int, left: int) -> tuple[Any, float, bool]:
        cell = lines(problem).get(cell, cell) if action == RIDE else walk(cell, action, n)
        if cell == corner:
            return cell, 1.0, True
        return cell, -0.1 - 0.1 * left * (action == END), action == END

    return step


def naive_cooking(n: int, drawers: list[tuple[int, int]], kinds: int, recipe: tuple[int, ...]) -> Step:
    """State: cell, hand, bowl, progress."""
    bowl_cell = (n // 2, n // 2)

    def step(problem: int, state: Any, action: int, left: int) -> tuple[Any, float, bool]:
        cell, hand, bowl, progress = state
        cell = walk(cell, action, n)
        if action == PICK_UP and cell in drawers:
            hand = problem // kinds ** drawers.index(cell) % kinds
        if action in (PICK_UP, DROP) and cell == bowl_cell:
            if action == DROP and hand is not None and len(bowl) < len(recipe) + 1:
                bowl = (*bowl, hand)
            hand = None
        item, reward = progress // 2, -0.1
        if progress % 2 == 0:
            if hand == recipe[item]:
                progress, reward = progress + 1, 0.25
            elif action == PICK_UP:
                reward -= 0.25
        elif bowl[: item + 1] == recipe[: item + 1]:
            progress, reward = progress + 1, 0.25
        elif hand != recipe[item]:
            progress, reward = progress - 1, reward - 0.25
        end = progress == 2 * len(recipe)
        return (cell, hand, bowl, progress), reward - 0.1 * left * (action == END), end or action == END

    return step


def brute_force(
    step: Step, start: Any, prior: dict[int, float], horizon: int, sign: tuple[int, int] | None = None
) -> float:
    """Best expected return over all policies that observe state and reward (and the problem at the sign)."""
    total = sum(prior.values())
    values: dict[Any, float] = {}

    def value(problems: tuple[int, ...], state: Any, elapsed: int) -> float:
        if elapsed == horizon:
            return 0.0
        key = (problems, state, elapsed)
        if key not in values:
            mass = sum(prior[problem] for problem in problems)
            best = -np.inf
            for action in range(9):
                groups: dict[Any, list[int]] = {}
                for problem in problems:
                    outcome = step(problem, state, action, horizon - elapsed - 1)
                    groups.setdefault((outcome, problem if outcome[0] == sign else None), []).append(problem)
                worth = 0.0
                for ((after, reward, end), _), agreeing in groups.items():
                    chance = sum(prior[problem] for problem in agreeing) / mass
                    worth += chance * (reward + (0 if end else value(tuple(agreeing), after, elapsed + 1)))
                best = max(best, worth)
            values[key] = best
        return values[key]

    return total * value(tuple(prior), start, 0)


def with_problems(envs: MetaEnv, split: str, ids: list[int]) -> MetaEnv:
    """The family with another split, to have small instances."""
    envs.problems.splits[split] = np.array(ids)  # type: ignore[index]
    return envs


@pytest.mark.parametrize(
    ("name", "size", "horizon", "sign"),
    [
        ("bus", 5, 7, None),
        ("bus", 7, 9, None),
        ("map", 5, 7, (3, 1)),
        ("map", 7, 9, (5, 2)),
        ("map", 7, 9, (4, 4)),  # moved to where reading it is worthwhile
    ],
)
def test_bus_returns_are_those_of_brute_force(name: str, size: int, horizon: int, sign: tuple[int, int] | None) -> None:
    rng = np.random.default_rng(size)
    envs = make(name, 1, grid_size=size, horizon=horizon)
    count, start = envs.problems.num_problems, (size // 2, size // 2)
    assert sign in (envs.sign, (4, 4))  # type: ignore[attr-defined]
    envs.sign = sign  # type: ignore[attr-defined]
    for trial in range(4):
        ids = sorted(rng.choice(count, size=[2, 3, 5, 9][trial], replace=False).tolist())
        with_problems(envs, str(trial), ids)
        best = []
        for corner in envs.corners:  # type: ignore[attr-defined]
            step = naive_bus(size, corner, name == "bus")
            best.append(brute_force(step, start, dict.fromkeys(ids, 1 / len(ids)), horizon, sign))
            expected = [brute_force(step, start, {i: 1.0}, horizon) for i in ids]
            assert envs.optimal_return(np.array(ids), np.tile(corner, (len(ids), 1))) == pytest.approx(expected)
        assert envs.no_exploration_return(str(trial)) == pytest.approx(np.mean(best))


@pytest.mark.parametrize(
    ("size", "drawers", "kinds", "recipe", "horizon"),
    [(3, 3, 2, 1, 8), (3, 2, 3, 1, 6), (3, 2, 2, 2, 12), (3, 3, 3, 2, 9), (4, 2, 2, 1, 9)],
)
def test_cooking_returns_are_those_of_brute_force(
    size: int, drawers: int, kinds: int, recipe: int, horizon: int
) -> None:
    envs = make("cooking", 1, grid_size=size, drawers=drawers, ingredients=kinds, recipe=recipe, horizon=horizon)
    rng, count, middle = np.random.default_rng(0), kinds**drawers, (size // 2, size // 2)
    ids = sorted(rng.choice(count, size=min(count, 6), replace=False).tolist())
    with_problems(envs, "few", ids)
    contents = envs.problems.features(np.array(ids))
    best = 0.0
    for wanted in product(range(kinds), repeat=recipe):
        step = naive_cooking(size, list(envs.drawers), kinds, wanted)  # type: ignore[attr-defined]
        chance = np.prod([(contents == item).mean(axis=1) for item in wanted], axis=0) / len(ids)
        prior = {i: float(p) for i, p in zip(ids, chance, strict=True) if p > 0}
        if prior:
            best += brute_force(step, (middle, None, (), 0), prior, horizon)
            expected = [brute_force(step, (middle, None, (), 0), {i: 1.0}, horizon) for i in prior]
            returns = envs.optimal_return(np.array(list(prior)), np.tile(wanted, (len(prior), 1)))
            assert returns == pytest.approx(expected)
    assert envs.no_exploration_return("few") == pytest.approx(best)


def test_the_families_play_as_the_naive_rules_say() -> None:
    """Random execution episodes: every state, reward and end of bus, map and cooking."""
    rng = np.random.default_rng(5)
    for name, parameters in (
        ("bus", {}),
        ("map", {}),
        ("bus", {"grid_size": 7}),
        ("cooking", {}),
        ("cooking", {"grid_size": 4, "drawers": 5, "ingredients": 3, "recipe": 3}),
    ):
        envs = make(name, 200, **parameters)
        n, kinds = envs.grid_size, getattr(envs, "ingredients", 0)  # type: ignore[attr-defined]
        middle = (n // 2, n // 2)
        obs, info = envs.reset(seed=7, options={"problem_id": envs.problems.sample("all", 200, rng)})
        steps: list[Step] = []
        states: list[Any] = []
        for instruction in map(tuple, info["instruction"].tolist()):
            if name == "cooking":
                steps.append(naive_cooking(n, list(envs.drawers), kinds, instruction))  # type: ignore[attr-defined]
                states.append((middle, None, (), 0))
            else:
                steps.append(naive_bus(n, instruction, name == "bus"))
                states.append(middle)
        ended = np.zeros(200, bool)
        goals, chances = 0, np.array([3, 3, 4, 3, 0.5, 4, 0.1, 2, 2])
        for elapsed in range(1, envs.horizon + 1):
            actions = rng.choice(9, size=200, p=chances / chances.sum())
            if name == "cooking":  # mostly do what can be done here, so that some recipes get finished
                try_it, holding = rng.random(200) < 0.8, obs[:, 3] < kinds
                actions = np.where(try_it & (obs[:, 2] == 2), np.where(holding, DROP, 2), actions)
                actions = np.where(try_it & (obs[:, 2] == 3), np.where(holding, 0, PICK_UP), actions)
            obs, reward, terminated, truncated, _ = envs.step(actions)
            for i in np.flatnonzero(~ended):
                states[i], rewards, end = steps[i](
                    info["problem_id"][i], states[i], int(actions[i]), envs.horizon - elapsed
                )
                assert reward[i] == pytest.approx(rewards, abs=1e-6)
                assert terminated[i] == end and truncated[i] == (not end and elapsed == envs.horizon)
                goals += end and actions[i] != END
                if name == "cooking":
                    cell, hand, bowl, _ = states[i]
                    held = kinds if hand is None else hand
                    assert obs[i, [0, 1, 3]].tolist() == [*cell, held]
                    assert obs[i, 4:].tolist() == [*bowl, *[kinds] * (len(obs[i]) - 4 - len(bowl))]
                else:
                    assert tuple(obs[i, :2].tolist()) == states[i]
            ended |= terminated | truncated
        assert ended.all() and goals > 0


def test_the_published_figures() -> None:
    corners = np.array([(0, 0), (8, 8), (0, 8), (8, 0)])
    for name, count in (("bus", 576), ("map", 24)):
        envs = make(name, 1)
        ids = np.repeat(np.arange(count), 4)
        assert envs.optimal_return(ids, np.tile(corners, (count, 1))) == pytest.approx(0.8)
        assert envs.no_exploration_return("all") == pytest.approx(0.3)
    envs = make("cooking", 1, split="paper")
    ids, pairs = envs.problems.ids("train"), np.array(list(product(range(3), repeat=2)))
    recipes = envs.problems.features(ids)[:, pairs]  # (63, 9, 2): all draws of two drawers
    returns = envs.optimal_return(np.repeat(ids, 9), recipes.reshape(-1, 2))
    assert returns.mean() == pytest.approx(0.39894, abs=1e-5)
    ten = np.full(9, 10)
    assert envs.optimal_return(ten, envs.problems.features(ten)[0][pairs]).mean() == pytest.approx(7 / 15)
    assert envs.no_exploration_return("train") == pytest.approx(0.07654, abs=1e-5)
    assert envs.no_exploration_return("test") == pytest.approx(7 / 15)  # the only kitchen is known


def test_knowing_the_split_raises_the_bound() -> None:
    """The bound of a small split is above that of the family: its problems are not uniform over what can be."""
    cooking = make("cooking", 1)
    assert cooking.no_exploration_return("all") == pytest.approx(0.07604, abs=1e-5)
    assert cooking.no_exploration_return("test") == pytest.approx(0.24201, abs=1e-5)
    bus = make("bus", 1)
    assert bus.no_exploration_return("train") == pytest.approx(0.30938, abs=1e-5)
    assert make("bus", 1, split="paper").no_exploration_return("train") == pytest.approx(0.31462, abs=1e-5)
    assert bus.no_exploration_return("test") == pytest.approx(0.30053, abs=1e-5)
    with pytest.raises(ValueError, match="unknown split 'tset'"):
        bus.no_exploration_return("tset")


def test_bounds_of_too_large_families_are_refused() -> None:
    kitchen = make("cooking", 1, grid_size=5, drawers=9, ingredients=4, recipe=3)
    with pytest.raises(NotImplementedError, match="out of reach"):
        kitchen.no_exploration_return()


def test_bounds_refuse_unknown_problems() -> None:
    for envs, instruction in ((make("bus", 1), (0, 8)), (make("cooking", 1), (0, 0)), (make("signpost", 1), (0,))):
        with pytest.raises(ValueError, match="problem_id 900 does not exist"):
            envs.optimal_return(np.array([900]), np.array([instruction]))
        with pytest.raises(ValueError, match="instruction is"):
            envs.optimal_return(np.array([0]), np.array([[*instruction, 0]]))
    assert make("signpost", 1).optimal_return(np.array([1, 0]), np.zeros((2, 1), int)).tolist() == [1, 1]
    assert make("signpost", 1).no_exploration_return() == 0
