"""First-Explore: the explorer is rewarded for how much better than expected the following execution is.

Norman and Clune, "First-Explore, then Exploit: Meta-Learning to Solve Hard Exploration-Exploitation Trade-Offs"
(arXiv 2307.02276): separate explore and exploit policies, the explore policy rewarded when an exploit episode that is
given its episode does better than the best before it. Here one execution follows the exploration(s), and its return is
compared with the return expected after an average exploration, V(instruction), which is learned:

    r_T = R_execution - V(instruction), all other steps 0

Only executions on g of the whole exploration depend on it; the others give no reward. The reward is zero until
executing succeeds by chance: this is the coupling that DREAM avoids.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from einops import reduce
from torch import Tensor, nn
from torch.nn import functional as F

from dream.core.embedding import DiscreteEncoder
from dream.core.trial import Episodes, Trials
from dream.exploration.base import Belief, ExplorationReward


class Improvement(ExplorationReward):
    """The return of the execution minus the one expected for its instruction, at the last exploration step."""

    def __init__(self, instruction: Sequence[int], width: int):
        super().__init__()
        self.embed = DiscreteEncoder(instruction, width)
        self.value = nn.Linear(width, 1)
        with torch.no_grad():
            self.value.weight.zero_()
            self.value.bias.zero_()

    def forward(self, trials: Trials, belief: Belief) -> tuple[Tensor, Tensor]:
        """Reward (N, T) and loss ()."""
        execute, n = trials.execute, trials.execute_episodes
        returns = execute.reward.sum(1)
        expected = self.value(F.relu(self.embed(execute.instruction)))[:, 0]
        decoded = trials.used_all.to(returns.dtype)
        error = reduce(returns - expected, "(b n) -> b", "mean", n=n)
        squared = reduce((returns - expected).square(), "(b n) -> b", "mean", n=n)
        loss = 0.5 * (squared * decoded).sum() / decoded.sum().clamp(min=1.0)
        return reward_at_the_end((error * decoded).detach(), trials.explore), loss


def reward_at_the_end(amount: Tensor, explore: Episodes) -> Tensor:
    """(N,) amounts -> (N, T): each at the last step of its stream; streams without steps get none."""
    slot = torch.arange(explore.mask.shape[1], device=amount.device)
    return torch.where((slot == explore.length[:, None] - 1) & explore.mask, amount[:, None], 0.0)
