"""Frames -> features that say what is in view, and roughly where: for worlds that look different every time."""

from __future__ import annotations

from typing import ClassVar

import gymnasium as gym
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dream.core.frames import Frames, convolve_pixels
from dream.spaces import is_image

SMALLEST = 23
"""Least side of a frame, pixels."""


class PooledFrames(Frames):
    """Three convolutions, 6 x 6 stride 3, 3 x 3 stride 2 and 3 x 3, pooled over the frame, and layer norm.

    The largest and the mean activation of each channel say what is in view wherever it is, so that a word is read in
    every place after it was read in some; the largest ones of a few channels in a coarse grid say where things are.
    Features for every place, as `FrameEncoder` has, learn the frames of a few worlds by heart instead.

    For `network.observation`. It costs five times as much as `FrameEncoder`.

    Args:
        space: of one frame, a Box (H, W, C) of uint8, both sides at least 23 pixels.

    Raises:
        ValueError: the observations are no frames, or smaller.
    """

    convolutions: ClassVar[tuple[tuple[int, int, int], ...]] = ((16, 6, 3), (32, 3, 2), (32, 3, 1))
    """Channels, size and stride of each."""
    places: ClassVar[tuple[int, int]] = (3, 4)
    """Rows and columns of the grid."""
    placed: ClassVar[int] = 8
    """Channels that are kept in each of its cells."""

    def __init__(self, space: gym.Space):
        super().__init__()
        shape: tuple[int, ...] = space.shape or ()
        if not is_image(space) or min(shape[:2]) < SMALLEST:
            raise ValueError(
                f"observations are {space}: {type(self).__name__} reads images of at least {SMALLEST} x {SMALLEST}"
            )
        before, layers = shape[2], nn.ModuleList()
        for channels, size, stride in self.convolutions:
            layers.append(nn.Conv2d(before, channels, size, stride))
            before = channels
        self.layers, self.kept = layers, nn.Conv2d(before, self.placed, 1)
        self.out_features = 2 * before + self.placed * self.places[0] * self.places[1]

    def _convolve(self, frames: Tensor) -> Tensor:
        first, *others = self.layers
        assert isinstance(first, nn.Conv2d)
        h = F.relu(convolve_pixels(first, frames))
        for layer in others:
            h = F.relu(layer(h))
        where = F.adaptive_max_pool2d(self.kept(h), self.places).flatten(1)
        features = torch.cat([h.amax((2, 3)), h.mean((2, 3)), where], 1)
        return F.layer_norm(features, features.shape[-1:])


class PlacedFrames(PooledFrames):
    """The first two convolutions of `PooledFrames`, and a finer grid of more channels: where small things are.

    For policies that walk to what they see. It costs three times as much as `FrameEncoder`, whose first stride of 4
    misses what is far away (docs/worlds.md).
    """

    convolutions = PooledFrames.convolutions[:2]
    places, placed = (5, 8), 16
