"""Turns any gymnasium env whose reset takes a problem id into a `MetaEnv`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from dream.envs.base import MetaEnv
from dream.envs.problems import ProblemSet
from dream.envs.verify import refuse_observation
from dream.errors import UserError
from dream.spaces import integer_space

SampleInstruction = Callable[[NDArray[np.integer], np.random.Generator], NDArray[np.int64]]
LARGEST = int(np.iinfo(np.int16).max)
"""Maximum number of values of one component of an observation."""


class GymnasiumAdapter(MetaEnv):
    """Copies of a gymnasium env, one per member, stepped in a Python loop.

    Each episode starts with `env.reset(seed=..., options={"problem_id": int, "phase": "explore" | "execute",
    "instruction": (I,) int64})`. The env alone decides what ends an episode: if reaching a goal should not end an
    exploration episode, it has to look at the phase. Rewards of the exploration phase are dropped.

    Args:
        make_env: makes one env. Actions: Discrete. Observations: Discrete (as (1,) ints), MultiDiscrete of one
            dimension (D,), or images Box uint8 (H, W, 3).
        num_envs: members.
        problems: the problems and their splits, see `split_problems`.
        horizon: steps of an episode; a time limit of the env itself must not be shorter.
        instruction_space: space of an instruction, (I,) ints; by default a single value: an env without instructions.
        sample_instruction: (N,) problems, generator -> (N, I) instructions; by default uniform over the space.
        action_names: by default "action 0", "action 1", ...
        end_action: the action that ends an episode, where the env has one.
        render_mode: None or "rgb_array", which shows the env's own frames if it was made with that mode.

    Raises:
        ValueError: spaces that do not fit, or a time limit of the env that is shorter than the horizon. `reset` and
            `step` raise UserError for an observation outside the env's space, a reward that is not finite, or an
            episode that the env truncates before the horizon.
    """

    summary = "a third-party gymnasium env"

    def __init__(
        self,
        make_env: Callable[[], gym.Env[Any, Any]],
        num_envs: int,
        *,
        problems: ProblemSet,
        horizon: int,
        instruction_space: gym.spaces.MultiDiscrete | None = None,
        sample_instruction: SampleInstruction | None = None,
        action_names: Sequence[str] | None = None,
        end_action: int | None = None,
        render_mode: str | None = None,
    ) -> None:
        self.envs = [make_env() for _ in range(max(1, num_envs))]
        first = self.envs[0]
        actions = first.action_space
        if not isinstance(actions, gym.spaces.Discrete):
            raise ValueError(_refusal("action", actions))
        if action_names is None:
            action_names = [f"action {i}" for i in range(int(actions.n))]
        if len(action_names) != actions.n:
            raise ValueError(f"{len(action_names)} action names for {actions.n} actions: give one for each")
        limit = first.spec.max_episode_steps if first.spec else None
        if limit is not None and limit < horizon:
            raise ValueError(
                f"the time limit of {first.spec.id if first.spec else first} is {limit} steps, shorter than the "
                f"horizon of {horizon}: give horizon={limit}, or gymnasium.make(..., max_episode_steps={horizon})"
            )
        super().__init__(
            num_envs,
            problems=problems,
            horizon=horizon,
            observation_space=_adapted_space(first.observation_space),
            instruction_space=instruction_space or gym.spaces.MultiDiscrete([1]),
            action_names=action_names,
            end_action=end_action,
            render_mode=render_mode,
        )
        self._first_action = int(actions.start)
        self._sample_instruction = sample_instruction
        self._obs = np.zeros(self.observation_space.shape or (), self.single_observation_space.dtype)
        self.reads_problem = False
        """Whether an env's `reset` looked at options["problem_id"]."""

    def sample_instruction(self, problem_id: NDArray[np.integer], rng: np.random.Generator) -> NDArray[np.int64]:
        """Draw an instruction for each problem, (N,) -> (N, I) int64."""
        if self._sample_instruction is not None:
            return np.asarray(self._sample_instruction(problem_id, rng), np.int64)
        sizes = self.instruction_space.nvec
        return rng.integers(sizes, size=(len(problem_id), *sizes.shape))

    def _begin(self, members: NDArray[np.int64]) -> NDArray[Any]:
        seeds = self.np_random.integers(2**31, size=self.num_envs).tolist()
        for member in members.tolist():
            options = _Options(
                problem_id=int(self.problem_id[member]),
                phase=self.phase,
                instruction=self.instruction[member].copy(),
            )
            obs, _ = self.envs[member].reset(seed=seeds[member], options=options)
            self.reads_problem |= options.read_problem
            self._obs[member] = self._adapted(obs, member)
        return self._obs.copy()

    def _advance(self, actions: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[np.float32], NDArray[np.bool_]]:
        rewards, terminated = np.zeros(self.num_envs, np.float32), np.zeros(self.num_envs, np.bool_)
        for member in np.flatnonzero(self.active).tolist():
            action = int(actions[member]) + self._first_action
            obs, reward, ended, out_of_time, _ = self.envs[member].step(action)
            step = int(self.elapsed[member])
            if not math.isfinite(reward):
                raise UserError(
                    f"{self.family} gave the reward {reward} in problem {self.problem_id[member]} at step {step}: "
                    "rewards must be finite"
                )
            if out_of_time and not ended and step < self.horizon:
                raise UserError(
                    f"{self.family} has a time limit of its own that ended an episode at step {step}, before the "
                    f"horizon of {self.horizon}: give horizon={step}, or lift its limit"
                )
            self._obs[member] = self._adapted(obs, member)
            rewards[member], terminated[member] = reward, ended
        return self._obs.copy(), rewards, terminated

    def _adapted(self, obs: Any, member: int) -> NDArray[Any]:
        """An env's observation as one of the adapted space. Raises UserError if it is not in the env's own space."""
        space = self.envs[member].observation_space
        if not space.contains(obs):
            refuse_observation(self.family, space, obs, int(self.problem_id[member]), int(self.elapsed[member]))
        if isinstance(space, gym.spaces.Discrete):
            return np.array([int(obs) - int(space.start)], np.int16)
        if isinstance(space, gym.spaces.MultiDiscrete):
            return (np.asarray(obs, np.int64) - space.start).astype(np.int16)
        return np.asarray(obs, np.uint8)

    def render_members(self, members: Sequence[int] | None = None) -> list[NDArray[np.uint8]]:
        """The envs' own frames where they make any, else pictures as in `MetaEnv`."""
        if self.envs[0].render_mode != "rgb_array":
            return super().render_members(members)
        chosen = range(self.num_envs) if members is None else members
        return [np.asarray(self.envs[member].render(), np.uint8) for member in chosen]

    def close_extras(self, **kwargs: Any) -> None:
        """Close every env."""
        for env in self.envs:
            env.close()


