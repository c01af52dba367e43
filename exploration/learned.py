"""The learned explorer: a recurrent policy on any exploration reward.

It observes observations and its own previous action, neither reward nor instruction.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dream.core.actions import Actions
from dream.core.decisions import Decisions
from dream.core.heads import LearnerName
from dream.core.networks import RecurrentPolicy
from dream.core.observations import ObservationSpace, frame_encoder
from dream.core.rollout import PolicyState
from dream.core.trial import Episodes, Observations


class LearnedExplorer(nn.Module):
    """pi_exp: outputs of an exploration stream, which its learner reads.

    It may share g's frame encoder: with `q` both are trained on the same batch, so each frame is encoded once. With
    `ppo` it is trained on other trials than g. What g reads may say little about ways: then it needs its own, too.

    Args:
        space: of one observation.
        actions: of the environment.
        learner: "q" or "ppo".
        width: units of the feed-forward layers.
        memory_size: units of the LSTM.
        own_frames: whether it has a frame encoder of its own.
        initial: (A,) initial probabilities of Discrete actions for `ppo`.
    """

    def __init__(
        self,
        space: ObservationSpace,
        actions: Actions,
        *,
        width: int,
        memory_size: int,
        learner: LearnerName = "q",
        own_frames: bool = False,
        initial: Tensor | None = None,
    ):
        super().__init__()
        self.actions = actions
        self.frames = frame_encoder(space) if own_frames else None
        self.policy = RecurrentPolicy(
            space,
            actions,
            learner=learner,
            width=width,
            memory_size=memory_size,
            integers=actions.integer_sizes,
            numbers=actions.numbers,
            initial=initial,
        )

    def encode_frames(self, obs: Observations, observed: Tensor, shared: nn.Module) -> Tensor:
        """Frame features (..., D) from its own frame encoder, or from g's (`shared`) where it has none."""
        return (shared if self.frames is None else self.frames)(obs, observed)

    def stream_features(self, explore: Episodes, shared: Tensor) -> Tensor:
        """Frame features of whole streams (N, T + 1, D): from its own encoder, or `shared`, g's, where it has none."""
        return shared if self.frames is None else self.frames(explore.obs, explore.observed)

    def forward(self, explore: Episodes, frame_features: Tensor) -> Tensor:
        """Whole streams and their frame features (N, T + 1, D) -> outputs (N, T + 1, O)."""
        previous = explore.previous_action(self.actions)
        integers, numbers = self.actions.integers(previous), self.actions.as_numbers(previous)
        return self.policy(frame_features, integers, numbers=numbers)

    def step(self, frame_features: Tensor, previous_action: Tensor, state: PolicyState) -> tuple[Tensor, PolicyState]:
        """One step: frame features (B, D), previous action (B, ...), state -> outputs (B, O), new state."""
        integers, numbers = self.actions.integers(previous_action), self.actions.as_numbers(previous_action)
        return self.policy.step(frame_features, integers, None, state, numbers)


def explorer_decisions(explore: Episodes, reward: Tensor, gamma: float) -> Decisions:
    """What an explorer learns from N streams with an exploration reward (N, T).

    The end of a stream is terminal for the exploration return even where the environment only ran out of time, because
    nothing explored later could still help.
    """
    slot = torch.arange(explore.mask.shape[1], device=reward.device)
    return Decisions(
        action=explore.action,
        reward=reward,
        terminated=slot == explore.length[:, None] - 1,
        mask=explore.mask,
        reset_step=explore.reset_step,
        discount=gamma,
        weight=explore.transition.to(reward.dtype),
    )
