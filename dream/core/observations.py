"""How observations of a canonical space (`dream.spaces`) become features: the one place that knows observation spaces.

There are two stages. `frame_encoder` makes the first one, which is as expensive as the observations are and may be
shared by networks; what it returns is called frame features. `observation_encoder` makes the second one, the first
layer of a network on frame features.

    integers          unchanged; a sum of embeddings
    image             convolutions (`dream.core.frames`); a linear layer
    image of codes    an embedding per cell and convolutions; a linear layer
    numbers           standardised by running statistics; a linear layer
    parts             the features of all parts, integers as one-hots; a linear layer
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dream.core.embedding import DiscreteEncoder
from dream.core.frames import FrameEncoder
from dream.core.trial import Episodes, Observations
from dream.spaces import is_image


@dataclass(frozen=True)
class Encoded:
    """A space that a module of one's own encodes.

    Attributes:
        space: of one observation.
        make: space -> a module as `frame_encoder` returns, with the attribute `out_features`.
        features: what its modules return for one observation, (features,).
    """

    space: gym.Space[Any]
    make: Callable[[gym.Space[Any]], nn.Module]
    features: int


ObservationSpace = gym.Space[Any] | Encoded
"""What networks are built for."""


class Unchanged(nn.Module):
    """Passes integers on: an embedding in each network is their only encoder."""

    def forward(self, obs: Tensor, observed: Tensor | None = None) -> Tensor:
        """The integers of each observation, (..., *shape) -> (..., *shape)."""
        return obs


class RunningNorm(nn.Module):
    """Numbers minus their mean, divided by their standard deviation over all training trials so far, within +-10.

    The statistics are buffers, so that checkpoints keep them. They change with `observe` only.

    Args:
        size: D, how many numbers.
        part: name of the part of the observations that these numbers are; "" where observations have no parts.
        until: number of observations after which the statistics stay as they are; None: they never do.
    """

    count: Tensor
    mean: Tensor
    variance: Tensor

    def __init__(self, size: int, part: str = "", until: int | None = None):
        super().__init__()
        self.out_features, self.part, self._until = size, part, until
        self.register_buffer("count", torch.zeros((), dtype=torch.float64))
        self.register_buffer("mean", torch.zeros(size, dtype=torch.float64))
        self.register_buffer("variance", torch.ones(size, dtype=torch.float64))

    def forward(self, obs: Tensor, observed: Tensor | None = None) -> Tensor:
        """(..., D) -> (..., D)."""
        scaled = (obs - self.mean.float()) / (self.variance.float().sqrt() + 1e-3)
        return scaled.clamp(-10.0, 10.0)

    @torch.no_grad()
    def observe(self, obs: Tensor) -> None:
        """Add observations (M, D) to the statistics (Chan, Golub and LeVeque, 1979)."""
        if self._until is not None and self.count >= self._until:
            return
        new, count = obs.double(), float(len(obs))
        mean, variance = new.mean(0), new.var(0, correction=0)
        total, before = self.count + count, self.count
        distance = mean - self.mean
        squares = self.variance * before + variance * count + distance.square() * before * count / total
        self.mean += distance * count / total
        self.variance.copy_(squares / total)
        self.count.copy_(total)


class OneHots(nn.Module):
    """Integers as one-hots, for observations of several parts.

    Args:
        sizes: number of values of each integer.
    """

    def __init__(self, sizes: list[int]):
        super().__init__()
        self.sizes, self.out_features = sizes, sum(sizes)

    def forward(self, obs: Tensor, observed: Tensor | None = None) -> Tensor:
        """(..., D) ints -> (..., out_features)."""
        return torch.cat([F.one_hot(obs[..., i].long(), n) for i, n in enumerate(self.sizes)], -1).float()


class CodeEncoder(nn.Module):
    """An image of codes, such as MiniGrid's: an embedding for each value of each channel, then two convolutions.

    Args:
        space: MultiDiscrete (H, W, C); the values of a channel are those of its cell with the most.
    """

    def __init__(self, space: gym.spaces.MultiDiscrete):
        super().__init__()
        height, width, channels = space.nvec.shape
        sizes = space.nvec.reshape(-1, channels).max(0).tolist()
        self.embed = DiscreteEncoder(sizes, 16)
        self.first, self.second = nn.Conv2d(16, 16, 3), nn.Conv2d(16, 32, 3)
        self.out_features = 32 * (height - 4) * (width - 4)

    def forward(self, obs: Tensor, observed: Tensor | None = None) -> Tensor:
        """(..., H, W, C) ints -> (..., out_features)."""
        leading = obs.shape[:-3]
        cells = F.relu(self.embed(obs.reshape(-1, *obs.shape[-3:]))).permute(0, 3, 1, 2)
        h = self.second(F.relu(self.first(cells))).flatten(1)
        return F.relu(F.layer_norm(h, h.shape[-1:])).view(*leading, -1)


class PartsEncoder(nn.Module):
    """The features of several parts, one after the other.

    Args:
        space: the parts by name.
    """

    def __init__(self, space: gym.spaces.Dict):
        super().__init__()
        self.names = list(space.spaces)
        self.parts = nn.ModuleList(_part_encoder(part, name) for name, part in space.spaces.items())
        self.out_features: int = sum(part.out_features for part in self.parts)  # type: ignore[misc]

    def forward(self, obs: Observations, observed: Tensor | None = None) -> Tensor:
        """The parts, each (..., *shape) -> (..., out_features)."""
        encoded = [encode(obs[name], observed) for name, encode in zip(self.names, self.parts, strict=True)]
        return torch.cat(encoded, -1)


def frame_encoder(space: ObservationSpace) -> nn.Module:
    """Observations (..., *shape), which of them are no padding (...) or None -> frame features (..., D).

    Raises:
        ValueError: images that are too small.
    """
    if isinstance(space, Encoded):
        return space.make(space.space)
    if isinstance(space, gym.spaces.Dict):
        return PartsEncoder(space)
    if _is_row(space):
        return Unchanged()
    return _part_encoder(space)


def observation_encoder(space: ObservationSpace, width: int) -> nn.Module:
    """The first layer of a network: frame features (..., D) -> (..., width)."""
    if isinstance(space, Encoded):
        return nn.Linear(space.features, width)
    if _is_row(space):
        return DiscreteEncoder(space.nvec.tolist(), width)  # type: ignore[attr-defined]
    if is_image(space):
        return nn.Linear(FrameEncoder.features_of(space.shape), width)  # type: ignore[arg-type]
    with torch.random.fork_rng(devices=[]):  # only its size is wanted
        size = int(frame_encoder(space).out_features)  # type: ignore[arg-type]
    return nn.Linear(size, width)


def observe(modules: list[nn.Module], *episodes: Episodes) -> None:
    """Add collected episodes to the running statistics of numbers everywhere in these modules.

    Args:
        modules: the networks; copies of one encoder get the same statistics.
        episodes: N streams each.
    """
    for module in modules:
        for norm in module.modules():
            if isinstance(norm, RunningNorm):
                for some in episodes:
                    obs = some.obs.get(norm.part) if isinstance(some.obs, dict) else some.obs
                    if obs is not None:
                        norm.observe(obs[some.observed])


def _part_encoder(space: gym.Space[Any], name: str = "") -> nn.Module:
    """The encoder of a part of this name, or of a whole observation that is no row of integers."""
    if isinstance(space, gym.spaces.MultiDiscrete):
        return CodeEncoder(space) if len(space.shape) == 3 else OneHots(space.nvec.tolist())
    if is_image(space):
        return FrameEncoder(space)
    return RunningNorm(space.shape[0], name)  # type: ignore[index]


def _is_row(space: gym.Space[Any]) -> bool:
    """Whether the observations are a row of integers, (D,)."""
    return isinstance(space, gym.spaces.MultiDiscrete) and len(space.shape) == 1
