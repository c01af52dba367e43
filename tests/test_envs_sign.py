"""The families sign and sign-ball on the fast backend: rules, starts, endings, variants, and what is said of them."""

import math
from typing import Any

import numpy as np
import pytest

from dream.envs import make
from dream.envs.sign.family import END, FORWARD, LEFT, RIGHT, SignFamily
from dream.envs.sign.fast import NEAR, FastBackend
from dream.envs.sign.layout import COLOURS, LAYOUTS, VARIANTS, layout_of
from dream.envs.world3d.motion import AGENT_RADIUS


def sign(name: str = "sign", num_envs: int = 1, **parameters: Any) -> SignFamily:
    env = make(name, num_envs, **parameters)
    assert isinstance(env, SignFamily)
    return env


def walk_to(env: SignFamily, number: int, phase: str = "execute") -> tuple[float, bool, int]:
    """Put the agent two steps before an object, looking at it, and go: reward, ended, steps."""
    backend = env.backend
    x, z = backend.worlds.obstacles.things[0, number]
    distance = backend.radii[number] + AGENT_RADIUS + NEAR + 0.7 + 0.1
    # From the middle of the upper room, where nothing is in the way.
    to_x, to_z = (6.0 - x, 3.0 - z) if number < 5 else (3.0 - x, 9.5 - z) if number < 8 else (7.0 - x, 10.0 - z)
    length = math.hypot(to_x, to_z)
    backend.pose[0] = x + to_x / length * distance, z + to_z / length * distance, math.atan2(to_z, -to_x)
    for step in range(1, 4):
        _, reward, terminated, _, _ = env.step(np.array([FORWARD]))
        if terminated[0]:
            return float(reward[0]), True, step
    return float(reward[0]), False, 3


@pytest.mark.parametrize(("name", "wrong"), [("sign", -1.0), ("sign-ball", 0.0)])
def test_touching_an_object_ends_the_episode_with_a_reward(name: str, wrong: float) -> None:
    env = sign(name)
    kinds = env.kinds
    assert kinds == (("box", "key") if name == "sign" else ("box", "key", "ball"))
    for number in range(len(env.layouts[0].objects)):
        kind, colour = divmod(number, 3)
        for problem, instruction in ((colour, kind), ((colour + 1) % 3, kind), (colour, (kind + 1) % len(kinds))):
            env.reset(options={"problem_id": np.array([problem]), "instruction": np.array([[instruction]])})
            right = (problem, instruction) == (colour, kind)
            assert walk_to(env, number) == (1.0 if right else wrong, True, 2)


def test_touching_while_exploring_ends_the_episode_without_reward() -> None:
    env = sign()
    env.reset(options={"problem_id": np.array([0]), "phase": "explore"})
    assert walk_to(env, 0) == (0.0, True, 2)


def test_the_end_action_steps_back_first_and_may_touch() -> None:
    env = sign(num_envs=2)
    env.reset(seed=0, options={"problem_id": np.array([2, 2]), "instruction": np.array([[0], [0]])})
    x, z = env.backend.worlds.obstacles.things[0, 2]  # the green box, behind the first agent's back
    distance = env.backend.radii[2] + AGENT_RADIUS + NEAR
    env.backend.pose[:] = [[x - distance - 0.3, z, math.pi], [5, 5, 0]]
    _, reward, terminated, truncated, _ = env.step(np.array([END, END]))
    assert terminated.all() and not truncated.any() and reward.tolist() == [1.0, 0.0]
    assert np.allclose(env.pose[1], [4.3, 5, 0])


def test_a_touch_with_the_last_step_still_counts() -> None:
    env = sign()
    env.reset(seed=0, options={"problem_id": np.array([0]), "instruction": np.array([[0]])})
    for _ in range(18):
        env.step(np.array([LEFT]))
    assert walk_to(env, 0) == (1.0, True, 2)
    assert env.elapsed.max() == env.horizon == 20


