"""What an explorer and an exploration reward are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from dream.core.trial import Trials


@dataclass(frozen=True)
class Belief:
    """What the encoders say about a batch of B trials; all detached.

    Attributes:
        code: (B, Z) f(mu).
        prefixes: (B, T + 1, Z) g(tau_:t).
        error: (B, T + 1) -log q(f(mu) | tau_:t) up to a constant, nats.
    """

    code: Tensor
    prefixes: Tensor
    error: Tensor


ExplorationReward = Callable[[Trials, Belief], Tensor]
"""What trains an explorer: a batch of trials and the belief about them -> reward of each exploration step, (B, T)."""
