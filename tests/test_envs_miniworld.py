"""The real MiniWorld: nothing leaks between members, nothing differs from MiniWorld alone, nothing is left behind.

What is expected comes from `MiniWorld-Sign-v0` as gymnasium makes it, each in a process that makes no other.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dream.envs import make
from dream.envs.sign.fast import FastBackend
from dream.envs.sign.layout import LAYOUTS, VARIANTS, WORDS, SignLayout, layout_of
from dream.envs.sign.miniworld_backend import PACKAGES, MiniworldBackend
from dream.errors import UserError

COLOURS = 3

PLAIN = """
import os, sys, json
os.environ["LP_NUM_THREADS"] = "0"
import pyglet
pyglet.options["headless"], pyglet.options["debug_gl"] = True, False
import gymnasium, miniworld, numpy as np

def make(colour):
    return gymnasium.make("MiniWorld-Sign-v0", color_index=colour).unwrapped

def start(env, seed, shape=0):
    "First frame, pose and yaws of an episode."
    env._goal = shape
    frame = env.reset(seed=seed)[0]["obs"]
    return frame, pose(env), [thing.dir for kind in env._objects for thing in kind]

def pose(env):
    return [env.agent.pos[0], env.agent.pos[2], env.agent.dir]

def face_the_sign(env):
    env.agent.pos, env.agent.dir = np.array([8.0, 0.0, 9.0]), 0.0
    return env.render_obs()
"""
"""MiniWorld alone, used as documented: the beginning of the scripts below."""

EPISODES = """
colour, count, path = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
env, rng, rows = make(colour), np.random.default_rng(colour), []
for seed in range(count):
    shape = seed % 2
    frame, at, yaw = start(env, seed, shape)
    actions = rng.choice(4, size=20, p=[0.15, 0.15, 0.68, 0.02])
    frames, poses, rewards, ended = [frame], [at], [], []
    for action in actions:
        state, reward, terminated, truncated, _ = env.step(action)
        frames.append(state["obs"]), poses.append(pose(env)), rewards.append(reward), ended.append(terminated)
        if terminated or truncated:
            break
    pad = 20 - len(rewards)
    rows.append((shape, yaw, actions, len(rewards), frames + [frames[-1]] * pad, poses + [poses[-1]] * pad,
                 rewards + [0] * pad, ended + [False] * pad))
