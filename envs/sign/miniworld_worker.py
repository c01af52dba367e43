"""The process that runs one real MiniWorld environment and steps many members with it in turn.

`MiniworldBackend` starts it as a script, so it imports nothing of ours and works however the caller was started (as a
module, in a notebook, from standard input). `argv[1]` is a JSON `WorkerTask`. Actions, poses and frames are in memory
shared with the caller (`SharedArrays`); the pipes carry only "reset" or "step" and one line back.

MiniWorld compiles walls and sign into OpenGL display list number 1, for every environment of the process. Two
environments in one process therefore show each other's sign (MiniWorld 2.1.0). So there is one environment here, and
the list is compiled again whenever the next member's sign differs from the last one's. Members are stepped in the
order of their signs, so that this happens at most once per sign and step: 0.35 ms, against 0.6 ms for a frame.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import mmap
import os
import sys
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

HEIGHT, WIDTH = 60, 80
"""Size of a frame, MiniWorld's own default."""


@dataclass(frozen=True)
class WorkerTask:
    """What one worker does: it steps the members `first` to `last` - 1 of `num_envs`, in this world."""

    num_envs: int
    first: int
    last: int
    memory: int
    """File descriptor of the shared memory."""
    objects: tuple[tuple[str, str, float, float], ...]
    """Kind, colour, x and z of every object, kind by kind."""
    words: tuple[str, ...]
    """Word on the sign, by colour index; each kind of object comes in each of the colours, in the same order."""
    sign: tuple[float, float, float, float]
    """x, y, z and direction of the sign."""
    sign_height: float
    wall_texture: str

    def to_json(self) -> str:
        """One line that `from_json` reads."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> WorkerTask:
        """Read what `to_json` wrote."""
        fields = json.loads(text)
        fields["objects"] = tuple(tuple(entry) for entry in fields["objects"])
        return cls(**fields | {"words": tuple(fields["words"]), "sign": tuple(fields["sign"])})


@dataclass
class SharedArrays:
    """Arrays over one buffer shared by caller and workers; B members and K objects."""

    frames: NDArray[np.uint8]  # (B, 60, 80, 3)
    pose: NDArray[np.float64]  # (B, 3) x, z, direction of the agent
    yaw: NDArray[np.float64]  # (B, K) directions of the objects
    sign: NDArray[np.float64]  # (B, 4) x, y, z, direction of the sign
    reward: NDArray[np.float64]  # (B,) MiniWorld's own: 1, -1 or 0
    colour: NDArray[np.int64]  # (B,) index of the colour that the sign names
    shape: NDArray[np.int64]  # (B,) index of the kind of object that MiniWorld's own reward asks for
    action: NDArray[np.int64]  # (B,)
    touched: NDArray[np.int64]  # (B,) index of the object that decided the reward, or -1
    active: NDArray[np.bool_]  # (B,) to be stepped
    ended: NDArray[np.bool_]  # (B,) MiniWorld's own termination

    @staticmethod
    def _fields(num_envs: int, objects: int) -> dict[str, tuple[type[np.generic], tuple[int, ...]]]:
        one = (num_envs,)
        return {  # widest first, so that every array is aligned
            "pose": (np.float64, (num_envs, 3)),
            "yaw": (np.float64, (num_envs, objects)),
            "sign": (np.float64, (num_envs, 4)),
            "reward": (np.float64, one),
            "colour": (np.int64, one),
            "shape": (np.int64, one),
            "action": (np.int64, one),
            "touched": (np.int64, one),
            "active": (np.bool_, one),
            "ended": (np.bool_, one),
            "frames": (np.uint8, (num_envs, HEIGHT, WIDTH, 3)),
        }

    @classmethod
    def size(cls, num_envs: int, objects: int) -> int:
        """Bytes that `over` needs."""
        return sum(
            int(np.prod(shape)) * np.dtype(kind).itemsize for kind, shape in cls._fields(num_envs, objects).values()
        )

    @classmethod
    def over(cls, buffer: mmap.mmap, num_envs: int, objects: int) -> SharedArrays:
        """The arrays over a buffer of at least `size` bytes."""
        arrays, offset = {}, 0
        for name, (kind, shape) in cls._fields(num_envs, objects).items():
            array: NDArray[Any] = np.ndarray(shape, kind, buffer, offset)
            arrays[name], offset = array, offset + array.nbytes
        return cls(**arrays)


def make_world(task: WorkerTask) -> Any:
    """One MiniWorld Sign environment whose objects, sign and walls are those of the task; imports miniworld."""
    # By name, because miniworld is optional and untyped.
    entity, sign = importlib.import_module("miniworld.entity"), importlib.import_module("miniworld.envs.sign")
    kinds = {"box": entity.Box, "key": sign.BigKey, "ball": entity.Ball}

    class World(sign.Sign):  # type: ignore[name-defined]
        """Sign with objects, sign and walls from data. Everything that moves or ends an episode is MiniWorld's."""

        def add_rect_room(self, **extent: float) -> Any:
            return super().add_rect_room(wall_tex=task.wall_texture, **extent)

        def _gen_world(self) -> None:
            super()._gen_world()
            self.entities.clear()
            placed = [
                self.place_entity(kinds[kind](color=colour), pos=(x, 0, z)) for kind, colour, x, z in task.objects
            ]
            width = len(task.words)
            self._objects = [tuple(placed[i : i + width]) for i in range(0, len(placed), width)]
            *place, direction = task.sign
            self.sign = entity.TextFrame(place, direction, task.words[self._color_index], height=task.sign_height)
            self.entities += [self.sign, self.agent]

        def show(self, colour: int, place: list[float]) -> None:
            """Put this word on the sign in this place: compile walls and sign again if they differ."""
            if colour != self._color_index or place != [*self.sign.pos, self.sign.dir]:
                self.set_color_index(colour)
                self.sign.str, self.sign.pos, self.sign.dir = task.words[colour], place[:3], place[3]
                self.sign.width = len(self.sign.str) * self.sign.height
                self.sign.randomize(self.params, None)  # loads the letters
                self._render_static()

    return World(window_width=WIDTH, window_height=HEIGHT)  # of MiniWorld's own window, which stays unused


