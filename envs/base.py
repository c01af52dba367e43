"""The one interface of every problem family: `MetaEnv`, B problems side by side.

No torch here: numpy batches and gymnasium spaces only. What every family has in common (checking what it is given,
freezing finished members, the time limit, the two phases) is written once, in `MetaEnv.reset` and `MetaEnv.step`; a
family adds `_begin` and `_advance`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from dream.envs.insight import Expert, Part
from dream.envs.problems import ProblemSet
from dream.envs.telling import counted

Phase = Literal["explore", "execute"]
PHASES: tuple[Phase, ...] = ("explore", "execute")


def integer_space(sizes: Sequence[int]) -> gym.spaces.MultiDiscrete:
    """Space of integer observations (D,) int16, component d from 0 up to sizes[d] - 1."""
    return gym.spaces.MultiDiscrete(np.array(sizes), dtype=np.int16)  # type: ignore[arg-type]


class MetaEnv(VectorEnv[NDArray[Any], NDArray[Any], NDArray[Any]], ABC):
    """B problems of one family, stepped in lockstep. Autoreset is disabled: a finished member freezes until `reset`.

    `reset(seed=None, options={"problem_id": (B,) ints, "phase": "explore" | "execute", "instruction": (B, I) ints})`
        starts one episode in every member. Without "problem_id" each member gets a problem of the training split. A
        reset never changes a problem that was named. "phase" defaults to "execute". Without "instruction" (or with
        None) one is drawn from the problem's own distribution. The exploration phase has no instruction (zeros) and
        pays no reward.
        Returns (obs (B, ...), info) with info["problem_id"] (B,) int64 and info["instruction"] (B, I) int64.
    `step(actions (B,))` returns (obs, reward (B,) float32, terminated (B,) bool, truncated (B,) bool, info) with
        info["active"] (B,) bool: the member made a real transition in this step. A frozen member repeats its
        last observation with reward 0, active False and its flags as they were.

    Observations: integers (B, D) (MultiDiscrete, int16) or images (B, H, W, 3) (Box, uint8).
    Randomness comes only from `self.np_random`, seeded by reset(seed=...).

    A family calls `super().__init__` and implements `_begin`, `_advance` and `sample_instruction`.
    """

    metadata: dict[str, Any] = {
        "render_modes": ["rgb_array"],
        "render_fps": 4,
        "autoreset_mode": AutoresetMode.DISABLED,
    }
    summary: ClassVar[str] = ""
    """One line for a list of the families."""

    family: str
    problems: ProblemSet
    horizon: int
    """Steps of an episode before it is truncated."""
    single_action_space: gym.spaces.Discrete
    instruction_space: gym.spaces.MultiDiscrete
    """Space of one instruction, (I,) ints."""
    action_names: tuple[str, ...]
    end_action: int | None
    """The action that ends the episode at once, where the family has one."""

    phase: Phase
    """Phase of the current episode, the same for all members."""
    problem_id: NDArray[np.int64]
    """(B,) problems of the current episode."""
    instruction: NDArray[np.int64]
    """(B, I) instructions of the current episode, zeros while exploring."""
    elapsed: int
    """Steps made since the last reset."""

    def __init__(
        self,
        num_envs: int,
        *,
        problems: ProblemSet,
        horizon: int,
        observation_space: gym.spaces.MultiDiscrete | gym.spaces.Box,
        instruction_space: gym.spaces.MultiDiscrete,
        action_names: Sequence[str],
        end_action: int | None,
        render_mode: str | None = None,
    ) -> None:
        """Spaces are those of one member. Raises ValueError for num_envs < 1, horizon < 1 or an unknown render mode."""
        if num_envs < 1:
            raise ValueError(f"num_envs is {num_envs}: give at least 1")
        if horizon < 1:
            raise ValueError(f"horizon is {horizon}: give at least 1")
        if render_mode not in (None, "rgb_array"):
            raise ValueError(f"render_mode is {render_mode!r}: the only mode is 'rgb_array'")
        self.num_envs = num_envs
        self.family = problems.family
        self.problems = problems
        self.horizon = horizon
        self.render_mode = render_mode
        self.action_names = tuple(action_names)
        self.end_action = end_action
        self.instruction_space = instruction_space
        self.single_observation_space = observation_space
        self.single_action_space = gym.spaces.Discrete(len(self.action_names))
        self.observation_space = batch_space(observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.phase = "execute"
        self.problem_id = np.zeros(num_envs, np.int64)
        self.instruction = np.zeros((num_envs, *instruction_space.shape), np.int64)
        self.elapsed = -1  # not reset yet

    # What a family implements

    @abstractmethod
    def _begin(self) -> NDArray[Any]:
        """Put every member at the start of an episode of `problem_id`, `phase`, `instruction`: first obs (B, ...)."""

    @abstractmethod
    def _advance(self, actions: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[np.float32], NDArray[np.bool_]]:
        """Move every member one step on: a new array of obs (B, ...), reward (B,) float32, terminated (B,) bool.

        `elapsed` already counts this step. Frozen members may be moved too: what comes back for them is ignored. So is
        the reward while exploring. `end_action` is handled by `step` (though a price of ending is the family's).
        """

    @abstractmethod
    def sample_instruction(self, problem_id: NDArray[np.integer], rng: np.random.Generator) -> NDArray[np.int64]:
        """One instruction for each problem, (N,) -> (N, I) int64, from the problem's own distribution."""

    def check_instruction(self, problem_id: NDArray[np.int64], instruction: NDArray[np.int64]) -> None:
        """Raise ValueError if a problem (N,) never gives this instruction (N, I), which is known to fit the space."""

    def informative(self) -> NDArray[np.bool_] | None:
        """Whether each member's last observation shows what tells the problem, (B,); None if the family cannot say.

        The truth, for diagnostics: no agent gets to know it.
        """
        return None

    # What a family can tell of itself, to explain explorers; none of it is needed to train

    def parts(self) -> tuple[Part, ...]:
        """What a problem is made of; empty where the family does not say."""
        return ()

    def exploration_summary(
        self,
        problem_id: NDArray[np.integer],
        obs: NDArray[Any],
        action: NDArray[np.integer],
        mask: NDArray[np.bool_],
    ) -> dict[str, NDArray[np.float64]]:
        """What N recorded explorations did, in figures (N,) by name; empty where the family does not say.

        Args:
            problem_id: (N,) ints.
            obs: (N, T + 1, ...), slot t is what was seen before action t.
            action: (N, T) ints; the number of actions marks a step from one episode of a stream to the next.
            mask: (N, T) bool, the stream has a step here; padding only at the end.
        """
        return {}

    def positions(self, obs: NDArray[Any]) -> NDArray[np.float64]:
        """Where the agent stands by its observation, (..., D) -> (..., 2) x and y, in the units of `map_extent`.

        Raises NotImplementedError where observations do not tell.
        """
        raise NotImplementedError(f"observations of family {self.family!r} do not tell where the agent is")

    def position(self) -> NDArray[np.float64]:
        """Where every member stands now, (B, 2); known during play even to families whose observations do not tell.

        Raises NotImplementedError where there is no such thing.
        """
        return self.positions(self.last_obs)

    @property
    def map_extent(self) -> tuple[float, float, float, float]:
        """Left, right, bottom and top edge of a map of the positions (bottom > top where y grows downwards).

        Those of a grid whose cells are centred on whole numbers lie halfway between two: visits are counted by cell.
        Raises NotImplementedError where there are no positions.
        """
        raise NotImplementedError(f"family {self.family!r} has no map")

    def instruction_name(self, instruction: NDArray[np.integer]) -> str:
        """What a person calls an instruction (I,); "" in a family that knows only one."""
        if int(np.prod(self.instruction_space.nvec)) == 1:
            return ""
        return f"instruction {', '.join(str(int(value)) for value in instruction)}"

    def tell(self, problem_id: int, obs: NDArray[Any], action: NDArray[np.integer]) -> list[str]:
        """What was done in one recorded episode, in words, a phrase for each thing, such as "walked to the bowl".

        Args:
            problem_id: the problem.
            obs: (T + 1, ...), slot t is what was seen before action t.
            action: (T,) ints.
        """
        return counted([self.action_names[number] for number in action])

    def scene(self) -> dict[str, NDArray[Any]]:
        """What a picture of this moment shows that the observations do not tell, arrays (B, ...) by name; see `draw`.

        The truth, for pictures; empty where observations tell enough.
        """
        return {}

    def instruction_probability(
        self, problem_id: NDArray[np.integer], instruction: NDArray[np.integer]
    ) -> NDArray[np.float64]:
        """How probable `sample_instruction` makes an instruction, (N,), (N, I) -> (N,): evidence about the problem.

        Raises NotImplementedError where the family cannot say.
        """
        raise NotImplementedError(f"family {self.family!r} does not say how probable an instruction is")

    def expert(self, problem_id: NDArray[np.integer], instruction: NDArray[np.integer]) -> Expert:
        """One who executes optimally, sure to be in these problems (N,) and given these instructions (N, I).

        In the problem that it believes in it earns `optimal_return`. In another one, what it sees overrides what it
        believes, part by part, and it plans anew from where it is. An instruction need not be possible in the problem.
        With its goal reached or known to be out of reach it ends the episode, where the environment has not.

        Raises ValueError for problems that do not exist, NotImplementedError where the family has no expert.
        """
        raise NotImplementedError(f"family {self.family!r} has no expert")

    def scripted_explorer(self, num: int) -> Expert:
        """One who finds out all that is relevant as a person who knows the rules would, in `num` members, then ends.

        Raises NotImplementedError where the family has none.
        """
        raise NotImplementedError(f"family {self.family!r} has no scripted explorer")

    # What every family shares

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[Any], dict[str, Any]]:
        """Start an episode in every member; see the class. Raises ValueError for options that make no sense."""
        super().reset(seed=seed)
        options = dict(options or {})
        problem_id, phase = options.pop("problem_id", None), options.pop("phase", "execute")
        instruction = options.pop("instruction", None)
        if options:
            raise ValueError(
                f"unknown reset option {next(iter(options))!r}: {self.family} takes problem_id, phase and instruction"
            )
        if phase not in PHASES:
            raise ValueError(f"phase is {phase!r}: choose 'explore' or 'execute'")
        if problem_id is None:
            ids = self.problems.ids("train")
            problem_id = ids[self.np_random.integers(len(ids), size=self.num_envs)]
        ids = self._checked_problems(problem_id, self.num_envs)
        if phase == "explore":
            if instruction is not None and np.any(instruction):
                raise ValueError("an exploration episode has no instruction: leave it out or give zeros")
            goal = np.zeros((self.num_envs, *self.instruction_space.shape), np.int64)
        elif instruction is None:
            goal = self.sample_instruction(ids, self.np_random)
        else:
            goal = self._checked_instructions(ids, instruction)
        self.problem_id, self.phase, self.instruction = ids, phase, goal
        self.elapsed = 0
        self._terminated = np.zeros(self.num_envs, np.bool_)
        self._truncated = np.zeros(self.num_envs, np.bool_)
        self._active = np.ones(self.num_envs, np.bool_)
        self._all_active = True
        self._lengths = np.zeros(self.num_envs, np.int64)
        self.last_reward = np.zeros(self.num_envs, np.float32)
        self.last_obs = self._begin()
        return self.last_obs.copy(), {"problem_id": ids.copy(), "instruction": goal.copy()}

    def step(
        self, actions: NDArray[Any]
    ) -> tuple[NDArray[Any], NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """One step of every unfinished member; see the class. Raises ValueError for actions (B,) that do not fit."""
        actions = self._last_actions = self._checked_actions(actions)
        active = self._active
        if self._all_active or active.any():
            self.elapsed += 1
            self._lengths += active
            obs, reward, terminated = self._advance(actions)
            if self.end_action is not None:
                terminated = terminated | (actions == self.end_action)
            if self.phase == "explore":
                reward = np.zeros(self.num_envs, np.float32)
            if not self._all_active:
                obs = np.where(active.reshape(-1, *[1] * (obs.ndim - 1)), obs, self.last_obs)
                reward = np.where(active, reward, np.float32(0))
                terminated = np.where(active, terminated, self._terminated)
            if self.elapsed == self.horizon:
                self._truncated = ~terminated
                self._active = np.zeros(self.num_envs, np.bool_)
            else:
                self._active = ~terminated
            self._all_active = bool(self._active.all())
            self.last_obs, self.last_reward, self._terminated = obs, reward, terminated
        else:
            self.last_reward = np.zeros(self.num_envs, np.float32)
        return (
            self.last_obs.copy(),
            self.last_reward.copy(),
            self._terminated.copy(),
            self._truncated.copy(),
            {"active": active.copy()},
        )

    def _checked_problems(self, problem_id: Any, n: int | None = None) -> NDArray[np.int64]:
        """The ids as (n,) int64, or a ValueError; any number of them without n."""
        ids = np.asarray(problem_id)
        if ids.ndim != 1 or (n is not None and len(ids) != n) or ids.dtype.kind not in "iu":
            many = "a list of integers" if n is None else f"{n} integers, one for each member"
            raise ValueError(f"problem_id is {ids.dtype} of shape {ids.shape}: give {many}")
        bad = (ids < 0) | (ids >= self.problems.num_problems)
        if bad.any():
            raise ValueError(
                f"problem_id {ids[bad][0]} does not exist: {self.family} has ids 0 to {self.problems.num_problems - 1}"
            )
        return ids.astype(np.int64)

    def _checked_instructions(self, ids: NDArray[np.int64], instruction: Any) -> NDArray[np.int64]:
        """The instructions of these problems (N,) as (N, I) int64, or a ValueError."""
        given = np.asarray(instruction)
        expected = (len(ids), *self.instruction_space.shape)
        if given.shape != expected or given.dtype.kind not in "iu":
            raise ValueError(f"instruction is {given.dtype} of shape {given.shape}: give integers of shape {expected}")
        bad = ((given < 0) | (given >= self.instruction_space.nvec)).any(axis=1)
        if bad.any():
            raise ValueError(
                f"instruction {given[bad][0].tolist()} does not exist: {self.family} takes values from 0 up to, not "
                f"including, {self.instruction_space.nvec.tolist()}"
            )
        given = given.astype(np.int64)
        self.check_instruction(ids, given)
        return given

    def _checked_actions(self, actions: Any) -> NDArray[np.int64]:
        if self.elapsed < 0:
            raise RuntimeError("step was called before reset: call reset first")
        given = np.asarray(actions)
        if given.shape != (self.num_envs,) or given.dtype.kind not in "iu":
            raise ValueError(
                f"actions are {given.dtype} of shape {given.shape}: give {self.num_envs} integers, one for each member"
            )
        given = given.astype(np.int64, copy=False)
        count = len(self.action_names)
        if given.view(np.uint64).max() >= count:  # negative ones wrap to huge ones
            bad = given[(given < 0) | (given >= count)][0]
            raise ValueError(f"action {bad} does not exist: {self.family} has actions 0 to {count - 1}")
        return given

    # Bounds and pictures: where a family can

    def optimal_return(self, problem_id: NDArray[np.integer], instruction: NDArray[np.integer]) -> NDArray[np.float64]:
        """Undiscounted return of the best execution by one who knows the problem, (N,), (N, I) -> (N,) float64.

        Raises ValueError for problems or instructions that do not exist, NotImplementedError where it is not known.
        """
        raise NotImplementedError(f"family {self.family!r} has no exact optimal return")

    def no_exploration_return(self, split: str = "all") -> float:
        """Mean undiscounted return of the best executor that never explored: the value 0 of a normalised score.

        It knows the rules, its instruction and that each problem of the split is equally likely, and it may learn
        during the execution episode. On a split with few problems that is a lot to know (one that is told the 16 test
        kitchens guesses well), so "all", the family's own distribution, is the fair bound for a score on test problems.

        Raises ValueError for a split that does not exist, NotImplementedError where the bound is not known.
        """
        raise NotImplementedError(f"family {self.family!r} has no exact no-exploration return")

    def draw(
        self,
        problem_id: int,
        phase: Phase,
        obs: NDArray[Any],
        instruction: NDArray[Any],
        caption: str = "",
        trail: Sequence[NDArray[Any]] = (),
        scene: Mapping[str, NDArray[Any]] | None = None,
    ) -> NDArray[np.uint8]:
        """A picture for a person of one moment of an episode, drawn from what was recorded of it, without stepping.

        Args:
            problem_id: the problem, whose hidden truth is shown.
            phase: "explore" or "execute".
            obs: the observation, (D,) ints or (H, W, 3).
            instruction: (I,) ints; ignored while exploring.
            caption: a line at the foot.
            trail: observations before this one, oldest first, to draw the way so far.
            scene: what `scene` told of this member at each observation of the episode so far, arrays (T, ...) by name;
                without it the picture shows what observations tell.

        Returns:
            (400, 352, 3) uint8, red, green, blue.

        Raises:
            ValueError: a problem, phase, or shape that does not exist.
        """
        (ids, obs, instruction) = self._checked_problems([problem_id]), np.asarray(obs), np.asarray(instruction)
        if phase not in PHASES:
            raise ValueError(f"phase is {phase!r}: choose 'explore' or 'execute'")
        for name, given, shape in (
            ("obs", obs, self.single_observation_space.shape),
            ("instruction", instruction, self.instruction_space.shape),
            *(
                ("an observation of the trail", np.asarray(earlier), self.single_observation_space.shape)
                for earlier in trail
            ),
        ):
            if given.shape != shape:
                raise ValueError(f"{name} has shape {given.shape}: give that of one member, {shape}")
        if scene:
            return self._draw_scene(int(ids[0]), phase, obs, instruction, caption, scene)
        way = np.array([*trail]).reshape(len(trail), *obs.shape)
        return self._draw(int(ids[0]), phase, obs, instruction, caption, way)

    def _draw(
        self,
        problem_id: int,
        phase: Phase,
        obs: NDArray[Any],
        instruction: NDArray[Any],
        caption: str,
        trail: NDArray[Any],
    ) -> NDArray[np.uint8]:
        """What a family implements of `draw`, its arguments checked, `trail` (T, ...); by default image or numbers."""
        from dream.envs.render import picture_of_numbers  # here, so that who draws nothing does not load opencv

        return picture_of_numbers(self.family, problem_id, phase, obs, instruction, caption)

    def _draw_scene(
        self,
        problem_id: int,
        phase: Phase,
        obs: NDArray[Any],
        instruction: NDArray[Any],
        caption: str,
        scene: Mapping[str, NDArray[Any]],
    ) -> NDArray[np.uint8]:
        """`draw` with a scene: for a family that tells one, its arguments checked."""
        raise NotImplementedError(f"family {self.family!r} tells no scene")

    def render_members(self, members: Sequence[int] | None = None) -> list[NDArray[np.uint8]]:
        """One (H, W, 3) uint8 picture for a person per member (all by default), with step count and last reward.

        Raises RuntimeError before the first reset.
        """
        if self.elapsed < 0:
            raise RuntimeError("render was called before reset: call reset first")
        pictures = []
        for member in range(self.num_envs) if members is None else members:
            length, reward = self._lengths[member], self.last_reward[member]
            caption = f"step {length}/{self.horizon}"
            if length == self.elapsed > 0:
                caption += f"   {self.action_names[self._last_actions[member]]}   reward {reward:+.2f}"
            if not self._active[member]:
                caption += "   the end" if self._terminated[member] else "   out of time"
            pictures.append(
                self.draw(
                    int(self.problem_id[member]), self.phase, self.last_obs[member], self.instruction[member], caption
                )
            )
        return pictures

    def render(self) -> tuple[NDArray[np.uint8], ...] | None:
        """The pictures of all members with render_mode="rgb_array", else None."""
        return tuple(self.render_members()) if self.render_mode else None
