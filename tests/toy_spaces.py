"""A small family in every kind of space: the tests of tools that must work with any."""

from typing import Any

import gymnasium as gym
import numpy as np

from dream.envs import MetaEnv, Part, integer_space, split_problems
from dream.spaces import number_space

PROBLEMS, SIDE = 12, 6
OBSERVES = ("integers", "numbers", "pair", "parts", "codes")
ACTS = ("discrete", "several", "box")


class Lamps(MetaEnv):
    """Twelve lamps in a row at -1 to 1, one of which is on; the agent walks along them.

    While exploring it sees the number of the lamp that is on. In execution each step costs its distance to that lamp.

    Args:
        num_envs: members.
        observes: "integers", its place among the lamps and the lamp; "numbers", both from -1 to 1; "pair", these
            integers as two parts; "parts", numbers, an integer and a picture of the row; "codes", an image of codes of
            the row.
        acts: "discrete", left, right or end; "several", a direction and one of three lengths; "box", a step and a
            number without effect.
    """

    summary = "find the lamp (for tests)"

    def __init__(self, num_envs: int, observes: str = "parts", acts: str = "discrete"):
        self.observes, self.acts = observes, acts
        self.places = np.linspace(-1.0, 1.0, PROBLEMS)
        row: dict[str, gym.Space[Any]] = {
            "integers": integer_space([PROBLEMS, PROBLEMS + 1]),
            "numbers": number_space(-np.inf, np.inf, (2,)),
            "codes": integer_space(np.broadcast_to([3, 2], (SIDE, PROBLEMS, 2))),
        }
        one = {"at": integer_space([PROBLEMS]), "lamp": integer_space([PROBLEMS + 1])}
        row["pair"] = gym.spaces.Dict(one)
        picture = gym.spaces.Box(0, 255, (SIDE, PROBLEMS, 3), np.uint8)
        row["parts"] = gym.spaces.Dict(
            {"here.x": number_space(-1, 1, (1,)), "lamp": integer_space([PROBLEMS + 1]), "view": picture}
        )
        actions: dict[str, Any] = {"discrete": None, "several": gym.spaces.MultiDiscrete([2, 3])}
        actions["box"] = number_space([-0.5, 0.0], [0.5, 4.0], (2,))
        names = {"discrete": ("left", "right", "end"), "several": ("side", "length"), "box": ("step", "nothing")}
        self._x = np.zeros(num_envs)
        super().__init__(
            num_envs,
            problems=split_problems("lamps", PROBLEMS, description=self.places[:, None]),
            horizon=4,
            observation_space=row[observes],
            instruction_space=gym.spaces.MultiDiscrete([1]),
            action_names=names[acts],
            end_action=2 if acts == "discrete" else None,
            action_space=actions[acts],
        )

    def sample_instruction(self, problem_id: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Always 0, (N,) -> (N, 1)."""
        return np.zeros((len(problem_id), 1), np.int64)

    def parts(self) -> tuple[Part, ...]:
        """Which third of the row the lamp is in."""
        return (Part("third", np.arange(PROBLEMS) // 4, 3, relevant=True),)

    def _begin(self, members: np.ndarray) -> Any:
        self._x[members] = 0.0
        return self._observe()

    def _advance(self, actions: np.ndarray) -> tuple[Any, np.ndarray, np.ndarray]:
        step = {
            "discrete": lambda: np.array([-0.3, 0.3, 0.0])[actions],
            "several": lambda: (2 * actions[:, 0] - 1) * 0.2 * actions[:, 1],
            "box": lambda: actions[:, 0],
        }[self.acts]()
        self._x = np.clip(self._x + step, -1.0, 1.0)
        reward = -np.abs(self._x - self.places[self.problem_id])
        return self._observe(), reward.astype(np.float32), np.zeros(self.num_envs, np.bool_)

    def _observe(self) -> Any:
        at = np.abs(self._x[:, None] - self.places).argmin(1)
        lamp = self.problem_id if self.phase == "explore" else np.full(self.num_envs, PROBLEMS)
        if self.observes == "integers":
            return np.stack([at, lamp], 1).astype(np.int16)
        if self.observes == "pair":
            return {"at": at[:, None].astype(np.int16), "lamp": lamp[:, None].astype(np.int16)}
        if self.observes == "numbers":
            return np.stack([self._x, lamp / PROBLEMS], 1).astype(np.float32)
        code = np.zeros((self.num_envs, SIDE, PROBLEMS, 2), np.int16)
        everyone = np.arange(self.num_envs)
        code[everyone, :, at, 0] = 1
        lit = lamp < PROBLEMS
        code[everyone[lit], 0, lamp[lit], 0] = 2
        if self.observes == "codes":
            return code
        view = (code[..., :1] * np.array([120, 60, 20])).astype(np.uint8)
        return {"here.x": self._x[:, None].astype(np.float32), "lamp": lamp[:, None].astype(np.int16), "view": view}
