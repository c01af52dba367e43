"""What predictors and novelty bonuses see of an observation: a small network with its own eyes."""

from __future__ import annotations

import gymnasium as gym
from torch import Tensor, nn

from dream.core.frames import frame_encoder
from dream.core.networks import normed_relu, observation_encoder


class ObservationFeatures(nn.Module):
    """Observations -> features: encoder, normalised ReLU, linear layer."""

    def __init__(self, space: gym.Space, width: int):
        super().__init__()
        self.frames = frame_encoder(space)
        self.encoder = observation_encoder(space, width)
        self.out = nn.Linear(width, width)

    def forward(self, obs: Tensor, seen: Tensor | None = None) -> Tensor:
        """(..., observation) -> (..., width); on a CPU frames outside `seen` (...) bool are not looked at."""
        return self.out(normed_relu(self.encoder(self.frames(obs, seen))))


def mean_over(values: Tensor, weight: Tensor) -> Tensor:
    """Mean of values (N, T) where weight (N, T) is 1; 0 where it is nowhere."""
    return (values * weight).sum() / weight.sum().clamp(min=1.0)
