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
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dream.envs.miniworld_backend import PACKAGES, MiniworldBackend, MiniworldLayout
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
"""
"""MiniWorld alone, as anybody would use it: what the scripts below begin with."""

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
np.savez(path, **{name: np.array(column) for name, column in zip(names, zip(*rows))}, colour=[colour] * count)
"""
"""Random episodes of one colour, written to a file: arguments colour, how many, path."""

NAIVE = """
first, second = make(0), make(2)
start(first, 0), start(second, 1)
here = first.agent.pos[:], first.agent.dir
first.agent.pos, first.agent.dir = np.array([8.0, 0.0, 9.0]), 0.0
np.savez(sys.argv[1], frame=first.render_obs(), yaw=[thing.dir for kind in first._objects for thing in kind])
"""
"""What one must not do: a BLUE and a GREEN world in one process. Writes what BLUE shows right before its sign."""

BEFORE_THE_SIGN = (8.0, 9.0, 0.0)


def run_plain(script: str, *arguments: object) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PLAIN + script, *map(str, arguments)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def available() -> None:
    """Skip where there is no MiniWorld or no OpenGL."""
    try:
        MiniworldBackend(1).close()
    except UserError as error:
        pytest.skip(str(error))


def plain_episodes(count: int, folder: Path) -> dict[str, np.ndarray]:
    """`count` episodes of each colour played by MiniWorld alone, one process a colour."""
    files = [folder / f"{colour}.npz" for colour in range(COLOURS)]
    for colour, file in enumerate(files):
        run_plain(EPISODES, colour, count, file)
    parts = [dict(np.load(file)) for file in files]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


