"""Sign: a room with coloured objects, and behind a barrier a sign that names the right colour. Observed as pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING, Any, ClassVar

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from dream.envs.base import MetaEnv
from dream.envs.hindsight import Hindsight
from dream.envs.insight import Expert, Part
from dream.envs.problems import ProblemSet
from dream.envs.sign.layout import COLOURS, LEGIBLE_PIXELS, SignLayout, layout_of
from dream.envs.words import walked
from dream.envs.world3d.assets import package_folder

if TYPE_CHECKING:
    from dream.envs.sign.compiled import CompiledWorlds

ACTION_NAMES = ("turn left", "turn right", "forward", "end-episode")
LEFT, RIGHT, FORWARD, END = range(4)
BACKENDS = ("fast", "miniworld")
PLANNED_HORIZON = 20
"""Within these steps every object was reached from every start tested."""


class SignFamily(MetaEnv):
    """What the sign families share, see `Sign`: one world or many, each with three problems, one for each colour.

    A problem id is 3 x the number of its world + the index of the colour.
    """

    picture = "dream.envs.sign.picture:draw"
    reference_parameters: ClassVar[Mapping[str, Any]] = {"backend": "miniworld"}
    wrong_object: ClassVar[float]
    """Reward for touching another object than the right one."""

    def __init__(
        self,
        num_envs: int,
        problems: ProblemSet,
        layouts: Sequence[SignLayout],
        horizon: int,
        backend: str,
        threads: int,
        render_mode: str | None,
    ) -> None:
        if backend not in BACKENDS:
            raise ValueError(f"unknown backend {backend!r}: choose one of {', '.join(BACKENDS)}")
        if threads < 1:
            raise ValueError(f"threads is {threads}: give at least 1")
        self.layouts = tuple(layouts)
        """Of the worlds."""
        self.kinds = self.layouts[0].kinds
        """Kinds of objects, in order: an instruction is the number of one."""
        super().__init__(
            num_envs,
            problems=problems,
            horizon=horizon,
            observation_space=gym.spaces.Box(0, 255, (60, 80, 3), np.uint8),
            instruction_space=gym.spaces.MultiDiscrete([len(self.kinds)]),
            action_names=ACTION_NAMES,
            end_action=END,
            render_mode=render_mode,
        )
        self._backend, self._threads, self._tells = backend, threads, backend == "fast"
        if backend == "miniworld":
            self.backend  # noqa: B018  # says at once what is missing
        else:
            package_folder()
        self._everyone = np.arange(num_envs)
        self._start = np.array([(*layout.start_x, *layout.start_z) for layout in self.layouts])
        self._pose = np.zeros((num_envs, 3))
        self._yaw = np.zeros((num_envs, len(self.layouts[0].objects)))
        self._touched = np.full(num_envs, -1)
        self._pixels = np.zeros(num_envs, np.float32)
        self._path = np.zeros((num_envs, horizon + 1, 3))
        self._path_pixels = np.zeros((num_envs, horizon + 1), np.float32)

    @cached_property
    def backend(self) -> Any:
        """Simulates and renders the B members. Made when it is needed first: compiling many worlds takes seconds."""
        if self._backend == "fast":
            from dream.envs.sign.fast import FastBackend

            return FastBackend(self.num_envs, *self.layouts, threads=self._threads)
        from dream.envs.sign.miniworld_backend import MiniworldBackend

        return MiniworldBackend(self.num_envs, self.layouts[0], workers=self._threads)

    @property
    def worlds(self) -> CompiledWorlds:
        """The worlds as arrays."""
        from dream.envs.sign.compiled import compile_layouts

        return compile_layouts(self.layouts)

    @property
    def world(self) -> NDArray[np.int64]:
        """(B,) number of the world of each member."""
        return self.problem_id // len(COLOURS)

    @property
    def colour(self) -> NDArray[np.int64]:
        """(B,) index of the colour that the sign of each member names."""
        return self.problem_id % len(COLOURS)

    def close(self, **arguments: Any) -> None:
        """End the processes of the backend, if it has any."""
        if "backend" in self.__dict__:
            self.backend.close()
        super().close(**arguments)

    def sample_instruction(self, problem_id: NDArray[np.integer], rng: np.random.Generator) -> NDArray[np.int64]:
        """A kind of object for each problem, uniformly, (N,) -> (N, 1)."""
        return rng.integers(len(self.kinds), size=(len(problem_id), 1))

    def optimal_return(self, problem_id: NDArray[np.integer], instruction: NDArray[np.integer]) -> NDArray[np.float64]:
        """1 for every problem and instruction (N,), (N, 1) -> (N,): any object is reached in time from any start.

        Planned, not proved: `dream.envs.sign.planning.search` finds a way within 20 steps from every start tested
        (tests/test_envs_sign_planning.py). Errors as for `MetaEnv`; NotImplementedError for a horizon below 20.
        """
        ids = self.problems.checked(problem_id)
        self._checked_instructions(ids, instruction)
        if self.horizon < PLANNED_HORIZON:
            raise NotImplementedError(f"the optimal return is known for {PLANNED_HORIZON} steps or more")
        return np.ones(len(ids))

    def no_exploration_return(self, split: str = "all") -> float:
        """Mean return of the best policy that uses the instruction alone: touch nothing, or a random colour if better.

        As in the paper, this policy does not read the sign. It is not an upper bound for executors that do: there is
        time to read the sign and then go to the object (docs/sign.md). Raises ValueError for a split that does not
        exist.
        """
        self.problems.ids(split)
        share = 1 / len(COLOURS)
        return max(0.0, share + (1 - share) * self.wrong_object)

    def sign_pixels(self) -> NDArray[np.float32]:
        """How many pixels of the sign each member's last frame shows, (B,), in quarters.

        For diagnostics; an agent observes only the frame. Raises NotImplementedError with backend "miniworld", which
        does not count them.
        """
        if not self._tells:
            raise NotImplementedError("the miniworld backend does not count visible pixels: take the backend fast")
        return self.backend.thing_pixels()[:, -1]

    def informative(self) -> NDArray[np.bool_] | None:
        """Whether the last frame shows enough of the sign to read it, (B,); None with backend "miniworld"."""
        return self._pixels >= LEGIBLE_PIXELS if self._tells else None

    def parts(self) -> tuple[Part, ...]:
        """The colour that the sign names."""
        return (Part("colour", np.arange(self.problems.num_problems) % len(COLOURS), len(COLOURS), True, COLOURS),)

    def revealed(
        self, problem_id: int, obs: NDArray[Any], action: NDArray[np.integer], scene: Mapping[str, NDArray[Any]]
    ) -> NDArray[np.bool_] | None:
        """A legible sign shows the colour, (T + 1, 1); None without a scene or with backend "miniworld"."""
        if not scene or not self._tells:
            return None
        return np.asarray(scene["sign_pixels"][:, None] >= LEGIBLE_PIXELS)

    def instruction_name(self, instruction: NDArray[np.integer]) -> str:
        """The kind of object, (1,) -> such as "key"."""
        return self.kinds[int(instruction[0])]

    def tell(self, problem_id: int, obs: NDArray[Any], action: NDArray[np.integer]) -> list[str]:
        """Turns and walks; arguments as for `MetaEnv`."""
        phrases = []
        for number, run in groupby(action.tolist()):
            steps = len(list(run))
            phrases.append("ended the episode" if number == END else walked(number, steps, 45))
        return phrases

    def scene(self) -> dict[str, NDArray[Any]]:
        """pose (B, 3), sign_pixels (B,) and yaw (B, objects) of the objects: what a map shows."""
        return {"pose": self._pose.copy(), "sign_pixels": self._pixels.copy(), "yaw": self._yaw.copy()}

    def position(self) -> NDArray[np.float64]:
        """x and z of the agents, metres, (B, 2). Frames do not show it, so `positions` is not implemented."""
        return self._pose[:, :2].copy()

    @property
    def map_extent(self) -> tuple[float, float, float, float]:
        """The largest world, metres; z grows downwards as in `episode_picture`."""
        width, depth = np.max([layout.size for layout in self.layouts], axis=0).tolist()
        return (0.0, width, depth, 0.0)

    def instruction_probability(
        self, problem_id: NDArray[np.integer], instruction: NDArray[np.integer]
    ) -> NDArray[np.float64]:
        """The same for every kind of object, (N,), (N, 1) -> (N,)."""
        return np.full(len(problem_id), 1 / len(self.kinds))

    def expert(self, problem_id: NDArray[np.integer], instruction: NDArray[np.integer]) -> Expert:
        """Takes the shortest way to the object, for all members of this environment: see `dream.envs.sign.scripts`.

        Arguments and errors as for `MetaEnv`; also ValueError for another number of problems than members.
        """
        from dream.envs.sign.scripts import SignExpert  # here: compiling kernels takes time

        ids = self.problems.checked(problem_id, self.num_envs)
        return SignExpert(self, ids, self._checked_instructions(ids, instruction))

    def scripted_explorer(self, num: int) -> Expert:
        """Takes the shortest way to a pose from which the sign can be read, for all members of this environment.

        Raises ValueError for another `num` than there are.
        """
        from dream.envs.sign.scripts import SignExplorer  # as in `expert`

        if num != self.num_envs:
            raise ValueError(f"num is {num}: the script is for the {self.num_envs} members of this environment")
        return SignExplorer(self)

    def episode_picture(self, member: int = 0, caption: str = "") -> NDArray[np.uint8]:
        """Map of a member's episode so far, and its current frame, (400, 352, 3) uint8.

        Raises RuntimeError before the first reset, ValueError for a member that does not exist.
        """
        self._check_pictured(member)
        so_far = slice(int(self.elapsed[member]) + 1)
        yaw = self._yaw[member]
        scene = {"pose": self._path[member, so_far], "sign_pixels": self._path_pixels[member, so_far], "yaw": yaw[None]}
        problem_id, instruction = int(self.problem_id[member]), self.instruction[member]
        return self.draw(problem_id, self.phase, self.last_obs[member], instruction, caption, scene=scene)

    @property
    def pose(self) -> NDArray[np.float64]:
        """(B, 3) x, z and direction of the agents: metres, and radians from +x, growing to the left."""
        return self._pose.copy()

    def _observe(self, frames: NDArray[Any]) -> NDArray[Any]:
        """Return the frames, and record what pictures show besides: the pose, and how much of the sign is in view."""
        if self._tells:  # the miniworld backend does not
            self._pixels = self.sign_pixels()
        self._path[self._everyone, self.elapsed] = self._pose
        self._path_pixels[self._everyone, self.elapsed] = self._pixels
        return frames

    def _begin(self, members: NDArray[np.int64]) -> NDArray[Any]:
        count, draw = len(members), self.np_random.uniform
        low_x, high_x, low_z, high_z = self._start[self.world[members]].T
        self._pose[members] = np.stack([draw(low_x, high_x), draw(low_z, high_z), draw(-np.pi, np.pi, count)], axis=1)
        self._start_elsewhere(members)
        self._touched[members] = -1
        self._yaw[members] = draw(-np.pi, np.pi, (count, self._yaw.shape[1]))
        starts = np.zeros(self.num_envs, np.bool_)
        starts[members] = True
        return self._observe(self._reset_backend(starts))

    def _start_elsewhere(self, members: NDArray[np.int64]) -> None:
        """Move some of the members (M,) that start an episode; a family may do so in training."""

    def hindsight(self) -> Hindsight | None:
        """Who touched an object was right for its kind in the same world with its colour, unless a frame showed more.

        A frame that shows any of the sign shows a colour that it has in one of the problems only. Where it shows none,
        it would be the same with another colour, unless the word is longer: one episode in some hundred. None with
        backend "miniworld", which does not say how much of the sign a frame shows.
        """
        if not self._tells:
            return None
        kind, colour = np.divmod(self._touched, len(COLOURS))
        shown = np.where(np.arange(self.horizon + 1) <= self.elapsed[:, None], self._path_pixels, 0).max(axis=1) > 0
        return Hindsight(
            valid=(self._touched >= 0) & (~shown | (colour == self.colour)),
            problem_id=len(COLOURS) * self.world + colour,
            instruction=kind[:, None],
            reward=np.ones(self.num_envs, np.float32),
            terminated=np.ones(self.num_envs, np.bool_),
        )

    def _reset_backend(self, starts: NDArray[np.bool_]) -> NDArray[Any]:
        if len(self.layouts) == 1:
            return self.backend.reset(self.colour, self._pose, self._yaw, starts)
        return self.backend.reset(self.colour, self._pose, self._yaw, starts, self.world)

    def _advance(self, actions: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[np.float32], NDArray[np.bool_]]:
        result = self.backend.step(actions, self.active)
        self._pose = result.pose
        touched = result.touched
        self._touched = np.where(self.active, touched, self._touched)
        right = self.instruction[:, 0] * len(COLOURS) + self.colour
        reward = np.where(touched < 0, 0.0, np.where(touched == right, 1.0, self.wrong_object)).astype(np.float32)
        return self._observe(result.frames), reward, touched >= 0


def one_world_problems(family: str, horizon: int, variant: str) -> ProblemSet:
    """The three colours in one world, all of them in every split."""
    ids = np.arange(len(COLOURS))
    return ProblemSet(
        family,
        {"horizon": horizon, "variant": variant},
        len(ids),
        {"train": ids, "validation": ids, "test": ids},
        (len(ids),),
        ids[:, None],
    )


class Sign(SignFamily):
    """The paper's 3D task, MiniWorld's Sign: box and key, blue, red and green; obs (60, 80, 3) uint8, red, green, blue.

    The problem is the colour (0 blue, 1 red, 2 green), which the sign names; the instruction is the kind of object
    (0 box, 1 key). Coming near an object ends the episode: in execution with reward 1 for the right one, else -1.
    An episode starts at a random place in the middle of the room, in a random direction. The end action takes one step
    back, then ends. All splits hold all three colours; generalisation is tested with `variant`.

    Args:
        num_envs: members.
        horizon: steps of an episode.
        variant: "default"; or a world that differs in one thing: "sign-left" or "sign-high" (where the sign hangs),
            "walls" (bricks), "start" (another part of the room).
        backend: "fast", our own renderer, or "miniworld", the real one (Linux with OpenGL).
        threads: of the renderer.
        render_mode: None or "rgb_array".

    Raises:
        ValueError: a parameter that is not allowed.
        UserError: the miniworld package (its textures and meshes) is missing; for backend "miniworld" also OpenGL.
    """

    summary = "walk around a barrier to read a colour off a sign, then go to the object; pixels (3 problems)"
    default_settings: ClassVar[Mapping[str, Any]] = {
        "steps": 1_000_000,
        "learning.buffer_size": 6_000,  # 3.6 GB of frames
        "evaluation.checkpoint_every": 500_000,  # they go into every checkpoint
        "learning.repeat_action": 0.7,  # otherwise one random walk in a hundred comes to the farthest object
        # Walking to an object is most of what is learned, and an executor that knows nothing had better touch none
        "executor.id_fraction": 0.5,
        "executor.empty_fraction": 0.25,
        "executor.prefix_fraction": 0.25,
    }
    wrong_object = -1.0

    def __init__(
        self,
        num_envs: int,
        horizon: int = 20,
        variant: str = "default",
        backend: str = "fast",
        threads: int = 1,
        render_mode: str | None = None,
    ) -> None:
        layout, problems = layout_of("sign", variant), one_world_problems("sign", horizon, variant)
        super().__init__(num_envs, problems, [layout], horizon, backend, threads, render_mode)


class SignBall(SignFamily):
    """As `Sign` with balls: nine objects, instruction 0 box, 1 key, 2 ball; the right object has reward 1.

    Touching another object ends the episode with reward 0. Arguments and errors as for `Sign`.
    """

    summary = "sign with balls: nine objects, and reward for the right one only; pixels (3 problems)"
    wrong_object = 0.0

    def __init__(
        self,
        num_envs: int,
        horizon: int = 20,
        variant: str = "default",
        backend: str = "fast",
        threads: int = 1,
        render_mode: str | None = None,
    ) -> None:
        layout, problems = layout_of("sign-ball", variant), one_world_problems("sign-ball", horizon, variant)
        super().__init__(num_envs, problems, [layout], horizon, backend, threads, render_mode)
