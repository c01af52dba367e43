"""How likely observations are: -log p(o' | h) for any canonical space (`dream.spaces`).

A network predicts the next observation by one vector (..., outputs), which `ObservationLikelihood` reads:

    integers          a categorical distribution for each
    image of codes    a categorical distribution for each cell and channel
    image             a Gaussian around its mean colours on a grid
    numbers           a Gaussian around the numbers, standardised by running statistics
    parts             all of these; their nats add up

Gaussians have one fixed deviation, and their constant is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import gymnasium as gym
import torch
from einops import rearrange
from torch import Tensor, nn

from dream.core.observations import RunningNorm
from dream.core.trial import Observations
from dream.spaces import is_image, parts_of

CHUNK = 256
"""Largest number of frames that are pooled at once: as floats they take four times the memory."""


@dataclass(frozen=True)
class Gaussian:
    """How images and numbers are predicted.

    Attributes:
        deviation: of a colour in the units of `colours`, and of a standardised number.
        grid: cells to which an image is pooled, (rows, columns).
        colours: images (M, C, H, W) float32 from 0 to 255 -> mean colours (M, C, rows, columns), in units of its own.
    """

    deviation: float
    grid: tuple[int, int]
    colours: Callable[[Tensor], Tensor]

    def nats(self, distance: Tensor) -> Tensor:
        """Differences (..., D) -> -log p (...), up to a constant."""
        return distance.square().sum(-1) / (2.0 * self.deviation**2)

    def pooled(self, frames: Tensor) -> Tensor:
        """Frames (..., H, W, C) uint8 -> their mean colours (..., C * rows * columns)."""
        parts = frames.reshape(-1, *frames.shape[-3:]).split(CHUNK)
        small = [self.colours(rearrange(part, "m h w c -> m c h w").float()).flatten(1) for part in parts]
        return torch.cat(small).view(*frames.shape[:-3], -1)


class ObservationLikelihood(nn.Module):
    """-log p(o' | h) of observations of one space. It has no parameters, only the statistics of numbers.

    Args:
        space: of one observation.
        gaussian: for images and numbers.

    Attributes:
        outputs: size of what a network has to predict.
        continuous: how many of these are means of Gaussians.
    """

    def __init__(self, space: gym.Space[Any], gaussian: Gaussian):
        super().__init__()
        parts = parts_of(space)
        self._has_parts = isinstance(space, gym.spaces.Dict)
        self._names = list(parts)
        self.parts = nn.ModuleList(_likelihood(part, name, gaussian) for name, part in parts.items())
        self._sizes: list[int] = [part.outputs for part in self.parts]  # type: ignore[misc]
        self.outputs = sum(self._sizes)
        self.continuous: int = sum(part.continuous for part in self.parts)  # type: ignore[misc]

    def forward(self, predicted: Tensor, outcome: Observations) -> Tensor:
        """-log p(o' | h) in nats, for Gaussians up to a constant.

        Args:
            predicted: (..., outputs).
            outcome: (..., *shape), the observations; leading dimensions of size 1 broadcast.

        Returns:
            (...).
        """
        nats = [
            part(some, outcome[name] if self._has_parts else outcome)
            for part, name, some in zip(self.parts, self._names, predicted.split(self._sizes, -1), strict=True)
        ]
        return nats[0] if len(nats) == 1 else torch.stack(nats).sum(0)


class _Integers(nn.Module):
    """Integers (D,), or codes (H, W, C) of which the cells of a channel have equally many logits."""

    continuous = 0

    def __init__(self, space: gym.spaces.MultiDiscrete):
        super().__init__()
        shape = space.nvec.shape
        self._shape, self._cells = shape, prod(shape[:-1])
        self._sizes = [int(size) for size in space.nvec.reshape(self._cells, -1).max(0)]
        self.outputs = self._cells * sum(self._sizes)

    def forward(self, predicted: Tensor, outcome: Tensor) -> Tensor:
        values = outcome.reshape(*outcome.shape[: -len(self._shape)], self._cells, -1).long()
        values = values.expand(*predicted.shape[:-1], *values.shape[-2:])
        nats = []
        for channel, logits in enumerate(predicted.split([self._cells * size for size in self._sizes], -1)):
            logs = logits.unflatten(-1, (self._cells, -1)).log_softmax(-1)
            nats.append(-logs.gather(-1, values[..., channel, None])[..., 0].sum(-1))
        return torch.stack(nats).sum(0)


class _Colours(nn.Module):
    """Images."""

    def __init__(self, space: gym.Space[Any], gaussian: Gaussian):
        super().__init__()
        self._gaussian = gaussian
        self.outputs = self.continuous = prod(gaussian.grid) * space.shape[-1]  # type: ignore[index]

    def forward(self, predicted: Tensor, outcome: Tensor) -> Tensor:
        return self._gaussian.nats(predicted - self._gaussian.pooled(outcome))


class _Numbers(nn.Module):
    """Numbers (D,)."""

    def __init__(self, space: gym.Space[Any], name: str, gaussian: Gaussian):
        super().__init__()
        self._gaussian = gaussian
        self.outputs = self.continuous = space.shape[0]  # type: ignore[index]
        self.norm = RunningNorm(self.outputs, name)

    def forward(self, predicted: Tensor, outcome: Tensor) -> Tensor:
        return self._gaussian.nats(predicted - self.norm(outcome))


def _likelihood(space: gym.Space[Any], name: str, gaussian: Gaussian) -> nn.Module:
    """For a space without parts, which is the part `name`."""
    if isinstance(space, gym.spaces.MultiDiscrete):
        return _Integers(space)
    return _Colours(space, gaussian) if is_image(space) else _Numbers(space, name, gaussian)
