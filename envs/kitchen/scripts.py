"""Scripted policies for `kitchen`: an expert that acts on believed contents, and an explorer that opens everything.

Frames do not show where an agent stands, so the scripts read poses from the environment, and with them what an open
container shows. They are for one episode of all members of `env`, from the first step on.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dream.envs.kitchen.layout import NOTHING, POT
from dream.envs.kitchen.planning import END, FAR, Walks, dish_steps, tours, toward
from dream.envs.kitchen.rules import State


class Kitchen(Protocol):
    """What the scripts need of the family (envs/kitchen/family.py)."""

    walks: Walks

    @property
    def kitchen(self) -> NDArray[np.int64]:
        """(B,) the kitchen of every member."""

    @property
    def contents(self) -> NDArray[np.int64]:
        """(B, 6) what its containers hold."""

    @property
    def state(self) -> State:
        """Where the members stand and what they hold."""

    @property
    def shown(self) -> NDArray[np.int64]:
        """(B,) type of the container whose inside is seen, else -1."""


class KitchenExpert:
    """Cooks the dish by a shortest way, `MetaEnv.expert`.

    What an open container shows corrects the belief. While no container is believed to hold what is wanted, it opens
    the nearest one that it has not seen open.

    Args:
        env: the family.
        believed: (B, 6) contents that it believes in.
        instruction: (B, 2)
    """

    def __init__(self, env: Kitchen, believed: NDArray[np.int64], instruction: NDArray[np.int64]) -> None:
        self._env, self._believed, self._instruction = env, believed.copy(), instruction
        self._opened = np.zeros(believed.shape, np.bool_)

    def act(self, obs: NDArray[Any]) -> NDArray[np.int64]:
        """Actions (B,); the frames are ignored."""
        env = self._env
        walks, kitchen, state = env.walks, env.kitchen, env.state
        seen = np.flatnonzero(env.shown >= 0)
        self._opened[seen, env.shown[seen]] = True
        self._believed[seen, env.shown[seen]] = env.contents[seen, env.shown[seen]]
        there = walks.access[kitchen, :POT] >= 0
        believed = np.where(there, self._believed, NOTHING)

        first, second = self._instruction.T
        begun = state.pot < NOTHING
        wanted = np.where(begun, second, first)
        walk = walks.distance[kitchen, :POT, state.pose].astype(np.int64)
        fetch = np.where(believed == wanted[:, None], 2 + walks.between[kitchen, :POT, POT] + 1, FAR)
        dish = dish_steps(walks, kitchen, believed, self._instruction)
        known = ~begun & (dish.min(axis=1) < FAR)  # where both are: the choice of the first depends on the second
        left = walk + np.where(known[:, None], dish, fetch)
        left -= (left < FAR) & (state.opened[:, None] == np.arange(POT))  # it need not be opened again
        look = np.where(there & ~self._opened, walk, FAR)

        sure = left.min(axis=1) < FAR
        target = np.where(sure, left.argmin(axis=1), look.argmin(axis=1))
        full = state.hand < NOTHING
        target = np.where(full & (state.hand != wanted), walk.argmin(axis=1), target)  # put it back
        target = np.where(state.hand == wanted, POT, target)
        hopeless = ~full & ~sure & (look.min(axis=1) >= FAR)
        return np.where(hopeless, END, toward(walks, kitchen, state.pose, target))


class KitchenExplorer:
    """Opens every container on a shortest tour, then ends the episode."""

    def __init__(self, env: Kitchen) -> None:
        self._env = env
        self._tour: NDArray[np.int64] | None = None
        self._next = np.zeros(0, np.int64)

    def act(self, obs: NDArray[Any]) -> NDArray[np.int64]:
        """Actions (B,); the frames are ignored."""
        env = self._env
        kitchen, pose = env.kitchen, env.state.pose
        if self._tour is None:
            order = tours(env.walks, kitchen, pose)[:, 1:]
            self._tour = np.concatenate([order, np.full((len(pose), 1), -1)], axis=1)
            self._next = np.zeros(len(pose), np.int64)
        rows = np.arange(len(pose))
        self._next += (env.shown >= 0) & (env.shown == self._tour[rows, self._next])
        target = self._tour[rows, self._next]
        return np.where(target < 0, END, toward(env.walks, kitchen, pose, np.maximum(target, 0)))
