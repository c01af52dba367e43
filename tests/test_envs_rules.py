"""The rules of each family, step by step, against values worked out by hand."""

from typing import Any

import numpy as np
import pytest

from dream.envs import MetaEnv, make

LEFT, UP, RIGHT, DOWN, NO_OP, RIDE, END, PICK_UP, DROP = range(9)


def play(
    envs: MetaEnv, problem_id: int, actions: list[int], instruction: tuple[int, ...] | None = None
) -> tuple[list[list[int]], list[float], list[bool]]:
    """Observations (with the first), rewards and ends of one member; without an instruction it explores."""
    options: dict[str, Any] = {"problem_id": np.array([problem_id]), "phase": "explore"}
    if instruction is not None:
        options |= {"phase": "execute", "instruction": np.array([instruction])}
    obs, _ = envs.reset(options=options)
    seen, rewards, ends = [obs[0].tolist()], [], []
    for action in actions:
        obs, reward, terminated, _, _ = envs.step(np.array([action]))
        seen.append(obs[0].tolist())
        rewards.append(round(float(reward[0]), 6))
        ends.append(bool(terminated[0]))
    return seen, rewards, ends


def test_grids_have_nine_actions_in_this_order() -> None:
    names = ("left", "up", "right", "down", "no-op", "ride", "end-episode", "pick up", "drop")
    for family in ("bus", "map", "cooking"):
        envs = make(family, 1)
        assert envs.action_names == names and envs.end_action == END and envs.horizon == 20


def test_bus_moves_and_clamps() -> None:
    seen, _, _ = play(make("bus", 1), 0, [LEFT, UP, RIGHT, DOWN, NO_OP, PICK_UP, DROP])
    assert [o[:2] for o in seen] == [[4, 4], [3, 4], [3, 5], [4, 5], [4, 4], [4, 4], [4, 4], [4, 4]]
    for action, cell in ((LEFT, [0, 4]), (UP, [4, 8]), (RIGHT, [8, 4]), (DOWN, [4, 0])):
        assert play(make("bus", 1), 0, [action] * 6)[0][-1][:2] == cell


def test_bus_stops_lead_where_the_permutations_say() -> None:
    # Permutation 1 of four things, in lexicographic order, is (0, 1, 3, 2); 22 is (3, 2, 0, 1).
    to = {  # moves to the stop, destination
        "useful": {(UP,): (0, 1), (RIGHT,): (0, 7), (LEFT,): (8, 7), (DOWN,): (8, 1)},
        "useless": {(UP, RIGHT): (4, 8), (DOWN, LEFT): (8, 4), (UP, LEFT): (0, 4), (DOWN, RIGHT): (4, 0)},
    }
    envs = make("bus", 1)
    for moves, end in {**to["useful"], **to["useless"]}.items():
        seen, _, _ = play(envs, 1 + 24 * 22, [*moves, RIDE, RIDE])
        stop = seen[len(moves)]
        assert stop[2] == 1
        assert seen[-2] == [*end, 1]
        assert seen[-1] == stop  # and back again
    assert play(make("map", 1), 1, [LEFT, RIDE])[0][-1] == [8, 7, 1, 0]
    assert play(make("map", 1), 1, [UP, RIGHT, RIDE])[0][-1] == [5, 5, 0, 0]  # no such line on the map
    assert play(envs, 5, [RIDE])[0][-1] == [4, 4, 0]  # nothing stops here


def test_bus_rewards_the_corner_and_charges_for_steps() -> None:
    envs = make("bus", 1)
    seen, rewards, ends = play(envs, 0, [UP, RIDE, DOWN], (0, 0))  # identity: (4, 5) leads to (0, 1)
    assert seen[-1][:2] == [0, 0]
    assert rewards == [-0.1, -0.1, 1.0] and ends == [False, False, True] and sum(rewards) == pytest.approx(0.8)
    _, rewards, ends = play(envs, 0, [UP, RIDE, DOWN], (8, 8))  # another corner is a step like any other
    assert rewards == [-0.1] * 3 and not any(ends)
    _, rewards, ends = play(envs, 0, [RIGHT] * 4 + [DOWN] * 4, (8, 0))
    assert sum(rewards) == pytest.approx(0.3) and ends == [False] * 7 + [True]
    _, rewards, _ = play(envs, 0, [NO_OP] * 20, (8, 0))
    assert sum(rewards) == pytest.approx(-2)


