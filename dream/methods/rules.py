"""What makes one method differ from another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from dream.config import TrainConfig
from dream.core.environment import Environment
from dream.execution.base import EndToEndNetworks
from dream.execution.stream import Layout
from dream.exploration.base import ExplorationReward

ExploreRule = Literal["learned", "random", "none", "posterior"]
Context = Literal["decoded", "id", "instruction"]
RewardFactory = Callable[[Environment, TrainConfig], ExplorationReward]
"""Environment, settings -> exploration reward."""
NetworksFactory = Callable[[Environment, Layout, int, TrainConfig], EndToEndNetworks]
"""Environment, layout of a trial, largest number of observations in one, settings -> networks."""


@dataclass(frozen=True)
class PairRules:
    """What makes one decoupled method differ from another."""

    explore: ExploreRule = "learned"
    """How it explores."""
    reward: RewardFactory | None = None
    """What a learned explorer is rewarded for."""
    rewards_information: bool = False
    """The reward is the decrease of g's error. It is meaningless until g has learned something, so the explorer waits
    for that (`explorer.min_explained`); it is scaled by the information available."""
    rewards_outcome: bool = False
    """The reward depends on the execution, so it is learned from trials that were executed on g(exploration)."""
    context: Context = "decoded"
    """What the executor acts on at test time: z = g(exploration), f(problem), or the instruction alone (z = 0). With
    the id the method is an upper bound, not a meta-RL method."""
    bottleneck: bool = True
    """Whether f(problem) is noisy in training and its rate is part of the loss."""


@dataclass(frozen=True)
class EndToEndRules:
    """What makes one end-to-end method differ from another."""

    networks: NetworksFactory
    """Its networks, with their loss."""
    rewarded: bool = False
    """Exploration episodes are ordinary ones, with an instruction and a reward that counts."""
