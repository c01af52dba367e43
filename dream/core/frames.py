"""Frames -> features: the one place where pixels become floats."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

CHANNELS = (8, 16)
CHUNK = 256
"""Largest number of frames in one convolution on a CPU: more do not fit into its caches."""


class FrameEncoder(nn.Module):
    """Two convolutions, 8 x 8 stride 4 and 4 x 4 stride 2, and layer norm, so that the features cannot all die.

    The large first stride makes it a tenth as expensive as the paper's network, and it still reads the sign
    (docs/sign.md). Centring and scaling of the pixels are folded into the first convolution.

    Args:
        shape: (H, W, C) of the frames, at least 20 x 20.

    Raises:
        ValueError: the frames are smaller.
    """

    def __init__(self, shape: tuple[int, ...]):
        super().__init__()
        self.out_features = self.features_of(shape)
        self.first = nn.Conv2d(shape[2], CHANNELS[0], 8, 4)
        self.second = nn.Conv2d(*CHANNELS, 4, 2)

    @staticmethod
    def features_of(shape: tuple[int, ...]) -> int:
        """Features of frames (H, W, C). Raises ValueError for frames smaller than 20 x 20."""
        height, width = shape[:2]
        if min(height, width) < 20:
            raise ValueError(f"frames of {height} x {width} pixels are too small: give at least 20 x 20")
        return CHANNELS[1] * _side(height) * _side(width)

    def forward(self, frames: Tensor, observed: Tensor | None = None) -> Tensor:
        """(..., H, W, C) uint8 -> (..., out_features).

        Args:
            frames: observations.
            observed: (...) bool, False for padding. On a CPU padding is skipped and returns zeros.
        """
        leading = frames.shape[:-3]
        flat = frames.reshape(-1, *frames.shape[-3:])
        if observed is None or flat.is_cuda:  # counting the observed frames would make the host wait for the device
            return self._features(flat).view(*leading, -1)
        rows = observed.flatten().nonzero()[:, 0]
        features = self._features(flat.index_select(0, rows))
        return features.new_zeros(len(flat), self.out_features).index_copy(0, rows, features).view(*leading, -1)

    def _features(self, frames: Tensor) -> Tensor:
        """(M, H, W, C) uint8 -> (M, out_features)."""
        if frames.is_cuda or len(frames) <= CHUNK:
            return self._convolve(frames)
        return torch.cat([self._convolve(part) for part in frames.split(CHUNK)])

    def _convolve(self, frames: Tensor) -> Tensor:
        # first(4 (x / 255 - 1/2)) without a pass over the pixels
        weight = self.first.weight
        bias = self.first.bias - 2.0 * weight.sum((1, 2, 3))  # type: ignore[operator]
        pixels = frames.permute(0, 3, 1, 2).float()
        h = F.relu(F.conv2d(pixels, weight * (4.0 / 255.0), bias, self.first.stride))
        h = self.second(h).flatten(1)
        return F.relu(F.layer_norm(h, h.shape[-1:]))


class Unchanged(nn.Module):
    """Passes integer observations on: they need no frame encoder."""

    def forward(self, obs: Tensor, observed: Tensor | None = None) -> Tensor:
        """The observations as they are."""
        return obs


def is_frame(space: gym.Space) -> bool:
    """Whether the observations are images, (H, W, C) uint8."""
    return isinstance(space, gym.spaces.Box) and space.dtype == np.uint8 and len(space.shape) == 3


def frame_encoder(space: gym.Space) -> FrameEncoder | Unchanged:
    """A `FrameEncoder` for images, `Unchanged` for everything else. What it returns is called frame features."""
    return FrameEncoder(space.shape) if is_frame(space) else Unchanged()  # type: ignore[arg-type]


def _side(pixels: int) -> int:
    """Positions of the second convolution along a side."""
    return ((pixels - 8) // 4 + 1 - 4) // 2 + 1
