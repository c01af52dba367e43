"""The executor: recurrent double Q-learning conditioned on z and the instruction."""

from __future__ import annotations

import gymnasium as gym
import torch
from torch import Tensor, nn

from dream.core.frames import frame_encoder
from dream.core.networks import RecurrentQ
from dream.core.qlearning import double_q_value, lambda_returns, q_loss, td_error
from dream.core.rollout import PolicyState
from dream.core.trial import Episodes


class LearnedExecutor(nn.Module):
    """pi_exec: action values given z and an instruction.

    Args:
        space: of one observation.
        instruction: space of one instruction.
        actions: A, number of actions.
        width: units of the feed-forward layers.
        memory_size: units of the LSTM.
        z_dim: of z.
    """

    def __init__(
        self,
        space: gym.Space,
        instruction: gym.spaces.MultiDiscrete,
        actions: int,
        *,
        width: int,
        memory_size: int,
        z_dim: int,
    ):
        super().__init__()
        sizes = [int(n) for n in instruction.nvec]
        self.frames = frame_encoder(space)
        self.q = RecurrentQ(space, actions, width=width, memory_size=memory_size, integers=sizes, z_dim=z_dim)

    def encode_frames(self, execute: Episodes) -> Tensor:
        """Frame features of whole episodes: (N, T + 1, D)."""
        return self.frames(execute.obs, execute.observed)

    def forward(self, execute: Episodes, frame_features: Tensor, z: Tensor) -> Tensor:
        """Whole episodes, their frame features (N, T + 1, D) and z (N, Z) -> action values (N, T + 1, A)."""
        return self.q(frame_features, execute.instruction[:, None], z[:, None])

    def step(
        self, frame_features: Tensor, instruction: Tensor, z: Tensor, state: PolicyState
    ) -> tuple[Tensor, PolicyState]:
        """One step: frame features (B, D), (B, I), (B, Z), state -> action values (B, A), new state."""
        return self.q.step(frame_features, instruction, z, state)


def executor_loss(
    online: LearnedExecutor,
    target: LearnedExecutor,
    execute: Episodes,
    z: Tensor,
    target_z: Tensor,
    *,
    gamma: float,
    lambda_: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Double Q(lambda) loss of an executor on a batch of execution episodes; its gradient reaches z.

    Each frame is encoded once, by the online network, for both networks.

    Args:
        online: the executor that learns.
        target: its average.
        execute: N episodes.
        z, target_z: (N, Z), for the online and for the target network.
        gamma: discount.
        lambda_: of Q(lambda).

    Returns:
        loss (); largest absolute error of each episode (N,) and mean value of the first observation (), both detached.
    """
    frame_features = online.encode_frames(execute)
    q = online(execute, frame_features, z)
    with torch.no_grad():
        # Double Q: values of the target network, on its own z, at the online network's best actions
        value, best = double_q_value(q, target(execute, frame_features, target_z))
        # Q(lambda) targets; traces are cut at actions that are not greedy
        greedy = best[:, :-1] == execute.action
        returns = lambda_returns(
            execute.reward, execute.terminated, execute.mask, value, greedy, gamma=gamma, lambda_=lambda_
        )
    # Squared TD errors; the largest of an episode is its priority
    weight = execute.mask.to(q.dtype)
    error = td_error(q[:, :-1], execute.action, returns, weight)
    return q_loss(error, weight), error.detach().abs().amax(1), value[:, 0].mean()