def test_ending_early_costs_every_step_not_used() -> None:
    for family, instruction in (("bus", (0, 0)), ("map", (0, 0)), ("cooking", (0, 0))):
        envs = make(family, 1)
        for before in (0, 7, 19):
            _, rewards, ends = play(envs, 0, [NO_OP] * before + [END], instruction)
            assert rewards[-1] == pytest.approx(-0.1 * (20 - before)) and ends[-1]
            assert sum(rewards) == pytest.approx(-2)
        _, rewards, ends = play(envs, 0, [NO_OP, END])
        assert rewards == [0, 0] and ends == [False, True]


def test_exploring_goes_on_at_the_goal() -> None:
    seen, rewards, ends = play(make("bus", 1), 0, [UP, RIDE, DOWN, UP])
    assert [o[:2] for o in seen[2:]] == [[0, 1], [0, 0], [0, 1]] and rewards == [0] * 4 and not any(ends)
    actions = [RIGHT, PICK_UP, LEFT, DROP] * 2
    seen, rewards, ends = play(make("cooking", 1), 0, [*actions, NO_OP])
    assert seen[-1] == [1, 1, 2, 4, 0, 0, 4] and rewards == [0] * 9 and not any(ends)
    _, rewards, ends = play(make("signpost", 1), 0, [2, 3])
    assert rewards == [0, 0] and not any(ends)


def test_the_map_is_read_at_its_sign_in_both_phases() -> None:
    envs = make("map", 1)
    for instruction in (None, (8, 8)):
        seen, _, _ = play(envs, 17, [RIGHT, RIGHT, RIGHT, DOWN, UP], instruction)
        assert [o[3] for o in seen] == [0, 0, 0, 0, 18, 0]
        assert seen[4] == [7, 3, 0, 18]


def test_grown_grids_keep_their_shape() -> None:
    for n, horizon in ((5, 10), (7, 15), (9, 20), (21, 50)):
        envs = make("bus", 1, grid_size=n)
        c, last = n // 2, n - 1
        assert envs.horizon == horizon
        assert play(envs, 0, [UP, RIDE])[0][-1] == [0, 1, 1]
        assert play(envs, 0, [DOWN, RIDE])[0][-1] == [last, last - 1, 1]
        assert play(envs, 0, [UP, RIGHT, RIDE])[0][-1] == [0, c, 1]
        assert envs.reset()[0][0].tolist() == [c, c, 0]
        rides = make("map", 1, grid_size=n)
        assert rides.sign == (n - 2, c - 1)  # type: ignore[attr-defined]
        assert (rides.optimal_return(np.arange(4), np.array(rides.corners)) > 0.75).all()  # type: ignore[attr-defined]


# Cooking. Problem 27 = 3 + 4 * 2 + 16 * 1: ingredient 3 in the drawer at (2, 0), 2 at (2, 1), 1 at (2, 2).


