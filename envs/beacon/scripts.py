"""Scripted policies for beacon: straight to the gate, and to the beacon."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

OUTSIDE = 1.02
"""The expert stops this far out, in radii of the circle: too near to it to read the beacon."""


class GateExpert:
    """Walks straight out through the gates believed in, and stays there.

    Args:
        gates: (N, 2) places.
        max_step: length of the longest step.
    """

    def __init__(self, gates: NDArray[np.float64], max_step: float) -> None:
        self._target, self._max_step = OUTSIDE * gates, max_step

    def act(self, obs: NDArray[Any]) -> NDArray[np.float32]:
        """Actions (N, 2) on observations (N, 5)."""
        return _toward(obs[:, :2], self._target, self._max_step)


class BeaconExplorer:
    """Walks to the beacon, and stays.

    Args:
        beacon: (2,) its place.
        max_step: length of the longest step.
    """

    def __init__(self, beacon: NDArray[np.float64], max_step: float) -> None:
        self._beacon, self._max_step = beacon, max_step

    def act(self, obs: NDArray[Any]) -> NDArray[np.float32]:
        """Actions (N, 2) on observations (N, 5)."""
        return _toward(obs[:, :2], self._beacon, self._max_step)


def _toward(place: NDArray[Any], target: NDArray[Any], max_step: float) -> NDArray[np.float32]:
    """Actions (N, 2) of the longest step to the targets, or of the rest of the way if it is shorter."""
    way = (target - place) / max_step
    return np.asarray(way / np.maximum(1, np.sqrt((way**2).sum(axis=1, keepdims=True))), np.float32)
