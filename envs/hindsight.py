"""What episodes would have been right for: executors that learn from sparse rewards relabel them so."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Hindsight(NamedTuple):
    """For each of B members, a problem and instruction for which what it did last would have been right.

    In that problem and with that instruction the same actions would have led to the same observations, and to the same
    rewards until the last step. So the episode is one of that problem, too (hindsight experience replay, Andrychowicz
    et al., 2017, arXiv 1707.01495).
    """

    valid: NDArray[np.bool_]
    """(B,) there is one."""
    problem_id: NDArray[np.int64]
    """(B,) the problem; anything where there is none, as below."""
    instruction: NDArray[np.int64]
    """(B, I) the instruction."""
    reward: NDArray[np.float32]
    """(B,) of the last step."""
    terminated: NDArray[np.bool_]
    """(B,) the last step would have ended the episode."""