def test_cooking_pick_up_and_drop() -> None:
    envs = make("cooking", 1)
    seen, _, _ = play(envs, 27, [RIGHT, PICK_UP, DOWN, PICK_UP, UP, UP, PICK_UP, DROP, NO_OP])
    assert seen[0] == [1, 1, 2, 4, 4, 4, 4]
    assert seen[1] == [2, 1, 3, 4, 4, 4, 4]
    assert [o[3] for o in seen] == [4, 4, 2, 2, 3, 3, 3, 1, 1, 1]  # dropping at a drawer does nothing
    seen, _, _ = play(envs, 27, [RIGHT, PICK_UP, LEFT, LEFT, PICK_UP, DROP, RIGHT, PICK_UP, DROP])
    assert seen[4] == [0, 1, 0, 2, 4, 4, 4] == seen[5] == seen[6]  # nor anywhere else on the floor
    assert seen[8] == [1, 1, 2, 4, 4, 4, 4] == seen[9]  # picking up at the bowl empties the hand: nothing to drop
    fetch = [RIGHT, PICK_UP, LEFT, DROP]
    seen, _, _ = play(envs, 27, [*fetch, RIGHT, UP, PICK_UP, DOWN, LEFT, DROP, *fetch, *fetch])
    assert seen[4] == [1, 1, 2, 4, 2, 4, 4]
    assert seen[10] == [1, 1, 2, 4, 2, 1, 4]
    assert seen[14] == [1, 1, 2, 4, 2, 1, 2]
    assert seen[17][3] == 2 and seen[18] == [1, 1, 2, 4, 2, 1, 2]  # the bowl is full: what is dropped is lost


def test_cooking_rewards_progress() -> None:
    envs = make("cooking", 1)
    actions = [RIGHT, PICK_UP, LEFT, DROP, RIGHT, UP, PICK_UP, DOWN, LEFT, DROP]
    _, rewards, ends = play(envs, 27, actions, (2, 1))
    assert rewards == [-0.1, 0.25, -0.1, 0.25, -0.1, -0.1, 0.25, -0.1, -0.1, 0.25]
    assert ends == [False] * 9 + [True]
    assert envs.optimal_return(np.array([27]), np.array([[2, 1]]))[0] == pytest.approx(sum(rewards)) == 0.4
    _, rewards, ends = play(envs, 0, [RIGHT, PICK_UP, LEFT, DROP] * 2, (0, 0))
    assert rewards == [-0.1, 0.25] * 4 and ends[-1]


def test_cooking_charges_for_mistakes() -> None:
    envs = make("cooking", 1)
    # Looking for 3 first: a wrong pick-up, also where there is nothing to pick up.
    _, rewards, _ = play(envs, 27, [PICK_UP, RIGHT, PICK_UP, PICK_UP, NO_OP, DOWN, PICK_UP], (3, 2))
    assert rewards == [-0.35, -0.1, -0.35, -0.35, -0.1, -0.1, 0.25]
    # Carrying it: another pick-up of the same is a step, taking something else loses it and costs, then start again.
    _, rewards, _ = play(envs, 27, [RIGHT, DOWN, PICK_UP, PICK_UP, UP, PICK_UP, NO_OP, DOWN, PICK_UP], (3, 2))
    assert rewards == [-0.1, -0.1, 0.25, -0.1, -0.1, -0.35, -0.1, -0.1, 0.25]
    # Emptying the hand at the bowl loses it too.
    _, rewards, _ = play(envs, 27, [RIGHT, PICK_UP, LEFT, PICK_UP, DROP], (2, 2))
    assert rewards == [-0.1, 0.25, -0.1, -0.35, -0.1]
    # The second ingredient: the same.
    first = [RIGHT, PICK_UP, LEFT, DROP]
    _, rewards, _ = play(envs, 27, [*first, RIGHT, PICK_UP, UP, PICK_UP, DOWN, PICK_UP, UP, PICK_UP], (2, 1))
    assert rewards[4:] == [-0.1, -0.35, -0.1, 0.25, -0.1, -0.35, -0.1, 0.25]
    # The wrong thing in the bowl: the right one no longer gets to the first place.
    wrong = [RIGHT, PICK_UP, LEFT, DROP, RIGHT, DOWN, PICK_UP, UP, LEFT, DROP]
    seen, rewards, ends = play(envs, 27, wrong, (3, 2))
    assert rewards == [-0.1, -0.35, -0.1, -0.1, -0.1, -0.1, 0.25, -0.1, -0.1, -0.35]
    assert seen[-1] == [1, 1, 2, 4, 2, 3, 4] and not any(ends)


