"""Frames -> features: the one place where pixels become floats."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dream.spaces import is_image

CHANNELS = (8, 16)
SMALL = 20
"""Images with a side of fewer pixels get small convolutions."""
CHUNK = 256
"""Largest number of frames in one convolution on a CPU: more do not fit into its caches."""


class Frames(nn.Module):
    """Frames of any batch shape -> features; a subclass says how one batch becomes features (`_convolve`).

    On a CPU padding is skipped, and many frames are encoded in parts.
    """

    out_features: int

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
        """(M, H, W, C) uint8, M at most CHUNK on a CPU -> (M, out_features)."""
        raise NotImplementedError


def convolve_pixels(convolution: nn.Conv2d, frames: Tensor) -> Tensor:
    """A convolution of 4 (pixel / 255 - 1/2), without a pass over the pixels: (M, H, W, C) uint8 -> (M, C', H', W')."""
    weight = convolution.weight
    bias = convolution.bias - 2.0 * weight.sum((1, 2, 3))  # type: ignore[operator]
    return F.conv2d(frames.permute(0, 3, 1, 2).float(), weight * (4.0 / 255.0), bias, convolution.stride)


class FrameEncoder(Frames):
    """Two convolutions, 8 x 8 stride 4 and 4 x 4 stride 2, and layer norm, so that the features cannot all die.

    Images with a side below 20 pixels get 3 x 3 stride 1 and 3 x 3 stride 2.

    The large first stride makes it a tenth as expensive as the paper's network, and it still reads the sign
    (docs/sign.md). Centring and scaling of the pixels are folded into the first convolution.

    Args:
        space: of one frame, a Box (H, W, C) of uint8, at least 5 x 5 pixels.

    Raises:
        ValueError: the observations are no frames, or smaller.
    """

    def __init__(self, space: gym.Space[Any]):
        super().__init__()
        if not is_image(space):
            raise ValueError(f"observations are {space}: FrameEncoder reads images")
        shape: tuple[int, ...] = space.shape  # type: ignore[assignment]
        self.out_features = self.features_of(shape)
        first, second = _kernels(shape)
        self.first = nn.Conv2d(shape[2], CHANNELS[0], *first)
        self.second = nn.Conv2d(*CHANNELS, *second)

    @staticmethod
    def features_of(shape: tuple[int, ...]) -> int:
        """Features of frames (H, W, C). Raises ValueError for frames smaller than 5 x 5."""
        height, width = shape[:2]
        if min(height, width) < 5:
            raise ValueError(f"frames of {height} x {width} pixels are too small: give at least 5 x 5")
        kernels = _kernels(shape)
        return CHANNELS[1] * _side(height, kernels) * _side(width, kernels)

    def _convolve(self, frames: Tensor) -> Tensor:
        h = F.relu(convolve_pixels(self.first, frames))
        h = self.second(h).flatten(1)
        return F.relu(F.layer_norm(h, h.shape[-1:]))


def _kernels(shape: tuple[int, ...]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Size and stride of both convolutions for images (H, W, C)."""
    return ((3, 1), (3, 2)) if min(shape[:2]) < SMALL else ((8, 4), (4, 2))


def _side(pixels: int, kernels: tuple[tuple[int, int], tuple[int, int]]) -> int:
    """Positions of the second convolution along a side."""
    for size, stride in kernels:
        pixels = (pixels - size) // stride + 1
    return pixels
