"""What a learner is given of N streams of T steps: the rewards that a method defines, and which steps are decisions."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import NamedTuple

from torch import Tensor


@dataclass(frozen=True)
class Decisions:
    """N streams of T steps of one policy.

    Attributes:
        action: (N, T, ...), of a reset step any.
        reward: (N, T) float32, of the method: exploration reward, execution reward, or that of a whole trial.
        terminated: (N, T) bool, the return after this step is 0. A stream that stops without it is out of time: its
            last observation has a value.
        mask: (N, T) bool, the stream has a step here.
        reset_step: (N, T) bool, a step between two episodes, which no policy takes. Values pass it unchanged.
        discount: discount factor, or (N, T) one for each step.
        weight: (N, T) float32, 1 for the steps in the loss, else 0.
    """

    action: Tensor
    reward: Tensor
    terminated: Tensor
    mask: Tensor
    reset_step: Tensor
    discount: float | Tensor
    weight: Tensor

    def select(self, rows: Tensor | slice) -> Decisions:
        """The streams of these rows, (M,) int64 or a slice."""
        parts = {item.name: getattr(self, item.name) for item in fields(self)}
        return replace(self, **{name: part[rows] for name, part in parts.items() if isinstance(part, Tensor)})

    def only(self, rows: Tensor) -> Decisions:
        """The same streams, of which those outside `rows` (N,) bool do not count."""
        return replace(self, weight=self.weight * rows[:, None])


class PolicyLoss(NamedTuple):
    """What a learner returns.

    Attributes:
        loss: ().
        surprise: (N,) largest absolute error of the values of each stream, detached.
        value: () mean value of the first observation, detached.
        metrics: by name, () each, detached; of `q` none.
    """

    loss: Tensor
    surprise: Tensor
    value: Tensor
    metrics: dict[str, Tensor]
