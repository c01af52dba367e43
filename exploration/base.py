"""What an explorer and an exploration reward are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from dream.core.trial import Trials


@dataclass(frozen=True)
class Belief:
    """What the encoders say about a batch of N trials; all detached.

    Attributes:
        code: (N, Z) f(mu).
        prefixes: (N, T + 1, Z) g(tau_:t).
        error: (N, T + 1) -log q(f(mu) | tau_:t) up to a constant, nats.
        progress: share of the training steps that is done, 0 to 1.
    """

    code: Tensor
    prefixes: Tensor
    error: Tensor
    progress: float = 0.0


class RewardModel(nn.Module):
    """An exploration reward that learns while it pays, such as the error of a predictor.

    A subclass implements `forward`; its parameters are optimised with those of the pair and saved with them.
    """

    def forward(self, trials: Trials, belief: Belief) -> tuple[Tensor, Tensor]:
        """The reward of each exploration step (N, T), detached, zero outside the mask; and the model's own loss ()."""
        raise NotImplementedError

    def observe(self, trials: Trials) -> None:
        """Trials that were just collected; each is shown once. By default nothing is done with them."""


ExplorationReward = Callable[[Trials, Belief], Tensor] | RewardModel
"""What trains an explorer: a batch of trials and the belief about them -> reward of each exploration step, (N, T)."""