class _Options(dict[str, Any]):
    """Reset options that note whether "problem_id" was read, by itself or with all of them."""

    read_problem = False

    def __getitem__(self, key: str) -> Any:
        self.read_problem |= key == "problem_id"
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        self.read_problem |= key == "problem_id"
        return super().get(key, default)

    def pop(self, key: str, *default: Any) -> Any:
        self.read_problem |= key == "problem_id"
        return super().pop(key, *default)

    def __iter__(self) -> Iterator[str]:
        self.read_problem = True
        return super().__iter__()

    def items(self) -> Any:
        self.read_problem = True
        return super().items()

    def copy(self) -> dict[str, Any]:
        self.read_problem = True
        return dict(super().items())


def _adapted_space(space: gym.Space[Any]) -> gym.spaces.MultiDiscrete | gym.spaces.Box:
    if isinstance(space, gym.spaces.Discrete) and space.n <= LARGEST:
        return integer_space([int(space.n)])
    if isinstance(space, gym.spaces.MultiDiscrete) and space.nvec.ndim == 1 and space.nvec.max() <= LARGEST:
        return integer_space(space.nvec.tolist())
    if isinstance(space, gym.spaces.Box) and space.dtype == np.uint8 and len(space.shape) == 3 and space.shape[2] == 3:
        return space
    raise ValueError(_refusal("observation", space))


def _refusal(kind: str, space: gym.Space[Any]) -> str:
    """What is wrong with a space, what is allowed, and the wrapper of gymnasium that helps."""
    if kind == "action":
        allowed = "Discrete"
        if isinstance(space, gym.spaces.Box):
            help_ = "wrap the env in gymnasium.wrappers.DiscretizeAction(env, bins=...)"
        elif isinstance(space, gym.spaces.MultiDiscrete | gym.spaces.MultiBinary):
            help_ = "wrap the env in gymnasium.wrappers.TransformAction, with one Discrete action for each combination"
        else:
            help_ = "wrap the env in gymnasium.wrappers.TransformAction"
    else:
        allowed = "Discrete or MultiDiscrete (D,) with fewer than 32768 values each, or Box uint8 (H, W, 3)"
        transform = "gymnasium.wrappers.TransformObservation"
        if isinstance(space, gym.spaces.Dict | gym.spaces.Tuple):
            help_ = f"wrap the env in {transform} that picks or joins the parts (FlattenObservation makes one Box)"
        elif isinstance(space, gym.spaces.Box) and space.dtype == np.uint8 and len(space.shape) in (2, 3):
            help_ = (
                f"make RGB images, with gymnasium.wrappers.ResizeObservation for the size and {transform} to repeat "
                "a grey channel or to move the channels last; of stacked frames (FrameStackObservation) keep one, the "
                "policies have memory"
            )
        elif isinstance(space, gym.spaces.Box):
            help_ = "wrap the env in gymnasium.wrappers.DiscretizeObservation(env, bins=..., multidiscrete=True)"
        else:
            help_ = f"wrap the env in {transform}"
    return f"{kind} space {space} cannot be adapted: it must be {allowed}; {help_}"
