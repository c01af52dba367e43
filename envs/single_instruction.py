"""For families in which every execution episode asks the same: the instruction is always 0."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class SingleInstruction:
    """Stands before `MetaEnv` among the bases of a family whose instruction space is MultiDiscrete([1])."""

    def sample_instruction(self, problem_id: NDArray[np.integer], rng: np.random.Generator) -> NDArray[np.int64]:
        """Always 0, (N,) -> (N, 1)."""
        return np.zeros((len(problem_id), 1), np.int64)

    def instruction_probability(
        self, problem_id: NDArray[np.integer], instruction: NDArray[np.integer]
    ) -> NDArray[np.float64]:
        """1 for the instruction 0, (N,), (N, 1) -> (N,)."""
        return (np.asarray(instruction) == 0).all(axis=1).astype(np.float64)
