"""The real MiniWorld for the family `sign`: many members, a few worker processes, frames in shared memory.

It is the reference for the fast backend, and slow: about 1.1 ms per member and step on one core. It needs Linux, OpenGL
and the `miniworld` package, but no display server. See docs/miniworld.md.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import mmap
import os
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dream.envs.sign import miniworld_worker
from dream.envs.sign.layout import LAYOUTS, WORDS, SignLayout
from dream.envs.sign.miniworld_worker import SharedArrays, WorkerTask
from dream.envs.words import plain
from dream.errors import UserError

PACKAGES = ("libegl1", "libgl1", "libglu1-mesa", "libfreetype6")
"""Debian and Ubuntu packages that MiniWorld needs; `.ci/run` installs the same."""


class MiniworldStep(NamedTuple):
    """The result of one step of B members; rows of members that were not active repeat frame and pose."""

    frames: NDArray[np.uint8]
    """(B, 60, 80, 3)"""
    pose: NDArray[np.float64]
    """(B, 3) x, z, direction of the agent. The direction is not wrapped."""
    touched: NDArray[np.int64]
    """(B,) index of the object that is near: the last of them in MiniWorld's order if there are more, -1 if none."""
    ended: NDArray[np.bool_]
    """(B,) MiniWorld's termination: an object is near, or the action was 3."""
    reward: NDArray[np.float64]
    """(B,) MiniWorld's reward for the shape that `reset` was given: 1 or -1 if an object is near, else 0."""


class MiniworldBackend:
    """B members of MiniWorld's Sign, started where the caller says.

    The actions are MiniWorld's: 0 turn left, 1 turn right, 2 forward, 3 one step back and the end.

        with MiniworldBackend(2) as backend:
            frames = backend.reset(np.array([0, 2]), pose, yaw)
            frames, pose, touched, ended, reward = backend.step(np.array([2, 2]))

    `close`, or the end of the `with` block, ends its processes. They also end whenever this process ends. An exception
    within a call, Ctrl-C included, closes the backend.

    Args:
        num_envs: B, at least 1.
        layout: a layout, or the name of one in `LAYOUTS`.
        workers: processes, one MiniWorld environment each; by default one for every core this process may use.

    Raises:
        ValueError: arguments that do not fit, here and in every method.
        UserError: OpenGL or the miniworld package is missing (the text says what to install), or a worker failed.
        RuntimeError: the backend is closed.
    """

    def __init__(self, num_envs: int, layout: str | SignLayout = "sign", *, workers: int | None = None) -> None:
        if num_envs < 1:
            raise ValueError(f"num_envs is {num_envs}: give at least 1")
        if workers is not None and workers < 1:
            raise ValueError(f"workers is {workers}: give at least 1")
        if isinstance(layout, str):
            if layout not in LAYOUTS:
                raise ValueError(f"unknown layout {layout!r}: choose one of {', '.join(LAYOUTS)}")
            layout = LAYOUTS[layout]
        if sys.platform != "linux":
            raise UserError("The miniworld backend runs on Linux only: take the backend fast, which runs everywhere.")
        self.num_envs, self.layout = num_envs, layout
        objects = len(layout.objects)
        self._workers: list[_Worker] = []
        self._memory = os.memfd_create("miniworld")
        self._close = weakref.finalize(self, _stop, self._workers)  # also without `close`, and when Python exits
        try:
            size = SharedArrays.size(num_envs, objects)
            os.truncate(self._memory, size)
            self._shared = SharedArrays.over(mmap.mmap(self._memory, size), num_envs, objects)
            count = min(num_envs, workers or len(os.sched_getaffinity(0)))
            bounds = np.linspace(0, num_envs, count + 1).astype(int).tolist()
            for first, last in itertools.pairwise(bounds):
                task = WorkerTask(
                    num_envs,
                    first,
                    last,
                    self._memory,
                    layout.objects,
                    WORDS,
                    layout.sign,
                    layout.sign_height,
                    layout.wall_texture,
                )
                self._workers.append(_Worker(task))
            for worker in self._workers:
                worker.wait()
        except BaseException:
            self.close()
            raise
        finally:
            os.close(self._memory)  # the mapping stays

    def reset(
        self,
        colour: NDArray[np.integer],
        pose: NDArray[np.floating],
        yaw: NDArray[np.floating],
        starts: NDArray[np.bool_] | None = None,
        *,
        shape: NDArray[np.integer] | None = None,
        sign: NDArray[np.floating] | None = None,
    ) -> NDArray[np.uint8]:
        """Start an episode in every member, or in those of `starts`.

        Args:
            colour: (B,) index of the colour that the sign names: 0 blue, 1 red, 2 green.
            pose: (B, 3) x, z and direction of the agent; not checked to be inside the room.
            yaw: (B, K) directions of the objects, in the order of the layout.
            starts: (B,) bool, the members that start; the others stay as they are.
            shape: (B,) index of the kind that MiniWorld's own reward asks for, 0 by default.
            sign: (B, 4) x, y, z and direction of each member's sign, by default that of the layout.

        Returns:
            (B, 60, 80, 3) uint8 first frames; of the others the last ones.
        """
        shared, many = self._open(), len(self.layout.objects)
        rows = _booleans("starts", starts, self.num_envs)
        shared.active[:] = rows
        shared.colour[rows] = _integers("colour", colour, self.num_envs, len(WORDS))[rows]
        shared.shape[rows] = (
            0 if shape is None else _integers("shape", shape, self.num_envs, len(self.layout.kinds))[rows]
        )
        shared.sign[rows] = self.layout.sign if sign is None else _numbers("sign", sign, (self.num_envs, 4))[rows]
        shared.pose[rows] = _numbers("pose", pose, (self.num_envs, 3))[rows]
        shared.yaw[rows] = _numbers("yaw", yaw, (self.num_envs, many))[rows]
        self._ask("reset")
        return shared.frames.copy()

    def step(self, actions: NDArray[np.integer], active: NDArray[np.bool_] | None = None) -> MiniworldStep:
        """One step, actions (B,) from 0 to 3, of the members that are `active` (B,) bool, by default all."""
        shared = self._open()
        shared.action[:] = _integers("actions", actions, self.num_envs, 4)
        shared.active[:] = _booleans("active", active, self.num_envs)
        shared.touched[:], shared.ended[:], shared.reward[:] = -1, False, 0
        self._ask("step")
        return MiniworldStep(
            shared.frames.copy(), shared.pose.copy(), shared.touched.copy(), shared.ended.copy(), shared.reward.copy()
        )

    def close(self) -> None:
        """End the processes and wait until they are gone. May be called again."""
        self._close()

    def __enter__(self) -> MiniworldBackend:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self) -> SharedArrays:
        if not self._close.alive:
            raise RuntimeError("the miniworld backend is closed: make a new one")
        return self._shared

    def _ask(self, command: str) -> None:
        """Let all workers execute a command. After an exception their answers would be one behind, so close."""
        try:
            for worker in self._workers:
                worker.send(command)
            for worker in self._workers:
                worker.wait()
        except BaseException:
            self.close()
            raise


