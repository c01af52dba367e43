"""`Watcher`: records what observations do not show, such as positions."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dream.envs.base import MetaEnv
from dream.envs.problems import Phase


@dataclass
class WatchedEpisode:
    """What was recorded of one episode of B members."""

    phase: Phase
    length: NDArray[np.int64]
    """(B,) steps."""
    noted: dict[str, NDArray[Any]] = field(default_factory=dict)
    """(B, horizon + 1, ...) by name, at every observation; NaN, 0 or False after a member's last one."""


class Watcher:
    """A wrapper that records, at every observation of every episode, what the observation does not show.

    It records `position`, `informative` and the arrays of `scene` (as `scene.NAME`), where the family has them. Use it
    in place of the environment: everything else is passed on, and policies cannot read the record. It holds one
    trial: an exploration after an execution begins the next. Resets must be of all members.

        watched = Watcher(env)
        episodes = rollout(watched, policy, problem_id, phase="explore", episodes=2)   # or pair.play(watched, ...)
        watched.position    # (B, T + 1, 2), as episodes.obs (B, T + 1, ...)
    """

    def __init__(self, env: MetaEnv) -> None:
        self._env = env
        self._episodes: list[WatchedEpisode] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._env, name)

    @property
    def position(self) -> NDArray[np.float64] | None:
        """(B, T + 1, 2) `MetaEnv.position` while exploring, NaN in padding; None where the family has none."""
        return self._explored().get("position")

    @property
    def informative(self) -> NDArray[np.bool_] | None:
        """(B, T + 1) `MetaEnv.informative` in the explorations, False in padding; None where the family has none."""
        return self._explored().get("informative")

    @property
    def informed(self) -> NDArray[np.bool_] | None:
        """(B,) whether any observation of the explorations was informative; None where this is not known."""
        informative = self.informative
        return None if informative is None else np.any(informative, axis=1)

    def take(self) -> list[WatchedEpisode]:
        """The episodes of the trial in order, or those since the last call; they are removed from the record."""
        episodes, self._episodes = self._episodes, []
        return episodes

    def reset(self, **arguments: Any) -> Any:
        """As the environment's."""
        result = self._env.reset(**arguments)
        phase, members = self._env.phase, self._env.num_envs
        if phase == "explore" and self._episodes and self._episodes[-1].phase == "execute":
            self._episodes = []
        self._episodes.append(WatchedEpisode(phase, np.zeros(members, np.int64)))
        self._note(np.arange(members))
        return result

    def step(self, actions: NDArray[Any]) -> Any:
        """As the environment's."""
        result = self._env.step(actions)
        rows = np.flatnonzero(result[-1]["active"])
        self._episodes[-1].length[rows] += 1
        self._note(rows)
        return result

    def _explored(self) -> dict[str, NDArray[Any]]:
        explored = [episode for episode in self._episodes if episode.phase == "explore"]
        return one_behind_the_other(explored, len(explored) * (self._env.horizon + 1))

    def _note(self, rows: NDArray[np.int64]) -> None:
        episode = self._episodes[-1]
        now = {f"scene.{name}": array for name, array in self._env.scene().items()}
        with contextlib.suppress(NotImplementedError):
            now["position"] = self._env.position()
        if (informative := self._env.informative()) is not None:
            now["informative"] = informative
        for name, array in now.items():
            if name not in episode.noted:
                episode.noted[name] = _blank((len(array), self._env.horizon + 1, *array.shape[1:]), array.dtype)
            episode.noted[name][rows, episode.length[rows]] = array[rows]


def one_behind_the_other(episodes: Sequence[WatchedEpisode], slots: int) -> dict[str, NDArray[Any]]:
    """The episodes of B members in a row, slot by slot like the observations of the streams of `rollout`.

    Returns:
        (B, slots, ...) by name.
    """
    streams: dict[str, NDArray[Any]] = {}
    begin = np.zeros(len(episodes[0].length) if episodes else 0, np.int64)
    for episode in episodes:
        for name, array in episode.noted.items():
            if name not in streams:
                streams[name] = _blank((len(array), slots, *array.shape[2:]), array.dtype)
            rows, at = np.nonzero(np.arange(array.shape[1]) <= episode.length[:, None])
            streams[name][rows, begin[rows] + at] = array[rows, at]
        begin += episode.length + 1
    return streams


def side_by_side(episodes: Sequence[WatchedEpisode]) -> dict[str, NDArray[Any]]:
    """n episodes of B members as B * n streams, trial by trial: (B * n, horizon + 1, ...) by name."""
    names = episodes[0].noted
    return {
        name: np.stack([e.noted[name] for e in episodes], axis=1).reshape(-1, *names[name].shape[1:]) for name in names
    }


def _blank(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    return np.full(shape, np.nan if dtype.kind == "f" else 0, dtype)