names = ("shape", "yaw", "actions", "length", "frames", "poses", "rewards", "ended")
columns = {name: np.array(column) for name, column in zip(names, zip(*rows))}
np.savez(path, **columns, colour=[colour] * count, facing=[face_the_sign(env)])
"""
"""Random episodes of one colour and a look at its sign, written to a file: arguments colour, how many, path."""

NAIVE = """
first, second = make(0), make(2)
start(first, 0), start(second, 1)
np.save(sys.argv[1], face_the_sign(first))
"""
"""The mistake to avoid: a BLUE and a GREEN world in one process. Writes what BLUE shows before its sign."""

BEFORE_THE_SIGN = (8.0, 9.0, 0.0)
"""As in `face_the_sign`. No object is in view, so their directions do not matter."""


def run_plain(script: str, *arguments: object) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PLAIN + script, *map(str, arguments)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def pair() -> Iterator[MiniworldBackend]:
    """Two members of one worker. Skips where there is no MiniWorld or no OpenGL."""
    try:
        backend = MiniworldBackend(2, workers=1)
    except UserError as error:
        pytest.skip(str(error))
    with backend:
        yield backend


@pytest.fixture(scope="module")
def crowded(pair: MiniworldBackend) -> Iterator[MiniworldBackend]:
    """Nine objects, three of them close together, another wall and the sign elsewhere; nine members of one worker."""
    objects = (
        *(("box", "blue", 7, 5), ("box", "red", 9, 1), ("box", "green", 9, 5)),
        *(("key", "blue", 5, 1), ("key", "red", 7, 4.4), ("key", "green", 1, 9)),
        *(("ball", "blue", 1, 1), ("ball", "red", 7, 5.6), ("ball", "green", 1, 5)),
    )
    layout = SignLayout(objects, sign=(10, 1.35, 8, np.pi), wall_texture="brick_wall")
    with MiniworldBackend(9, layout, workers=1) as backend:
        yield backend


def plain_episodes(count: int, folder: Path) -> dict[str, np.ndarray]:
    """`count` episodes of each colour played by MiniWorld alone, one process a colour."""
    files = [folder / f"{colour}.npz" for colour in range(COLOURS)]
    for colour, file in enumerate(files):
        run_plain(EPISODES, colour, count, file)
    parts = [dict(np.load(file)) for file in files]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


@pytest.fixture(scope="module")
def episodes(pair: MiniworldBackend, tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    """A few dozen of them."""
    return plain_episodes(12, tmp_path_factory.mktemp("plain"))


def replay(backend: MiniworldBackend, episodes: dict[str, np.ndarray], order: np.ndarray) -> dict[str, np.ndarray]:
    """The same episodes from the backend, all side by side, the members in this order."""
    given = {name: column[order] for name, column in episodes.items() if name != "facing"}
    frames = [backend.reset(given["colour"], given["poses"][:, 0], given["yaw"], shape=given["shape"])]
    poses, rewards, ended, touched = [given["poses"][:, 0]], [], [], []
    for t in range(20):
        result = backend.step(given["actions"][:, t], t < given["length"])
        frames.append(result.frames)
        poses.append(result.pose)
        rewards.append(result.reward)
        ended.append(result.ended)
        touched.append(result.touched)
    columns = {"frames": frames, "poses": poses, "rewards": rewards, "ended": ended, "touched": touched}
    return {name: np.stack(column, axis=1)[np.argsort(order)] for name, column in columns.items()}


def test_every_frame_pose_reward_and_end_is_that_of_miniworld_alone(episodes: dict[str, np.ndarray]) -> None:
    count = len(episodes["colour"])
    order = np.random.default_rng(0).permutation(count)  # so that neighbours differ in colour
    with MiniworldBackend(count, workers=2) as backend:
        got = replay(backend, episodes, order)
    assert (got["frames"] == episodes["frames"]).all()  # bit for bit
    assert (got["poses"] == episodes["poses"]).all()
    assert (got["rewards"] == episodes["rewards"]).all()
    assert (got["ended"] == episodes["ended"]).all()
    assert {-1, 1} <= set(np.unique(got["rewards"])), "no episode touched anything: the test shows nothing"
    assert 0 < (episodes["length"] == 20).sum() < count
    # What is touched decides the reward: kind by kind, blue, red, green.
    touched, colour, shape = got["touched"], episodes["colour"][:, None], episodes["shape"][:, None]
    right = (touched % COLOURS == colour) & (touched // COLOURS == shape)
    assert (got["rewards"] == np.where(touched < 0, 0, np.where(right, 1, -1))).all()


def test_no_problem_shows_the_sign_of_another(
    pair: MiniworldBackend, episodes: dict[str, np.ndarray], tmp_path: Path
) -> None:
    """Two MiniWorld environments in one process share their display list; two members of one worker do not."""
    alone = episodes["facing"]
    assert (alone[0] != alone[1]).any() and (alone[0] != alone[2]).any() and (alone[1] != alone[2]).any()
    run_plain(NAIVE, tmp_path / "naive.npy")
    assert (np.load(tmp_path / "naive.npy") == alone[2]).all()  # the sign of the BLUE world says GREEN, to the last bit
    pose = np.tile(BEFORE_THE_SIGN, (2, 1))
    for colour in ([0, 2], [2, 1], [1, 1], [1, 0]):
        frames = pair.reset(np.array(colour), pose, np.zeros((2, 6)))
        assert (frames == alone[colour]).all()
        for _ in range(8):  # once round, so that each was shown after the other
            frames = pair.step(np.zeros(2, np.int64)).frames
        assert np.abs(frames - alone[colour].astype(int)).max() <= 1  # a full turn is not exact


def test_of_several_near_objects_the_one_that_miniworld_rewards_is_touched(crowded: MiniworldBackend) -> None:
    colour, shape = np.tile(np.arange(3), 3), np.repeat(np.arange(3), 3)
    crowded.reset(colour, np.tile([4.5, 5.0, 0.0], (9, 1)), np.zeros((9, 9)), shape=shape)
    first = crowded.step(np.full(9, 2))
    assert first.touched.tolist() == [4] * 9 and first.ended.all()  # the red key, which is large
    assert first.reward.tolist() == [-1] * 4 + [1] + [-1] * 4
    second = crowded.step(np.full(9, 2))
    assert second.touched.tolist() == [7] * 9  # box, key and ball are near now: the red ball comes last
    assert second.reward.tolist() == [-1] * 7 + [1] + [-1]


def test_the_layout_moves_the_sign_and_papers_the_walls(pair: MiniworldBackend, crowded: MiniworldBackend) -> None:
    here = np.array([[6.5, 8.0, 0.0]])  # no object in view
    usual, other = (
        backend.reset(np.zeros(len(pose), int), pose, np.zeros((len(pose), objects)))[0].astype(int)
        for backend, pose, objects in ((pair, here.repeat(2, 0), 6), (crowded, here.repeat(9, 0), 9))
    )
    white = [np.flatnonzero((frame[20:36].min(axis=2) > 150).any(axis=0)) for frame in (usual, other)]
    assert white[0][0] > 40 and white[0][-1] == 79  # the sign reaches beyond the right edge
    assert white[1][0] < 25 and white[1][-1] < 75
    papered = np.abs(usual - other).max(axis=2) > 20
    assert 0.2 < papered.mean() < 0.7
    assert not papered[:4, 35:45].any() and not papered[-5:, 35:45].any()  # ceiling and floor


def start(backend: MiniworldBackend) -> np.ndarray:
    many = backend.num_envs
    pose = np.tile([4.5, 5.0, 0.0], (many, 1))
    return backend.reset(np.arange(many) % COLOURS, pose, np.zeros((many, len(backend.layout.objects))))


def test_members_that_are_not_active_stand_still(pair: MiniworldBackend) -> None:
    before = start(pair)
    result = pair.step(np.array([2, 2]), np.array([True, False]))
    assert result.frames.shape == (2, 60, 80, 3) and result.frames.dtype == np.uint8
    assert (result.frames[1] == before[1]).all() and (result.frames[0] != before[0]).any()
    assert result.pose.tolist() == [[5.2, 5.0, 0.0], [4.5, 5.0, 0.0]]
    result = pair.step(np.array([3, 3]), np.array([True, False]))
    assert result.ended.tolist() == [True, False]
    assert result.pose[0].tolist() == [4.5, 5.0, 0.0]  # MiniWorld's end is also a step back
    assert result.touched.tolist() == [-1, -1] and result.reward.tolist() == [0, 0]


def test_every_member_may_have_its_sign_elsewhere(pair: MiniworldBackend, episodes: dict[str, np.ndarray]) -> None:
    """A sign a metre further along the wall is seen from a metre further as the usual one is from here."""
    pose, yaw, colour = np.tile(BEFORE_THE_SIGN, (2, 1)), np.zeros((2, 6)), np.array([1, 1])
    sign = np.array([(10, 1.35, 9.25, np.pi), pair.layout.sign])
    moved = pair.reset(colour, pose, yaw, sign=sign)
    assert (moved[1] == episodes["facing"][1]).all() and (moved[0] != moved[1]).any()
    nearer = pair.reset(colour, pose - [[0, 1, 0], [0, 0, 0]], yaw, sign=np.array([sign[0], sign[0]]))
    assert (nearer[1] == moved[0]).all()
    white = [(frame[20:40].min(axis=2) > 150).mean() for frame in (nearer[0], moved[1])]
    assert abs(white[0] - white[1]) < 0.02 and white[0] > 0.2
    assert (pair.reset(colour, pose, yaw) == episodes["facing"][[1, 1]]).all()


def test_layouts_that_do_not_fit_are_refused(pair: MiniworldBackend) -> None:
    start(pair)
    pose, yaw = np.zeros((2, 3)), np.zeros((2, 6))
    for arguments, message in (
        ((np.array([0, 3]), pose, yaw), "colour holds 0 to 3: give values from 0 to 2"),
        ((np.array([0.0, 1.0]), pose, yaw), "colour is float64 of shape"),
        ((np.array([0, 1]), pose[:1], yaw), r"pose has shape \(1, 3\)"),
        ((np.array([0, 1]), pose, yaw * np.nan), "yaw has shape .* give finite numbers"),
        ((np.array([0, 1]), pose, yaw, np.array([0, 2])), "starts is int64 of shape .* give 2 booleans"),
    ):
        with pytest.raises(ValueError, match=message):
            pair.reset(*arguments)
    with pytest.raises(ValueError, match="shape holds 0 to 2: give values from 0 to 1"):
        pair.reset(np.array([0, 1]), pose, yaw, shape=np.array([0, 2]))
    with pytest.raises(ValueError, match="actions holds -1 to 0"):
        pair.step(np.array([-1, 0]))
    with pytest.raises(ValueError, match="give 2 booleans"):
        pair.step(np.array([0, 0]), np.array([1, 0]))
    assert len(start(pair)) == 2  # and it goes on


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_envs": 0}, "num_envs is 0"),
        ({"num_envs": 1, "workers": 0}, "workers is 0"),
        ({"num_envs": 1, "layout": "sing"}, "unknown layout 'sing'"),
    ],
)
def test_a_bad_argument_starts_nothing(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MiniworldBackend(**arguments)


# The fast twin


def starts(
    layout: SignLayout, count: int, rng: np.random.Generator, anywhere: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Colour (count,), pose (count, 3), yaw (count, K), kind (count,), where episodes begin, or anywhere at all."""
    colour, kind = rng.integers(3, size=count), rng.integers(len(layout.kinds), size=count)
    yaw = rng.uniform(-np.pi, np.pi, (count, len(layout.objects)))
    heading = rng.uniform(-np.pi, np.pi, count)
    places: list[np.ndarray] = []
    while len(places) < count:
        if not anywhere:
            places.append(rng.uniform(*zip(layout.start_x, layout.start_z, strict=True)))
            continue
        # Half a metre from the walls, beyond the barrier as often as before it, and not within an object.
        place = rng.uniform(*(((0.5, 0.5), (9.5, 6.0)) if rng.random() < 0.5 else ((0.5, 7.25), (9.5, 12.5))))
        if all(np.hypot(*(place - at[2:])) > 1.2 for at in layout.objects):
            places.append(place)
    return colour, np.column_stack([places, heading]), yaw, kind


