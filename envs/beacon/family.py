"""Beacon: a point robot has to leave a circle through a hidden gate, which a beacon outside the circle reveals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from dream.envs.base import MetaEnv
from dream.envs.beacon.planning import best_guess, half_width, posterior_sampling_return
from dream.envs.beacon.scripts import BeaconExplorer, GateExpert
from dream.envs.insight import Expert, Part
from dream.envs.plane import DIRECTIONS, LEARNERS, angle_of, direction_of, place_name
from dream.envs.problems import ProblemSet
from dream.envs.single_instruction import SingleInstruction
from dream.spaces import number_space

CIRCLE = 0.7
"""Radius of the circle around the start."""
MAX_STEP = 0.2
"""Length of the longest step."""
BEACON = np.array([-0.95, 0.0])
BEACON_RADIUS = 0.2
"""The beacon is read within this distance, which is outside the circle."""
GATES = 360
ARCS = 24
"""Arcs of neighbouring gates; each belongs to one split."""
STEPS_OUT = 4
"""Fewest steps from the start out of the circle."""


class Beacon(SingleInstruction, MetaEnv):
    """A point robot in the square [-1, 1] x [-1, 1], from (0, 0); obs (x, y, seen, gate x, gate y) float32.

    An action (2,) in [-1, 1] x [-1, 1] is a step of 0.2 times the action; actions longer than 1 are shortened to 1, and
    steps end at the walls of the square. A circle of radius 0.7 around the start has one gate, whose angle is
    the problem. In execution, leaving the circle ends the episode: with reward 1 if the step crosses the circle within
    `gate_radius` of the gate, else 0. Nothing ends an exploration. After a step that leaves through the gate, or ends
    within 0.2 of the beacon at (-0.95, 0), seen is 1 and the gate is shown; otherwise these are 0, in execution always.

    There are 360 gates, one in each degree. Every second arc of 15 degrees is for training, the arcs in between are for
    validation and test in turn, so that held-out gates lie between training gates. The optimal return is 1; without
    exploration it is the largest share of the gates that one crossing can meet, 25 of 360. The instruction is always 0.

    Args:
        num_envs: members.
        gate_radius: above 0, at most 0.35.
        horizon: steps, at least 4, which is as far as the circle.
        render_mode: None or "rgb_array".

    Raises:
        ValueError: another radius or horizon.
    """

    summary = "find the gate of a circle by reading a beacon, then leave through it; continuous (360 problems)"
    picture = "dream.envs.beacon.picture:draw"
    default_settings: ClassVar[Mapping[str, Any]] = {
        "steps": 300_000,
        "evaluation.every": 50_000,
        **LEARNERS,
    }
    observation_names = ("x", "y", "gate seen", "gate x", "gate y")

    def __init__(
        self, num_envs: int, gate_radius: float = 0.15, horizon: int = 16, render_mode: str | None = None
    ) -> None:
        if not 0 < gate_radius <= CIRCLE / 2:
            raise ValueError(f"gate_radius is {gate_radius}: give a number above 0, at most {CIRCLE / 2}")
        if horizon < STEPS_OUT:
            raise ValueError(f"horizon is {horizon}: give at least {STEPS_OUT}, the steps out of the circle")
        self.gate_radius = gate_radius
        ids = np.arange(GATES)
        self.angles = np.deg2rad(ids + 0.5)
        """(360,) of the gates, radians from +x to the left."""
        self.gates = CIRCLE * np.stack([np.cos(self.angles), np.sin(self.angles)], axis=1)
        """(360, 2) places of the gates."""
        arc = ids // (GATES // ARCS)
        splits = {"train": ids[arc % 2 == 0], "validation": ids[arc % 4 == 1], "test": ids[arc % 4 == 3]}
        self._place = np.zeros((num_envs, 2))
        self._seen = np.zeros(num_envs, np.bool_)
        super().__init__(
            num_envs,
            problems=ProblemSet(
                "beacon",
                {"gate_radius": gate_radius, "horizon": horizon},
                GATES,
                splits,
                (ARCS, GATES // ARCS),
                np.stack([arc, ids % (GATES // ARCS)], axis=1),
                (self.gates / CIRCLE).astype(np.float32),
            ),
            horizon=horizon,
            observation_space=number_space([-1, -1, 0, -1, -1], 1, (5,)),
            instruction_space=gym.spaces.MultiDiscrete([1]),
            action_names=("x", "y"),
            action_space=number_space(-1, 1, (2,)),
            render_mode=render_mode,
        )

    def optimal_return(self, problem_id: NDArray[np.integer], instruction: NDArray[np.integer]) -> NDArray[np.float64]:
        """1, by walking straight to the gate, (N,), (N, 1) -> (N,)."""
        ids = self.problems.checked(problem_id)
        self._checked_instructions(ids, instruction)
        return np.ones(len(ids))

    def no_exploration_return(self, split: str = "all") -> float:
        """The largest share of the gates of a split that one crossing can meet: an episode has a single crossing.

        Raises ValueError for a split that does not exist.
        """
        return best_guess(self.angles[self.problems.ids(split)], half_width(self.gate_radius, CIRCLE))

    def posterior_sampling_return(self, split: str = "all", prior: str = "all") -> float:
        """Mean return of posterior sampling after one exploration, from a uniform prior over the split `prior`.

        It walks straight out at a gate drawn from the prior, and sees the true one only if it leaves through it; then
        it executes a gate drawn from the posterior. Raises ValueError for a split that does not exist.
        """
        true, believed = self.angles[self.problems.ids(split)], self.angles[self.problems.ids(prior)]
        return posterior_sampling_return(true, believed, half_width(self.gate_radius, CIRCLE))

    def informative(self) -> NDArray[np.bool_]:
        """Whether the gate is shown, (B,)."""
        return self._seen.copy()

    def parts(self) -> tuple[Part, ...]:
        """In which of eight directions the gate is."""
        return (Part("gate", direction_of(self.angles), len(DIRECTIONS), True, DIRECTIONS),)

    def revealed(
        self, problem_id: int, obs: NDArray[Any], action: NDArray[Any], scene: Mapping[str, NDArray[Any]]
    ) -> NDArray[np.bool_]:
        """The gate, where it is shown, (T + 1, 1); arguments as for `MetaEnv`."""
        return np.asarray(obs[:, 2:3] > 0)

    def exploration_summary(
        self, problem_id: NDArray[np.integer], obs: NDArray[Any], action: NDArray[Any], mask: NDArray[np.bool_]
    ) -> dict[str, NDArray[np.float64]]:
        """read_beacon and passed_gate: 1 if it happened, else 0; arguments as for `MetaEnv`."""
        seen = (obs[..., 2] > 0) & np.concatenate([np.ones((len(mask), 1), np.bool_), mask], axis=1)
        near = _squared(obs[..., :2] - BEACON) <= BEACON_RADIUS**2
        found = {"read_beacon": seen & near, "passed_gate": seen & ~near}
        return {name: event.any(axis=1).astype(np.float64) for name, event in found.items()}

    def tell(self, problem_id: int, obs: NDArray[Any], action: NDArray[Any]) -> list[str]:
        """Where the robot left the circle, what it saw, and where it ended; arguments as for `MetaEnv`."""
        inside = _squared(obs[:, :2]) < CIRCLE**2
        phrases, known = [], False
        for t in range(1, len(obs)):
            if inside[t - 1] and not inside[t]:
                phrases.append(f"left the circle at {np.rad2deg(angle_of(obs[t, :2])):.1f} degrees")
            if obs[t, 2] > 0 and not known:
                known = True
                phrases.append(f"saw the gate at {np.rad2deg(angle_of(obs[t, 3:])):.1f} degrees")
        return [*phrases, f"ended at {place_name(obs[-1, :2])}"] if len(obs) > 1 else []

    def positions(self, obs: NDArray[Any]) -> NDArray[np.float64]:
        """x and y, (..., 5) -> (..., 2)."""
        return np.asarray(obs[..., :2], np.float64)

    @property
    def map_extent(self) -> tuple[float, float, float, float]:
        """The square."""
        return (-1.0, 1.0, -1.0, 1.0)

    def expert(self, problem_id: NDArray[np.integer], instruction: NDArray[np.integer]) -> Expert:
        """Walks straight out through the gate, and stays there. Arguments and errors as for `MetaEnv`."""
        return GateExpert(self.gates[self.problems.checked(problem_id)], MAX_STEP)

    def scripted_explorer(self, num: int) -> Expert:
        """Walks to the beacon, and stays there."""
        return BeaconExplorer(BEACON, MAX_STEP)

    def _begin(self, members: NDArray[np.int64]) -> NDArray[Any]:
        self._place[members], self._seen[members] = 0.0, False
        self._gate = self.gates[self.problem_id]
        return self._observe()

    def _advance(self, actions: NDArray[np.float32]) -> tuple[NDArray[Any], NDArray[np.float32], NDArray[np.bool_]]:
        before, step = self._place, actions.astype(np.float64)
        step *= (MAX_STEP / np.maximum(1, np.sqrt(_squared(step))))[:, None]
        self._place = np.minimum(np.maximum(before + step, -1), 1)
        left = (_squared(before) < CIRCLE**2) & (_squared(self._place) >= CIRCLE**2)
        through = left & (_squared(_crossing(before, self._place, left) - self._gate) <= self.gate_radius**2)
        if self.phase == "explore":
            self._seen = through | (_squared(self._place - BEACON) <= BEACON_RADIUS**2)
        return self._observe(), through.astype(np.float32), left & (self.phase == "execute")

    def _observe(self) -> NDArray[np.float32]:
        return np.concatenate([self._place, self._seen[:, None], self._seen[:, None] * self._gate], axis=1, dtype="f4")


def _squared(vectors: NDArray[Any]) -> NDArray[Any]:
    """Squared lengths, (..., 2) -> (...)."""
    return np.asarray(vectors[..., 0] * vectors[..., 0] + vectors[..., 1] * vectors[..., 1])


def _crossing(before: NDArray[np.float64], after: NDArray[np.float64], left: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Where steps (B, 2) -> (B, 2) cross the circle, for those that `left` it (B,); anywhere for the others."""
    step = after - before
    a, b, c = _squared(step), (before * step).sum(axis=1), _squared(before) - CIRCLE**2
    # |before + t step| = radius; the positive root, as c < 0 inside
    share = (np.sqrt(np.where(left, b * b - a * c, 0)) - b) / np.where(left, a, 1)
    return before + share[:, None] * step
