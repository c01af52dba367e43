"""DREAM's exploration reward: the information about z that each transition reveals.

r_t = log q(z | tau_:t+1) - log q(z | tau_:t) - c, in nats (arXiv 2008.02790, eq. 5). Summed over an exploration it
telescopes to log q(z | tau) - log q(z | o_0) - c T: nothing is gained by revealing the same thing twice.
"""

from __future__ import annotations

from torch import Tensor

from dream.core.trial import Episodes, Trials
from dream.exploration.base import Belief, ExplorationReward


def information_reward(error: Tensor, explore: Episodes, cost: float) -> Tensor:
    """Nats that each transition reveals, less the cost of a step.

    Args:
        error: (N, T + 1) -log q(f(mu) | tau_:t) up to a constant (`dream.core.bottleneck.prefix_error`).
        explore: the N streams; a reset step between two episodes reveals what it reveals, but costs nothing.
        cost: c, nats a step.

    Returns:
        (N, T), zero outside the mask.
    """
    revealed = (error[:, :-1] - error[:, 1:]) * explore.mask.to(error.dtype)
    return revealed - cost * explore.transition.to(error.dtype)


def information(cost: float) -> ExplorationReward:
    """The exploration reward of DREAM with a cost of `cost` nats a step."""

    def reward(trials: Trials, belief: Belief) -> Tensor:
        return information_reward(belief.error, trials.explore, cost)

    return reward
