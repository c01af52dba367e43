"""Networks: step encoders, recurrent cores and dueling heads. Batch first; integers or uint8 images in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dream.core.frames import FrameEncoder, is_frame

RecurrentMemory = tuple[Tensor, Tensor, Tensor]
"""LSTM state h (B, hidden), c (B, hidden) and the running maximum (B, width)."""


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
    """A linear layer on what `frame_encoder` makes of an observation: on one-hots of integers, on features of a frame.

    Raises TypeError for a space it does not know, ValueError for frames that are too small.
    """
    if isinstance(space, gym.spaces.MultiDiscrete):
        return DiscreteEncoder(space.nvec.tolist(), width)
    if is_frame(space):
        return nn.Linear(FrameEncoder.features_of(space.shape), width)  # type: ignore[arg-type]
    raise TypeError(
        f"no observation encoder for {space}: use integers (MultiDiscrete) or frames (Box of uint8, height x width x 3)"
    )


def normed_relu(h: Tensor) -> Tensor:
    """ReLU of the normalised units of each step: whatever the training target is doing, they cannot all die."""
    return F.relu(F.layer_norm(h, h.shape[-1:]))


class StepEncoder(nn.Module):
    """What a policy knows at one step -> features: observation, integers beside it (previous action, instruction), z.

    Observation, integers and numbers (a reward) enter one hidden layer as a sum, which is the linear layer on their
    concatenation. z scales and shifts it (FiLM, Perez et al., 2018, arXiv 1709.07871): which action is right depends
    on place, instruction and problem together, and a sum would have to learn every such product (docs/learning.md).
    """

    def __init__(self, space: gym.Space, width: int, *, integers: Sequence[int] = (), numbers: int = 0, z_dim: int = 0):
        super().__init__()
        self.obs = observation_encoder(space, width)
        self.integers: DiscreteEncoder | None = DiscreteEncoder(integers, width) if integers else None
        self.numbers = nn.Linear(numbers, width, bias=False) if numbers else None
        self.scale_shift = nn.Linear(z_dim, 2 * width) if z_dim else None
        self.hidden = nn.Linear(width, width)

    def forward(
        self, obs: Tensor, integers: Tensor | None = None, z: Tensor | None = None, numbers: Tensor | None = None
    ) -> Tensor:
        """obs (..., D) as `frame_encoder` gives them, integers (..., K), z (..., Z), numbers (..., F) -> (..., width).

        Leading dimensions broadcast.
        """
        h = self.obs(obs)
        if self.integers is not None and integers is not None:
            h = h + self.integers(integers)
        if self.numbers is not None and numbers is not None:
            h = h + self.numbers(numbers)
        if self.scale_shift is not None and z is not None:
            scale, shift = self.scale_shift(z).chunk(2, dim=-1)
            h = F.layer_norm(h, h.shape[-1:]) * (1.0 + scale) + shift
        return normed_relu(self.hidden(normed_relu(h)))


class Recurrent(nn.Module):
    """Memory over a stream: an LSTM, and beside it the running maximum of a linear map of the features.

    The maximum answers "was this ever seen?" and carries the gradient of a rare event straight to the step it
    happened in, where an LSTM alone needs thousands of updates to start (docs/learning.md). The step's own features are
    passed on too, so that memoryless tasks need no memory.
    """

    def __init__(self, width: int, hidden: int, forget_bias: float = 1.0):
        super().__init__()
        self.lstm = nn.LSTM(width, hidden, batch_first=True)
        with torch.no_grad():  # remember by default (Jozefowicz et al., 2015)
            self.lstm.get_parameter("bias_ih_l0")[hidden : 2 * hidden] = forget_bias
        self.seen = nn.Linear(width, width)
        self.out_features = 2 * width + hidden

    def forward(self, features: Tensor) -> Tensor:
        """Whole streams from their beginning: (N, T, width) -> (N, T, out_features)."""
        seen = self.seen(features).cummax(dim=1).values
        return torch.cat([features, self.lstm(features)[0], seen], dim=-1)

    def step(self, features: Tensor, memory: RecurrentMemory | None) -> tuple[Tensor, RecurrentMemory]:
        """One step: (B, width), memory or None at the beginning -> (B, out_features), memory."""
        seen = self.seen(features)
        state = None
        if memory is not None:
            state = (memory[0][None], memory[1][None])
            seen = torch.maximum(seen, memory[2])
        out, (h, c) = self.lstm(features[:, None], state)
        return torch.cat([features, out[:, 0], seen], dim=-1), (h[0], c[0], seen)


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
    """Action values with memory: what is seen (see `frame_encoder`) -> step encoder -> LSTM -> dueling head."""

    def __init__(
        self,
        space: gym.Space,
        actions: int,
        *,
        width: int,
        hidden: int,
        integers: Sequence[int] = (),
        z_dim: int = 0,
    ):
        super().__init__()
        self.encoder = StepEncoder(space, width, integers=integers, z_dim=z_dim)
        self.core = Recurrent(width, hidden)
        self.head = DuelingHead(self.core.out_features, width, actions)

    def forward(self, seen: Tensor, integers: Tensor | None = None, z: Tensor | None = None) -> Tensor:
        """Whole streams: seen (N, T, D), integers (N, T or 1, K), z (N, T or 1, Z) -> (N, T, A)."""
        return self.head(self.core(self.encoder(seen, integers, z)))

    def step(
        self, seen: Tensor, integers: Tensor | None, z: Tensor | None, memory: RecurrentMemory | None
    ) -> tuple[Tensor, RecurrentMemory]:
        """One step of B members: seen (B, D), integers (B, K), z (B, Z) -> (B, A), new memory."""
        features, memory = self.core.step(self.encoder(seen, integers, z), memory)
        return self.head(features), memory


def named_weights(modules: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """The weights of several modules in one mapping, each name preceded by that of its module and a dot."""
    return {f"{part}.{name}": value for part, module in modules.items() for name, value in module.state_dict().items()}


def load_named_weights(modules: Mapping[str, nn.Module], weights: Mapping[str, Tensor]) -> None:
    """Restore what `named_weights` gave. Raises RuntimeError where shapes or names differ."""
    for part, module in modules.items():
        prefix = f"{part}."
        module.load_state_dict({k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)})


def update_average(average: nn.Module, online: nn.Module, rate: float) -> None:
    """Polyak averaging of the parameters, average <- average + rate (online - average). One fused call."""
    with torch.no_grad():
        torch._foreach_lerp_(list(average.parameters()), list(online.parameters()), rate)
