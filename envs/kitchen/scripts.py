"""Scripted policies for `kitchen`: an expert that acts on believed contents, and an explorer that opens everything.

Frames do not show where an agent stands, so the scripts read poses from the environment, and which container is open.
They are for one episode of all members of `env`, from the first step on.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dream.envs.kitchen.layout import NOTHING, POT
from dream.envs.kitchen.planning import END, FAR, Walks, dish_steps, fetch_steps, optimal_steps, tours, toward
from dream.envs.kitchen.rules import State, act


class Kitchen(Protocol):
    """What the scripts need of the family (envs/kitchen/family.py)."""

    walks: Walks

    @property
    def kitchen(self) -> NDArray[np.int64]:
        """(B,) the kitchen of every member."""

    @property
    def state(self) -> State:
        """Where the members stand and what they hold."""

    @property
    def shown(self) -> NDArray[np.int64]:
        """(B,) type of the container whose inside is seen, else -1."""


class KitchenExpert:
    """Cooks the dish by a shortest way, `MetaEnv.expert`.

    It opens only what it believes to hold what is needed next, so that with a wrong belief its episode just ends. Where
    it does not believe that the dish can be cooked it ends the episode itself.

    Args:
        env: the family.
        believed: (B, 6) contents that it believes in.
        instruction: (B, 2)
    """

    def __init__(self, env: Kitchen, believed: NDArray[np.int64], instruction: NDArray[np.int64]) -> None:
        there = env.walks.access[env.kitchen, :POT] >= 0
        self._env, self._instruction = env, instruction
        self._believed = np.where(there, believed, NOTHING)

    def act(self, obs: NDArray[Any]) -> NDArray[np.int64]:
        """Actions (B,); the frames are ignored."""
        env = self._env
        return expert_actions(env.walks, env.kitchen, self._believed, self._instruction, env.state)


def expert_actions(
    walks: Walks,
    kitchen: NDArray[np.int64],
    believed: NDArray[np.int64],
    instruction: NDArray[np.int64],
    state: State,
) -> NDArray[np.int64]:
    """The next step of a shortest way, in kitchens (N,), with believed contents (N, 6), dishes (N, 2) and states, (N,).

    END where by what is believed there is no way.
    """
    begun = (state.pot < NOTHING)[:, None]
    task = walks, kitchen, believed
    rest = np.where(begun, fetch_steps(*task, instruction[:, 1]), dish_steps(*task, instruction))
    left = walks.distance[kitchen, :POT, state.pose] + rest
    full = state.hand < NOTHING
    hopeless = ~full & (rest.min(axis=1) >= FAR)
    target = np.where(full, POT, left.argmin(axis=1))
    return np.where(hopeless, END, toward(walks, kitchen, state.pose, target))


def part_way(
    walks: Walks,
    kitchen: NDArray[np.int64],
    contents: NDArray[np.int64],
    instruction: NDArray[np.int64],
    pose: NDArray[np.int64],
    share: NDArray[np.float64],
) -> State:
    """Where a shortest way from poses (N,) has come to after a share (N,), from 0 to below 1, of its steps."""
    done = (share * optimal_steps(walks, kitchen, contents, instruction, pose)).astype(np.int64)
    nothing = np.full(len(pose), NOTHING)
    state = State(pose, np.full(len(pose), -1), nothing, nothing)
    for step in range(done.max(initial=0)):
        actions = expert_actions(walks, kitchen, contents, instruction, state)
        then, _ = act(walks, kitchen, contents, state, actions)
        state = State(*(np.where(step < done, *both) for both in zip(then, state, strict=True)))
    return state


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
