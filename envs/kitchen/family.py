"""Kitchen: two ingredients into a pot, in order, from containers whose contents are unknown. Observed as pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from dream.envs.base import MetaEnv
from dream.envs.hindsight import Hindsight
from dream.envs.insight import Expert, Part
from dream.envs.kitchen.guess import guessing_chance
from dream.envs.kitchen.layout import COLLECTIONS, CONTAINERS, GRID, INGREDIENTS, NOTHING, POT
from dream.envs.kitchen.planning import END, USE, mean_optimal_steps, walks_of
from dream.envs.kitchen.problems import VARIANTS, make_problems
from dream.envs.kitchen.rules import Deeds, State, act, shown
from dream.envs.kitchen.scripts import KitchenExpert, KitchenExplorer, part_way
from dream.envs.world3d.assets import package_folder
from dream.envs.world3d.settings import NEW_WORLDS

if TYPE_CHECKING:
    from dream.envs.drawing import Moment
    from dream.envs.kitchen.layout import KitchenLayout
    from dream.envs.kitchen.view import View

ACTION_NAMES = ("turn left", "turn right", "forward", "use", "end-episode")
LONGEST_TOUR, LONGEST_DISH = 36, 46
"""Steps of the longest shortest tour of the containers and shortest dish, over all kitchens, contents and starts."""
HORIZON = LONGEST_DISH + 4
"""Steps of an episode, by default: of the longest dish, and a full turn to look around."""
STEP_COST, PROGRESS_REWARD = 0.1, 0.25
TRAINING_REWARDS = ("progress", "sparse")
TRAINING_HORIZON = 20
"""Steps of an execution of training, by default: most start part-way, so that few dishes take more, and who does not
know yet what to do wanders about for less long."""
ASKED = 0.75
"""Share of the executions of training that start part-way with an empty hand and do so in front of a random container:
whether to open it is what z has to tell."""


class Kitchen(MetaEnv):
    """Small kitchens in first person; obs (60, 80, 3) uint8, red, green, blue.

    Cells of a metre, turns of 90 degrees. Along the walls stand a pot and 4 to 6 closed containers of different types,
    each with one of 6 ingredients. `use` opens the container in front, takes what an open one holds or puts it back
    (containers never run out), and puts what the hand holds into the pot. An open container closes when the agent
    leaves its cell or opens another. Pictures in the lower corners of the frame show what is in the pot (left) and in
    the hand (right). An episode starts in a random pose, with empty hand and pot.

    The problem is the kitchen and what each container holds; f is told the contents, because nothing else is unknown
    to who looks around. The instruction names two ingredients, each that of a random container. In execution the dish
    is done when the first and then the second are in the pot: reward 1 and the end. Opening a container that does not
    hold what is needed next (the first while the pot is empty, then the second) ends the episode with reward 0, and so
    does a wrong ingredient in the pot. With time to search, an execution would need no exploration.

    In training (`MetaEnv.training`), a share of the executions starts part-way: where a shortest way from the ordinary
    start would be after a random number of its steps, or, three quarters of those with an empty hand, in front of a
    random container. As many explorations start there.

    Args:
        num_envs: members.
        kitchens: kitchens of training, 1 to 1,000, with 20 contents each.
        variant: the problems of the split `test`: "kitchens", 200 new kitchens with contents like those of training;
            "contents", the first 200 kitchens of training with contents that no kitchen has in training; "both".
        horizon: steps of an episode, at least those of the longest dish.
        shaped: -0.1 a step; 0.25 instead for taking what is needed next and for putting it into the pot, and putting it
            back takes away what taking it gave; -0.25 more for opening a wrong container, taking something else (from
            one that is still open) and spoiling the dish. Each step that is left costs 0.1 when the episode ends
            without the dish.
        training_rewards: "progress" or "sparse". With "progress", unless `shaped`, executions of training have a reward
            of 0.25 for each of the four steps of a dish, taking and putting of both ingredients; putting back what was
            needed takes it away again. Executions that judge a policy have the sparse reward.
        training_horizon: steps of an execution of training.
        part_way: share of the episodes of training that start part-way, 0 to 1.
        threads: of the renderer.
        render_mode: None or "rgb_array".

    Raises:
        ValueError: a parameter that is not allowed.
        UserError: the miniworld package (its textures and meshes) is missing.
    """

    summary = "cook in kitchens never seen: what is in each container is unknown; pixels (22,500 problems)"
    picture = "dream.envs.kitchen.picture:draw"
    default_settings: ClassVar[Mapping[str, Any]] = {
        **NEW_WORLDS,
        "network.instruction": "query",  # where is the duckie?
        "steps": 3_000_000,
        "learning.buffer_size": 2_500,  # 3.7 GB of frames
        "evaluation.checkpoint_every": 500_000,  # they go into every checkpoint
        "executor.id_fraction": 0.5,
        "executor.empty_fraction": 0.25,
        "executor.prefix_fraction": 0.25,
        "explorer.min_explained": 0.05,
    }

    def __init__(
        self,
        num_envs: int,
        kitchens: int = COLLECTIONS["train"],
        variant: str = "kitchens",
        horizon: int = HORIZON,
        shaped: bool = False,
        training_rewards: str = "progress",
        training_horizon: int = TRAINING_HORIZON,
        part_way: float = 0.75,
        threads: int = 1,
        render_mode: str | None = None,
    ) -> None:
        if not 1 <= kitchens <= COLLECTIONS["train"]:
            raise ValueError(f"kitchens is {kitchens}: give 1 to {COLLECTIONS['train']}")
        if variant not in VARIANTS:
            raise ValueError(f"unknown variant {variant!r}: choose one of {', '.join(VARIANTS)}")
        if training_rewards not in TRAINING_REWARDS:
            raise ValueError(
                f"unknown training_rewards {training_rewards!r}: choose one of {', '.join(TRAINING_REWARDS)}"
            )
        if training_horizon < 1:
            raise ValueError(f"training_horizon is {training_horizon}: give at least 1")
        if not 0 <= part_way <= 1:
            raise ValueError(f"part_way is {part_way}: give a share from 0 to 1")
        if threads < 1:
            raise ValueError(f"threads is {threads}: give at least 1")
        if horizon < LONGEST_DISH:
            raise ValueError(f"horizon is {horizon}: a dish can take {LONGEST_DISH} steps, so give at least that")
        package_folder()
        found = make_problems(kitchens, variant)
        self.layouts = found.layouts
        """Of the kitchens."""
        self.walks = walks_of(found.layouts)
        """How they are walked in."""
        self.shaped, self.training_rewards, self.part_way = shaped, training_rewards, part_way
        self.training_horizon, self._threads = training_horizon, threads
        self._kitchen_of, self._contents_of = found.kitchen, found.contents
        parameters = {**found.problems.parameters, "horizon": horizon, "shaped": shaped}
        super().__init__(
            num_envs,
            problems=replace(found.problems, parameters=parameters),
            horizon=horizon,
            observation_space=gym.spaces.Box(0, 255, (60, 80, 3), np.uint8),
            instruction_space=gym.spaces.MultiDiscrete([len(INGREDIENTS)] * 2),
            action_names=ACTION_NAMES,
            end_action=END,
            render_mode=render_mode,
        )
        self._everyone = np.arange(num_envs)
        nothing = np.full(num_envs, NOTHING)
        self._state = State(np.zeros(num_envs, np.int64), np.full(num_envs, -1), nothing, nothing)
        self._seen = np.zeros((num_envs, len(CONTAINERS)), np.bool_)
        self._handled = np.zeros(num_envs, np.bool_)
        self._mistaken = nothing.copy()
        self._frames = np.zeros((num_envs, 60, 80, 3), np.uint8)
        self._path = {
            name: np.zeros((num_envs, horizon + 1, *array.shape[1:]), array.dtype)
            for name, array in self.scene().items()
        }

    @cached_property
    def view(self) -> View:
        """Draws the frames. Made when it is needed first, because the renderer is slow to import."""
        from dream.envs.kitchen.view import View

        return View(self.layouts, self._threads)

    @property
    def kitchen(self) -> NDArray[np.int64]:
        """(B,) number of the kitchen of each member."""
        return self.kitchens_of(self.problem_id)

    def kitchens_of(self, problem_id: NDArray[np.integer]) -> NDArray[np.int64]:
        """Numbers of the kitchens of problems (N,), (N,)."""
        return self._kitchen_of[problem_id]

    @property
    def contents(self) -> NDArray[np.int64]:
        """(B, 6) the ingredient in each type of container of each member, NOTHING where there is no such container."""
        return self._contents_of[self.problem_id]

    @property
    def state(self) -> State:
        """Pose, open container, hand and pot of each member."""
        return State(*(array.copy() for array in self._state))

    @property
    def shown(self) -> NDArray[np.int64]:
        """(B,) type of the container whose inside each member sees, -1 for none."""
        return shown(self.walks, self.kitchen, self._state)

    def sample_instruction(self, problem_id: NDArray[np.integer], rng: np.random.Generator) -> NDArray[np.int64]:
        """Twice the ingredient of a random container of each problem, (N,) -> (N, 2)."""
        contents = self._contents_of[problem_id]
        there = contents < NOTHING
        drawn = rng.integers(there.sum(axis=1)[:, None], size=(len(contents), 2))
        first = np.argsort(~there, axis=1, kind="stable")  # the types that the kitchen has come first
        return np.take_along_axis(contents, np.take_along_axis(first, drawn, axis=1), axis=1)

    def check_instruction(self, problem_id: NDArray[np.int64], instruction: NDArray[np.int64]) -> None:
        """Raise ValueError for an instruction (N, 2) that asks for what no container of its problem (N,) holds."""
        bad = self.instruction_probability(problem_id, instruction) == 0
        if bad.any():
            held = [INGREDIENTS[item] for item in self._contents_of[problem_id[bad][0]] if item < NOTHING]
            raise ValueError(
                f"instruction {instruction[bad][0].tolist()} ({self.instruction_name(instruction[bad][0])}) cannot be "
                f"cooked in problem {problem_id[bad][0]}: its containers hold {', '.join(held)}"
            )

    def instruction_probability(
        self, problem_id: NDArray[np.integer], instruction: NDArray[np.integer]
    ) -> NDArray[np.float64]:
        """Product of the shares of the containers that hold each ingredient, (N,), (N, 2) -> (N,)."""
        contents = self._contents_of[problem_id]
        there = (contents < NOTHING).sum(axis=1)[:, None]
        holds = (contents[:, None, :] == np.asarray(instruction)[:, :, None]).sum(axis=2)
        shares: NDArray[np.float64] = (holds / there).prod(axis=1)
        return shares

    def optimal_return(self, problem_id: NDArray[np.integer], instruction: NDArray[np.integer]) -> NDArray[np.float64]:
        """1 for every problem and instruction, (N,), (N, 2) -> (N,): there is time for the shortest way.

        With `shaped`, the mean over starts of the return of the shortest way: finishing later is never better, and
        neither is anything else. Errors as for `MetaEnv`.
        """
        ids = self.problems.checked(problem_id)
        wanted = self._checked_instructions(ids, instruction)
        if not self.shaped:
            return np.ones(len(ids))
        steps = mean_optimal_steps(self.walks, self._kitchen_of[ids], self._contents_of[ids], wanted)
        return 4 * PROGRESS_REWARD - STEP_COST * (steps - 4)  # four steps of progress cost nothing

    def no_exploration_return(self, split: str = "all") -> float:
        """How often the best executor without exploration guesses its containers right, in the kitchens of a split.

        It knows the kitchen and its instruction, and that contents are independent and uniform: a closed form
        (`dream.envs.kitchen.guess`).

        Raises:
            ValueError: the split does not exist.
            NotImplementedError: with `shaped`.
        """
        contents = self._contents_of[self.problems.ids(split)]
        if self.shaped:
            raise NotImplementedError("the no-exploration return of kitchen is known for the sparse reward only")
        return float(guessing_chance((contents < NOTHING).sum(axis=1)).mean())

    def parts(self) -> tuple[Part, ...]:
        """What each type of container holds, or that there is none."""
        values = (*INGREDIENTS, "none")
        return tuple(
            Part(name, self._contents_of[:, kind], len(values), True, values) for kind, name in enumerate(CONTAINERS)
        )

    def revealed(
        self, problem_id: int, obs: NDArray[Any], action: NDArray[np.integer], scene: Mapping[str, NDArray[Any]]
    ) -> NDArray[np.bool_]:
        """An open container shows what it holds, (T + 1, 6). That there is no such container is never unknown."""
        inside = scene["shown"] if scene else self._opened(np.array([problem_id]), obs[None])[0]
        missing = self._contents_of[problem_id] == NOTHING
        return np.asarray((inside[:, None] == np.arange(len(CONTAINERS))) | missing)

    def informative(self) -> NDArray[np.bool_]:
        """Whether the last frame shows an open container and all others were seen in this episode before, (B,)."""
        return np.asarray((self.shown >= 0) & (self._seen | (self.contents == NOTHING)).all(axis=1))

    def exploration_summary(
        self,
        problem_id: NDArray[np.integer],
        obs: NDArray[Any],
        action: NDArray[np.integer],
        mask: NDArray[np.bool_],
    ) -> dict[str, NDArray[np.float64]]:
        """containers_opened: different ones whose inside was seen; uses: of the action. Each (N,)."""
        opened = np.where(mask, self._opened(np.asarray(problem_id), obs[:, 1:]), -1)
        different = [(opened == kind).any(axis=1) for kind in range(len(CONTAINERS))]
        return {
            "containers_opened": np.sum(different, axis=0).astype(np.float64),
            "uses": (mask & (action == USE)).sum(axis=1).astype(np.float64),
        }

    def instruction_name(self, instruction: NDArray[np.integer]) -> str:
        """The dish, (2,) -> such as "duckie, then cone"."""
        return ", then ".join(INGREDIENTS[item] for item in instruction)

    def tell(self, problem_id: int, obs: NDArray[Any], action: NDArray[np.integer]) -> list[str]:
        """Ways, and what was opened, taken and put where; arguments as for `MetaEnv`."""
        from dream.envs.kitchen.reading import tell

        opened = self._opened(np.array([problem_id]), obs[None])[0]
        return tell(opened, self._contents_of[problem_id], obs, action)

    def scene(self) -> dict[str, NDArray[Any]]:
        """pose (B, 3) x and z of the cell and heading; opened, shown (B,) containers or -1; hand, pot (B,)."""
        cell, heading = np.divmod(self._state.pose, 4)
        return {
            "pose": np.stack([cell % GRID, cell // GRID, heading], axis=1),
            "opened": self._state.opened.copy(),
            "shown": self.shown,
            "hand": self._state.hand.copy(),
            "pot": self._state.pot.copy(),
        }

    def position(self) -> NDArray[np.float64]:
        """x and z of the agents' cells, (B, 2). Frames do not show them, so `positions` is not implemented."""
        return self.scene()["pose"][:, :2].astype(np.float64)

    @property
    def map_extent(self) -> tuple[float, float, float, float]:
        """The cells of the largest kitchen, centred on whole numbers, z downwards."""
        return (-0.5, GRID - 0.5, GRID - 0.5, -0.5)

    def expert(self, problem_id: NDArray[np.integer], instruction: NDArray[np.integer]) -> Expert:
        """Cooks by a shortest way, for one episode of all members of this env (B,). Errors as for `MetaEnv`.

        Of a believed problem in another kitchen it believes the contents alone.
        """
        contents = self._contents_of[self.problems.checked(problem_id)]
        return KitchenExpert(self, contents, np.asarray(instruction, np.int64))

    def scripted_explorer(self, num: int) -> Expert:
        """Opens all containers on a shortest tour, for one episode of all members of this env.

        Raises ValueError for another number of members.
        """
        if num != self.num_envs:
            raise ValueError(f"an explorer for {num} members reads the poses of {self.num_envs}: give that number")
        return KitchenExplorer(self)

    def kitchen_layout(self, problem_id: int) -> KitchenLayout:
        """The kitchen of a problem."""
        return self.layouts[self._kitchen_of[problem_id]]

    def known_contents(self, moment: Moment) -> NDArray[np.int64]:
        """(6,) what a picture shows in each type of container, NOTHING where it is not known."""
        known = [moment.knows(kind) for kind in range(len(CONTAINERS))]
        return np.where(known, self._contents_of[moment.problem_id], NOTHING)

    def episode_picture(self, member: int = 0, caption: str = "") -> NDArray[np.uint8]:
        """Map of a member's episode so far, and its current frame, (400, 352, 3) uint8.

        Raises RuntimeError before the first reset, ValueError for a member that does not exist.
        """
        self._check_pictured(member)
        scene = {name: array[member, : int(self.elapsed[member]) + 1] for name, array in self._path.items()}
        problem_id, instruction = int(self.problem_id[member]), self.instruction[member]
        return self.draw(problem_id, self.phase, self.last_obs[member], instruction, caption, scene=scene)

    def _opened(self, problem_id: NDArray[np.integer], frames: NDArray[Any]) -> NDArray[np.int64]:
        """The container whose inside each of some frames (N, T, 60, 80, 3) shows, or -1, (N, T)."""
        from dream.envs.kitchen.reading import open_containers

        contents = self._contents_of[problem_id]
        return open_containers(self.view, self.walks, self._kitchen_of[problem_id], contents, frames)

    def _begin(self, members: NDArray[np.int64]) -> NDArray[Any]:
        kitchen = self.kitchen[members]
        nothing = np.full(len(members), NOTHING)
        begin = State(self._random_poses(kitchen), np.full(len(members), -1), nothing, nothing)
        if self.training and self.part_way > 0:
            moved = self.np_random.random(len(members)) < self.part_way
            begin = self._part_way(members, begin, moved)
        self._state = self.state  # copies
        for array, start in zip(self._state, begin, strict=True):
            array[members] = start
        self._seen[members] = False
        self._handled[members] = (begin.opened >= 0) | (begin.hand < NOTHING)
        self._mistaken[members] = NOTHING
        return self._observe(members)

    def _part_way(self, members: NDArray[np.int64], begin: State, moved: NDArray[np.bool_]) -> State:
        """Starts of training for members (M,): where they `begin`, or part-way if `moved`."""
        kitchen = self.kitchen[members]
        asked = moved
        if self.phase == "execute":
            share = moved * self.np_random.random(len(members))
            task = self.contents[members], self.instruction[members]
            begin = part_way(self.walks, kitchen, *task, begin.pose, share)
            asked = moved & (begin.hand == NOTHING) & (self.np_random.random(len(members)) < ASKED)
        pose = np.where(asked, self._poses_at_containers(kitchen), begin.pose)
        return begin._replace(pose=pose, opened=np.where(asked, -1, begin.opened))

    def _random_poses(self, kitchen: NDArray[np.int64]) -> NDArray[np.int64]:
        """A pose in each of some kitchens (N,), uniformly, (N,)."""
        cell = self.walks.floor[kitchen, self.np_random.integers(self.walks.cells[kitchen])]
        return 4 * cell + self.np_random.integers(4, size=len(kitchen))

    def _poses_at_containers(self, kitchen: NDArray[np.int64]) -> NDArray[np.int64]:
        """The pose from which a random container of each of some kitchens (N,) is used, (N,)."""
        access = self.walks.access[kitchen, :POT]
        kind = np.where(access >= 0, self.np_random.random(access.shape), -1).argmax(axis=1)
        return access[np.arange(len(kitchen)), kind]

    def _advance(self, actions: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[np.float32], NDArray[np.bool_]]:
        before = self._state
        then, deeds = act(self.walks, self.kitchen, self.contents, before, np.where(self.active, actions, END))
        self._state = then
        frames = self._observe(np.flatnonzero(self.active))
        if self.phase == "explore":
            nothing = np.zeros(self.num_envs, np.float32)
            return frames, nothing, nothing.astype(np.bool_)
        wanted = self.instruction[self._everyone, (before.pot < NOTHING) * 1]
        first = self.active & ~self._handled
        self._mistaken = np.where(first & _wrong(deeds.opened, wanted), deeds.opened, self._mistaken)
        self._handled |= deeds.opened < NOTHING
        self._handled &= deeds.potted == NOTHING  # nothing was handled yet of what is needed next
        dish = (deeds.potted == wanted) & (before.pot < NOTHING)
        failed = _wrong(deeds.opened, wanted) | _wrong(deeds.potted, wanted)
        if self.shaped:
            reward = self._shaped(deeds, wanted, failed, actions == END)
        elif self.training and self.training_rewards == "progress":
            reward = PROGRESS_REWARD * _progress(deeds, wanted)
        else:
            reward = dish.astype(np.float32)
        return frames, reward, dish | failed

    def hindsight(self) -> Hindsight | None:
        """Whose first opening in search of an ingredient was wrong was right for the dish with what it found.

        Then the episode goes on. Nothing else that it did depends on that ingredient.
        """
        instruction = self.instruction.copy()
        instruction[self._everyone, (self._state.pot < NOTHING) * 1] = self._mistaken
        return Hindsight(
            valid=self._mistaken < NOTHING,
            problem_id=self.problem_id.copy(),
            instruction=instruction,
            reward=np.full(self.num_envs, -STEP_COST if self.shaped else 0.0, np.float32),
            terminated=np.zeros(self.num_envs, np.bool_),
        )

    def _shaped(
        self, deeds: Deeds, wanted: NDArray[np.int64], failed: NDArray[np.bool_], ended: NDArray[np.bool_]
    ) -> NDArray[np.float32]:
        """The rewards of `shaped`, (B,), where a mistake failed the dish or the end action ended the episode."""
        progress = _progress(deeds, wanted)
        reward = (PROGRESS_REWARD + STEP_COST) * progress - STEP_COST
        reward -= PROGRESS_REWARD * (failed | _wrong(deeds.took, wanted))
        return (reward - STEP_COST * (failed | ended) * (self.horizon - self.elapsed)).astype(np.float32)

    def _observe(self, members: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Frames of all members (B, 60, 80, 3), those of `members` (M,) new; and record what pictures show besides."""
        inside = self.shown
        rows = np.flatnonzero(inside >= 0)
        self._seen[rows, inside[rows]] = True
        for name, array in self.scene().items():
            self._path[name][self._everyone, self.elapsed] = array
        kitchen, (pose, opened, hand, pot) = self.kitchen, self._state
        held = self.contents[self._everyone, np.maximum(opened, 0)]
        now = (kitchen, pose, opened, held, hand, pot)
        if len(members) == self.num_envs:
            self._frames = self.view.frames(*now)
        elif len(members):
            self._frames = self._frames.copy()
            self._frames[members] = self.view.frames(*(array[members] for array in now))
        return self._frames


def _progress(deeds: Deeds, wanted: NDArray[np.int64]) -> NDArray[np.float32]:
    """1 for taking what is wanted or putting it into the pot, -1 for putting it back where it was, else 0; (B,)."""
    forward = (deeds.took == wanted) | (deeds.potted == wanted)
    return forward.astype(np.float32) - (deeds.returned == wanted)


def _wrong(handled: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether an ingredient was handled, and not the wanted one, each (B,)."""
    return (handled < NOTHING) & (handled != wanted)
