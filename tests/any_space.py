"""A small family whose observations and actions are of any kind."""

from typing import Any

import gymnasium as gym
import numpy as np

from dream.envs import MetaEnv, ProblemSet, integer_space
from dream.spaces import number_space

IMAGE = gym.spaces.Box(0, 255, (5, 6, 3), np.uint8)
OBSERVATIONS: dict[str, gym.Space[Any]] = {
    "integers": integer_space([4, 5]),
    "numbers": number_space(-np.inf, np.inf, (2,)),
    "image": IMAGE,
    "codes": integer_space(np.broadcast_to([4, 5], (5, 5, 2))),
    "parts": gym.spaces.Dict(
        {"integers": integer_space([4, 5]), "numbers": number_space(-np.inf, np.inf, (2,)), "a.view": IMAGE}
    ),
}
ACTIONS: dict[str, gym.spaces.MultiDiscrete | gym.spaces.Box | None] = {
    "discrete": None,
    "several": gym.spaces.MultiDiscrete([3, 2]),
    "box": gym.spaces.Box(np.float32([-1.0, 0.0]), np.float32([1.0, 4.0])),
}


class AnySpace(MetaEnv):
    """A line of 4 places, on which the first component of an action moves left or right.

    In the last place a sign shows the problem while exploring. In execution the reward is 1 for moving in the direction
    that the problem asks for, else 0. Problems 0, 1: left; 2, 3: right.

    Args:
        num_envs: members.
        observation: a key of `OBSERVATIONS`.
        action: a key of `ACTIONS`; the Discrete ones are left, right, end.
    """

    summary = "observations and actions of any kind, for tests"

    def __init__(self, num_envs: int, observation: str = "integers", action: str = "discrete"):
        self.kind, self.discrete = observation, action == "discrete"
        ids, space = np.arange(4), ACTIONS[action]
        super().__init__(
            num_envs,
            problems=ProblemSet("any space", {}, 4, {"train": ids, "validation": ids, "test": ids}, (4,), ids[:, None]),
            horizon=4,
            observation_space=OBSERVATIONS[observation],
            instruction_space=gym.spaces.MultiDiscrete([2]),
            action_names=("left", "right", "end") if space is None else ("move", "nothing"),
            end_action=2 if space is None else None,
            action_space=space,
        )
        self._place = np.zeros(num_envs, np.int64)

    def sample_instruction(self, problem_id: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """0 or 1, without meaning, (N,) -> (N, 1)."""
        return rng.integers(2, size=(len(problem_id), 1))

    def _begin(self, members: np.ndarray) -> Any:
        self._place[members] = 1
        return self._observe()

    def _advance(self, actions: np.ndarray) -> tuple[Any, np.ndarray, np.ndarray]:
        first = actions if self.discrete else actions[:, 0]
        right = first > 0
        self._place = np.clip(self._place + np.where(right, 1, -1), 0, 3)
        reward = (right == (self.problem_id >= 2)).astype(np.float32)
        return self._observe(), reward, np.zeros(self.num_envs, bool)

    def _observe(self) -> Any:
        sign = np.where((self._place == 3) & (self.phase == "explore"), self.problem_id + 1, 0)
        both = np.stack([self._place, sign], 1)
        image = np.zeros((self.num_envs, *IMAGE.shape), np.uint8)
        image[:, 0, :, 0], image[:, 1, :, 1] = 60 * self._place[:, None], 50 * sign[:, None]
        made = {
            "integers": both.astype(np.int16),
            "numbers": (100.0 + 20.0 * both).astype(np.float32),
            "image": image,
            "codes": np.broadcast_to(both[:, None, None], (self.num_envs, 5, 5, 2)).astype(np.int16),
        }
        if self.kind == "parts":
            return {"integers": made["integers"], "numbers": made["numbers"], "a.view": image}
        return made[self.kind]
