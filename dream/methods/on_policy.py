"""What pairs and end-to-end policies share when they learn by PPO: fresh streams and the loss on them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dream.config import TrainConfig
from dream.core.actions import Actions
from dream.core.decisions import Decisions, PolicyLoss
from dream.core.ppo import Targets, ValueNorm, ppo_loss, ppo_targets


@dataclass(frozen=True)
class OnPolicy:
    """N fresh streams of one policy.

    Attributes:
        decisions: the streams.
        targets: what stays fixed during the updates.
    """

    decisions: Decisions
    targets: Targets

    def loss(
        self, out: Tensor, rows: Tensor, actions: Actions, config: TrainConfig, entropy_weight: float, progress: float
    ) -> PolicyLoss:
        """PPO loss on some of the streams.

        Args:
            out: (M, T + 1, O) of the policy that learns, on the streams of `rows`.
            rows: (M,) int64.
            actions: of the environment.
            config: of the run.
            entropy_weight: initial one of this policy; it falls with the learning rate.
            progress: share of the training steps that is done.
        """
        settings = config.ppo
        return ppo_loss(
            out,
            self.decisions.select(rows),
            self.targets.select(rows),
            actions,
            clip=settings.clip_range,
            value_weight=settings.value_weight,
            entropy_weight=entropy_weight * config.learning.share_at(progress),
        )


@torch.no_grad()
def on_policy(out: Tensor, decisions: Decisions, actions: Actions, norm: ValueNorm, config: TrainConfig) -> OnPolicy:
    """Fresh streams with the outputs (N, T + 1, O) of the policy that acted; updates the statistics of returns."""
    return OnPolicy(decisions, ppo_targets(out, decisions, actions, norm, config.ppo.gae_lambda))