@pytest.fixture(scope="module")
def episodes(available: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    """A few dozen of them."""
    return plain_episodes(12, tmp_path_factory.mktemp("plain"))


def replay(backend: MiniworldBackend, episodes: dict[str, np.ndarray], order: np.ndarray) -> dict[str, np.ndarray]:
    """The same episodes from the backend, all side by side, the members in this order."""
    given = {name: column[order] for name, column in episodes.items()}
    frames = [backend.reset(given["colour"], given["poses"][:, 0], given["yaw"], given["shape"])]
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


def test_no_problem_shows_the_sign_of_another(available: None, tmp_path: Path) -> None:
    """Two MiniWorld environments in one process share their display list; members of one worker do not."""
    run_plain(NAIVE, tmp_path / "naive.npz")
    naive = np.load(tmp_path / "naive.npz")
    colour = np.array([0, 2, 1, 0])
    pose, yaw = np.tile(BEFORE_THE_SIGN, (4, 1)), np.tile(naive["yaw"], (4, 1))
    with MiniworldBackend(COLOURS, workers=COLOURS) as backend:
        alone = backend.reset(np.arange(COLOURS), pose[:COLOURS], yaw[:COLOURS])
    # The worlds differ in nothing but the sign, so the naive BLUE is GREEN to the last bit.
    assert (alone[0] != alone[1]).any() and (alone[0] != alone[2]).any() and (alone[1] != alone[2]).any()
    assert (naive["frame"] == alone[2]).all()
    with MiniworldBackend(4, workers=1) as backend:
        frames = backend.reset(colour, pose, yaw)
        assert all((frames[member] == alone[index]).all() for member, index in enumerate(colour))
        for _ in range(8):  # once round, so that every frame was shown after another's
            frames = backend.step(np.zeros(4, np.int64)).frames
        assert all((frames[member] == alone[index]).all() for member, index in enumerate(colour))
        swapped = backend.reset(colour[::-1].copy(), pose, yaw)
        assert all((swapped[member] == alone[index]).all() for member, index in enumerate(colour[::-1]))


CROWDED = MiniworldLayout(
    (
        *(("box", "blue", 7, 5), ("box", "red", 9, 1), ("box", "green", 9, 5)),
        *(("key", "blue", 5, 1), ("key", "red", 7, 4.4), ("key", "green", 1, 9)),
        *(("ball", "blue", 1, 1), ("ball", "red", 7, 5.6), ("ball", "green", 1, 5)),
    ),
    sign=(10, 1.35, 8, np.pi),
    wall_texture="brick_wall",
)
"""Nine objects, three of them close together, another wall and the sign elsewhere."""


def test_of_several_objects_near_the_one_that_miniworld_pays_for_is_touched(available: None) -> None:
    colour, shape = np.tile(np.arange(3), 3), np.repeat(np.arange(3), 3)
    pose = np.tile([4.5, 5.0, 0.0], (9, 1))
    with MiniworldBackend(9, CROWDED, workers=1) as backend:
        backend.reset(colour, pose, np.zeros((9, 9)), shape)
        first = backend.step(np.full(9, 2))
        second = backend.step(np.full(9, 2))
    assert first.touched.tolist() == [4] * 9 and first.ended.all()  # the red key, which is large
    assert first.reward.tolist() == [-1] * 4 + [1] + [-1] * 4
    assert second.touched.tolist() == [7] * 9  # box, key and ball are near now: the red ball comes last
    assert second.reward.tolist() == [-1] * 7 + [1] + [-1]


def test_the_layout_moves_the_sign_and_papers_the_walls(available: None) -> None:
    pose, yaw = np.array([[6.5, 8.0, 0.0]]), np.zeros((1, 9))
    frames = {}
    for name, changes in {
        "as it is": {},
        "sign": {"sign": (10, 1.35, 9, np.pi)},
        "wall": {"wall_texture": "wood"},
    }.items():
        with MiniworldBackend(1, replace(CROWDED, **changes)) as backend:
            frames[name] = backend.reset(np.array([0]), pose, yaw)[0].astype(int)
    moved = np.abs(frames["as it is"] - frames["sign"]).max(2) > 20
    papered = np.abs(frames["as it is"] - frames["wall"]).max(2) > 20
    assert 0.01 < moved.mean() < 0.2
    assert 0.2 < papered.mean() < 0.6
    assert not papered[-5:, 35:45].any()  # the floor


def start(backend: MiniworldBackend) -> np.ndarray:
    many = backend.num_envs
    pose = np.tile([4.5, 5.0, 0.0], (many, 1))
    return backend.reset(np.arange(many) % COLOURS, pose, np.zeros((many, len(backend.layout.objects))))


def test_members_that_are_not_active_stand_still(available: None) -> None:
    with MiniworldBackend(2, workers=1) as backend:
        before = start(backend)
        result = backend.step(np.array([2, 2]), np.array([True, False]))
        assert result.frames.shape == (2, 60, 80, 3) and result.frames.dtype == np.uint8
        assert (result.frames[1] == before[1]).all() and (result.frames[0] != before[0]).any()
        assert result.pose.tolist() == [[5.2, 5.0, 0.0], [4.5, 5.0, 0.0]]
        result = backend.step(np.array([3, 3]), np.array([True, False]))
        assert result.ended.tolist() == [True, False]
        assert result.pose[0].tolist() == [4.5, 5.0, 0.0]  # MiniWorld's end is also a step back
        assert result.touched.tolist() == [-1, -1] and result.reward.tolist() == [0, 0]


def test_what_does_not_fit_is_refused(available: None) -> None:
    with MiniworldBackend(2, workers=1) as backend:
        start(backend)
        pose, yaw = np.zeros((2, 3)), np.zeros((2, 6))
        for arguments, message in (
            ((np.array([0, 3]), pose, yaw), "colour holds 0 to 3: give values from 0 to 2"),
            ((np.array([0.0, 1.0]), pose, yaw), "colour is float64 of shape"),
            ((np.array([0, 1]), pose[:1], yaw), r"pose has shape \(1, 3\)"),
            ((np.array([0, 1]), pose, yaw * np.nan), "yaw has shape .* give finite numbers"),
            ((np.array([0, 1]), pose, yaw, np.array([0, 2])), "shape holds 0 to 2: give values from 0 to 1"),
        ):
            with pytest.raises(ValueError, match=message):
                backend.reset(*arguments)
        with pytest.raises(ValueError, match="actions holds -1 to 0"):
            backend.step(np.array([-1, 0]))
        with pytest.raises(ValueError, match="give 2 booleans"):
            backend.step(np.array([0, 0]), np.array([1, 0]))
        assert len(start(backend)) == 2  # and it goes on
    with pytest.raises(RuntimeError, match="is closed"):
        start(backend)
    backend.close()


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
    """Dead, and its new parent has not looked: not ours to bury."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return False


def test_close_leaves_no_process_and_no_descriptor(available: None) -> None:
    before, open_before = set(children(os.getpid())), len(os.listdir("/proc/self/fd"))
    with MiniworldBackend(4, workers=2) as backend:
        start(backend)
        assert len(set(children(os.getpid())) - before) == 2
    assert set(children(os.getpid())) == before
    assert [worker._process.returncode for worker in backend._workers] == [0, 0]  # by themselves, not killed
    forgotten = MiniworldBackend(2, workers=1)
    (stuck,) = set(children(os.getpid())) - before
    os.kill(stuck, signal.SIGSTOP)
    del forgotten
    assert set(children(os.getpid())) == before
    del backend
    assert len(os.listdir("/proc/self/fd")) == open_before


CALLER = """
import signal, sys
import numpy as np
from dream.envs.miniworld_backend import MiniworldBackend
how, asked = sys.argv[1], []
if how == "finishes":
    signal.signal(signal.SIGINT, lambda *_: asked.append(1))
backend = MiniworldBackend(8, workers=2)
backend.reset(np.zeros(8, int), np.tile([4.5, 5.0, 0.0], (8, 1)), np.zeros((8, 6)))
print("ready", flush=True)
while how != "ends" and not asked:
    backend.step(np.zeros(8, int))
for _ in range(3):
    backend.step(np.zeros(8, int))
"""


@pytest.mark.parametrize("how", ["is killed", "is interrupted", "finishes", "ends"])
def test_the_workers_end_with_their_caller(available: None, how: str) -> None:
    """Killed; Ctrl-C in a terminal, which goes to the whole process group; Ctrl-C that it answers later; at its end."""
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
    if how != "ends":
        assert len(workers) == 2
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


def test_a_dead_worker_is_reported_and_nothing_is_left(available: None) -> None:
    before = set(children(os.getpid()))
    with MiniworldBackend(2, workers=2) as backend:
        start(backend)
        os.kill(min(set(children(os.getpid())) - before), signal.SIGKILL)
        with pytest.raises(RuntimeError, match=r"a MiniWorld process is gone \(exit code -9\)"):
            for _ in range(3):
                backend.step(np.array([0, 0]))
        assert set(children(os.getpid())) == before
        with pytest.raises(RuntimeError, match="is closed"):
            backend.step(np.array([0, 0]))


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


def test_without_opengl_the_missing_packages_are_named(broken: Any) -> None:
    pytest.importorskip("pyglet", reason="MiniWorld is not installed")
    broken(
        "import ctypes, ctypes.util\n"
        "load = ctypes.CDLL.__init__\n"
        "def refuse(self, name=None, *args, **kwargs):\n"
        "    if name and 'GLU' in str(name):\n"
        "        raise OSError(f'{name}: cannot open shared object file')\n"
        "    load(self, name, *args, **kwargs)\n"
        "ctypes.CDLL.__init__ = refuse\n"
        "ctypes.util.find_library = lambda name: None if name == 'GLU' else f'lib{name}.so.1'\n"
    )
    with pytest.raises(UserError, match="cannot open OpenGL") as caught:
        MiniworldBackend(1)
    assert f"apt-get install {' '.join(PACKAGES)}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_without_a_driver_the_missing_packages_are_named(available: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("__EGL_VENDOR_LIBRARY_FILENAMES", os.devnull)
    with pytest.raises(UserError, match=f"NoSuchConfigException.*apt-get install {' '.join(PACKAGES)}"):
        MiniworldBackend(1)


def test_without_miniworld_its_installation_is_named(broken: Any) -> None:
    broken("import sys\nsys.modules['pyglet'] = None\n")
    with pytest.raises(UserError, match=r"not installed \(pyglet\).*pip install miniworld"):
        MiniworldBackend(1)


def test_ci_installs_the_packages_that_the_message_names() -> None:
    script = (Path(__file__).parents[1] / ".ci" / "run").read_text()
    assert f"packages='{' '.join(PACKAGES)}'" in script


def test_a_job_survives_its_way_to_the_worker() -> None:
    from dream.envs.miniworld_backend import LAYOUTS
    from dream.envs.miniworld_worker import Job

    layout = LAYOUTS["sign"]
    job = Job(4, 1, 3, 7, layout.objects, layout.words, layout.sign, layout.sign_height, layout.wall_texture)
    assert Job.from_json(json.dumps(json.loads(job.to_json()))) == job


def test_the_example_of_the_page_prints_what_it_says(available: None, capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parents[1] / "docs" / "miniworld.md").read_text(encoding="utf-8")
    ((code, expected),) = re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```", page, flags=re.DOTALL)
    exec(compile(code, "miniworld.md", "exec"), {})
    assert capsys.readouterr().out == expected
