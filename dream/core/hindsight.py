"""Episodes relabelled with what they would have been right for (arXiv 1707.01495), see `dream.envs.hindsight`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from torch import Tensor

from dream.core import environment
from dream.core.trial import Episodes


@dataclass(frozen=True)
class Hindsight:
    """What N execution episodes would have been right for, see `dream.envs.hindsight`.

    Attributes:
        valid: (N,) bool, there is such a problem and instruction.
        problem_id: (N,) int64.
        instruction: (N, I) int64.
        reward: (N,) float32, of the last step.
        terminated: (N,) bool, the last step would have ended the episode.
    """

    valid: Tensor
    problem_id: Tensor
    instruction: Tensor
    reward: Tensor
    terminated: Tensor

    def relabel(self, execute: Episodes, chosen: Tensor) -> Episodes:
        """The N episodes, those of `chosen` (N,) bool with the instruction that they were right for."""
        steps = torch.arange(execute.mask.shape[1], device=chosen.device)
        last = chosen[:, None] & (steps == execute.length[:, None] - 1)
        return replace(
            execute,
            instruction=torch.where(chosen[:, None], self.instruction, execute.instruction),
            reward=torch.where(last, self.reward[:, None], execute.reward),
            terminated=torch.where(last, self.terminated[:, None], execute.terminated),
        )


def as_tensors(told: Sequence[environment.Hindsight], device: torch.device) -> Hindsight:
    """What n batches of B episodes would have been right for, in the order of `interleave`: B * n of them."""

    def joined(name: str) -> Tensor:
        stacked = np.stack([getattr(each, name) for each in told], axis=1)
        return torch.from_numpy(stacked.reshape(-1, *stacked.shape[2:])).to(device)

    return Hindsight(**{item.name: joined(item.name) for item in fields(Hindsight)})
