"""What all learned methods share: online networks, their averages, optimizers, and how these are saved."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from dream.config import TrainConfig
from dream.core.environment import Environment
from dream.core.networks import load_named_weights, named_weights, update_average
from dream.core.observations import observe
from dream.core.optimizer import adamw, gradient_step
from dream.core.trial import Trials
from dream.methods.encoding import description_table

NetworksT = TypeVar("NetworksT", bound=nn.Module)


class LearnedMethod(Generic[NetworksT]):
    """Online networks, which are trained, and their Polyak averages, which give the targets and play.

    A subclass calls `_optimize` once, `_update` with each loss, and `_observe` with all collected trials.

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
        self._description = description_table(env).to(self.device)

    def factors(self, problem_id: Tensor) -> Tensor:
        """What f reads of N problems, (N,) -> factors (N, F) int64 or descriptions (N, K) float32. Training only."""
        return self._description.index_select(0, problem_id)

    def _optimize(
        self,
        groups: Sequence[Sequence[nn.Parameter]],
        undecayed: Sequence[nn.Parameter] = (),
        on_policy: Sequence[Sequence[nn.Parameter]] = (),
    ) -> None:
        """Make the optimizers: one for what is learned from replay, one for what is learned on-policy.

        Args:
            groups: parameters whose gradients are clipped together, learned from replay.
            undecayed: one more group, without weight decay.
            on_policy: groups that are learned on-policy.
        """
        learning = self.config.learning
        self._replayed = [list(group) for group in (*groups, undecayed) if group]
        self._on_policy = [list(group) for group in on_policy if group]
        self.optimizers: dict[str, torch.optim.AdamW] = {}
        if self._replayed:
            self.optimizers["optimizer"] = adamw(
                [parameter for group in groups for parameter in group],
                undecayed,
                learning_rate=learning.learning_rate,
                weight_decay=learning.weight_decay,
            )
        if self._on_policy:
            self.optimizers["on_policy_optimizer"] = adamw(
                [parameter for group in self._on_policy for parameter in group],
                learning_rate=self.config.ppo.learning_rate,
                weight_decay=learning.weight_decay,
            )

    def _update(self, loss: Tensor, progress: float, *, on_policy: bool = False) -> None:
        """One gradient step on a loss (), then one step of the averages; `progress` sets the step size."""
        learning, first = self.config.learning, self.config.ppo.learning_rate
        gradient_step(
            self.optimizers["on_policy_optimizer" if on_policy else "optimizer"],
            loss,
            self._on_policy if on_policy else self._replayed,
            learning_rate=first * learning.share_at(progress) if on_policy else learning.learning_rate_at(progress),
            clip=learning.max_grad_norm,
        )
        update_average(self.averaged, self.networks, learning.tau)

    @property
    def learns_from_replay(self) -> bool:
        """Whether `update` has anything to learn."""
        return bool(self._replayed)

    @property
    def learns_on_policy(self) -> bool:
        """Whether `update_on_policy` has anything to learn."""
        return bool(self._on_policy)

    def _observe(self, trials: Trials) -> None:
        """Add collected trials to the running statistics of numbers in all modules, those of the reward included."""
        observe(list(self.modules().values()), trials.explore, trials.execute)

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
        return {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load what `state_dict` returned."""
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state[name])