def test_cooking_asks_for_available_ingredients() -> None:
    envs = make("cooking", 4000)
    ids = np.full(4000, 10)  # 2, 2, 0
    recipes = envs.sample_instruction(ids, np.random.default_rng(0))
    assert set(map(tuple, recipes.tolist())) == {(0, 0), (0, 2), (2, 0), (2, 2)}
    assert (recipes == 2).mean() == pytest.approx(2 / 3, abs=0.02)  # drawn by drawer, so 2 twice as often
    assert (recipes == 2).all(axis=1).mean() == pytest.approx(4 / 9, abs=0.03)
    with pytest.raises(
        ValueError, match=r"instruction \[2, 1\] cannot be cooked in problem 10: its drawers hold \[2, 2, 0\]"
    ):
        make("cooking", 1).reset(options={"problem_id": np.array([10]), "instruction": np.array([[2, 1]])})


def test_kitchens_grow() -> None:
    envs = make("cooking", 1, grid_size=5, drawers=7, ingredients=3, recipe=3)
    assert envs.horizon == 50 and envs.problems.num_problems == 3**7
    assert envs.single_observation_space.shape == (8,)
    assert envs.drawers == ((4, 0), (4, 1), (4, 2), (4, 3), (4, 4), (0, 0), (0, 1))  # type: ignore[attr-defined]
    problem = 2 * 3**2 + 1 * 3**5  # 2 in (4, 2), 1 in (0, 0), 0 elsewhere
    seen, rewards, ends = play(envs, problem, ([RIGHT] * 2 + [PICK_UP] + [LEFT] * 2 + [DROP]) * 3, (2, 2, 2))
    assert seen[0] == [2, 2, 2, 3, 3, 3, 3, 3] and seen[-1] == [2, 2, 2, 3, 2, 2, 2, 3]
    assert rewards == [-0.1, -0.1, 0.25] * 6 and ends[-1]
    assert play(envs, problem, [LEFT, LEFT, DOWN, DOWN, PICK_UP])[0][-1][:4] == [0, 0, 3, 1]


def test_signpost() -> None:
    envs = make("signpost", 1)
    for problem in (0, 1):
        seen, _, _ = play(envs, problem, [0, 0, 0, 1, 1, 1])
        assert seen == [[2, 0], [1, 0], [0, 0], [0, 0], [1, 0], [2, 0], [3, 0]]
        assert [o[1] for o in play(envs, problem, [1, 1, 1, 0])[0]] == [0, 0, problem + 1, problem + 1, 0]
        assert not any(o[1] for o in play(envs, problem, [1, 1, 1], (0,))[0])  # never while executing
        for button in (0, 1):
            _, rewards, ends = play(envs, problem, [1, 2 + button], (0,))
            assert rewards == [0, 1 if button == problem else -1] and ends == [False, True]
        assert play(envs, problem, [4], (0,))[1:] == ([0], [True])
    assert envs.horizon == 6 and envs.instruction_space.nvec.tolist() == [1]


def test_a_signpost_with_more_buttons_and_its_sign_elsewhere() -> None:
    envs = make("signpost", 1, buttons=4, distance=0)
    assert envs.action_names == ("left", "right", "press A", "press B", "press C", "press D", "end-episode")
    assert envs.problems.hash != make("signpost", 1).problems.hash
    obs, _ = envs.reset(options={"problem_id": np.array([3]), "phase": "explore"})
    assert obs.tolist() == [[4, 4]]
    for button, rewarded in ((5, 1.0), (4, -1.0)):
        obs, _ = envs.reset(options={"problem_id": np.array([3]), "phase": "execute"})
        assert obs.tolist() == [[4, 0]]
        _, reward, terminated, *_ = envs.step(np.array([button]))
        assert (reward.item(), terminated.item()) == (rewarded, True)
    with pytest.raises(ValueError, match="buttons is 1: give 2 to 26"):
        make("signpost", 1, buttons=1)
    with pytest.raises(ValueError, match="distance is 5: give 0 to 4"):
        make("signpost", 1, distance=5)
