"""First-Explore: the explorer is paid by how much better than expected the execution after it went.

Norman and Clune, "First-Explore, then Exploit: Meta-Learning to Solve Hard Exploration-Exploitation Trade-Offs"
(arXiv 2307.02276): separate explore and exploit policies, the explore policy rewarded when an exploit episode that is
given its episode does better than the best before it. Here one execution follows the exploration(s), and what it is
measured against is the return that is expected after an average exploration, V(instruction), learned:

    r_T = R_execution - V(instruction), all other steps 0

Only executions that were given g(exploration) say anything about it; others pay nothing. Nothing is paid before
executing succeeds by chance: this is the coupling that DREAM avoids.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dream.core.networks import DiscreteEncoder
from dream.core.trial import Episodes, Trials
from dream.exploration.base import Belief, RewardModel


class Improvement(RewardModel):
    """The return of a trial's execution above that expected for its instruction, paid at the last exploration step."""

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
        got = execute.reward.sum(1)
        expected = self.value(F.relu(self.embed(execute.instruction)))[:, 0]
        knows = (~trials.used_id).to(got.dtype)
        error = (got - expected).view(-1, n).mean(1)
        loss = 0.5 * ((got - expected).square().view(-1, n).mean(1) * knows).sum() / knows.sum().clamp(min=1.0)
        return paid_at_the_end((error * knows).detach(), trials.explore), loss


def paid_at_the_end(amount: Tensor, explore: Episodes) -> Tensor:
    """(N,) paid at the last step of each stream -> (N, T); a stream without steps earns nothing."""
    slot = torch.arange(explore.mask.shape[1], device=amount.device)
    return torch.where((slot == explore.length[:, None] - 1) & explore.mask, amount[:, None], 0.0)