def test_episodes_start_in_the_start_region() -> None:
    for variant in ("default", "start"):
        env = sign(num_envs=300, variant=variant)
        first, _ = env.reset(seed=1)
        poses = env.pose
        (low_x, high_x), (low_z, high_z) = env.layouts[0].start_x, env.layouts[0].start_z
        assert (poses.min(axis=0) >= [low_x, low_z, -math.pi]).all()
        assert (poses.max(axis=0) <= [high_x, high_z, math.pi]).all()
        assert (np.ptp(poses, axis=0) > 0.9 * np.array([high_x - low_x, high_z - low_z, 2 * math.pi])).all()
        again, _ = env.reset()
        assert not (env.pose == poses).any() and (again != first).any()
        # Nothing is touched at once, by turning or by a blocked step.
        assert not env.step(np.full(300, LEFT))[2].any() and not env.step(np.full(300, RIGHT))[2].any()


def test_the_sign_is_behind_the_barrier_and_can_be_looked_at() -> None:
    env = sign(num_envs=200)
    env.reset(seed=0)
    assert (env.sign_pixels() == 0).mean() > 0.8
    env.backend.pose[:] = [8.0, 9.5, 0.0]
    obs, *_ = env.step(np.full(200, LEFT))
    env.backend.pose[:] = [7.0, 10.25, -math.pi / 4]
    obs, *_ = env.step(np.full(200, LEFT))
    assert (env.sign_pixels() > 300).all()
    words = [obs[env.problem_id == colour][0] for colour in range(3)]
    assert (words[0] != words[1]).any() and (words[1] != words[2]).any() and (words[0] != words[2]).any()


def test_the_problem_is_seen_nowhere_but_on_the_sign() -> None:
    frames, unseen = [], np.ones(50, bool)
    for problem in range(3):
        env = sign(num_envs=50)
        env.reset(seed=4, options={"problem_id": np.full(50, problem), "phase": "explore"})
        for _ in range(3):
            env.step(np.full(50, FORWARD))
        obs, *_ = env.step(np.full(50, LEFT))
        frames.append(obs)
        unseen &= env.sign_pixels() == 0
    first, second, third = (each[unseen] for each in frames)
    assert unseen.sum() > 20 and (first == second).all() and (first == third).all()


@pytest.mark.parametrize("variant", VARIANTS[1:])
def test_variants_change_what_they_name(variant: str) -> None:
    usual, other = sign(num_envs=20), sign(num_envs=20, variant=variant)
    assert usual.problems.hash != other.problems.hash
    frames = []
    for env in (usual, other):
        env.reset(seed=0, options={"problem_id": np.arange(20) % 3, "phase": "explore"})
        if variant != "start":
            env.backend.pose[:] = [7.0, 10.25, -math.pi / 4]
            frames.append(env.step(np.full(20, LEFT))[0])
            assert (env.sign_pixels() > 100).all()
    if variant != "start":
        assert (frames[0] != frames[1]).any(axis=(1, 2, 3)).all()


def test_layouts_are_the_papers() -> None:
    assert [where for _, _, *where in LAYOUTS["sign"].objects] == [[1, 1], [9, 1], [9, 5], [5, 1], [1, 5], [1, 9]]
    assert [colour for _, colour, *_ in LAYOUTS["sign-ball"].objects] == list(COLOURS) * 3
    assert layout_of("sign", "default") == LAYOUTS["sign"]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"variant": "dark"}, "unknown variant 'dark': choose one of default, sign-left"),
        ({"backend": "gpu"}, "unknown backend 'gpu': choose one of fast, miniworld"),
        ({"threads": 0}, "threads is 0: give at least 1"),
        ({"num_envs": 0}, "num_envs is 0"),
        ({"horizon": 0}, "horizon is 0"),
    ],
)
def test_nonsense_is_refused(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sign(**parameters)


def test_the_backend_refuses_nonsense() -> None:
    backend = FastBackend(2, LAYOUTS["sign"])
    good = {"colour": np.array([0, 1]), "pose": np.zeros((2, 3)), "yaw": np.zeros((2, 6))}
    for change, message in (
        ({"colour": np.array([0, 3])}, "colour holds 0 to 3: give 0 to 2"),
        ({"pose": np.zeros((2, 2))}, r"pose has shape \(2, 2\): give \(2, 3\)"),
        ({"yaw": np.zeros((2, 9))}, r"yaw has shape \(2, 9\): give \(2, 6\)"),
    ):
        with pytest.raises(ValueError, match=message):
            backend.reset(**{**good, **change})  # type: ignore[arg-type]
