"""What all learned methods share: online networks, their averages, an optimizer, and how these are saved."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from dream.config import TrainConfig
from dream.core.environment import Environment
from dream.core.networks import load_named_weights, named_weights, update_average
from dream.core.optimizer import adamw, gradient_step

NetworksT = TypeVar("NetworksT", bound=nn.Module)


class LearnedMethod(Generic[NetworksT]):
    """Online networks, which are trained, and their Polyak averages, which give the targets and play.

    A subclass calls `_optimize` once, and `_update` with each loss.

    Args:
        env: of the family.
        config: of the run.
        networks: with fresh weights.
    """

    def __init__(self, env: Environment, config: TrainConfig, networks: NetworksT):
        self.config = config
        self.device = torch.device(config.device)
        self.networks: NetworksT = networks.to(self.device)
        self.averaged: NetworksT = copy.deepcopy(self.networks).requires_grad_(False)
        self._factor_table = torch.from_numpy(env.problems.factor_table).to(self.device)

    def factors(self, problem_id: Tensor) -> Tensor:
        """Factors of N problems, (N,) -> (N, F) int64. Training only."""
        return self._factor_table.index_select(0, problem_id)

    def _optimize(self, groups: Sequence[Sequence[nn.Parameter]], undecayed: Sequence[nn.Parameter] = ()) -> None:
        """Make the optimizer.

        Args:
            groups: parameters whose gradients are clipped together.
            undecayed: one more group, without weight decay.
        """
        learning = self.config.learning
        self.optimizer = adamw(
            [parameter for group in groups for parameter in group],
            undecayed,
            learning_rate=learning.learning_rate,
            weight_decay=learning.weight_decay,
        )
        self._groups = [list(group) for group in (*groups, undecayed) if group]

    def _update(self, loss: Tensor, progress: float) -> None:
        """One gradient step on a loss (), then one step of the averages; `progress` sets the step size."""
        learning = self.config.learning
        gradient_step(
            self.optimizer,
            loss,
            self._groups,
            learning_rate=learning.learning_rate_at(progress),
            clip=learning.max_grad_norm,
        )
        update_average(self.averaged, self.networks, learning.tau)

    def modules(self) -> dict[str, nn.Module]:
        """The modules whose weights are saved."""
        return {"online": self.networks, "averaged": self.averaged}

    def weights(self) -> dict[str, Tensor]:
        """Weights of every module in `modules`, named MODULE.NAME."""
        return named_weights(self.modules())

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Load what `weights` returned. Raises RuntimeError where shapes or names differ."""
        load_named_weights(self.modules(), weights)

    def state_dict(self) -> dict[str, Any]:
        """What training needs besides the weights."""
        return {"optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load what `state_dict` returned."""
        self.optimizer.load_state_dict(state["optimizer"])