def compare_with_the_twin(real: MiniworldBackend, twin: FastBackend, rng: np.random.Generator, anywhere: bool) -> dict:
    """Play the same random episodes in both, assert that they go the same way, and count what happened.

    Also the errors of the frames, of 255, one for each frame.
    """
    many = real.num_envs
    colour, pose, yaw, kind = starts(twin.layouts[0], many, rng, anywhere)
    frames = [(real.reset(colour, pose, yaw, shape=kind), twin.reset(colour, pose, yaw))]
    active, counts = np.ones(many, bool), {"bumps": 0, "touched": 0, "right": 0, "given up": 0, "out of time": 0}
    errors = []
    for _ in range(20):
        actions = rng.choice(4, size=many, p=[0.15, 0.15, 0.68, 0.02])
        before = pose
        theirs, ours = real.step(actions, active), twin.step(actions, active)
        pose = theirs.pose
        assert np.abs(ours.pose - pose).max() < 1e-12
        assert (ours.touched == theirs.touched).all()
        assert (active & ((ours.touched >= 0) | (actions == 3)) == theirs.ended).all()
        right = ours.touched == kind * 3 + colour
        assert (np.where(ours.touched < 0, 0, np.where(right, 1, -1)) == theirs.reward).all()
        counts["bumps"] += (active & (actions == 2) & (pose == before).all(axis=1)).sum()
        counts["touched"] += (ours.touched >= 0).sum()
        counts["right"] += right.sum()
        counts["given up"] += (active & (actions == 3)).sum()
        frames.append((theirs.frames[active], ours.frames[active]))
        active = active & ~theirs.ended
    counts["out of time"] += active.sum()
    errors = [np.abs(a.astype(np.int16) - b).mean(axis=(1, 2, 3)) for a, b in frames]
    return counts | {"errors": np.concatenate(errors)}


