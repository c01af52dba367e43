"""What `gymnasium.make` and `gymnasium.make_vec` call: one member as a plain `gymnasium.Env`, or the batch itself."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from dream.envs.base import PHASES, MetaEnv
from dream.envs.registry import make

Observation = dict[str, Any]


class SingleEnv(gym.Env[Observation, np.int64]):
    """One problem of a family as a plain `gymnasium.Env`.

    The observation is a dict: "observation" (that of the family), "instruction" (I,) ints (zeros while exploring) and
    "phase" (0 explore, 1 execute). `reset(options=...)` takes "problem_id" (an int), "phase" and "instruction" (I,);
    without them it starts an execution episode in a random training problem. info["problem_id"] names the problem: it
    is there for the record, not for an agent.

    Args:
        family: name of the family.
        render_mode: None or "rgb_array".
        parameters: those of the family.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 4}

    def __init__(self, family: str, render_mode: str | None = None, **parameters: Any) -> None:
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

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start an episode; see the class. Raises ValueError for options that make no sense."""
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

    def _observation(self, obs: NDArray[Any]) -> Observation:
        return {
            "observation": obs[0],
            "instruction": self.batch.instruction[0].copy(),
            "phase": np.int64(PHASES.index(self.batch.phase)),
        }


def make_vector(num_envs: int, family: str, **parameters: Any) -> MetaEnv:
    """The batched family itself: what `gymnasium.make_vec` builds."""
    return make(family, num_envs, **parameters)