class Player:
    """Steps the members of one worker with its one environment."""

    def __init__(self, task: WorkerTask, shared: SharedArrays) -> None:
        self.task, self.shared = task, shared
        self.world = make_world(task)
        self.objects = [thing for kind in self.world._objects for thing in kind]

    def _become(self, member: int) -> None:
        """Put the environment into the state of a member."""
        world, shared = self.world, self.shared
        world.show(int(shared.colour[member]), shared.sign[member].tolist())
        world._goal = int(shared.shape[member])
        world.step_count = 0  # the time limit is the caller's
        x, z, direction = shared.pose[member].tolist()
        world.agent.pos, world.agent.dir = np.array([x, 0.0, z]), direction
        for thing, yaw in zip(self.objects, shared.yaw[member].tolist(), strict=True):
            thing.dir = yaw

    def _members(self, chosen: NDArray[np.bool_]) -> list[int]:
        """The chosen members of this worker, sorted by their sign."""
        first, last = self.task.first, self.task.last
        mine = first + np.flatnonzero(chosen[first:last])
        return mine[np.lexsort((*self.shared.sign[mine].T, self.shared.colour[mine]))].tolist()

    def reset(self) -> None:
        """First frame of every active member."""
        for member in self._members(self.shared.active):
            self._become(member)
            self.shared.frames[member] = self.world.render_obs()

    def step(self) -> None:
        """One step of every active member."""
        world, shared = self.world, self.shared
        for member in self._members(shared.active):
            self._become(member)
            state, reward, ended, _, _ = world.step(int(shared.action[member]))
            x, _, z = world.agent.pos
            near = [index for index, thing in enumerate(self.objects) if world.near(thing)]
            shared.frames[member] = state["obs"]
            shared.pose[member] = x, z, world.agent.dir
            shared.reward[member], shared.ended[member] = reward, ended
            shared.touched[member] = near[-1] if near else -1  # as in Sign.step, where the last one decides


def main() -> None:
    """Answer the caller until it closes the pipe, which also happens when it ends."""
    # MiniWorld prints, and so may drivers: what belongs to the caller goes through a descriptor of its own.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    task = WorkerTask.from_json(sys.argv[1])
    objects = len(task.objects)
    memory = mmap.mmap(task.memory, SharedArrays.size(task.num_envs, objects))

    def tell(outcome: str, message: str = "") -> None:
        with contextlib.suppress(BrokenPipeError):
            answers.write(json.dumps([outcome, message]) + "\n")

    opened = False
    try:
        # Before miniworld is imported: no display server, and no check for errors after every call (20% faster).
        importlib.import_module("pyglet").options.update(headless=True, debug_gl=False)
        importlib.import_module("miniworld")  # opens an OpenGL context
        opened = True
        player = Player(task, SharedArrays.over(memory, task.num_envs, objects))
        tell("ready")
        for line in sys.stdin:
            {"reset": player.reset, "step": player.step}[line.strip()]()
            tell("done")
    except ModuleNotFoundError as error:
        tell("no miniworld", str(error.name))
    except Exception as error:
        if opened and not isinstance(error, ImportError):  # which is what pyglet raises for any library, freetype last
            tell("failed", f"{type(error).__name__}: {error}".rstrip("."))
        else:
            tell("no OpenGL", f"{type(error).__name__}: {error}".rstrip("."))


if __name__ == "__main__":
    main()
    sys.stderr.flush()
    os._exit(0)  # at once: OpenGL is slow to exit, and there is nothing left to save
