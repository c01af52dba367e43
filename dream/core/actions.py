"""How actions are stored, shown to networks and given to an environment: the one place that knows action spaces."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F


class Actions:
    """The actions of a canonical space (`dream.spaces`), of shape () for Discrete, (K,) for MultiDiscrete and Box.

    Integers are stored as they are. Numbers of a Box are stored in units of its bounds, -1 for the lowest and 1 for the
    highest value; a policy may choose values outside, which the environment is given clipped.

    Args:
        space: of one action.

    Attributes:
        shape: of one action.
        sizes: number of values of each integer; () for a Box.
        numbers: K for a Box, else 0.
        dtype: int64, or float32 for a Box.
    """

    def __init__(self, space: gym.Space[Any]):
        self.space = space
        self.shape: tuple[int, ...] = tuple(space.shape or ())
        self.sizes: tuple[int, ...] = ()
        self.numbers = 0
        self.dtype = torch.int64
        if isinstance(space, gym.spaces.Discrete):
            self.sizes = (int(space.n),)
        elif isinstance(space, gym.spaces.MultiDiscrete):
            self.sizes = tuple(int(n) for n in space.nvec)
        else:
            assert isinstance(space, gym.spaces.Box)
            self.numbers, self.dtype = int(np.prod(self.shape)), torch.float32
            self._centre, self._half = (space.high + space.low) / 2.0, (space.high - space.low) / 2.0
        none = torch.tensor(self.sizes if self.sizes else [0.0] * self.numbers, dtype=self.dtype).view(self.shape)
        self._none = {torch.device("cpu"): none}  # a copy on each device: an update makes no transfers

    @property
    def discrete(self) -> bool:
        """Whether there is one integer, so that every action has a value of its own."""
        return not self.shape

    @property
    def count(self) -> int:
        """A, the number of Discrete actions."""
        assert self.discrete
        return self.sizes[0]

    @property
    def integer_sizes(self) -> tuple[int, ...]:
        """Number of values of each integer of a previous action, "no action" included."""
        return tuple(size + 1 for size in self.sizes)

    def integers(self, previous: Tensor) -> Tensor | None:
        """The integers of previous actions for a network, (..., *shape) -> (..., K) int64; None for a Box."""
        if self.numbers:
            return None
        return previous[..., None] if self.discrete else previous

    def as_numbers(self, previous: Tensor) -> Tensor | None:
        """The numbers of previous actions for a network, (..., K) float32; None for integers."""
        return previous if self.numbers else None

    def inputs(self, previous: Tensor) -> Tensor:
        """Previous actions for `action_encoder`: their integers or their numbers, (..., *shape) -> (..., K)."""
        integers = self.integers(previous)
        return previous if integers is None else integers

    def taken(self, action: Tensor) -> Tensor:
        """Stored actions (..., *shape) as they take effect: a valid one for "no action", numbers within the bounds."""
        return action.clamp(-1.0, 1.0) if self.numbers else self.valid(action)

    def features(self, action: Tensor) -> Tensor:
        """Valid actions (..., *shape) -> (..., F) float32: the one-hots of all integers, or the numbers."""
        integers = self.integers(action)
        if integers is None:
            return action
        return torch.cat([F.one_hot(integers[..., i], n) for i, n in enumerate(self.sizes)], -1).float()

    def valid(self, action: Tensor) -> Tensor:
        """The actions with any valid one in place of "no action", which no policy can take."""
        if self.numbers:
            return action
        if self.discrete:
            return action.clamp(max=self.sizes[0] - 1)
        return action.minimum(self.nothing(device=action.device) - 1)

    def nothing(self, *leading: int, device: torch.device | str = "cpu") -> Tensor:
        """What stands for no action: the value after the last one of each integer, 0 for numbers.

        Returns:
            (*leading, *shape).
        """
        device = torch.device(device)
        if device not in self._none:
            self._none[device] = self._none[torch.device("cpu")].to(device)
        return self._none[device].expand((*leading, *self.shape))

    def for_environment(self, action: Tensor) -> np.ndarray:
        """Actions (B, *shape) as the environment takes them."""
        taken = action.cpu().numpy()
        return taken if not self.numbers else (self._centre + self._half * taken.clip(-1.0, 1.0)).astype(np.float32)

    def recorded(self, action: Tensor, taken: Tensor) -> np.ndarray:
        """Actions of streams as the environment took them, for records: no action is `none`, of a Box NaN.

        Args:
            action: (N, T, *shape) as stored.
            taken: (N, T) bool, steps at which an action was taken.
        """
        given = self.for_environment(action)
        if self.numbers:
            given[~taken.cpu().numpy()] = np.nan
        return given

    def stored(self, action: np.ndarray) -> Tensor:
        """Actions (..., *shape) of the environment as they are stored; outside the bounds of a Box they are clipped."""
        if not self.numbers:
            return torch.as_tensor(action, dtype=torch.int64)
        half = np.where(self._half > 0, self._half, 1.0)
        return torch.from_numpy(((action - self._centre) / half).clip(-1.0, 1.0).astype(np.float32))

    def empty(self, *leading: int) -> np.ndarray:
        """Zeros for stored actions, (*leading, *shape)."""
        return np.zeros((*leading, *self.shape), np.float32 if self.numbers else np.int64)

    def random(
        self,
        weight: Tensor | None,
        members: int,
        generator: torch.Generator | None,
        previous: Tensor | None = None,
        repeat: float = 0.0,
    ) -> Tensor:
        """Random actions (members, *shape) on the CPU: Discrete ones by `weight` (A,), others uniform.

        Args:
            weight: (A,) probabilities of Discrete actions, else not read.
            members: how many.
            generator: on the CPU.
            previous, repeat: of Discrete actions, see `random_discrete`.
        """
        if self.discrete:
            assert weight is not None
            return random_discrete(weight, members, generator, previous, repeat)
        uniform = torch.rand(members, *self.shape, generator=generator)
        if self.numbers:
            return 2.0 * uniform - 1.0
        return (uniform * torch.tensor(self.sizes)).long()


def random_discrete(
    weight: Tensor,
    members: int,
    generator: torch.Generator | None,
    previous: Tensor | None = None,
    repeat: float = 0.0,
) -> Tensor:
    """Random actions that may repeat the ones before, as in temporally extended exploration (arXiv 2006.01782).

    Args:
        weight: (A,) probabilities of the actions.
        members: B.
        generator: on the CPU.
        previous: (B,) the actions before; A or more where there was none. None: nobody has acted yet.
        repeat: probability that a random action is the one before.

    Returns:
        (B,) int64 on the CPU.
    """
    drawn = torch.multinomial(weight, members, replacement=True, generator=generator)
    if repeat == 0 or previous is None:
        return drawn
    again = (torch.rand(members, generator=generator) < repeat) & (previous.cpu() < len(weight))
    return torch.where(again, previous.cpu(), drawn)
