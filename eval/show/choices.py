"""What a policy thought of its actions at one moment, as rows with a bar each: for panels and the player."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from dream.envs import MetaEnv
from dream.eval.record.recorded import ValuesKind

TITLES: dict[ValuesKind, str] = {
    "values": "action values",
    "probabilities": "action probabilities",
    "gaussian": "action distribution",
}
Bar = tuple[float, float, str]
"""Begin and end between 0 and 1, and what is written beside it."""


class Choices:
    """The rows of values of one kind (`RecordedStreams.values`).

    Args:
        env: the family.
        kind: of the values.

    Attributes:
        title: over the rows.
        names: of the rows.
    """

    def __init__(self, env: MetaEnv, kind: ValuesKind):
        self._space: Any = env.single_action_space
        self._kind, self.title = kind, TITLES[kind]
        self.names = list(env.action_names)
        if isinstance(self._space, gym.spaces.MultiDiscrete):
            sizes = self._space.nvec.tolist()
            self.names = [
                f"{name} {value}" for name, size in zip(env.action_names, sizes, strict=True) for value in range(size)
            ]

    def taken(self, action: NDArray[Any]) -> list[int]:
        """The rows that an action belongs to."""
        if isinstance(self._space, gym.spaces.Discrete):
            return [int(action)]
        if isinstance(self._space, gym.spaces.MultiDiscrete):
            return (action + np.cumsum([0, *self._space.nvec[:-1]])).tolist()
        return list(range(len(self.names)))

    def bars(self, values: NDArray[np.floating]) -> list[Bar]:
        """A bar for each row: values (V,) from the lowest to the highest, probabilities from 0 to 1, and the mean of a
        component plus and minus its deviation, from the lower to the upper bound of the action.
        """
        if self._kind == "probabilities":
            return [(0.0, share, f"{share:.0%}") for share in values.tolist()]
        if self._kind == "gaussian":
            return [self._interval(row, *pair) for row, pair in enumerate(values.reshape(2, -1).T.tolist())]
        low, high = float(values.min()), float(values.max())
        digits = 2 if high - low > 0.1 else 3
        span = max(high - low, 1e-9)
        return [(0.0, 0.04 + 0.96 * (value - low) / span, no_minus_zero(value, digits)) for value in values.tolist()]

    def _interval(self, row: int, mean: float, deviation: float) -> Bar:
        low, high = float(self._space.low[row]), float(self._space.high[row])
        begin, end = (np.clip((mean + side * deviation - low) / (high - low or 1.0), 0, 1) for side in (-1, 1))
        return float(begin), float(end), f"{no_minus_zero(mean, 2)} +- {deviation:.2f}"


def no_minus_zero(value: float, digits: int) -> str:
    """The value with so many digits, and never "-0.00"."""
    return f"{round(value, digits) + 0.0:.{digits}f}"
