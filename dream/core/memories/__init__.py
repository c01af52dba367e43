"""Memories: what a policy or an encoder carries over a stream of steps. One file each, one Protocol."""

from __future__ import annotations

from typing import Any, Literal, Protocol

from torch import Tensor

from dream.core.memories.lstm import LSTMMemory
from dream.core.memories.transformer import TransformerMemory

MemoryKind = Literal["lstm", "transformer"]


class Memory(Protocol):
    """Features of each step -> features of the stream up to it. `forward` and repeated `step` agree.

    Attributes:
        out_features: size of what it returns.
    """

    out_features: int

    def __call__(self, features: Tensor) -> Tensor:
        """Whole streams from their beginning: (N, T, width) -> (N, T, out_features)."""
        ...

    def step(self, features: Tensor, state: Any) -> tuple[Tensor, Any]:
        """One step: (B, width), state or None at the beginning -> (B, out_features), new state."""
        ...


def make_memory(kind: MemoryKind, width: int, *, memory_size: int, length: int) -> Memory:
    """A memory by its name in the settings.

    Args:
        kind: "lstm" or "transformer".
        width: of the features of a step.
        memory_size: units of an LSTM; a transformer has `width`.
        length: largest number of observations in a stream; only a transformer's state depends on it.
    """
    return TransformerMemory(width, length) if kind == "transformer" else LSTMMemory(width, memory_size)


__all__ = ["LSTMMemory", "Memory", "MemoryKind", "TransformerMemory", "make_memory"]
