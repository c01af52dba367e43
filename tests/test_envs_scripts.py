"""Experts earn exactly the optimal return, and re-plan when surprised; scripted explorers find out all that matters."""

from itertools import product

import numpy as np
import pytest

from dream.envs import Expert, MetaEnv, consistent_problems, make
from dream.envs.bus.scripts import BusExpert
from dream.envs.sign.scripts import SignExplorer

LEFT, UP, RIGHT, DOWN, NO_OP, RIDE, END, PICK_UP, DROP = range(9)
GRIDS = ("bus", "map", "cooking", "signpost")


def every_instruction(env: MetaEnv) -> tuple[np.ndarray, np.ndarray]:
    """All problems with all instructions that they can give, (N,) and (N, I)."""
    instructions = np.array(list(product(*map(range, env.instruction_space.nvec.tolist()))))
    problem_id = np.repeat(np.arange(env.problems.num_problems), len(instructions))
    instruction = np.tile(instructions, (env.problems.num_problems, 1))
    possible = env.instruction_probability(problem_id, instruction) > 0
    return problem_id[possible], instruction[possible]


def played(env: MetaEnv, script: Expert, **options: object) -> tuple[np.ndarray, ...]:
    """obs (B, T + 1, ...), action (B, T), mask (B, T) and return (B,) of one episode."""
    obs = [env.reset(seed=0, options=options)[0]]
    actions, masks, total = [], [], np.zeros(env.num_envs)
    for _ in range(env.horizon):
        actions.append(script.act(obs[-1]))
        now, reward, _, _, info = env.step(actions[-1])
        obs.append(now)
        masks.append(info["active"])
        total += reward
    return np.stack(obs, 1), np.stack(actions, 1), np.stack(masks, 1), total


@pytest.mark.parametrize(
    ("family", "parameters"),
    [
        *((family, {}) for family in GRIDS),
        ("map", {"grid_size": 7}),
        ("bus", {"horizon": 2}),
        ("cooking", {"horizon": 9}),
        ("cooking", {"grid_size": 4, "drawers": 4, "ingredients": 2, "recipe": 3}),
    ],
)
def test_an_expert_in_its_own_problem_is_optimal(family: str, parameters: dict[str, int]) -> None:
    problem_id, instruction = every_instruction(make(family, 1, **parameters))
    env = make(family, len(problem_id), **parameters)
    expert = env.expert(problem_id, instruction)
    *_, returns = played(env, expert, problem_id=problem_id, phase="execute", instruction=instruction)
    assert returns == pytest.approx(env.optimal_return(problem_id, instruction), abs=1e-5)


@pytest.mark.parametrize("family", GRIDS)
def test_an_expert_ends_an_exploration_where_an_execution_would_have_ended(family: str) -> None:
    problem_id, instruction = every_instruction(make(family, 1))
    env = make(family, len(problem_id))
    lengths = []
    for phase in ("explore", "execute"):
        options = {"instruction": instruction} if phase == "execute" else {}
        script = env.expert(problem_id, instruction)
        *_, mask, _ = played(env, script, problem_id=problem_id, phase=phase, **options)
        lengths.append(mask.sum(axis=1))
    assert (lengths[0] == lengths[1] + 1).all()  # the end itself is a step


def actions_of(family: str, believed: int, true: int, instruction: tuple[int, ...]) -> tuple[list[int], float]:
    env = make(family, 1)
    goals = np.array([instruction])
    expert = env.expert(np.array([believed]), goals)
    _, action, mask, returns = played(env, expert, problem_id=np.array([true]), phase="execute", instruction=goals)
    return action[mask].tolist(), float(returns[0])


