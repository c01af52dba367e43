"""What a family can say about its problems and about good play, so that explorers can be explained: `Part`, `Expert`.

The truth, for people, bounds and tests: nothing of it reaches a policy that is trained.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Part:
    """One of the things that a problem is made of, such as where one bus line leads.

    Independent of the factors that the problem encoder is given (`ProblemSet.factor_table`), which are a setting.

    Attributes:
        name: such as "line A" or "drawer 2".
        labels: (num_problems,) int64, what it is in each problem, from 0 up to classes - 1.
        classes: how many values there are.
        relevant: whether the best way to execute depends on it; the rest is there to distract.
        values: what a person calls each of its values, `classes` short words; their numbers where there are none.
    """

    name: str
    labels: NDArray[np.int64] = field(repr=False)
    classes: int
    relevant: bool
    values: tuple[str, ...] = ()

    def value_name(self, label: int) -> str:
        """What a person calls one of its values."""
        return self.values[label] if self.values else str(label)


class Expert(Protocol):
    """Acts by a script for N members at once. It may remember what it saw: take a new one for each episode."""

    def act(self, obs: NDArray[Any]) -> NDArray[np.int64]:
        """Actions (N,) on observations (N, ...), asked once a step from the first observation on.

        It may be asked for members that are finished, with their last observation; that changes nothing for others.
        """
        ...
