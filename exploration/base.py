"""What an exploration reward is, and the belief that it may depend on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dream.core.trial import Trials


@dataclass(frozen=True)
class Belief:
    """What the encoders infer about a batch of N trials; all detached.

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


class ExplorationReward(nn.Module, ABC):
    """What an explorer is rewarded for: Trials, Belief -> (reward (N, T), loss ()).

    Most rewards learn nothing and return the loss 0. A reward may have networks of its own, such as a predictor whose
    error is the reward: its parameters are optimised with those of the pair, without weight decay, and saved with them.

    Running statistics that `forward` keeps may change in training mode only (`Module.training`): the networks of the
    reward learn from replayed trials, in training mode; `ppo` explorers are rewarded in evaluation mode.
    """

    @abstractmethod
    def forward(self, trials: Trials, belief: Belief) -> tuple[Tensor, Tensor]:
        """The reward of each exploration step, and the loss of the reward's own networks.

        Args:
            trials: N trials.
            belief: what the encoders infer about them.

        Returns:
            reward (N, T), detached, zero outside the mask; loss ().
        """

    def observe(self, trials: Trials) -> None:
        """Called once with each batch of collected trials. Does nothing by default."""


RewardFunction = Callable[[Trials, Belief], Tensor]
"""N trials and the belief about them -> reward of each exploration step, (N, T)."""


class FunctionReward(ExplorationReward):
    """An exploration reward from a plain function, without networks of its own."""

    def __init__(self, function: RewardFunction):
        super().__init__()
        self.function = function

    def forward(self, trials: Trials, belief: Belief) -> tuple[Tensor, Tensor]:
        """Reward (N, T) and loss 0."""
        return self.function(trials, belief), torch.zeros((), device=belief.error.device)
