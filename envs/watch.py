"""`Watcher`: what happened in an exploration that the recorded stream does not hold."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dream.envs.base import MetaEnv


class Watcher:
    """An environment that remembers, of explorations, where agents stood and when the decisive thing was in view.

    Play it in place of the environment: everything else is passed on, and nothing of what it notes gets to the
    policies. The explorations of one trial (an exploration after an execution begins the next) are noted slot by slot
    like the observations of the stream that `rollout` records of them, episodes one behind the other:

        watched = Watcher(env)
        episodes = rollout(watched, policy, problem_id, phase="explore", episodes=2)   # or pair.play(watched, ...)
        watched.position    # (B, T + 1, 2), as episodes.obs (B, T + 1, ...)

    Attributes:
        position: (B, T + 1, 2) float64, `MetaEnv.position` at every observation, NaN in padding; None where the family
            cannot tell.
        informative: (B, T + 1) bool, `MetaEnv.informative` at every observation, False in padding; None likewise.
    """

    def __init__(self, env: MetaEnv) -> None:
        self._env = env
        self._exploring = False
        self.position: NDArray[np.float64] | None = None
        self.informative: NDArray[np.bool_] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._env, name)

    @property
    def informed(self) -> NDArray[np.bool_] | None:
        """(B,) whether the decisive thing was ever in view; None where the family cannot tell."""
        return None if self.informative is None else np.any(self.informative, axis=1)

    def summary(
        self,
        problem_id: NDArray[np.integer],
        obs: NDArray[Any],
        action: NDArray[np.integer],
        mask: NDArray[np.bool_],
    ) -> dict[str, NDArray[np.float64]]:
        """`MetaEnv.exploration_summary` of the explorations watched, and what only a watcher can tell, (B,) each.

        Arguments as there. Where the family tells what is informative, adds in_view, 1 if the decisive thing ever was,
        and in_view_share, the share of the observations that showed it. Raises ValueError for another stream's shape.
        """
        found = dict(self._env.exploration_summary(problem_id, obs, action, mask))
        if self.informative is not None:
            if self.informative.shape != (len(mask), mask.shape[1] + 1):
                raise ValueError(f"the mask has shape {mask.shape}: give the stream of the explorations watched last")
            found["in_view"] = np.any(self.informative, axis=1).astype(np.float64)
            found["in_view_share"] = np.sum(self.informative, axis=1) / (np.sum(mask, axis=1) + 1)
        return found

    def reset(self, **arguments: Any) -> Any:
        """As the environment's."""
        result = self._env.reset(**arguments)
        exploring = self._env.phase == "explore"
        if exploring:
            self._begin(anew=not self._exploring)
        self._exploring = exploring
        return result

    def step(self, actions: NDArray[Any]) -> Any:
        """As the environment's."""
        result = self._env.step(actions)
        if self._exploring:
            rows = np.flatnonzero(result[-1]["active"])
            self._at[rows] += 1
            self._note(rows)
        return result

    def _begin(self, anew: bool) -> None:
        if anew:
            self._at = np.zeros(self._env.num_envs, np.int64)  # slot that each member's stream writes next
            self._slots = 0
            self.position, self.informative = None, None
        else:
            self._at += 1  # the reset step
        self._slots += self._env.horizon + 1
        self._note(np.arange(self._env.num_envs))

    def _note(self, rows: NDArray[np.int64]) -> None:
        self.position = self._noted(self.position, _position(self._env), np.nan, rows)
        self.informative = self._noted(self.informative, self._env.informative(), False, rows)

    def _noted(self, noted: Any, now: NDArray[Any] | None, blank: Any, rows: NDArray[np.int64]) -> Any:
        """What was noted (B, slots so far, ...), with room for this episode, and `now` (B, ...) of some members."""
        if now is None:
            return None
        missing = self._slots - (0 if noted is None else noted.shape[1])
        if missing:
            room = np.full((len(now), missing, *now.shape[1:]), blank)
            noted = room if noted is None else np.concatenate([noted, room], axis=1)
        noted[rows, self._at[rows]] = now[rows]
        return noted


def _position(env: MetaEnv) -> NDArray[np.float64] | None:
    try:
        return env.position()
    except NotImplementedError:
        return None
