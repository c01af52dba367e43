"""Step encoders, dueling heads and recurrent action values. Batch first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dream.core.frames import FrameEncoder, is_frame
from dream.core.memories import LSTMMemory
from dream.core.memories.lstm import LSTMState


class DiscreteEncoder(nn.Module):
    """Sum of one embedding per integer component: a linear layer on their one-hots, without building them."""

    offset: Tensor

    def __init__(self, sizes: Sequence[int], width: int):
        super().__init__()
        self.sizes = tuple(int(size) for size in sizes)
        self.table = nn.Parameter(torch.randn(sum(self.sizes), width) / len(self.sizes) ** 0.5)
        offset = np.concatenate([[0], np.cumsum(self.sizes)[:-1]]).astype(np.int64)
        self.register_buffer("offset", torch.from_numpy(offset), persistent=False)

    def forward(self, values: Tensor) -> Tensor:
        """(..., D) ints -> (..., width)."""
        return F.embedding(values.long() + self.offset, self.table).sum(-2)


def observation_encoder(space: gym.Space, width: int) -> nn.Module:
    """A linear layer on frame features, or on the one-hots of integer observations: (..., D) -> (..., width).

    Its input is what `dream.core.frames.frame_encoder` returns for the observations.

    Raises:
        TypeError: there is no encoder for this space.
        ValueError: the frames are too small.
    """
    if isinstance(space, gym.spaces.MultiDiscrete):
        return DiscreteEncoder(space.nvec.tolist(), width)
    if is_frame(space):
        return nn.Linear(FrameEncoder.features_of(space.shape), width)  # type: ignore[arg-type]
    raise TypeError(
        f"no observation encoder for {space}: use integers (MultiDiscrete) or frames (Box of uint8, height x width x 3)"
    )


def normed_relu(h: Tensor) -> Tensor:
    """ReLU of the units after layer norm: some units of every step stay active, so a layer cannot die."""
    return F.relu(F.layer_norm(h, h.shape[-1:]))


class StepEncoder(nn.Module):
    """What a policy observes at one step -> features.

    Observation, integers (previous action, instruction) and numbers (a reward) enter one hidden layer as a sum, which
    equals a linear layer on their concatenation. z scales and shifts it (FiLM, Perez et al., 2018, arXiv 1709.07871):
    the right action depends on place, instruction and problem jointly, and a sum would have to learn every such
    product (docs/learning.md).

    Args:
        space: of one observation.
        width: units of each layer.
        integers: number of values of each of the K integers.
        numbers: how many numbers.
        z_dim: of z; 0 for none.
    """

    def __init__(self, space: gym.Space, width: int, *, integers: Sequence[int] = (), numbers: int = 0, z_dim: int = 0):
        super().__init__()
        self.obs = observation_encoder(space, width)
        self.integers: DiscreteEncoder | None = DiscreteEncoder(integers, width) if integers else None
        self.numbers = nn.Linear(numbers, width, bias=False) if numbers else None
        self.scale_shift = nn.Linear(z_dim, 2 * width) if z_dim else None
        self.hidden = nn.Linear(width, width)

    def forward(
        self,
        frame_features: Tensor,
        integers: Tensor | None = None,
        z: Tensor | None = None,
        numbers: Tensor | None = None,
    ) -> Tensor:
        """(..., D), (..., K), (..., Z), (..., F) -> (..., width). Leading dimensions broadcast.

        Args:
            frame_features: (..., D), what `frame_encoder` returns for the observations.
            integers: (..., K) int64.
            z: (..., Z).
            numbers: (..., F) float32.
        """
        h = self.obs(frame_features)
        if self.integers is not None and integers is not None:
            h = h + self.integers(integers)
        if self.numbers is not None and numbers is not None:
            h = h + self.numbers(numbers)
        if self.scale_shift is not None and z is not None:
            scale, shift = self.scale_shift(z).chunk(2, dim=-1)
            h = F.layer_norm(h, h.shape[-1:]) * (1.0 + scale) + shift
        return normed_relu(self.hidden(normed_relu(h)))


class DuelingHead(nn.Module):
    """Q = V + A - mean_a A, the mean taken per state (Wang et al., 2016, arXiv 1511.06581, eq. 9)."""

    def __init__(self, features: int, width: int, actions: int):
        super().__init__()
        self.hidden = nn.Linear(features, width)
        self.value = nn.Linear(width, 1)
        self.advantage = nn.Linear(width, actions)

    def forward(self, features: Tensor) -> Tensor:
        """(..., features) -> (..., actions)."""
        h = F.relu(self.hidden(features))
        advantage = self.advantage(h)
        return self.value(h) + advantage - advantage.mean(-1, keepdim=True)


class RecurrentQ(nn.Module):
    """Action values with memory: frame features -> step encoder -> LSTM -> dueling head.

    Args:
        space: of one observation.
        actions: A, number of actions.
        width: units of the feed-forward layers.
        memory_size: units of the LSTM.
        integers: number of values of each of the K integers beside the observation.
        z_dim: of z; 0 for none.
    """

    def __init__(
        self,
        space: gym.Space,
        actions: int,
        *,
        width: int,
        memory_size: int,
        integers: Sequence[int] = (),
        z_dim: int = 0,
    ):
        super().__init__()
        self.encoder = StepEncoder(space, width, integers=integers, z_dim=z_dim)
        self.memory = LSTMMemory(width, memory_size)
        self.head = DuelingHead(self.memory.out_features, width, actions)

    def forward(self, frame_features: Tensor, integers: Tensor | None = None, z: Tensor | None = None) -> Tensor:
        """Whole streams: (N, T, D), integers (N, T or 1, K), z (N, T or 1, Z) -> action values (N, T, A)."""
        return self.head(self.memory(self.encoder(frame_features, integers, z)))

    def step(
        self, frame_features: Tensor, integers: Tensor | None, z: Tensor | None, state: LSTMState | None
    ) -> tuple[Tensor, LSTMState]:
        """One step of B members: (B, D), (B, K), (B, Z), state -> action values (B, A), new state."""
        features, state = self.memory.step(self.encoder(frame_features, integers, z), state)
        return self.head(features), state


def named_weights(modules: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """The weights of several modules in one mapping, named MODULE.NAME."""
    return {f"{part}.{name}": value for part, module in modules.items() for name, value in module.state_dict().items()}


def load_named_weights(modules: Mapping[str, nn.Module], weights: Mapping[str, Tensor]) -> None:
    """Load what `named_weights` returned. Raises RuntimeError where shapes or names differ."""
    for part, module in modules.items():
        prefix = f"{part}."
        module.load_state_dict({k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)})


def update_average(average: nn.Module, online: nn.Module, rate: float) -> None:
    """Polyak averaging of the parameters, average <- average + rate (online - average). One fused call."""
    with torch.no_grad():
        torch._foreach_lerp_(list(average.parameters()), list(online.parameters()), rate)
