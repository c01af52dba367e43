"""The bounds of beacon, computed from the angles of the gates.

An execution episode ends when the robot leaves the circle, so its return depends on the angle of this one crossing: 1
if the gate is within the half-width of it. Every angle can be reached, by walking straight.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def half_width(gate_radius: float, circle: float) -> float:
    """Largest angle between gate and crossing, radians, at which they are within `gate_radius` of each other."""
    return float(2 * np.arcsin(gate_radius / (2 * circle)))


def best_guess(angles: NDArray[np.float64], half: float) -> float:
    """Largest share of the gates at these angles (N,) that a crossing at one angle meets.

    The gates that one crossing meets lie in an arc of twice the half-width; the best arc begins at a gate.
    """
    ahead = (angles - angles[:, None]) % (2 * np.pi)
    return float((ahead <= 2 * half).mean(axis=1).max())


def posterior_sampling_return(true: NDArray[np.float64], prior: NDArray[np.float64], half: float) -> float:
    """Mean return of posterior sampling with one exploration, by enumeration.

    Args:
        true: (M,) angles of the gates that are played.
        prior: (N,) angles of the gates that the prior is uniform over.
        half: half-width of a gate, radians.

    The sample that is explored shows the gate if it meets it. Otherwise it rules out the gates that it would have met,
    and the next sample is one of the others.
    """
    if half >= np.pi / 2:
        raise ValueError(f"the half-width {half} is as wide as half the circle: give less than pi / 2")
    meets = np.abs((true[:, None] - prior + np.pi) % (2 * np.pi) - np.pi) <= half  # (M, N)
    left = np.abs((prior[:, None] - prior + np.pi) % (2 * np.pi) - np.pi) > half  # (N explored, N executed)
    second = meets.astype(np.float64) @ left.T / left.sum(axis=1)  # (M, N explored)
    return float(np.where(meets, 1.0, second).mean())
