"""Small families: a configurable one in which theory says which explorers succeed, and others of other spaces."""

from collections.abc import Sequence
from itertools import product
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np

from dream.envs import MetaEnv, ProblemSet, integer_space
from dream.spaces import number_space

LEFT, RIGHT, PRESS = range(3)
"""PRESS is the first button. After the buttons comes `ride`, where there is a bus; the last action ends the episode."""


class Fact(NamedTuple):
    """One part of a problem: a number from 0 up to, not including, `values`, to be read at cell `at`.

    Without `matters` it has no bearing on which button is right.
    """

    at: int
    values: int = 2
    matters: bool = True


class Corridor(MetaEnv):
    """A corridor with signs; obs (x, symbol), start x = `start`.

    A problem is a value for each fact. While exploring, a sign stands at the cell of each and shows the value by a
    symbol of its own (0: no sign). There is a button for every combination of the facts that matter; in execution the
    right one gives reward 1, any other -1, and both end the episode. Steps are free: knowing the problem earns 1,
    knowing nothing 0 (press nothing). All problems are in every split; the instruction is always 0.

    Args:
        num_envs: members.
        facts: the parts of the problem.
        length: cells.
        start: cell in which every episode begins.
        horizon: steps of an episode.
        buttons_at: the only cell in which buttons work, or everywhere.
        bus_at: instead of a sign for the first fact (of 2 values) a bus: the action `ride` in this cell takes an
            explorer to the first or to the last cell, as the fact says.
        step_cost: what each step of an execution costs.
    """

    summary = "read signs, then press a button (for tests)"

    def __init__(
        self,
        num_envs: int,
        facts: Sequence[Fact] = (Fact(2),),
        length: int = 3,
        start: int = 1,
        horizon: int = 3,
        buttons_at: int | None = None,
        bus_at: int | None = None,
        step_cost: float = 0.0,
    ):
        # env_parameters hold plain data, so a fact may come as a list
        self.facts, self.length, self.start = tuple(Fact(*fact) for fact in facts), length, start
        self.buttons_at, self.bus_at, self.step_cost = buttons_at, bus_at, step_cost
        self._x = np.full(num_envs, start)
        self.values = np.array(list(product(*(range(fact.values) for fact in self.facts))))  # (problems, facts)
        mattering = [i for i, fact in enumerate(self.facts) if fact.matters]
        sizes = [self.facts[i].values for i in mattering]
        self.right_button = np.ravel_multi_index(tuple(self.values[:, mattering].T), sizes)
        self.buttons, ids = int(np.prod(sizes)), np.arange(len(self.values))
        actions = ["left", "right", *(f"press {i}" for i in range(self.buttons))]
        actions += ["end-episode"] if bus_at is None else ["ride", "end-episode"]
        self.first_symbol = 1 + np.cumsum([0, *(fact.values for fact in self.facts)])
        super().__init__(
            num_envs,
            problems=ProblemSet(
                "corridor",
                {},
                len(ids),
                {"train": ids, "validation": ids, "test": ids},
                tuple(fact.values for fact in self.facts),
                self.values,
            ),
            horizon=horizon,
            observation_space=integer_space([length, int(self.first_symbol[-1])]),
            instruction_space=gym.spaces.MultiDiscrete([1]),
            action_names=tuple(actions),
            end_action=len(actions) - 1,
        )

    def sample_instruction(self, problem_id: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Always 0, (N,) -> (N, 1)."""
        return np.zeros((len(problem_id), 1), np.int64)

    def _begin(self, members: np.ndarray) -> np.ndarray:
        self._x[members] = self.start
        return self._observe()

    def _advance(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        at = self._x
        self._x = np.clip(at + (actions == RIGHT) - (actions == LEFT), 0, self.length - 1)
        if self.bus_at is not None and self.phase == "explore":
            far = self.values[self.problem_id, 0] * (self.length - 1)
            self._x = np.where((actions == PRESS + self.buttons) & (at == self.bus_at), far, self._x)
        pressed = (actions >= PRESS) & (actions < PRESS + self.buttons)
        if self.buttons_at is not None:
            pressed &= at == self.buttons_at
        right = actions - PRESS == self.right_button[self.problem_id]
        reward = pressed * np.where(right, 1, -1) - self.step_cost
        return self._observe(), reward.astype(np.float32), pressed & self._executing

    @property
    def _executing(self) -> bool:
        return self.phase == "execute"

    def _observe(self) -> np.ndarray[Any, Any]:
        symbol = np.zeros(self.num_envs, np.int64)
        for i, fact in enumerate(self.facts):
            if not self._executing and not (i == 0 and self.bus_at is not None):
                symbol = np.where(self._x == fact.at, self.first_symbol[i] + self.values[self.problem_id, i], symbol)
        return np.stack([self._x, symbol], axis=1).astype(np.int16)


class Dial(MetaEnv):
    """Turn a dial to a number that is to be read first: continuous observations and actions.

    The dial is at x, 0 at the start; an action from -0.5 to 0.5 turns it, within -1 and 1. obs (x, hint) float32. While
    exploring, the hint is the target, -0.6 or 0.6, where x is above 0.7, else 0. In execution each of 3 steps earns
    (1 - |x - target| / 0.6) / 3: 0.94 with the target known, 0 at rest. All problems are in every split.

    Args:
        num_envs: members.
    """

    summary = "turn a dial to a number (for tests)"
    targets = np.float32([-0.6, 0.6])

    def __init__(self, num_envs: int):
        ids = np.arange(2)
        self._x = np.zeros(num_envs, np.float32)
        super().__init__(
            num_envs,
            problems=ProblemSet("dial", {}, 2, {"train": ids, "validation": ids, "test": ids}, (2,), ids[:, None]),
            horizon=3,
            observation_space=number_space(-1.0, 1.0, (2,)),
            instruction_space=gym.spaces.MultiDiscrete([1]),
            action_names=("turn",),
            action_space=number_space(-0.5, 0.5, (1,)),
        )

    def sample_instruction(self, problem_id: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Always 0, (N,) -> (N, 1)."""
        return np.zeros((len(problem_id), 1), np.int64)

    def _begin(self, members: np.ndarray) -> np.ndarray:
        self._x[members] = 0.0
        return self._observe()

    def _advance(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        self._x = np.clip(self._x + actions[:, 0], -1.0, 1.0)
        reward = (1.0 - np.abs(self._x - self.targets[self.problem_id]) / 0.6) / 3.0
        return self._observe(), reward.astype(np.float32), np.zeros(self.num_envs, bool)

    def _observe(self) -> np.ndarray[Any, Any]:
        shown = (self._x > 0.7) & (self.phase == "explore")
        return np.stack([self._x, shown * self.targets[self.problem_id]], axis=1).astype(np.float32)


class PartsCorridor(Corridor):
    """The corridor, observed as a Dict: the place as a number, the symbol as an integer."""

    summary = "a corridor observed in parts (for tests)"

    def __init__(self, num_envs: int):
        super().__init__(num_envs)
        symbols = int(self.first_symbol[-1])
        parts = {"place": number_space(0.0, float(self.length), (1,)), "symbol": integer_space([symbols])}
        self.single_observation_space = gym.spaces.Dict(parts)
        self.observation_space = gym.vector.utils.batch_space(self.single_observation_space, num_envs)

    def _observe(self) -> Any:
        both = super()._observe()
        return {"place": both[:, :1].astype(np.float32), "symbol": both[:, 1:]}
