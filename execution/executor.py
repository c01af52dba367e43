"""The executor: a recurrent policy on z and the instruction."""

from __future__ import annotations

import gymnasium as gym
import torch
from torch import Tensor, nn

from dream.core.actions import Actions
from dream.core.decisions import Decisions
from dream.core.heads import LearnerName
from dream.core.networks import RecurrentPolicy
from dream.core.observations import ObservationSpace, frame_encoder
from dream.core.rollout import PolicyState
from dream.core.trial import Episodes


class LearnedExecutor(nn.Module):
    """pi_exec: outputs given z and an instruction, which its learner reads.

    Args:
        space: of one observation.
        instruction: space of one instruction.
        actions: of the environment.
        learner: "q" or "ppo".
        width: units of the feed-forward layers.
        memory_size: units of the LSTM.
        z_dim: of z.
        asks: whether an instruction asks z for one of many things, see `StepEncoder`.
        sees_action: whether it observes its previous action.
        initial: (A,) initial probabilities of Discrete actions for `ppo`.
    """

    def __init__(
        self,
        space: ObservationSpace,
        instruction: gym.spaces.MultiDiscrete,
        actions: Actions,
        *,
        width: int,
        memory_size: int,
        z_dim: int,
        learner: LearnerName = "q",
        asks: bool = False,
        sees_action: bool = False,
        initial: Tensor | None = None,
    ):
        super().__init__()
        sizes = [int(n) for n in instruction.nvec]
        self.seen_actions = actions if sees_action else None
        self.frames = frame_encoder(space)
        self.policy = RecurrentPolicy(
            space,
            actions,
            learner=learner,
            width=width,
            memory_size=memory_size,
            integers=sizes,
            z_dim=z_dim,
            asks=asks,
            sees_action=sees_action,
            initial=initial,
        )

    def encode_frames(self, execute: Episodes) -> Tensor:
        """Frame features of whole episodes: (N, T + 1, D)."""
        return self.frames(execute.obs, execute.observed)

    def forward(self, execute: Episodes, frame_features: Tensor, z: Tensor) -> Tensor:
        """Whole episodes, their frame features (N, T + 1, D) and z (N, Z) -> outputs (N, T + 1, O)."""
        seen = self.seen_actions
        previous = None if seen is None else seen.inputs(execute.previous_action(seen))
        return self.policy(frame_features, execute.instruction[:, None], z[:, None], previous=previous)

    def step(
        self, frame_features: Tensor, previous_action: Tensor, instruction: Tensor, z: Tensor, state: PolicyState
    ) -> tuple[Tensor, PolicyState]:
        """One step: frame features (B, D), previous action (B, ...), (B, I), (B, Z), state -> outputs (B, O), state."""
        previous = None if self.seen_actions is None else self.seen_actions.inputs(previous_action)
        return self.policy.step(frame_features, instruction, z, state, previous=previous)


def executor_decisions(execute: Episodes, gamma: float) -> Decisions:
    """What an executor learns from N execution episodes."""
    return Decisions(
        action=execute.action,
        reward=execute.reward,
        terminated=execute.terminated,
        mask=execute.mask,
        reset_step=torch.zeros_like(execute.mask),
        discount=gamma,
        weight=execute.mask.to(execute.reward.dtype),
    )
