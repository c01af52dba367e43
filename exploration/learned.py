"""The learned explorer: recurrent double Q-learning on any exploration reward.

It observes observations and its own previous action, neither reward nor instruction.
"""

from __future__ import annotations

import gymnasium as gym
import torch
from torch import Tensor, nn

from dream.core.networks import RecurrentQ
from dream.core.qlearning import double_q_value, lambda_returns, q_loss, skip_reset_steps, td_error
from dream.core.rollout import PolicyState
from dream.core.trial import Episodes


class LearnedExplorer(nn.Module):
    """pi_exp: action values of an exploration stream. It shares g's frame encoder, so each frame is encoded once.

    Args:
        space: of one observation.
        actions: A, number of actions.
        width: units of the feed-forward layers.
        memory_size: units of the LSTM.
    """

    def __init__(self, space: gym.Space, actions: int, *, width: int, memory_size: int):
        super().__init__()
        self.actions = actions
        self.q = RecurrentQ(space, actions, width=width, memory_size=memory_size, integers=[actions + 1])

    def forward(self, explore: Episodes, frame_features: Tensor) -> Tensor:
        """Whole streams and their frame features (N, T + 1, D) -> action values (N, T + 1, A)."""
        return self.q(frame_features, explore.previous_action(none=self.actions)[..., None])

    def step(self, frame_features: Tensor, previous_action: Tensor, state: PolicyState) -> tuple[Tensor, PolicyState]:
        """One step: frame features (B, D), previous action (B,), state -> action values (B, A), new state."""
        return self.q.step(frame_features, previous_action[:, None], None, state)


def explorer_loss(
    online: LearnedExplorer,
    target: LearnedExplorer,
    explore: Episodes,
    frame_features: Tensor,
    reward: Tensor,
    *,
    gamma: float,
    lambda_: float,
) -> tuple[Tensor, Tensor]:
    """Double Q(lambda) loss of an explorer on a batch of exploration streams.

    The end of a stream is terminal for the exploration return even where the environment only ran out of time, because
    nothing explored later could still help.

    Args:
        online: the explorer that learns.
        target: its average.
        explore: N streams.
        frame_features: (N, T + 1, D) for both networks; the gradient of the loss reaches them.
        reward: (N, T) exploration reward.
        gamma: discount.
        lambda_: of Q(lambda).

    Returns:
        loss (); mean over streams of the value of the first observation (), detached.
    """
    q = online(explore, frame_features)
    with torch.no_grad():
        # Double Q: values of the target network at the online network's best actions
        value, best = double_q_value(q, target(explore, frame_features))
        value = skip_reset_steps(value, explore.reset_step, reward)
        # Q(lambda) targets; traces pass reset steps and are cut at actions that are not greedy
        slot = torch.arange(explore.mask.shape[1], device=reward.device)
        last = slot == explore.length[:, None] - 1
        taken = explore.action.clamp(max=online.actions - 1)
        greedy = (best[:, :-1] == taken) | explore.reset_step
        returns = lambda_returns(reward, last, explore.mask, value, greedy, gamma=gamma, lambda_=lambda_)
    # Squared TD errors of the real transitions
    weight = explore.transition.to(q.dtype)
    return q_loss(td_error(q[:, :-1], taken, returns, weight), weight), value[:, 0].mean()
