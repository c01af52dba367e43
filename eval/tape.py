"""`Tape`: what observations do not tell, noted of every episode while a method plays."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dream.envs import MetaEnv


@dataclass
class WatchedEpisode:
    """One episode of B members: arrays (B, horizon + 1, ...) by name, blank where nothing was."""

    length: NDArray[np.int64]
    arrays: dict[str, NDArray[Any]]


class Tape:
    """An environment that notes, at every observation of every episode, what the observation does not tell.

    `Watcher` does so for explorations. A film needs it of executions too, and of a method whose explorations are
    ordinary episodes with a reward.
    """

    def __init__(self, env: MetaEnv) -> None:
        self._env = env
        self._episodes: list[WatchedEpisode] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._env, name)

    def reset(self, **arguments: Any) -> Any:
        """As the environment's."""
        result = self._env.reset(**arguments)
        self._episodes.append(WatchedEpisode(np.zeros(self._env.num_envs, np.int64), {}))
        self._note(np.arange(self._env.num_envs))
        return result

    def step(self, actions: NDArray[Any]) -> Any:
        """As the environment's."""
        result = self._env.step(actions)
        rows = np.flatnonzero(result[-1]["active"])
        self._episodes[-1].length[rows] += 1
        self._note(rows)
        return result

    def take(self) -> list[WatchedEpisode]:
        """The episodes since it was asked last."""
        episodes, self._episodes = self._episodes, []
        return episodes

    def _note(self, rows: NDArray[np.int64]) -> None:
        episode = self._episodes[-1]
        now = {f"scene.{name}": array for name, array in self._env.scene().items()}
        with contextlib.suppress(NotImplementedError):
            now["position"] = self._env.position()
        if (informative := self._env.informative()) is not None:
            now["informative"] = informative
        for name, array in now.items():
            if name not in episode.arrays:
                episode.arrays[name] = _blank((len(array), self._env.horizon + 1, *array.shape[1:]), array.dtype)
            episode.arrays[name][rows, episode.length[rows]] = array[rows]


def one_behind_the_other(episodes: list[WatchedEpisode], slots: int) -> dict[str, NDArray[Any]]:
    """Exploration episodes of B members as streams, like their observations: (B, slots, ...)."""
    joined: dict[str, NDArray[Any]] = {}
    begin = np.zeros(len(episodes[0].length) if episodes else 0, np.int64)
    for episode in episodes:
        for name, array in episode.arrays.items():
            if name not in joined:
                joined[name] = _blank((len(array), slots, *array.shape[2:]), array.dtype)
            for row, (at, length) in enumerate(zip(begin.tolist(), episode.length.tolist(), strict=True)):
                joined[name][row, at : at + length + 1] = array[row, : length + 1]
        begin += episode.length + 1
    return joined


def side_by_side(episodes: list[WatchedEpisode]) -> dict[str, NDArray[Any]]:
    """n execution episodes of B members as B * n streams, trial by trial."""
    names = episodes[0].arrays
    return {
        name: np.stack([e.arrays[name] for e in episodes], axis=1).reshape(-1, *names[name].shape[1:]) for name in names
    }


def _blank(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    return np.full(shape, np.nan if dtype.kind == "f" else 0, dtype)
