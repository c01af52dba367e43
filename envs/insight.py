"""What a family can say about its problems, so that explorers can be scored and explained: bounds, parts, scripts.

All of it is optional and for people, bounds and tests: policies in training never see it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from dream.envs.problems import ProblemSet
from dream.envs.words import counted, plain
from dream.spaces import Arrays, action_name, was_taken


@dataclass(frozen=True)
class Part:
    """One part of a problem, such as where one bus line leads.

    Parts do not depend on the factors that the problem encoder reads (`ProblemSet.factor_table`), which are a setting.

    Attributes:
        name: such as "line A" or "drawer 2".
        labels: (num_problems,) int64, its value in each problem, from 0 to classes - 1.
        classes: number of values.
        relevant: whether the best execution depends on it; the other parts are distractors.
        values: names of the values, `classes` short words; empty: their numbers.
    """

    name: str
    labels: NDArray[np.int64] = field(repr=False)
    classes: int
    relevant: bool
    values: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", plain(self.name))
        object.__setattr__(self, "values", tuple(plain(value) for value in self.values))

    def value_name(self, label: int) -> str:
        """The name of one of its values."""
        return self.values[label] if self.values else str(label)


class Expert(Protocol):
    """A scripted policy for N members. It may remember what it observed: make a new one for each episode."""

    def act(self, obs: Arrays) -> NDArray[Any]:
        """Actions (N, ...) for observations (N, ...), called once per step from the first observation on.

        For members that are finished it gets their last observation; its actions for them are ignored.
        """
        ...


class Insight:
    """The optional half of `MetaEnv`: exact bounds, and what explains explorations. Override what the family knows.

    Methods without an answer raise NotImplementedError, return an empty value or None, as documented; the tools then
    leave out what depends on them. Text of subclasses (`summary`, `tell`, `action_name`, `instruction_name`) is
    stripped of control characters, because it is printed to terminals.

    Observations that have parts are dictionaries of arrays of the shapes given here. Actions are as the environment was
    given them, (..., K) where they have components; between two episodes of a stream there is "no action", the number
    of values of an integer or NaN (`dream.spaces.was_taken`).
    """

    summary: ClassVar[str] = ""
    """One line for the list of families."""

    family: str
    problems: ProblemSet
    instruction_space: gym.spaces.MultiDiscrete
    single_action_space: Any
    action_names: tuple[str, ...]
    last_obs: Arrays

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        cls.summary = plain(cls.summary)
        for name in ("tell", "action_name", "instruction_name"):
            if name in cls.__dict__:
                setattr(cls, name, _without_control_characters(cls.__dict__[name]))

    # Bounds

    def optimal_return(self, problem_id: NDArray[np.integer], instruction: NDArray[np.integer]) -> NDArray[np.float64]:
        """Best undiscounted return of an execution episode when the problem is known, (N,), (N, I) -> (N,) float64.

        Raises:
            ValueError: problems or instructions that do not exist.
            NotImplementedError: the family does not know it.
        """
        raise NotImplementedError(f"family {self.family!r} has no exact optimal return")

    def no_exploration_return(self, split: str = "all") -> float:
        """Best expected undiscounted return without exploration: the value 0 of a normalised score.

        The executor knows the rules, its instruction and that each problem of the split is equally likely, and it may
        learn during the execution episode. Knowing a small split is informative in itself (given the list of the 16
        test kitchens, an executor guesses well), so the fair bound for a score on test problems is that of "all".

        Raises:
            ValueError: the split does not exist.
            NotImplementedError: the family does not know it.
        """
        raise NotImplementedError(f"family {self.family!r} has no exact no-exploration return")

    def belief_return(self, problem_id: NDArray[np.integer], instruction: NDArray[np.integer]) -> float:
        """Best expected undiscounted return of an execution if each of these problems (N,) is equally likely.

        As `no_exploration_return`, for one instruction (I,), which is evidence too: after an exploration, the return of
        an ideal executor that believes in exactly the problems consistent with it.

        Raises NotImplementedError where the family does not know it.
        """
        raise NotImplementedError(f"family {self.family!r} has no exact return of a belief")

    def instruction_probability(
        self, problem_id: NDArray[np.integer], instruction: NDArray[np.integer]
    ) -> NDArray[np.float64]:
        """Probability of an instruction under `sample_instruction`, (N,), (N, I) -> (N,): evidence on the problem.

        Raises NotImplementedError where the family does not know it.
        """
        raise NotImplementedError(f"family {self.family!r} does not say how probable an instruction is")

    # Scripted policies

    def expert(self, problem_id: NDArray[np.integer], instruction: NDArray[np.integer]) -> Expert:
        """An optimal executor for believed problems (N,) and instructions (N, I).

        If the belief is true, its return is `optimal_return`. Otherwise each observation corrects the part of the
        belief that it contradicts, and the expert replans from where it is. An instruction need not be possible in the
        problem. Once the goal is reached, or known to be out of reach, the expert ends the episode; in a family without
        an end action it waits.

        Raises:
            ValueError: problems that do not exist.
            NotImplementedError: the family has no expert.
        """
        raise NotImplementedError(f"family {self.family!r} has no expert")

    def believer(self, problem_id: NDArray[np.integer], instruction: NDArray[np.integer]) -> Expert:
        """As `expert`, but it never corrects its belief: in each state it does what is optimal in the believed problem.

        Raises:
            ValueError: problems that do not exist.
            NotImplementedError: the family has none.
        """
        raise NotImplementedError(f"family {self.family!r} has no executor that never corrects its belief")

    def scripted_explorer(self, num: int) -> Expert:
        """An explorer for `num` members that discovers every relevant part, given the rules, and then ends.

        In a family without an end action it waits instead.

        Raises NotImplementedError where the family has none.
        """
        raise NotImplementedError(f"family {self.family!r} has no scripted explorer")

    # What was explored

    def parts(self) -> tuple[Part, ...]:
        """The parts of a problem; empty where the family does not say."""
        return ()

    def revealed(
        self, problem_id: int, obs: Arrays, action: NDArray[Any], scene: Mapping[str, NDArray[Any]]
    ) -> NDArray[np.bool_] | None:
        """Which of `parts` each observation of an episode shows, (T + 1, P) bool; None: not known.

        Args:
            problem_id: the problem.
            obs: (T + 1, ...), slot t is the observation before action t.
            action: (T, ...).
            scene: `scene` at each observation, arrays (T + 1, ...) by name; {}: not recorded.
        """
        return None

    def informative(self) -> NDArray[np.bool_] | None:
        """Whether each member's last observation shows what identifies the problem, (B,) bool; None: not known."""
        return None

    def exploration_summary(
        self,
        problem_id: NDArray[np.integer],
        obs: Arrays,
        action: NDArray[Any],
        mask: NDArray[np.bool_],
    ) -> dict[str, NDArray[np.float64]]:
        """Statistics of N recorded explorations by name, each (N,); empty where the family has none.

        Args:
            problem_id: (N,) ints.
            obs: (N, T + 1, ...), slot t is the observation before action t.
            action: (N, T, ...), no action on the reset step between two episodes of a stream.
            mask: (N, T) bool, the stream has a step here; padding is at the end only.
        """
        return {}

    def tell(self, problem_id: int, obs: Arrays, action: NDArray[Any]) -> list[str]:
        """One recorded episode in words, a phrase per event, such as "walked to the bowl".

        By default the actions, counted.

        Args:
            problem_id: the problem.
            obs: (T + 1, ...), slot t is the observation before action t.
            action: (T, ...).
        """
        return counted(self.action_name(one) for one in action)

    def action_name(self, action: Any) -> str:
        """An action () or (K,) in words: its name, or the name and value of each component; none: "next episode"."""
        if not bool(was_taken(self.single_action_space, np.asarray(action))):
            return "next episode"
        return action_name(self.single_action_space, self.action_names, action)

    def instruction_name(self, instruction: NDArray[np.integer]) -> str:
        """The instruction (I,) in words; "" in a family with a single instruction."""
        if int(np.prod(self.instruction_space.nvec)) == 1:
            return ""
        return f"instruction {', '.join(str(int(value)) for value in instruction)}"

    # Where the agent was

    def positions(self, obs: Arrays) -> NDArray[np.float64]:
        """The agent's position in each of some observations (..., 2): x and y, in the units of `map_extent`.

        Raises NotImplementedError where observations do not show it.
        """
        raise NotImplementedError(f"observations of family {self.family!r} do not show where the agent is")

    def position(self) -> NDArray[np.float64]:
        """Every member's position now, (B, 2); a family may know it during play even if observations do not show it.

        Raises NotImplementedError where there are no positions.
        """
        return self.positions(self.last_obs)

    @property
    def map_extent(self) -> tuple[float, float, float, float]:
        """Left, right, bottom and top edge of a map of the positions (bottom > top where y grows downwards).

        A grid whose cells are centred on integers has its edges halfway between two integers, so that visits are
        counted by cell. Raises NotImplementedError where there are no positions.
        """
        raise NotImplementedError(f"family {self.family!r} has no map")

    def scene(self) -> dict[str, NDArray[Any]]:
        """Hidden state of this moment that pictures show, arrays (B, ...) by name (see `draw`); {}: nothing hidden."""
        return {}


def _without_control_characters(method: Callable[..., str | list[str]]) -> Callable[..., str | list[str]]:
    @functools.wraps(method)
    def cleaned(*arguments: Any, **named: Any) -> str | list[str]:
        text = method(*arguments, **named)
        return plain(text) if isinstance(text, str) else [plain(phrase) for phrase in text]

    return cleaned
