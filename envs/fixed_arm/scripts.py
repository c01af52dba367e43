"""The scripted policy of the bandit, and what explorations pulled."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dream.envs import grid


def summary_of_pulls(
    means: NDArray[np.floating], obs: NDArray[Any], action: NDArray[np.integer], mask: NDArray[np.bool_]
) -> dict[str, NDArray[np.float64]]:
    """What N streams pulled, from means (N, arms), obs (N, T + 1, 1), action (N, T) and mask (N, T).

    Returns:
        arms_pulled: distinct arms, the fixed one not counted; fixed_pulls and best_pulls: pulls of the fixed and of the
        best arm; total_value: the sum of all payoffs: the reward of the same pulls in execution. Each (N,).
    """
    pulled = mask[:, :, None] & (action[:, :, None] == np.arange(means.shape[1]))  # (N, T, arms)
    pulls = pulled.sum(axis=1)
    found = {
        "arms_pulled": (pulls[:, 1:] > 0).sum(axis=1),
        "fixed_pulls": pulls[:, 0],
        "best_pulls": np.take_along_axis(pulls, means.argmax(axis=1)[:, None], axis=1)[:, 0],
        "total_value": np.where(grid.frames_seen(mask), obs[..., 0], 0.0).sum(axis=1),
    }
    return {name: value.astype(np.float64) for name, value in found.items()}


class BestArm:
    """Pulls the arm with the largest believed mean; `MetaEnv.expert`. An episode is one pull: nothing to correct.

    Args:
        means: (N, arms) believed means.
    """

    def __init__(self, means: NDArray[np.floating]) -> None:
        self._arm = means.argmax(axis=1)

    def act(self, obs: NDArray[Any]) -> NDArray[np.int64]:
        """Actions (N,)."""
        return self._arm
