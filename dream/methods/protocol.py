"""What training, evaluation and recording know of a method."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from dream.config import TrainConfig
from dream.core.environment import Environment
from dream.core.replay import TrialReplay
from dream.core.trial import Episodes, Trials
from dream.methods.pair_networks import PairNetworks
from dream.methods.rules import Context


class Method(Protocol):
    """Explores, executes and learns: a `DecoupledPair` or an `EndToEndPolicy`."""

    config: TrainConfig
    """Of the run."""
    device: torch.device
    """Of its networks."""

    @property
    def pair(self) -> PairNetworks | None:
        """The averaged f, g, executor and explorer of a method whose policies meet in z, else None."""
        ...

    @property
    def context(self) -> Context | None:
        """What the executor acts on at test time, of a method with a `pair`, else None."""
        ...

    def collect(self, env: Environment, problem_id: np.ndarray, generator: torch.Generator) -> Trials:
        """Training trials of B problems, with random actions."""
        ...

    def play(self, env: Environment, problem_id: np.ndarray, generator: torch.Generator | None = None) -> Trials:
        """Greedy test trials of B problems: `explore`, then `execute`. The ids only select the problems."""
        ...

    def explore(self, env: Environment, problem_id: np.ndarray, generator: torch.Generator | None = None) -> Episodes:
        """The explorations of `play` alone, B streams."""
        ...

    def execute(
        self, env: Environment, problem_id: np.ndarray, explore: Episodes, generator: torch.Generator | None = None
    ) -> Trials:
        """The executions of `play` after given explorations (B streams), of this method or another."""
        ...

    def update(self, replay: TrialReplay, progress: float, generator: torch.Generator) -> dict[str, Tensor]:
        """One gradient step on replayed trials.

        Returns:
            Metrics, tensors () that stay on the device. "replay/streams" and "replay/transitions" are the numbers of
            streams (of one phase each) and of their steps in the batch.
        """
        ...

    def update_on_policy(self, trials: Trials, progress: float, generator: torch.Generator) -> list[dict[str, Tensor]]:
        """Gradient steps on trials that were just collected; metrics of each as from `update`."""
        ...

    @property
    def learns_from_replay(self) -> bool:
        """Whether `update` has anything to learn."""
        ...

    @property
    def learns_on_policy(self) -> bool:
        """Whether `update_on_policy` has anything to learn."""
        ...

    def skip_warmup(self) -> None:
        """Act in the next `collect` as after the warm-up of training, for measurements. May do nothing."""
        ...

    def weights(self) -> dict[str, Tensor]:
        """Everything that was learned, by name."""
        ...

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Load what `weights` returned. Raises RuntimeError where shapes or names differ."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """What training needs besides the weights."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load what `state_dict` returned."""
        ...