def check_pictures(errors: np.ndarray, worst: float = 1.5) -> None:
    assert errors.mean() < 0.5 and errors.max() < worst, f"mean {errors.mean():.2f}, worst {errors.max():.2f} of 255"


def test_episodes_are_the_same_in_both_backends(pair: MiniworldBackend) -> None:
    layout, rng = layout_of("sign-ball", "default"), np.random.default_rng(0)
    with MiniworldBackend(48, layout, workers=2) as real:
        twin = FastBackend(48, layout)
        first = compare_with_the_twin(real, twin, rng, anywhere=False)
        second = compare_with_the_twin(real, twin, rng, anywhere=True)
        # And at the edge: a micrometre within reach of a box or key, and a micrometre beyond, away from the balls.
        within, number, angle = np.arange(48) % 2 == 0, np.arange(48) // 2 % 6, rng.uniform(-np.pi, 0, 48)
        distance = twin.radii[number] + 0.4 + 1.1 * 0.7 + np.where(within, -1e-6, 1e-6)
        objects = twin.worlds.obstacles.things[0]
        place = objects[number] + distance[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
        for backend in (real, twin):
            backend.reset(number % 3, np.column_stack([place, angle]), np.zeros((48, 9)))
            assert (backend.step(np.zeros(48, np.int64)).touched == np.where(within, number, -1)).all()
    assert all(first[name] + second[name] for name in ("bumps", "touched", "right", "given up", "out of time"))
    check_pictures(np.concatenate([first["errors"], second["errors"]]))


@pytest.mark.slow
@pytest.mark.parametrize("family", LAYOUTS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_thousands_of_episodes_are_the_same_in_both_backends(pair: MiniworldBackend, family: str, variant: str) -> None:
    layout, rng = layout_of(family, variant), np.random.default_rng(VARIANTS.index(variant))
    with MiniworldBackend(500, layout) as real:
        twin = FastBackend(500, layout)
        for anywhere in (False, True):
            result = compare_with_the_twin(real, twin, rng, anywhere)
            errors = result.pop("errors")
            print(family, variant, result, f"{len(errors)} frames: mean {errors.mean():.3f}, worst {errors.max():.3f}")
            check_pictures(errors, worst=1.5)


def test_the_family_plays_the_same_with_either_backend(pair: MiniworldBackend) -> None:
    results = []
    for backend in ("fast", "miniworld"):
        env = make("sign", 6, backend=backend)
        rng, seen = np.random.default_rng(1), []
        obs, _ = env.reset(seed=3, options={"problem_id": np.arange(6) % 3})
        frames = [obs]
        for _ in range(20):
            obs, *rest, info = env.step(rng.choice(4, size=6, p=[0.1, 0.1, 0.76, 0.04]))
            frames.append(obs)
            seen.append([*rest, info["active"]])
        env.close()
        results.append((np.stack(frames).astype(int), np.array(seen, float)))
    (drawn, played), (real, really) = results
    assert (played == really).all()
    assert {-1, 1} <= set(played[:, 0].ravel()) and played[-1, 2].any()
    check_pictures(np.abs(drawn - real).mean(axis=(2, 3, 4)).ravel())


# Processes


def children(pid: int) -> list[int]:
    """Processes whose parent is `pid`, zombies included."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:  # gone meanwhile
                continue
            if int(fields[1]) == pid:
                found.append(int(entry.name))
    return found


def wait_until_gone(pids: list[int]) -> None:
    """Fails when one of them is still running after ten seconds."""
    late = time.monotonic() + 10
    while alive := [pid for pid in pids if Path(f"/proc/{pid}/cmdline").exists() and not is_zombie(pid)]:
        assert time.monotonic() < late, f"still there: {alive}"
        time.sleep(0.05)


def is_zombie(pid: int) -> bool:
    """A zombie that its new parent has not reaped yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return False


def test_a_deleted_backend_leaves_no_process_and_no_descriptor(pair: MiniworldBackend) -> None:
    before, open_before = set(children(os.getpid())), len(os.listdir("/proc/self/fd"))
    backend = MiniworldBackend(4, workers=2)
    start(backend)
    workers = set(children(os.getpid())) - before
    assert len(workers) == 2
    os.kill(max(workers), signal.SIGSTOP)  # one ends by itself, the other one is stuck and has to be killed
    del backend
    assert set(children(os.getpid())) == before
    assert len(os.listdir("/proc/self/fd")) == open_before


CALLER = """
import signal, sys
import numpy as np
from dream.envs.sign.miniworld_backend import MiniworldBackend
how, asked = sys.argv[1], []
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore Ctrl-C
if how == "finishes":
    signal.signal(signal.SIGINT, lambda *_: asked.append(1))
backend = MiniworldBackend(8, workers=2 if how == "is killed" else 1)  # two: their pipes must not keep each other alive
backend.reset(np.zeros(8, int), np.tile([4.5, 5.0, 0.0], (8, 1)), np.zeros((8, 6)))
print("ready", flush=True)
while not asked:
    backend.step(np.zeros(8, int))
for _ in range(3):
    backend.step(np.zeros(8, int))
"""


@pytest.mark.parametrize("how", ["is killed", "is interrupted", "finishes"])
def test_the_workers_end_with_their_caller(pair: MiniworldBackend, how: str) -> None:
    """Killed; Ctrl-C in a terminal, which goes to the whole process group; Ctrl-C that it answers later."""
    caller = subprocess.Popen(
        [sys.executable, "-c", CALLER, how],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert caller.stdout is not None
    assert caller.stdout.readline() == "ready\n"
    workers = children(caller.pid)
    assert workers
    time.sleep(0.1)  # into the loop
    if how == "is killed":
        caller.kill()
    else:
        os.killpg(caller.pid, signal.SIGINT)
    _, complaints = caller.communicate(timeout=30)
    wait_until_gone(workers)
    if how == "is interrupted":
        assert complaints.strip().endswith("KeyboardInterrupt") and "During handling" not in complaints
    elif how != "is killed":
        assert caller.returncode == 0 and not complaints, complaints


def test_a_dead_worker_is_reported_and_nothing_is_left(pair: MiniworldBackend) -> None:
    before = set(children(os.getpid()))
    with MiniworldBackend(2, workers=2) as backend:
        start(backend)
        os.kill(min(set(children(os.getpid())) - before), signal.SIGKILL)
        with pytest.raises(UserError, match=r"A MiniWorld process ended \(exit code -9\)"):
            for _ in range(3):
                backend.step(np.array([0, 0]))
        assert set(children(os.getpid())) == before
        for again in (lambda: backend.step(np.array([0, 0])), lambda: start(backend)):
            with pytest.raises(RuntimeError, match="is closed"):
                again()
        backend.close()


# Without MiniWorld, or without OpenGL


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Runs code at the start of every Python that is started from now on."""

    def break_with(code: str) -> None:
        (tmp_path / "sitecustomize.py").write_text(code)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    before = set(children(os.getpid()))
    yield break_with
    assert set(children(os.getpid())) == before


@pytest.mark.parametrize("library", ["EGL", "GL", "GLU", "freetype"])
def test_without_opengl_the_missing_packages_are_named(broken: Any, library: str) -> None:
    pytest.importorskip("pyglet", reason="MiniWorld is not installed")
    broken(
        "import ctypes, ctypes.util\n"
        "load, find = ctypes.CDLL.__init__, ctypes.util.find_library\n"
        "def refuse(self, name=None, *args, **kwargs):\n"
        f"    if name == '{library}' or 'lib{library}.so' in str(name):\n"
        "        raise OSError(f'{name}: cannot open shared object file')\n"
        "    load(self, name, *args, **kwargs)\n"
        "ctypes.CDLL.__init__ = refuse\n"
        f"ctypes.util.find_library = lambda name: None if name == '{library}' else find(name)\n"
    )
    with pytest.raises(UserError, match="cannot open OpenGL") as caught:
        MiniworldBackend(1)
    assert f"apt-get install {' '.join(PACKAGES)}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_without_a_driver_the_missing_packages_are_named(
    pair: MiniworldBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("__EGL_VENDOR_LIBRARY_FILENAMES", os.devnull)
    with pytest.raises(UserError, match=f"NoSuchConfigException.*apt-get install {' '.join(PACKAGES)}"):
        MiniworldBackend(1)


def test_without_miniworld_its_installation_is_named(broken: Any) -> None:
    broken("import sys\nsys.modules['pyglet'] = None\n")
    with pytest.raises(UserError, match=r"not installed \(pyglet\).*pip install miniworld"):
        MiniworldBackend(1)


def test_ci_installs_the_packages_that_the_message_names() -> None:
    script = (Path(__file__).parents[1] / ".ci" / "run").read_text()
    assert f"packages='{' '.join(PACKAGES)} " in script  # the browser's come after them


def test_a_task_reaches_the_worker_unchanged() -> None:
    from dream.envs.sign.miniworld_worker import WorkerTask

    layout = LAYOUTS["sign"]
    task = WorkerTask(4, 1, 3, 7, layout.objects, WORDS, layout.sign, layout.sign_height, layout.wall_texture)
    assert WorkerTask.from_json(json.dumps(json.loads(task.to_json()))) == task


def test_the_example_of_the_page_prints_the_output_it_shows(
    pair: MiniworldBackend, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (Path(__file__).parents[1] / "docs" / "miniworld.md").read_text(encoding="utf-8")
    ((code, expected),) = re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```", page, flags=re.DOTALL)
    exec(compile(code, "miniworld.md", "exec"), {})
    assert capsys.readouterr().out == expected
