"""Frames -> features that say what is in view, and roughly where: for worlds that look different every time."""

from __future__ import annotations

import gymnasium as gym
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dream.core.frames import Frames, convolve_pixels
from dream.spaces import is_image

CHANNELS = (16, 32, 32)
PLACES, PLACED = (3, 4), 8
"""Rows and columns of the coarse grid, and channels that are kept in each of its cells."""
SMALLEST = 23
"""Least side of a frame, pixels."""


class PooledFrames(Frames):
    """Three convolutions, 6 x 6 stride 3, 3 x 3 stride 2 and 3 x 3, pooled over the frame, and layer norm.

    The largest and the mean activation of each channel say what is in view wherever it is, so that a word is read in
    every place after it was read in some; the largest ones of a few channels in a coarse grid say where things are.
    Features for every place, as `FrameEncoder` has, learn the frames of a few worlds by heart instead.

    For `network.observation`. It costs twice as much as `FrameEncoder`.

    Args:
        space: of one frame, a Box (H, W, C) of uint8, both sides at least 23 pixels.

    Raises:
        ValueError: the observations are no frames, or smaller.
    """

    def __init__(self, space: gym.Space):
        super().__init__()
        shape: tuple[int, ...] = space.shape or ()
        if not is_image(space) or min(shape[:2]) < SMALLEST:
            raise ValueError(f"observations are {space}: PooledFrames reads images of at least {SMALLEST} x {SMALLEST}")
        self.first = nn.Conv2d(shape[2], CHANNELS[0], 6, 3)
        self.second = nn.Conv2d(CHANNELS[0], CHANNELS[1], 3, 2)
        self.third = nn.Conv2d(CHANNELS[1], CHANNELS[2], 3)
        self.placed = nn.Conv2d(CHANNELS[2], PLACED, 1)
        self.out_features = 2 * CHANNELS[2] + PLACED * PLACES[0] * PLACES[1]

    def _convolve(self, frames: Tensor) -> Tensor:
        h = F.relu(convolve_pixels(self.first, frames))
        h = F.relu(self.third(F.relu(self.second(h))))
        where = F.adaptive_max_pool2d(self.placed(h), PLACES).flatten(1)
        features = torch.cat([h.amax((2, 3)), h.mean((2, 3)), where], 1)
        return F.layer_norm(features, features.shape[-1:])
