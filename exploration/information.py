"""DREAM's exploration reward: the information about z that each transition reveals.

r_t = log q(z | tau_:t+1) - log q(z | tau_:t) - c, in nats (arXiv 2008.02790, eq. 5). Summed over an exploration it
telescopes to log q(z | tau) - log q(z | o_0) - c T, so revealing the same thing twice is rewarded once. The cost c is
subtracted where the reward is scaled (`dream.methods.pair_losses`), because it is a share of the information available.
"""

from __future__ import annotations

from torch import Tensor

from dream.core.trial import Episodes, Trials
from dream.exploration.base import Belief


def information_reward(error: Tensor, explore: Episodes) -> Tensor:
    """Nats that each transition reveals.

    Args:
        error: (N, T + 1) -log q(f(mu) | tau_:t) up to a constant (`dream.core.bottleneck.prefix_error`).
        explore: the N streams. The observation after a reset step may reveal something.

    Returns:
        (N, T), zero outside the mask.
    """
    return (error[:, :-1] - error[:, 1:]) * explore.mask.to(error.dtype)


def revealed_information(trials: Trials, belief: Belief) -> Tensor:
    """The exploration reward of DREAM without its cost, (N, T)."""
    return information_reward(belief.error, trials.explore)
