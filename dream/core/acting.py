"""What every policy needs to act in training: how often each member acts at random, and which random actions."""

from __future__ import annotations

import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from dream.core.environment import Environment
from dream.core.trial import Episodes

RANDOM_END_PROBABILITY = 0.02
"""Probability that a random action ends the episode: with a uniform 1 in 9, a random exploration of 20 steps would
last 9 on average."""


def member_epsilons(members: int, low: float) -> Tensor:
    """(B,) shares of random actions, geometric from 1 down to `low` (in the manner of Ape-X, Horgan et al., 2018).

    There is no schedule to tune: at any time some members act at random and some almost greedily.
    """
    return torch.logspace(0.0, float(np.log10(low)), members)


def random_actions(env: Environment) -> Tensor:
    """(A,) probabilities of random actions: uniform, except that the action that ends the episode is rare."""
    actions = int(env.single_action_space.n)
    weight = torch.full((actions,), 1.0 / actions)
    if env.end_action is not None:
        weight[:] = (1.0 - RANDOM_END_PROBABILITY) / (actions - 1)
        weight[env.end_action] = RANDOM_END_PROBABILITY
    return weight


def end_actions(env: Environment) -> Tensor:
    """(A,) bool, True for the action that ends the episode; all False where there is none."""
    ends = torch.zeros(int(env.single_action_space.n), dtype=torch.bool)
    if env.end_action is not None:
        ends[env.end_action] = True
    return ends


def interleave(episodes: list[Episodes]) -> Episodes:
    """n batches of B episodes -> B * n streams, trial by trial: stream b * n + j is episode j of member b."""
    if len(episodes) == 1:
        return episodes[0]
    names = Episodes.__dataclass_fields__
    return Episodes(**{k: rearrange([getattr(e, k) for e in episodes], "n b ... -> (b n) ...") for k in names})