def test_the_expert_replans_after_an_unexpected_ride() -> None:
    """Order 0 leads A to (0, 1), B to (0, 7), C to (8, 1), D to (8, 7); order 6 exchanges A and B."""
    assert actions_of("map", 0, 0, (0, 0)) == ([UP, RIDE, DOWN], pytest.approx(0.8))
    # Out at (0, 7) where B was thought to end: nothing is known to stop there but A, so it walks, 7 steps.
    assert actions_of("map", 0, 6, (0, 0)) == ([UP, RIDE, *[DOWN] * 7], pytest.approx(0.2))
    # Order 21 exchanges A and D. From (8, 7) it is 15 steps on foot, 10 with the ride back.
    taken, returns = actions_of("map", 0, 21, (0, 0))
    assert taken[:3] == [UP, RIDE, RIDE] and sorted(taken[3:]) == [*[LEFT] * 4, *[DOWN] * 5]
    assert returns == pytest.approx(-0.1)


def test_the_expert_remembers_an_unexpected_drawer() -> None:
    """Kitchen 1 has ingredient 1 in the first drawer, (2, 0), and 0 in the others; kitchen 0 has 0 in all."""
    # No drawer is believed to hold 1: the nearest is opened, then the next.
    look = [RIGHT, PICK_UP, DOWN, PICK_UP, LEFT, UP, DROP]
    taken, returns = actions_of("cooking", 0, 1, (1, 0))
    assert taken == [*look, RIGHT, PICK_UP, LEFT, DROP]
    assert returns == pytest.approx(4 * 0.25 - 7 * 0.1 - 0.25)
    # Kitchen 4 has its 1 in the middle one, where kitchen 1 has 0: tried in (2, 0) first, then found.
    taken, returns = actions_of("cooking", 1, 4, (1, 1))
    assert taken[:5] == [RIGHT, DOWN, PICK_UP, UP, PICK_UP]
    assert taken[5:] == [LEFT, DROP, RIGHT, PICK_UP, LEFT, DROP]
    assert returns == pytest.approx(4 * 0.25 - 7 * 0.1 - 0.25)


def test_of_two_equally_near_drawers_the_expert_takes_the_one_nearer_to_the_bowl() -> None:
    """Drawers at (6, 0) to (6, 4), bowl at (3, 3): 1 is thought to be in the first, third and fifth, is in the fifth.

    Surprised at (6, 2), it has two steps to the first and to the last, then 6 or 4 to the bowl.
    """
    env = make("cooking", 1, grid_size=7, drawers=5, ingredients=2, recipe=1)
    expert = env.expert(np.array([0b10101]), np.array([[1]]))
    options = {"problem_id": np.array([0b10000]), "phase": "execute", "instruction": np.array([[1]])}
    _, action, mask, returns = played(env, expert, **options)
    taken = action[mask].tolist()
    assert taken == [*[RIGHT] * 3, DOWN, PICK_UP, UP, UP, PICK_UP, *[LEFT] * 3, DOWN, DROP]
    assert returns[0] == pytest.approx(2 * 0.25 - 11 * 0.1 - 0.25)


def test_a_recipe_that_cannot_be_cooked_is_given_up_when_all_drawers_are_open() -> None:
    env = make("cooking", 1)
    expert = env.expert(np.array([63]), np.array([[3, 3]]))  # 3 in all drawers; in truth 0 in all
    _, action, mask, _ = played(env, expert, problem_id=np.array([0]), phase="explore")
    taken = action[mask].tolist()
    assert taken.count(PICK_UP) == 3 and taken[-1] == END and len(taken) == 8


def test_members_of_an_expert_do_not_affect_each_other() -> None:
    env, single = make("bus", 64), make("bus", 1)
    rng = np.random.default_rng(0)
    true, believed = rng.integers(576, size=(2, 64))
    goals = env.sample_instruction(true, rng)
    options = {"phase": "execute", "instruction": goals, "problem_id": true}
    _, action, mask, _ = played(env, env.expert(believed, goals), **options)
    for i in range(0, 64, 8):
        alone = {"phase": "execute", "instruction": goals[i : i + 1], "problem_id": true[i : i + 1]}
        _, own, inside, _ = played(single, single.expert(believed[i : i + 1], goals[i : i + 1]), **alone)
        assert own[inside].tolist() == action[i][mask[i]].tolist()


