"""What every policy needs to act in training: how often each member acts at random, and which random actions."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from dream.core.trial import Episodes

RANDOM_END_PROBABILITY = 0.02
"""Random actions seldom end the episode: with the uniform 1 in 9 a random exploration of 20 steps would last 9."""


def member_epsilons(members: int, low: float) -> Tensor:
    """(B,) shares of random actions, geometric from 1 down to `low` (in the manner of Ape-X, Horgan et al., 2018).

    There is no schedule to tune: someone always explores at random, and someone is always nearly greedy.
    """
    return torch.logspace(0.0, float(np.log10(low)), members)


def random_actions(env: Any) -> Tensor:
    """(A,) probabilities of random actions: uniform, but the one that ends the episode is seldom drawn."""
    actions = int(env.single_action_space.n)
    weight = torch.full((actions,), 1.0 / actions)
    if env.end_action is not None:
        weight[:] = (1.0 - RANDOM_END_PROBABILITY) / (actions - 1)
        weight[env.end_action] = RANDOM_END_PROBABILITY
    return weight


def interleave(episodes: list[Episodes]) -> Episodes:
    """n batches of B episodes -> B * n streams, trial by trial."""
    if len(episodes) == 1:
        return episodes[0]
    names = Episodes.__dataclass_fields__
    return Episodes(**{k: torch.stack([getattr(e, k) for e in episodes], 1).flatten(0, 1) for k in names})
