"""The learned explorer: recurrent double Q-learning on any exploration reward.

It sees observations and its own previous action, neither reward nor instruction.
"""

from __future__ import annotations

import gymnasium as gym
import torch
from torch import Tensor, nn

from dream.core.networks import RecurrentQ
from dream.core.qlearning import double_q_value, lambda_returns, q_loss, skip_reset_steps, td_error
from dream.core.rollout import Memory
from dream.core.trial import Episodes


class LearnedExplorer(nn.Module):
    """pi_exp: action values of an exploration stream. It sees frames through the eyes of g, so they pass once."""

    def __init__(self, space: gym.Space, actions: int, *, width: int, hidden: int):
        super().__init__()
        self.actions = actions
        self.q = RecurrentQ(space, actions, width=width, hidden=hidden, integers=[actions + 1])

    def forward(self, explore: Episodes, seen: Tensor) -> Tensor:
        """Whole streams and what is seen in them (N, T + 1, D) -> action values (N, T + 1, A)."""
        return self.q(seen, explore.previous_action(none=self.actions)[..., None])

    def step(self, seen: Tensor, previous_action: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        """(B, D), (B,) -> action values (B, A), memory."""
        return self.q.step(seen, previous_action[:, None], None, memory)


def explorer_loss(
    online: LearnedExplorer,
    target: LearnedExplorer,
    explore: Episodes,
    seen: Tensor,
    reward: Tensor,
    *,
    gamma: float,
    trace: float,
) -> tuple[Tensor, Tensor]:
    """Q(lambda) loss of an explorer on a batch of exploration streams.

    The end of a stream ends the exploration phase: nothing can be learned afterwards, so it is terminal for the
    exploration return even where the environment only ran out of time.

    Args:
        seen: (N, T + 1, D) what is seen in each observation, for both networks; the loss's gradient reaches it.
        reward: (N, T) exploration reward.

    Returns:
        loss (), mean action value taken () (detached).
    """
    q = online(explore, seen)
    with torch.no_grad():
        value, best = double_q_value(q, target(explore, seen))
        value = skip_reset_steps(value, explore.reset_step, reward)
        slot = torch.arange(explore.mask.shape[1], device=reward.device)
        last = slot == explore.length[:, None] - 1
        taken = explore.action.clamp(max=online.actions - 1)
        greedy = (best[:, :-1] == taken) | explore.reset_step
        returns = lambda_returns(reward, last, explore.mask, value, greedy, gamma=gamma, trace=trace)
    weight = explore.transition.to(q.dtype)
    return q_loss(td_error(q[:, :-1], taken, returns, weight), weight), value[:, 0].mean()