def test_the_belief_of_a_bus_expert_stays_a_permutation() -> None:
    env = make("bus", 500)
    true, believed = np.random.default_rng(0).integers(576, size=(2, 500))
    goals = env.sample_instruction(true, np.random.default_rng(1))
    expert = env.expert(believed, goals)
    assert isinstance(expert, BusExpert)
    before = expert.believed_rides.copy()
    played(env, expert, problem_id=true, phase="execute", instruction=goals)
    assert (before != expert.believed_rides).any(axis=1).mean() > 0.5  # most were surprised
    assert (
        np.take_along_axis(expert.believed_rides, expert.believed_rides, axis=1) == np.arange(81)
    ).all()  # there and back again


def test_experts_refuse_problems_that_do_not_exist() -> None:
    for family in (*GRIDS, "sign"):
        env = make(family, 1)
        with pytest.raises(ValueError, match="problem_id 9999 does not exist"):
            env.expert(np.array([9999]), np.zeros((1, len(env.instruction_space.nvec)), np.int64))


@pytest.mark.parametrize(
    ("family", "parameters", "steps"),
    [
        ("bus", {}, 11),  # to A, ride, back, two steps to the next: 3 rides, 2 of them back, and the end
        ("map", {}, 5),
        ("cooking", {}, 8),
        ("signpost", {}, 3),
        ("bus", {"grid_size": 13}, 11),
        ("cooking", {"grid_size": 5, "drawers": 4, "ingredients": 3}, None),
    ],
)
def test_a_scripted_explorer_leaves_nothing_relevant_open(
    family: str, parameters: dict[str, int], steps: int | None
) -> None:
    count = make(family, 1, **parameters).problems.num_problems
    env = make(family, count, **parameters)
    obs, action, mask, _ = played(env, env.scripted_explorer(count), problem_id=np.arange(count), phase="explore")
    assert steps is None or (mask.sum(axis=1) == steps).all()
    assert (action[np.arange(count), mask.sum(axis=1) - 1] == env.end_action).all()
    agrees = consistent_problems(env, obs, action, mask)
    assert agrees[np.arange(count), np.arange(count)].all()
    for part in env.parts():
        same = part.labels[:, None] == part.labels
        if part.relevant:
            assert not (agrees & ~same).any()
        else:
            assert (agrees & ~same).any()  # a search for the relevant lines leaves others unknown


@pytest.mark.parametrize("family", ["sign", "sign-ball"])
def test_sign_is_explored_and_executed_by_plan(family: str) -> None:
    env = make(family, 6)
    problem_id, instruction = np.arange(6) % 3, np.arange(6)[:, None] % len(env.kinds)  # type: ignore[attr-defined]
    expert = env.expert(problem_id, instruction)
    *_, returns = played(env, expert, problem_id=problem_id, phase="execute", instruction=instruction)
    assert returns.tolist() == [1.0] * 6
    # Believing in another colour, it touches the wrong object.
    wrong = env.expert((problem_id + 1) % 3, instruction)
    *_, returns = played(env, wrong, problem_id=problem_id, phase="execute", instruction=instruction)
    assert returns.tolist() == [-1.0 if family == "sign" else 0.0] * 6


def test_the_explorer_of_sign_sees_the_sign_last_and_as_large_as_asked() -> None:
    env = make("sign", 4)
    for enough in (30.0, 120.0):
        explorer = SignExplorer(env, enough)  # type: ignore[arg-type]
        now, _ = env.reset(seed=3, options={"problem_id": np.arange(4) % 3, "phase": "explore"})
        pixels, length = [env.sign_pixels()], np.zeros(4, np.int64)  # type: ignore[attr-defined]
        for _ in range(env.horizon):
            now, *_, info = env.step(explorer.act(now))
            length += info["active"]
            pixels.append(env.sign_pixels())  # type: ignore[attr-defined]
        seen = np.stack(pixels, 1)
        looked = seen[np.arange(4), length - 1]  # before the end, which steps back
        assert (looked > enough - 8).all()  # objects may stand in the way, which the plan leaves out
        assert all((row[: steps - 1] < enough).all() for row, steps in zip(seen, length, strict=True))
    assert isinstance(env.scripted_explorer(4), SignExplorer)
    with pytest.raises(ValueError, match="for the 4 members"):
        env.scripted_explorer(5)
