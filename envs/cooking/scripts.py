"""Scripted policies for cooking: an expert that acts on a believed kitchen, and an explorer that opens all drawers."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dream.envs import grid

FAR = np.iinfo(np.int64).max // 4


class Cooking(Protocol):
    """What the scripts need of the family (envs/cooking/family.py)."""

    grid_size: int
    ingredients: int
    drawers: tuple[grid.Cell, ...]
    bowl: grid.Cell
    contents: NDArray[np.int64]
    """(problems, drawers) what each drawer holds."""


def drawer_of(env: Cooking) -> NDArray[np.int64]:
    """(cells,) number of the drawer in a cell, else -1."""
    numbers = np.full(env.grid_size**2, -1)
    numbers[[grid.cell_index(cell, env.grid_size) for cell in env.drawers]] = np.arange(len(env.drawers))
    return numbers


def summary_of_drawers(
    env: Cooking, obs: NDArray[Any], action: NDArray[np.integer], mask: NDArray[np.bool_]
) -> dict[str, NDArray[np.float64]]:
    """What N streams opened, from obs (N, T + 1, D), action (N, T) and mask (N, T).

    Returns:
        drawers_opened: distinct drawers that were opened; pick_ups: all pick-ups at drawers. Each (N,).
    """
    drawer = drawer_of(env)[grid.cells_of(obs, env.grid_size)[:, :-1]]
    picked = mask & (action == grid.PICK_UP) & (drawer >= 0)
    opened = [(picked & (drawer == number)).any(axis=1) for number in range(len(env.drawers))]
    return {
        "drawers_opened": np.sum(opened, axis=0).astype(np.float64),
        "pick_ups": picked.sum(axis=1).astype(np.float64),
    }


class _Opening:
    """Remembers the contents of opened drawers; the part that expert and explorer share.

    Args:
        env: the family.
        num: N members.
    """

    def __init__(self, env: Cooking, num: int) -> None:
        self._env = env
        self._drawers = np.array(env.drawers)
        self._drawer_of = drawer_of(env)
        self._opened = np.zeros((num, len(self._drawers)), np.bool_)
        self._contents = np.full(self._opened.shape, env.ingredients)
        self._asked = np.full(num, -1)  # the drawer of the pick-up just made, -1: none

    def _remember(self, obs: NDArray[Any]) -> NDArray[np.int64]:
        """Note the result of the last pick-up. Returns the drawer where each member stands, or -1, (N,)."""
        here = self._drawer_of[grid.cells_of(obs, self._env.grid_size)]
        brought = np.flatnonzero((self._asked >= 0) & (self._asked == here) & (obs[:, 3] < self._env.ingredients))
        self._opened[brought, here[brought]] = True
        self._contents[brought, here[brought]] = obs[brought, 3]
        return here

    def _open(self, obs: NDArray[Any], here: NDArray[np.int64], drawer: NDArray[np.int64]) -> NDArray[np.int64]:
        """Actions (N,) that lead to a drawer (N,) and open it."""
        there = here == drawer
        self._asked = np.where(there, drawer, -1)
        return np.where(there, grid.PICK_UP, grid.toward(obs[:, :2], self._drawers[drawer]))

    def _distance(self, obs: NDArray[Any]) -> NDArray[np.int64]:
        """(N, drawers) steps to each."""
        return np.abs(obs[:, None, :2] - self._drawers).sum(axis=2)


class CookingExpert(_Opening):
    """Fetches the ingredients in order from the drawers it believes them in; `MetaEnv.expert`.

    A drawer with other contents corrects the belief. For an ingredient that no drawer is believed to hold, it opens the
    nearest unopened drawer.

    Args:
        env: the family.
        problem_id: (N,) the kitchens it believes in.
        instruction: (N, recipe) recipes.
        corrects: whether a drawer with other contents corrects the belief.
    """

    def __init__(
        self, env: Cooking, problem_id: NDArray[np.int64], instruction: NDArray[np.int64], *, corrects: bool = True
    ) -> None:
        super().__init__(env, len(problem_id))
        self._recipe, self._corrects = instruction, corrects
        self._contents = env.contents[problem_id]
        self._carry = self._distance(np.array([env.bowl]))[0]  # from the bowl

    def act(self, obs: NDArray[Any]) -> NDArray[np.int64]:
        """Actions (N,) on observations (N, D)."""
        length = self._recipe.shape[1]
        here = self._remember(obs) if self._corrects else self._drawer_of[grid.cells_of(obs, self._env.grid_size)]
        bowl = obs[:, 4 : 4 + length]
        done = np.logical_and.accumulate(bowl == self._recipe, axis=1).sum(axis=1)
        wanted = self._recipe[np.arange(len(obs)), np.minimum(done, length - 1)]
        way = self._distance(obs)
        fetch = np.where(self._contents == wanted[:, None], way + self._carry, FAR)
        look = np.where(self._opened, FAR, way)
        sure = fetch.min(axis=1) < FAR
        drawer = np.where(sure, fetch.argmin(axis=1), look.argmin(axis=1))
        action = self._open(obs, here, drawer)

        bring = obs[:, 3] == wanted
        home = grid.toward(obs[:, :2], np.broadcast_to(np.array(self._env.bowl), (len(obs), 2)))
        action = np.where(bring, np.where(home == grid.NO_OP, grid.DROP, home), action)
        self._asked = np.where(bring, -1, self._asked)
        hopeless = ~sure & ~bring & (look.min(axis=1) == FAR)
        return np.where((done == length) | hopeless, grid.END, action)


class DrawerExplorer(_Opening):
    """Opens all drawers, the nearest first, then ends."""

    def act(self, obs: NDArray[Any]) -> NDArray[np.int64]:
        """Actions (N,) on observations (N, D)."""
        here = self._remember(obs)
        look = np.where(self._opened, FAR, self._distance(obs))
        return np.where(self._opened.all(axis=1), grid.END, self._open(obs, here, look.argmin(axis=1)))