class _Worker:
    """One process of `miniworld_worker`, the pipes to it, and what it wrote to stderr."""

    def __init__(self, task: WorkerTask) -> None:
        self._complaints: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  # closed by `bury`
        self._process = subprocess.Popen(
            # -P: do not look for modules beside the script, where ours would hide those of others.
            [sys.executable, "-P", str(Path(miniworld_worker.__file__).resolve()), task.to_json()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            pass_fds=(task.memory,),
            process_group=0,  # Ctrl-C in a terminal goes to the caller's group, and it may want to go on for a while
            env=os.environ | {"LP_NUM_THREADS": "0"},  # Mesa draws in the worker's own thread: one core a worker
            text=True,
        )

    def send(self, command: str) -> None:
        try:
            assert self._process.stdin is not None
            self._process.stdin.write(command + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._ended() from None

    def wait(self) -> None:
        """Wait for an answer, and raise what it says."""
        assert self._process.stdout is not None
        answer = self._process.stdout.readline()
        outcome, message = json.loads(answer) if answer else ("gone", "")
        if outcome == "no miniworld":
            raise UserError(
                f"The miniworld backend needs a Python package that is not installed ({message}): "
                "pip install miniworld==2.1.0, or take the backend fast."
            )
        if outcome == "no OpenGL":
            raise UserError(
                f"The miniworld backend cannot open OpenGL ({message}): on Debian and Ubuntu, "
                f"apt-get install {' '.join(PACKAGES)}, or take the backend fast, which needs none of them."
            )
        if outcome == "failed":
            raise UserError(f"A MiniWorld process failed ({message}): run the command again, or take the backend fast.")
        if outcome == "gone":
            raise self._ended()

    def hang_up(self) -> None:
        """Close the pipes, which ends the process."""
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):  # what was not sent cannot be sent any more
                pipe.close()

    def bury(self) -> None:
        """Wait for the end of the process."""
        try:
            self._process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            self._process.kill()  # it was busy
            self._process.wait()
        self._complaints.close()

    def _ended(self) -> UserError:
        """Why the process is gone: its exit code and the last line that it wrote."""
        self._process.wait(timeout=10)
        self._complaints.seek(0)
        lines = self._complaints.read()[-2000:].decode(errors="replace").strip().splitlines()
        wrote = f", after it wrote {plain(lines[-1])!r}" if lines else ""
        return UserError(
            f"A MiniWorld process ended (exit code {self._process.returncode}){wrote}: run the command again (a run "
            "goes on from its last checkpoint), or take the backend fast."
        )


def _stop(workers: Sequence[_Worker]) -> None:
    for worker in workers:
        worker.hang_up()
    for worker in workers:
        worker.bury()


def _booleans(name: str, given: Any, many: int) -> NDArray[np.bool_]:
    """The values (many,) as bool, all true without any, or a ValueError."""
    values = np.ones(many, np.bool_) if given is None else np.asarray(given)
    if values.shape != (many,) or values.dtype != np.bool_:
        raise ValueError(f"{name} is {values.dtype} of shape {values.shape}: give {many} booleans")
    return values


def _integers(name: str, given: Any, many: int, count: int) -> NDArray[np.int64]:
    """The values (many,) as int64, each from 0 to count - 1, or a ValueError."""
    values = np.asarray(given)
    if values.shape != (many,) or values.dtype.kind not in "iu":
        raise ValueError(f"{name} is {values.dtype} of shape {values.shape}: give {many} integers")
    if ((values < 0) | (values >= count)).any():
        raise ValueError(f"{name} holds {values.min()} to {values.max()}: give values from 0 to {count - 1}")
    return values.astype(np.int64)


def _numbers(name: str, given: Any, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """The values as float64 of this shape, finite, or a ValueError."""
    values = np.asarray(given, np.float64)
    if values.shape != shape or not np.isfinite(values).all():
        raise ValueError(f"{name} has shape {values.shape}: give finite numbers of shape {shape}")
    return values
