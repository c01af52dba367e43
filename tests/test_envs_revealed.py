"""Which parts of a problem the observations of an episode show, and pictures that hide the others."""

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from dream.envs import MetaEnv, make
from dream.envs.render import Canvas
from dream.spaces import each

LEFT, UP, RIGHT, DOWN, NO_OP, RIDE, END, PICK_UP, DROP = range(9)


def revealed(env: MetaEnv, problem: int, actions: Sequence[int]) -> np.ndarray:
    """(T + 1, P) for an exploration with these actions."""
    obs = [env.reset(seed=0, options={"problem_id": np.array([problem]), "phase": "explore"})[0]]
    obs += [env.step(np.array([action]))[0] for action in actions]
    found = env.revealed(problem, np.stack(obs, 1)[0], np.array(actions), {})
    assert found is not None and found.shape == (len(actions) + 1, len(env.parts()))
    return found


def test_a_ride_in_either_direction_reveals_its_line_only() -> None:
    found = revealed(make("bus", 1), 0, [UP, RIDE, RIDE, RIGHT, NO_OP, RIDE])  # stop A, its end, back, stop E, its end
    assert [np.flatnonzero(row).tolist() for row in found] == [[], [], [0], [0], [], [], [4]]


def test_walking_past_a_stop_or_riding_where_nothing_stops_reveals_nothing() -> None:
    assert not revealed(make("bus", 1), 0, [RIDE, UP, DOWN, LEFT, RIGHT]).any()


def test_the_map_reveals_every_line() -> None:
    env = make("map", 1)
    x, y = env.sign
    ways = [RIGHT] * (x - 4) + [DOWN] * (4 - y)
    found = revealed(env, 7, [*ways, LEFT])
    assert not found[: len(ways)].any() and found[len(ways)].all() and not found[-1].any()


def test_picking_up_at_a_drawer_reveals_it_even_if_the_hand_holds_the_same() -> None:
    env = make("cooking", 1)  # problem 0: tomatoes everywhere
    found = revealed(env, 0, [RIGHT, PICK_UP, UP, PICK_UP, DROP])
    assert found.tolist() == [
        [False, False, False], [False, False, False], [False, True, False], [False, False, False],
        [False, False, True], [False, False, False],
    ]  # fmt: skip


def test_reading_the_sign_of_signpost_reveals_the_button() -> None:
    env = make("signpost", 1)
    assert revealed(env, 1, [1, 1, 0])[:, 0].tolist() == [False, False, True, False]


def test_a_legible_sign_reveals_the_colour_and_without_a_scene_it_is_unknown() -> None:
    env = make("sign", 1)
    obs = np.zeros((3, *env.single_observation_space.shape), np.uint8)
    found = env.revealed(0, obs, np.zeros(2, int), {"sign_pixels": np.array([0.0, 39.0, 5000.0])})
    assert found is not None and found.shape == (3, 1) and not found[0] and found[2]
    assert env.revealed(0, obs, np.zeros(2, int), {}) is None


@pytest.mark.parametrize("family", ["bus", "map", "cooking", "sign", "kitchen", "signpost", "dark-rooms", "fixed-arm"])
def test_a_picture_of_unknown_parts_is_the_same_in_every_problem(family: str) -> None:
    env = make(family, 1)
    unknown, all_known = (np.full(len(env.parts()), value) for value in (False, True))
    obs, _ = env.reset(seed=0, options={"problem_id": np.array([0]), "phase": "explore"})
    scene = {name: array[:1] for name, array in env.scene().items()}
    no_instruction = np.zeros(env.instruction_space.shape, int)

    def picture(problem: int, known: np.ndarray | None) -> np.ndarray:
        drawn = env.draw(problem, "explore", each(lambda part: part[0], obs), no_instruction, scene=scene, known=known)
        return drawn[40:]  # below the line that names the problem

    assert np.array_equal(picture(0, unknown), picture(1, unknown))
    assert not np.array_equal(picture(0, None), picture(1, None))
    assert np.array_equal(picture(1, all_known), picture(1, None))


class Plain(gym.Env[Any, Any]):
    """Three numbers and no picture."""

    observation_space = gym.spaces.MultiDiscrete([5, 3, 2])
    action_space = gym.spaces.Discrete(2)


def test_a_family_without_pictures_names_the_components_of_its_observation(monkeypatch: pytest.MonkeyPatch) -> None:
    from dream.envs import GymnasiumAdapter, split_problems

    env = GymnasiumAdapter(Plain, 1, problems=split_problems("plain", 10), horizon=4)
    written: list[str] = []
    monkeypatch.setattr(Canvas, "text", lambda self, text, *rest, **named: written.append(text))

    def draw() -> list[str]:
        written.clear()
        env.draw(3, "execute", np.array([4, 0, 1]), np.array([0]))
        return written

    assert {"component 0", "component 1", "component 2", "4", "0", "1"} <= set(draw())
    env.observation_names = ("floor", "door", "light")
    assert draw()[-6:] == ["floor", "4", "door", "0", "light", "1"]
