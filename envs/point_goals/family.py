"""Point goals: a point robot has to stay near a goal on a half circle, and only reward tells where the goal is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from dream.envs.base import MetaEnv
from dream.envs.insight import Expert, Part
from dream.envs.plane import LEARNERS, angle_of, place_name
from dream.envs.point_goals.planning import best_wait, reward_at, way_to
from dream.envs.point_goals.scripts import GoalExpert
from dream.envs.problems import ProblemSet
from dream.envs.single_instruction import SingleInstruction
from dream.spaces import number_space

MAX_STEP = 0.1
"""Longest step in x and in y."""
GOALS = 140
SECTORS = 6
"""Parts of the half circle that a goal can be in, of 30 degrees each."""


class PointGoals(SingleInstruction, MetaEnv):
    """The sparse 2D navigation of PEARL (Rakelly et al. 2019): a robot from (0, 0); obs (x, y, signal) float32.

    An action (2,) in [-1, 1] x [-1, 1] is a step of 0.1 times the action. The goal is on the half circle y > 0 of
    radius 1, its angle is the problem. In execution every step that ends within `goal_radius` of the goal gives 1 minus
    the distance, others 0; nothing ends an episode. In exploration, which has no reward in this toolkit, the signal
    is this number for the last step. In execution it is 0, as PEARL's policy does not observe the reward either: the
    executor knows through z where the goal is.

    140 goals at equal angles: of every seven, five are for training, one for validation and one for test. The optimal
    return is that of the straightest way to the goal; without exploration the robot waits where it is near the most
    goals. The instruction is always 0. A trial has three explorations by default, as nothing but walking near the goal
    reveals it.

    Args:
        num_envs: members.
        goal_radius: above 0, at most 0.5.
        horizon: steps, from 1 to 100.
        render_mode: None or "rgb_array".

    Raises:
        ValueError: another radius or horizon.
    """

    summary = "PEARL's point robot: only reward near the goal tells where it is; continuous (140 problems)"
    picture = "dream.envs.point_goals.picture:draw"
    default_settings: ClassVar[Mapping[str, Any]] = {
        "steps": 2_000_000,
        "trial.explore_episodes": 3,
        **LEARNERS,
    }
    observation_names = ("x", "y", "signal")

    def __init__(
        self, num_envs: int, goal_radius: float = 0.2, horizon: int = 20, render_mode: str | None = None
    ) -> None:
        if not 0 < goal_radius <= 0.5:
            raise ValueError(f"goal_radius is {goal_radius}: give a number above 0, at most 0.5")
        if horizon > 100:
            raise ValueError(f"horizon is {horizon}: give 1 to 100")
        self.goal_radius = goal_radius
        ids = np.arange(GOALS)
        self.angles = np.pi * (ids + 0.5) / GOALS
        """(140,) of the goals, radians from +x to the left."""
        self.goals = np.stack([np.cos(self.angles), np.sin(self.angles)], axis=1)
        """(140, 2) places of the goals."""
        of_seven = ids % 7
        splits = {"train": ids[of_seven < 5], "validation": ids[of_seven == 5], "test": ids[of_seven == 6]}
        self._place, self._signal = np.zeros((num_envs, 2)), np.zeros(num_envs)
        self._without_exploring: dict[str, float] = {}
        self._reach = reach = MAX_STEP * horizon
        """Farthest x and y."""
        super().__init__(
            num_envs,
            problems=ProblemSet(
                "point-goals",
                {"goal_radius": goal_radius, "horizon": horizon},
                GOALS,
                splits,
                (GOALS // 7, 7),
                np.stack(np.divmod(ids, 7), axis=1),
                self.goals.astype(np.float32),
            ),
            horizon=horizon,
            observation_space=number_space([-reach, -reach, 0], [reach, reach, 1], (3,)),
            instruction_space=gym.spaces.MultiDiscrete([1]),
            action_names=("x", "y"),
            action_space=number_space(-1, 1, (2,)),
            render_mode=render_mode,
        )

    def optimal_return(self, problem_id: NDArray[np.integer], instruction: NDArray[np.integer]) -> NDArray[np.float64]:
        """Return of the way that is nearest to the goal at every step, (N,), (N, 1) -> (N,). Errors as for `MetaEnv`.

        After t steps any place whose coordinates are at most 0.1 t can be reached. The nearest of them to the goal is
        the goal with its coordinates cut to 0.1 t, and these places are at most one step apart.
        """
        ids = self.problems.checked(problem_id)
        self._checked_instructions(ids, instruction)
        goals = self.goals[ids]
        return reward_at(way_to(goals, MAX_STEP, self.horizon), goals[:, None], self.goal_radius).sum(axis=1)

    def no_exploration_return(self, split: str = "all") -> float:
        """Mean return of the best way to one place, and of waiting there: nothing that it observes depends on the goal.

        Over all goals no other policy is better, because every step ends where the mean reward is largest among the
        places that can be reached by then (tests/test_envs_point_goals.py). Over the few goals of a smaller split
        moving on may be. The place is found on a grid that is refined, to 1e-4 of the return. Raises ValueError for a
        split that does not exist.
        """
        if split not in self._without_exploring:
            goals = self.goals[self.problems.ids(split)]
            self._without_exploring[split] = best_wait(goals, self.goal_radius, MAX_STEP, self.horizon)[1]
        return self._without_exploring[split]

    def informative(self) -> NDArray[np.bool_]:
        """Whether the last step was near the goal, (B,)."""
        return self._signal > 0

    def parts(self) -> tuple[Part, ...]:
        """In which sixth of the half circle the goal is, in degrees."""
        width = 180 // SECTORS
        names = tuple(f"{sector * width}-{(sector + 1) * width}" for sector in range(SECTORS))
        return (Part("goal", np.arange(GOALS) * SECTORS // GOALS, SECTORS, True, names),)

    def revealed(
        self, problem_id: int, obs: NDArray[Any], action: NDArray[Any], scene: Mapping[str, NDArray[Any]]
    ) -> NDArray[np.bool_]:
        """A signal shows where the goal is, (T + 1, 1); arguments as for `MetaEnv`."""
        return np.asarray(obs[:, 2:3] > 0)

    def exploration_summary(
        self, problem_id: NDArray[np.integer], obs: NDArray[Any], action: NDArray[Any], mask: NDArray[np.bool_]
    ) -> dict[str, NDArray[np.float64]]:
        """found_goal: 1 if a step was near it, else 0; arguments as for `MetaEnv`."""
        found = np.any((obs[:, 1:, 2] > 0) & mask, axis=1)
        return {"found_goal": found.astype(np.float64)}

    def tell(self, problem_id: int, obs: NDArray[Any], action: NDArray[Any]) -> list[str]:
        """How near to the goal it came, and where it ended; arguments as for `MetaEnv`."""
        if len(obs) < 2:
            return []
        phrases = []
        if (obs[:, 2] > 0).any():
            first, best = int((obs[:, 2] > 0).argmax()), float(obs[:, 2].max())
            phrases.append(f"came near the goal at {place_name(obs[first, :2])}")
            phrases.append(f"was {1 - best:.2f} from it at the nearest")
        elif (obs[:, :2] ** 2).sum(axis=1).max() >= (1 - self.goal_radius) ** 2:
            farthest = obs[int((obs[:, :2] ** 2).sum(axis=1).argmax()), :2]
            phrases.append(f"reached the half circle at {np.rad2deg(angle_of(farthest)):.0f} degrees")
        return [*phrases, f"ended at {place_name(obs[-1, :2])}"]

    def positions(self, obs: NDArray[Any]) -> NDArray[np.float64]:
        """x and y, (..., 3) -> (..., 2)."""
        return np.asarray(obs[..., :2], np.float64)

    @property
    def map_extent(self) -> tuple[float, float, float, float]:
        """The square of all places that can be reached."""
        return (-self._reach, self._reach, -self._reach, self._reach)

    def expert(self, problem_id: NDArray[np.integer], instruction: NDArray[np.integer]) -> Expert:
        """Walks to the goal believed in, and waits there. Arguments and errors as for `MetaEnv`."""
        return GoalExpert(self.goals[self.problems.checked(problem_id)], MAX_STEP)

    def _begin(self, members: NDArray[np.int64]) -> NDArray[Any]:
        self._place[members], self._signal[members] = 0.0, 0.0
        self._goal = self.goals[self.problem_id]
        return self._observe()

    def _advance(self, actions: NDArray[np.float32]) -> tuple[NDArray[Any], NDArray[np.float32], NDArray[np.bool_]]:
        self._place = self._place + MAX_STEP * actions.astype(np.float64)
        reward = reward_at(self._place, self._goal, self.goal_radius)
        if self.phase == "explore":
            self._signal = reward
        return self._observe(), reward.astype(np.float32), np.zeros(self.num_envs, np.bool_)

    def _observe(self) -> NDArray[np.float32]:
        return np.concatenate([self._place, self._signal[:, None]], axis=1, dtype="f4")
