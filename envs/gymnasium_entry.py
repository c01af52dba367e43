"""The families in gymnasium's registry: `gymnasium.make` gives one member, `gymnasium.make_vec` the batch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import EnvSpec
from numpy.typing import NDArray

from dream.envs.base import MetaEnv
from dream.envs.problems import PHASES
from dream.envs.registry import families, find_family, make, parameters_of
from dream.spaces import Arrays, each

Observation = dict[str, Any]


def register_families() -> None:
    """Register every family as "dream/Name-v0".

    The registered entries have no `max_episode_steps`, because the horizon may be a parameter (gymnasium would cut
    longer episodes); `spec.max_episode_steps` of every env that is made is its horizon.
    """
    for family in families():
        name = f"dream/{''.join(word.capitalize() for word in family.split('-'))}-v0"
        if name not in gym.registry:
            gym.register(
                name,
                entry_point="dream.envs.gymnasium_entry:SingleEnv",
                vector_entry_point="dream.envs.gymnasium_entry:make_vector",
                kwargs={"family": family},
            )


class SingleEnv(gym.Env[Observation, np.int64]):
    """One member of a family as a plain `gymnasium.Env`.

    The observation is a dict: "observation" (the family's), "instruction" (I,) ints (zeros while exploring) and
    "phase" (0 explore, 1 execute). `reset(options=...)` takes "problem_id" (an int), "phase" and "instruction" (I,);
    without them it starts an execution episode in a random training problem. info["problem_id"] is for logging: an
    agent must not use it.

    Args:
        family: name of the family.
        render_mode: None or "rgb_array".
        parameters: those of the family.

    Raises:
        TypeError: a parameter that the family does not have.
        ValueError: a value that it refuses.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 4}

    def __init__(self, family: str, render_mode: str | None = None, **parameters: Any) -> None:
        _refuse_unknown("SingleEnv", family, parameters)
        self.batch: MetaEnv = make(family, 1, render_mode=render_mode, **parameters)
        self.render_mode = render_mode
        self.observation_space = gym.spaces.Dict(
            {
                "observation": self.batch.single_observation_space,
                "instruction": self.batch.instruction_space,
                "phase": gym.spaces.Discrete(len(PHASES)),
            }
        )
        self.action_space = self.batch.single_action_space

    @property
    def spec(self) -> EnvSpec | None:
        """gymnasium's description of the env; it knows the horizon."""
        return self._spec

    @spec.setter
    def spec(self, value: EnvSpec | None) -> None:
        self._spec = value and replace(value, max_episode_steps=self.batch.horizon)

    _spec: EnvSpec | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start an episode; see the class. Raises ValueError for options that do not fit."""
        super().reset(seed=seed)
        batched = dict(options or {})
        for key in ("problem_id", "instruction"):
            if batched.get(key) is not None:
                batched[key] = np.asarray(batched[key])[None]
        self.batch.np_random = self.np_random
        obs, info = self.batch.reset(options=batched)
        return self._observation(obs), {"problem_id": int(info["problem_id"][0])}

    def step(self, action: np.int64) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """One step. Raises ValueError for an action that does not exist."""
        obs, reward, terminated, truncated, _ = self.batch.step(np.asarray(action)[None])
        info = {"problem_id": int(self.batch.problem_id[0])}
        return self._observation(obs), float(reward[0]), bool(terminated[0]), bool(truncated[0]), info

    def render(self) -> NDArray[np.uint8] | None:
        """The (H, W, 3) uint8 picture of the episode, or None without a render mode."""
        return self.batch.render_members([0])[0] if self.render_mode else None

    def close(self) -> None:
        """Close the batch of one."""
        self.batch.close()

    def _observation(self, obs: Arrays) -> Observation:
        return {
            "observation": each(lambda part: part[0], obs),
            "instruction": self.batch.instruction[0].copy(),
            "phase": np.int64(PHASES.index(self.batch.phase)),
        }


def make_vector(num_envs: int, family: str, **parameters: Any) -> MetaEnv:
    """The batched family itself: what `gymnasium.make_vec` builds. Raises TypeError and ValueError as `SingleEnv`."""
    _refuse_unknown("make_vector", family, parameters)
    return make(family, num_envs, **parameters)


def _refuse_unknown(function: str, family: str, parameters: dict[str, Any]) -> None:
    """Raise Python's own TypeError for an unknown parameter: libraries look for its text and try again without it."""
    known = parameters_of(find_family(family))
    for name in parameters:
        if name not in known:
            raise TypeError(
                f"{function}() got an unexpected keyword argument {name!r}: family {family!r} takes {', '.join(known)}"
            )
