"""Step encoders and recurrent policies. Batch first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dream.core.actions import Actions
from dream.core.embedding import DiscreteEncoder, action_encoder
from dream.core.heads import LearnerName, make_head
from dream.core.memories import LSTMMemory
from dream.core.memories.lstm import LSTMState
from dream.core.observations import ObservationSpace, observation_encoder

KEYS, KEY_SIZE = 16, 16
"""Parts of z that are compared with an instruction, and numbers in each."""


def normed_relu(h: Tensor) -> Tensor:
    """ReLU of the units after layer norm: some units of every step stay active, so a layer cannot die."""
    return F.relu(F.layer_norm(h, h.shape[-1:]))


class StepEncoder(nn.Module):
    """What a policy observes at one step -> features.

    Observation, integers (previous action, instruction) and numbers (a reward) enter one hidden layer as a sum, which
    equals a linear layer on their concatenation. Where there is a z, a second layer combines them first, and z scales
    and shifts its units (FiLM, Perez et al., 2018, arXiv 1709.07871): the right action depends on place, instruction
    and problem jointly, and a sum would have to learn every such product (docs/learning.md). With `asks`, the integers
    do not enter the sum: how well they match parts of z is what scales and shifts.

    Args:
        space: of one observation.
        width: units of each layer.
        integers: number of values of each of the K integers.
        numbers: how many numbers.
        z_dim: of z; 0 for none.
        asks: whether the integers, an instruction, ask z for one of the things that it says.
        actions: of which the previous one enters the sum, too; None for none.
    """

    def __init__(
        self,
        space: ObservationSpace,
        width: int,
        *,
        integers: Sequence[int] = (),
        numbers: int = 0,
        z_dim: int = 0,
        asks: bool = False,
        actions: Actions | None = None,
    ):
        super().__init__()
        self.obs = observation_encoder(space, width)
        asks = asks and z_dim > 0 and bool(integers)
        self.question = Question(width, z_dim, integers) if asks else None
        self.integers = DiscreteEncoder(integers, width) if integers and not asks else None
        self.numbers = nn.Linear(numbers, width, bias=False) if numbers else None
        self.previous = action_encoder(actions, width) if actions is not None else None
        self.combined = nn.Linear(width, width) if z_dim else None
        self.scale_shift = nn.Linear(width if asks else z_dim, 2 * width) if z_dim else None
        self.hidden = nn.Linear(width, width)

    def forward(
        self,
        frame_features: Tensor,
        integers: Tensor | None = None,
        z: Tensor | None = None,
        numbers: Tensor | None = None,
        previous: Tensor | None = None,
    ) -> Tensor:
        """(..., D), (..., K), (..., Z), (..., F), (..., P) -> (..., width). Leading dimensions broadcast.

        Args:
            frame_features: (..., D), what `frame_encoder` returns for the observations.
            integers: (..., K) int64.
            z: (..., Z).
            numbers: (..., F) float32.
            previous: (..., P), the previous action, from `Actions.inputs`.
        """
        h = self.obs(frame_features)
        if self.integers is not None and integers is not None:
            h = h + self.integers(integers)
        if self.numbers is not None and numbers is not None:
            h = h + self.numbers(numbers)
        if self.previous is not None and previous is not None:
            h = h + self.previous(previous)
        if self.combined is not None and self.scale_shift is not None and z is not None:
            h = self.combined(normed_relu(h))
            if self.question is not None and integers is not None:
                z = self.question(z, integers)
            scale, shift = self.scale_shift(z).chunk(2, dim=-1)
            h = F.layer_norm(h, h.shape[-1:]) * (1.0 + scale) + shift
        return normed_relu(self.hidden(normed_relu(h)))


class Question(nn.Module):
    """What z answers to an instruction: features of how well parts of z match it, as keys match queries in attention.

    An executor that is asked for one of many things ("where is the key?") learns this by heart, pair by pair, where z
    and instruction only meet in a sum (docs/learning.md).

    Args:
        width: units of the features.
        z_dim: of z.
        integers: number of values of each of the K integers of an instruction.
    """

    def __init__(self, width: int, z_dim: int, integers: Sequence[int]):
        super().__init__()
        self.keys = nn.Linear(z_dim, KEYS * KEY_SIZE)
        self.queries = nn.ModuleList(DiscreteEncoder([size], KEY_SIZE) for size in integers)
        self.hidden = nn.Linear(KEYS * len(self.queries), width)

    def forward(self, z: Tensor, integers: Tensor) -> Tensor:
        """(..., Z), (..., K) int64 -> (..., width). Leading dimensions broadcast."""
        keys = self.keys(z).unflatten(-1, (KEYS, KEY_SIZE))
        queries = torch.stack([query(integers[..., [k]]) for k, query in enumerate(self.queries)], dim=-1)
        return normed_relu(self.hidden((keys @ queries / KEY_SIZE**0.5).flatten(-2)))


class RecurrentPolicy(nn.Module):
    """A policy with memory: frame features -> step encoder -> LSTM -> head of its learner.

    Args:
        space: of one observation.
        actions: of the environment.
        learner: "q" or "ppo", see `dream.core.heads`.
        width: units of the feed-forward layers.
        memory_size: units of the LSTM.
        integers: number of values of each of the K integers beside the observation.
        numbers: how many numbers beside the observation.
        z_dim: of z; 0 for none.
        asks: as for `StepEncoder`.
        sees_action: whether it observes its previous action.
        initial: (A,) initial probabilities of Discrete actions for `ppo`; uniform if None.
    """

    def __init__(
        self,
        space: ObservationSpace,
        actions: Actions,
        *,
        width: int,
        memory_size: int,
        learner: LearnerName = "q",
        integers: Sequence[int] = (),
        numbers: int = 0,
        z_dim: int = 0,
        asks: bool = False,
        sees_action: bool = False,
        initial: Tensor | None = None,
    ):
        super().__init__()
        seen = actions if sees_action else None
        self.encoder = StepEncoder(
            space, width, integers=integers, numbers=numbers, z_dim=z_dim, asks=asks, actions=seen
        )
        self.memory = LSTMMemory(width, memory_size)
        self.head = make_head(learner, self.memory.out_features, width, actions, initial)

    def forward(
        self,
        frame_features: Tensor,
        integers: Tensor | None = None,
        z: Tensor | None = None,
        numbers: Tensor | None = None,
        previous: Tensor | None = None,
    ) -> Tensor:
        """Whole streams: (N, T, D), integers (N, T or 1, K), z (N, T or 1, Z), others -> outputs (N, T, O)."""
        return self.head(self.memory(self.encoder(frame_features, integers, z, numbers, previous)))

    def step(
        self,
        frame_features: Tensor,
        integers: Tensor | None,
        z: Tensor | None,
        state: LSTMState | None,
        numbers: Tensor | None = None,
        previous: Tensor | None = None,
    ) -> tuple[Tensor, LSTMState]:
        """One step of B members: (B, D), (B, K), (B, Z), state, others -> outputs (B, O), new state."""
        features, state = self.memory.step(self.encoder(frame_features, integers, z, numbers, previous), state)
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
    """Polyak averaging of the parameters, average <- average + rate (online - average), in fused calls.

    Running statistics are copied: they are averages themselves.
    """
    with torch.no_grad():
        if buffers := list(average.buffers()):
            torch._foreach_copy_(buffers, list(online.buffers()))
        torch._foreach_lerp_(list(average.parameters()), list(online.parameters()), rate)
