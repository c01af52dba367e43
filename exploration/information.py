"""DREAM's exploration reward: the information about z that each transition reveals.

r_t = log q(z | tau_:t+1) - log q(z | tau_:t) - c, in nats (arXiv 2008.02790, eq. 5). Summed over an exploration it
telescopes to log q(z | tau) - log q(z | o_0) - c T, so revealing the same thing twice is rewarded once.
"""

from __future__ import annotations

from torch import Tensor

from dream.core.trial import Episodes, Trials
from dream.exploration.base import Belief, ExplorationReward


def information_reward(error: Tensor, explore: Episodes, cost: float | Tensor) -> Tensor:
    """Nats that each transition reveals, minus the cost of a step.

    Args:
        error: (N, T + 1) -log q(f(mu) | tau_:t) up to a constant (`dream.core.bottleneck.prefix_error`).
        explore: the N streams. The observation after a reset step may reveal something; a reset step costs nothing.
        cost: c, nats per step.

    Returns:
        (N, T), zero outside the mask.
    """
    revealed = (error[:, :-1] - error[:, 1:]) * explore.mask.to(error.dtype)
    return revealed - cost * explore.transition.to(error.dtype)


class InformationReward(ExplorationReward):
    """The exploration reward of DREAM.

    The scale of nats differs between families, with rho and with how far f has spread its codes. So c is given as a
    share of the information available, the mean error of the empty prefix.

    Args:
        share: c, cost of a step, as a share of the information available in a batch.
    """

    def __init__(self, share: float):
        super().__init__()
        self.share = share

    def forward(self, trials: Trials, belief: Belief) -> tuple[Tensor, Tensor]:
        """Reward (N, T) in nats and loss 0."""
        cost = self.share * belief.error[:, 0].mean()
        return information_reward(belief.error, trials.explore, cost), belief.error.new_zeros(())
