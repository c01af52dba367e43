"""What the tests of losses share: a replay that remembers what was drawn, and Q(lambda) targets in plain loops."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from dream.core.replay import TrialReplay
from dream.core.trial import Episodes, Trials


class RecordingReplay(TrialReplay):
    """A replay that remembers its calls: name, arguments, what it returned."""

    def __init__(self, *arguments: Any):
        super().__init__(*arguments)
        self.calls: list[tuple[str, tuple[Any, ...], Any]] = []

    def _record(self, name: str, *arguments: Any, **named: Any) -> Any:
        drawn = getattr(super(), name)(*arguments, **named)
        self.calls.append((name, (*arguments, *named.values()), drawn))
        return drawn

    def sample(self, *arguments: Any, **named: Any) -> Trials:
        return self._record("sample", *arguments, **named)

    def sample_transitions(self, *arguments: Any, **named: Any) -> tuple[Tensor, Episodes]:
        return self._record("sample_transitions", *arguments, **named)

    def sample_decoded(self, *arguments: Any, **named: Any) -> Trials:
        return self._record("sample_decoded", *arguments, **named)

    def sample_by_priority(self, *arguments: Any, **named: Any) -> tuple[Trials, Tensor]:
        return self._record("sample_by_priority", *arguments, **named)

    def set_priority(self, *arguments: Any, **named: Any) -> None:
        return self._record("set_priority", *arguments, **named)

    def drawn(self, name: str) -> Any:
        """What the only call of this name returned."""
        (found,) = [drawn for called, _, drawn in self.calls if called == name]
        return found

    def arguments(self, name: str) -> tuple[Any, ...]:
        """The arguments of the only call of this name."""
        (found,) = [arguments for called, arguments, _ in self.calls if called == name]
        return found


def q_targets(
    online: Tensor,
    target: Tensor,
    action: Tensor,
    reward: np.ndarray,
    done: Collection[int],
    gamma: Sequence[float],
    trace: float,
    resets: Collection[int] = (),
    gap: float = 0.0,
) -> list[float]:
    """Watkins's Q(lambda) with double-Q values, of one stream: G_t = r_t + gamma_t [(1 - c) V_{t+1} + c G_{t+1}].

    c is lambda where the next action is the greedy one, or no action at all (a reset between two episodes); the value
    before a reset is what it reveals plus the value after it.

    Args:
        online, target: (T + 1, A) action values.
        action: (T,) ints.
        reward: (T,).
        done: steps after which nothing follows.
        gamma: the discount of each step of the stream; its length is that of the stream.
        trace: lambda.
        resets: steps between two episodes.
        gap: alpha of advantage learning, by which inferior actions are valued lower.
    """
    length = len(gamma)
    best = online.detach().argmax(-1).tolist()
    value = [float(target[t, best[t]]) for t in range(length + 1)]
    for t in resets:
        value[t] = float(reward[t]) + value[t + 1]
    targets = [0.0] * length
    for t in reversed(range(length)):
        following = 0.0 if t in done else value[t + 1]
        if t not in done and t + 1 < length and (t + 1 in resets or best[t + 1] == int(action[t + 1])):
            following = (1 - trace) * value[t + 1] + trace * targets[t + 1]
        targets[t] = float(reward[t]) + gamma[t] * following
    if gap:
        targets = [targets[t] - gap * float(target[t].max() - target[t, int(action[t])]) for t in range(length)]
    return targets
