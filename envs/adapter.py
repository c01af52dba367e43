"""Turns any gymnasium env whose reset takes a problem id into a `MetaEnv`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from dream.envs.base import MetaEnv
from dream.envs.members import Codes, Members
from dream.envs.problems import ProblemSet
from dream.envs.workers import Workers
from dream.spaces import Arrays, copied

SampleInstruction = Callable[[NDArray[np.integer], np.random.Generator], NDArray[np.int64]]


class GymnasiumAdapter(MetaEnv):
    """Copies of a gymnasium env, one per member.

    Each episode starts with `env.reset(seed=..., options={"problem_id": int, "phase": "explore" | "execute",
    "instruction": (I,) int64})`. The env alone decides what ends an episode: if reaching a goal should not end an
    exploration episode, it has to look at the phase. Rewards of the exploration phase are dropped.

    Observations and actions are converted by `dream.envs.canonical`: most spaces have a canonical form, and float64
    becomes float32. Where observations have no finite value, where they are outside the env's space, or where rewards
    are not finite, the error names the problem and the step.

    Args:
        make_env: makes one env.
        num_envs: members.
        problems: the problems and their splits, see `split_problems`.
        horizon: steps of an episode; a time limit of the env itself must not be shorter.
        codes: number of values of each channel of an image whose pixels are categories, such as MiniGrid's (11, 6, 3);
            with parts: by name of the part.
        workers: 0 steps the members in a Python loop. More: in that many worker processes, each with an equal share of
            the members, by gymnasium's AsyncVectorEnv. The results are the same.
        instruction_space: space of an instruction, (I,) ints; by default a single value: an env without instructions.
        sample_instruction: (N,) problems, generator -> (N, I) instructions; by default uniform over the space.
        action_names: of the Discrete actions, or of the components of an action; by default "action 0", "action 1", ...
        end_action: the Discrete action that ends an episode, where the env has one.
        render_mode: None or "rgb_array", which shows the env's own frames if it was made with that mode.

    Raises:
        ValueError: spaces that do not fit, fewer than 0 workers, or a time limit of the env that is shorter than the
            horizon. `reset` and `step` raise UserError for an observation outside the env's space, a reward that is
            not finite, or an episode that the env truncates before the horizon.
    """

    summary = "a third-party gymnasium env"

    def __init__(
        self,
        make_env: Callable[[], gym.Env[Any, Any]],
        num_envs: int,
        *,
        problems: ProblemSet,
        horizon: int,
        codes: Codes = None,
        workers: int = 0,
        instruction_space: gym.spaces.MultiDiscrete | None = None,
        sample_instruction: SampleInstruction | None = None,
        action_names: Sequence[str] | None = None,
        end_action: int | None = None,
        render_mode: str | None = None,
    ) -> None:
        if workers < 0:
            raise ValueError(f"workers is {workers}: give 0 for none, or how many processes step the members")
        family, count = problems.family, max(1, num_envs)
        self.members: Members | Workers
        """What steps the envs."""
        if workers:
            self.members = Workers(make_env, count, workers, family, horizon, codes)
        else:
            self.members = Members(make_env, count, family, horizon, codes)
        actions = self.members.action_space
        if isinstance(actions, gym.spaces.Discrete):
            number, noun, action_space = int(actions.n), "actions", None
        else:
            number, noun, action_space = actions.shape[0], "components of an action", actions
        names = [f"action {i}" for i in range(number)] if action_names is None else list(action_names)
        try:
            if len(names) != number:
                raise ValueError(f"{len(names)} action names for {number} {noun}: give one for each")
            super().__init__(
                num_envs,
                problems=problems,
                horizon=horizon,
                observation_space=self.members.observation_space,
                instruction_space=instruction_space or gym.spaces.MultiDiscrete([1]),
                action_names=names,
                end_action=end_action,
                action_space=action_space,
                render_mode=render_mode,
            )
        except ValueError:
            self.members.close()
            raise
        self._sample_instruction = sample_instruction
        self._verify = True  # what the env returns, whichever module the adapter's class is of

    def sample_instruction(self, problem_id: NDArray[np.integer], rng: np.random.Generator) -> NDArray[np.int64]:
        """Draw an instruction for each problem, (N,) -> (N, I) int64."""
        if self._sample_instruction is not None:
            return np.asarray(self._sample_instruction(problem_id, rng), np.int64)
        sizes = self.instruction_space.nvec
        return rng.integers(sizes, size=(len(problem_id), *sizes.shape))

    def _begin(self, members: NDArray[np.int64]) -> Arrays:
        seeds = self.np_random.integers(2**31, size=self.num_envs)
        starts = np.isin(np.arange(self.num_envs), members)
        return copied(self.members.reset(self.phase, starts, seeds, self.problem_id, self.instruction))

    def _advance(self, actions: NDArray[Any]) -> tuple[Arrays, NDArray[np.float32], NDArray[np.bool_]]:
        obs, reward, terminated = self.members.step(actions, self.active)
        return copied(obs), reward.copy(), terminated

    @property
    def envs(self) -> list[gym.Env[Any, Any]]:
        """The envs of all members, made by the first `reset`; empty where they are in workers."""
        return self.members.envs if isinstance(self.members, Members) else []

    @property
    def reads_problem(self) -> bool:
        """Whether an env's `reset` looked at options["problem_id"]."""
        return self.members.reads_problem

    def render_members(self, members: Sequence[int] | None = None) -> list[NDArray[np.uint8]]:
        """The envs' own frames where they make any, else pictures as in `MetaEnv`."""
        if self.members.render_mode != "rgb_array":
            return super().render_members(members)
        return self.members.frames(range(self.num_envs) if members is None else list(members))

    def close_extras(self, **kwargs: Any) -> None:
        """Close every env, and end the workers."""
        self.members.close()
