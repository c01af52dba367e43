"""Random actions of any space, and actions in words."""

import gymnasium as gym
import numpy as np
import pytest

from dream.envs import make
from dream.spaces import action_name, number_space, random_actions, random_values

SPACES = [gym.spaces.Discrete(4), gym.spaces.MultiDiscrete([2, 5]), number_space([-1, 0], [1, 3], (2,))]


@pytest.mark.parametrize("space", SPACES)
def test_random_values_fill_their_space(space: gym.Space) -> None:  # type: ignore[type-arg]
    values = random_values(space, np.random.default_rng(0), 300, 5)
    assert values.shape == (300, 5, *space.shape) and all(value in space for value in values.reshape(-1, *space.shape))
    flat = values.reshape(-1, *space.shape)
    low, high = {4: (0, 3), 2: ([0, 0], [1, 4])}.get(int(getattr(space, "n", 0)), ([-1, 0], [1, 3]))
    if isinstance(space, gym.spaces.MultiDiscrete):
        low, high = [0, 0], [1, 4]
    assert flat.min(axis=0) == pytest.approx(low, abs=0.02) and flat.max(axis=0) == pytest.approx(high, abs=0.02)


def test_random_actions_without_the_end_action() -> None:
    actions = random_actions(SPACES[0], np.random.default_rng(0), 1000, without=3)
    assert set(actions.tolist()) == {0, 1, 2}
    assert set(random_actions(SPACES[0], np.random.default_rng(0), 1000).tolist()) == {0, 1, 2, 3}


def test_actions_in_words() -> None:
    assert action_name(SPACES[0], "abcd", 2) == "c"
    assert action_name(SPACES[1], ("gear", "speed"), np.array([1, 4])) == "gear 1, speed 4"
    assert action_name(SPACES[2], ("x", "y"), np.array([-0.001, 2.5])) == "x +0.00, y +2.50"


def test_a_family_without_words_of_its_own_counts_its_actions(monkeypatch: pytest.MonkeyPatch) -> None:
    env = make("point-goals", 1)
    monkeypatch.delattr(type(env), "tell")
    actions = np.array([(0.5, 1), (0.5, 1), (-1, 0)], np.float32)
    assert env.tell(0, np.zeros((4, 3)), actions) == ["x +0.50, y +1.00 2 times", "x -1.00, y +0.00"]


def test_the_picture_of_a_family_without_one_shows_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    from dream.envs.render import Canvas

    written: list[str] = []
    monkeypatch.setattr(Canvas, "text", lambda self, text, *rest, **named: written.append(text))
    env = make("point-goals", 1)
    monkeypatch.setattr(type(env), "picture", "dream.envs.default_picture:picture_of_observation")
    env.draw(0, "explore", np.array([0.5, -0.25, 0], np.float32), np.array([0]))
    assert written[-6:] == ["x", "0.50", "y", "-0.25", "signal", "0.00"]
