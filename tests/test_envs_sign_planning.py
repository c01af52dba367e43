"""What the bounds of the sign families rest on: ways found by search, and walked in the environment itself."""

import numpy as np
import pytest

from dream.envs import make
from dream.envs.sign.compiled import one_world
from dream.envs.sign.family import SignFamily
from dream.envs.sign.layout import LEGIBLE_PIXELS, VARIANTS, layout_of
from dream.envs.sign.planning import search, sign_pixels


def starts(family: str, variant: str, count: int) -> np.ndarray:
    layout, rng = layout_of(family, variant), np.random.default_rng(0)
    low, high = zip(layout.start_x, layout.start_z, (-np.pi, np.pi), strict=True)
    corners = [(x, z, d) for x in layout.start_x for z in layout.start_z for d in (-3.0, 0.1)]
    return (
        np.concatenate([rng.uniform(low, high, (count, 3)), corners])[:count]
        if count < 8
        else np.concatenate([corners, rng.uniform(low, high, (count - 8, 3))])
    )


def check(family: str, variant: str, count: int) -> tuple[int, int]:
    """Every object is reached from every start in 20 steps, and the sign seen. Returns the most steps of each."""
    worlds, objects = one_world(layout_of(family, variant)), len(layout_of(family, variant).objects)
    farthest = slowest = 0
    for start in starts(family, variant, count):
        found = search(worlds.obstacles, 0, start, 20)
        steps = [found.steps[found.nearest(found.touched == number)] for number in range(objects)]
        assert np.isin(np.arange(objects), found.touched).all() and max(steps) <= 20
        farthest = max(farthest, *steps)
        free = np.flatnonzero((found.touched < 0) & (found.steps <= 13))
        pixels = sign_pixels(worlds, 0, found.pose[free])
        looks = found.steps[free][pixels >= LEGIBLE_PIXELS]
        assert len(looks)
        slowest = max(slowest, looks.min())
    return farthest, slowest


def test_every_object_is_reached_and_the_sign_is_seen_in_time() -> None:
    farthest, slowest = check("sign", "default", 2)
    assert 9 <= farthest <= 13 and slowest <= 7


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("family", ["sign", "sign-ball"])
def test_the_plan_succeeds_for_many_starts_and_all_variants(family: str, variant: str) -> None:
    farthest, slowest = check(family, variant, 16)
    print(f"{family} {variant}: objects in {farthest} steps, sign in {slowest}")


def test_a_planned_path_is_rewarded_by_the_environment() -> None:
    for family in ("sign", "sign-ball"):
        env = make(family, 1)
        assert isinstance(env, SignFamily)
        env.reset(seed=2, options={"problem_id": np.array([1]), "instruction": np.array([[1]])})
        found = search(env.worlds.obstacles, 0, env.pose[0], 13)
        way = found.way(found.nearest(found.touched == 4))  # the red key
        rewards = [float(env.step(np.array([action]))[1][0]) for action in way]
        assert rewards == [0.0] * (len(way) - 1) + [1.0]
        optimal = env.optimal_return(env.problem_id, env.instruction)
        assert optimal.tolist() == [sum(rewards)]
        assert np.allclose(env.pose[0], found.pose[found.nearest(found.touched == 4)])


def test_pixels_of_the_plan_are_those_of_the_environment() -> None:
    env = make("sign", 1)
    assert isinstance(env, SignFamily)
    env.reset(seed=5, options={"problem_id": np.array([2]), "phase": "explore"})
    found = search(env.worlds.obstacles, 0, env.pose[0], 9)
    pixels = sign_pixels(env.worlds, 0, found.pose)
    free = found.touched < 0
    look = int(np.flatnonzero(free & (pixels >= LEGIBLE_PIXELS))[0])
    for action in found.way(look):
        env.step(np.array([action]))
    assert env.sign_pixels()[0] == pytest.approx(pixels[look], abs=8)  # things may stand in the way
    assert look == found.nearest(free & (pixels >= LEGIBLE_PIXELS)) and found.steps[look] == len(found.way(look))


def test_bounds_without_exploration() -> None:
    assert make("sign", 1).no_exploration_return() == 0.0
    assert make("sign-ball", 1).no_exploration_return("test") == pytest.approx(1 / 3)
    short = make("sign", 1, horizon=10)
    with pytest.raises(NotImplementedError, match="known for 20 steps or more"):
        short.optimal_return(np.array([0]), np.array([[1]]))
    with pytest.raises(ValueError, match="unknown split"):
        short.no_exploration_return("tests")
    with pytest.raises(ValueError, match="colour is 3"):
        sign_pixels(one_world(layout_of("sign", "default")), 0, np.zeros((1, 3)), colour=3)
