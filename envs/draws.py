"""Numbers that are the same on every machine and in every version of numpy (SplitMix64): worlds are made from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Item = TypeVar("Item")
_MASK = (1 << 64) - 1
_STEP, _FIRST, _SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


class Draws:
    """A stream of random numbers that depends on its seed, a few integers, alone."""

    def __init__(self, *seed: int) -> None:
        self._state = 0
        for number in seed:
            self._state = (self._next() ^ number) & _MASK

    def _next(self) -> int:
        self._state = (self._state + _STEP) & _MASK
        z = self._state
        z = ((z ^ (z >> 30)) * _FIRST) & _MASK
        z = ((z ^ (z >> 27)) * _SECOND) & _MASK
        return z ^ (z >> 31)

    def below(self, n: int) -> int:
        """An integer from 0 to n - 1."""
        return (self._next() >> 11) * n >> 53

    def choice(self, items: Sequence[Item]) -> Item:
        """One of the items."""
        return items[self.below(len(items))]

    def some(self, items: Sequence[Item], count: int) -> list[Item]:
        """`count` of the items without replacement, in random order."""
        left = list(items)
        return [left.pop(self.below(len(left))) for _ in range(count)]


def hashed(numbers: NDArray[np.integer]) -> NDArray[np.uint64]:
    """A hash of each of some integers (...,), which must not be negative -> (...,) uint64."""
    with np.errstate(over="ignore"):
        z = (np.asarray(numbers).astype(np.uint64) + np.uint64(1)) * np.uint64(_STEP)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(_FIRST)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(_SECOND)
        hashes: NDArray[np.uint64] = z ^ (z >> np.uint64(31))
        return hashes
