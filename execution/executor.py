"""The executor: recurrent double Q-learning conditioned on z and the instruction."""

from __future__ import annotations

import gymnasium as gym
import torch
from torch import Tensor, nn

from dream.core.frames import frame_encoder
from dream.core.networks import RecurrentQ
from dream.core.qlearning import double_q_value, lambda_returns, q_loss, td_error
from dream.core.rollout import Memory
from dream.core.trial import Episodes


class Executor(nn.Module):
    """pi_exec: action values given z and an instruction."""

    def __init__(
        self,
        space: gym.Space,
        instruction: gym.spaces.MultiDiscrete,
        actions: int,
        *,
        width: int,
        hidden: int,
        z_dim: int,
    ):
        super().__init__()
        sizes = [int(n) for n in instruction.nvec]
        self.frames = frame_encoder(space)
        self.q = RecurrentQ(space, actions, width=width, hidden=hidden, integers=sizes, z_dim=z_dim)

    def see(self, execute: Episodes) -> Tensor:
        """What the policy sees in each observation of whole episodes: (N, T + 1, D)."""
        return self.frames(execute.obs, execute.observed)

    def forward(self, execute: Episodes, seen: Tensor, z: Tensor) -> Tensor:
        """Whole episodes, what was seen in them, from `see`, and z (N, Z) -> action values (N, T + 1, A)."""
        return self.q(seen, execute.instruction[:, None], z[:, None])

    def step(self, seen: Tensor, instruction: Tensor, z: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        """What `frames` makes of the observations (B, D), (B, I), (B, Z) -> action values (B, A), memory."""
        return self.q.step(seen, instruction, z, memory)


def executor_loss(
    online: Executor, target: Executor, execute: Episodes, z: Tensor, target_z: Tensor, *, gamma: float, trace: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Q(lambda) loss of an executor on a batch of execution episodes; its gradient reaches z.

    Frames are looked at once, by the online network; the target network differs in what it makes of them.

    Args:
        z, target_z: (N, Z), for the online and for the target network.

    Returns:
        loss (); largest absolute error of each episode (N,) and mean value of the first observation (), both detached.
    """
    seen = online.see(execute)
    q = online(execute, seen, z)
    with torch.no_grad():
        value, best = double_q_value(q, target(execute, seen, target_z))
        greedy = best[:, :-1] == execute.action
        returns = lambda_returns(
            execute.reward, execute.terminated, execute.mask, value, greedy, gamma=gamma, trace=trace
        )
    weight = execute.mask.to(q.dtype)
    error = td_error(q[:, :-1], execute.action, returns, weight)
    return q_loss(error, weight), error.detach().abs().amax(1), value[:, 0].mean()
