"""Features of observations for predictors and novelty bonuses: a small network with its own frame encoder."""

from __future__ import annotations

import gymnasium as gym
from torch import Tensor, nn

from dream.core.networks import normed_relu
from dream.core.observations import frame_encoder, observation_encoder
from dream.core.trial import Observations


class ObservationFeatures(nn.Module):
    """Observations -> features: encoder, normalised ReLU, linear layer."""

    def __init__(self, space: gym.Space, width: int):
        super().__init__()
        self.frames = frame_encoder(space)
        self.encoder = observation_encoder(space, width)
        self.out = nn.Linear(width, width)

    def forward(self, obs: Observations, observed: Tensor | None = None) -> Tensor:
        """(..., observation) -> (..., width); `observed` (...) bool as for `FrameEncoder`."""
        return self.out(normed_relu(self.encoder(self.frames(obs, observed))))


def mean_over(values: Tensor, weight: Tensor) -> Tensor:
    """Mean of values (N, T) where weight (N, T) is 1; 0 if no weight is 1."""
    return (values * weight).sum() / weight.sum().clamp(min=1.0)
