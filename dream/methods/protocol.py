"""What training, evaluation and demonstrations know of a method."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from dream.config import TrainConfig
from dream.core.replay import TrialReplay
from dream.core.trial import Episodes, Trials


class Method(Protocol):
    """Something that explores, executes and learns. `DecoupledPair` is one; so is a whole-trial policy.

    Attributes:
        config: of the run.
        device: of its networks.
    """

    config: TrainConfig
    device: torch.device

    def collect(self, env: Any, problem_id: np.ndarray, generator: torch.Generator) -> Trials:
        """Training trials of B problems, with random actions."""
        ...

    def play(self, env: Any, problem_id: np.ndarray, generator: torch.Generator | None = None) -> Trials:
        """Greedy test trials of B problems: `explore`, then `execute`. The ids choose the problems, nothing else."""
        ...

    def explore(self, env: Any, problem_id: np.ndarray, generator: torch.Generator | None = None) -> Episodes:
        """The explorations of `play` alone, B streams."""
        ...

    def execute(
        self, env: Any, problem_id: np.ndarray, explore: Episodes, generator: torch.Generator | None = None
    ) -> Trials:
        """The executions of `play` after explorations (of B streams) that anyone may have made."""
        ...

    def update(self, replay: TrialReplay, progress: float, generator: torch.Generator) -> dict[str, Tensor]:
        """One gradient step on replayed trials.

        Returns metrics, tensors () that stay on the device; among them "replay/streams" and "replay/transitions", how
        many streams of a phase and how many of their steps were learned from.
        """
        ...

    def weights(self) -> dict[str, Tensor]:
        """Everything that was learned, by name."""
        ...

    def load_weights(self, weights: dict[str, Tensor]) -> None:
        """Restore what `weights` gave. Raises RuntimeError where shapes or names differ."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """What training needs besides the weights."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` gave."""
        ...
