"""What every policy needs to act: how often a member acts at random, and which action a policy's output chooses."""

from __future__ import annotations

import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from dream.core.actions import Actions
from dream.core.distributions import mode, sample
from dream.core.environment import Environment
from dream.core.heads import LearnerName
from dream.core.qlearning import epsilon_greedy
from dream.core.trial import Episodes
from dream.spaces import each

RANDOM_END_PROBABILITY = 0.02
"""Probability that a random action ends the episode: with a uniform 1 in 9, a random exploration of 20 steps would
last 9 on average."""
SAMPLED = 0.5
"""A share of random actions below 1 and above 0: a policy trained by `ppo` then samples all of its actions."""


def member_epsilons(members: int, low: float) -> Tensor:
    """(B,) shares of random actions, geometric from 1 down to `low` (in the manner of Ape-X, Horgan et al., 2018).

    There is no schedule to tune: at any time some members act at random and some almost greedily.
    """
    return torch.logspace(0.0, float(np.log10(low)), members)


def training_epsilons(members: int, learner: LearnerName, low: float, random_fraction: float = 0.0) -> Tensor:
    """(B,) shares of random actions in training, see `ActionChooser`.

    Args:
        members: B.
        learner: of the policy; one that learns by `ppo` samples all of its actions.
        low: smallest share with `q`.
        random_fraction: share of the members that act at random with `q`.
    """
    if learner == "ppo":
        return torch.full((members,), SAMPLED)
    epsilon = member_epsilons(members, low)
    epsilon[: round(members * random_fraction)] = 1.0
    return epsilon


def random_actions(env: Environment) -> Tensor | None:
    """(A,) probabilities of random Discrete actions: uniform, except that the action that ends the episode is rare.

    None for other actions, which are uniform.
    """
    space = Actions(env.single_action_space)
    if not space.discrete:
        return None
    actions = space.count
    weight = torch.full((actions,), 1.0 / actions)
    if env.end_action is not None:
        weight[:] = (1.0 - RANDOM_END_PROBABILITY) / (actions - 1)
        weight[env.end_action] = RANDOM_END_PROBABILITY
    return weight


class ActionChooser:
    """Chooses actions by the output of a policy.

    Args:
        env: of the family.
        learner: of the policy.
        device: of its outputs.
        repeat: probability that a random Discrete action is the one before.
    """

    def __init__(self, env: Environment, learner: LearnerName, device: torch.device, repeat: float = 0.0):
        self.actions, self.learner, self._device = Actions(env.single_action_space), learner, device
        self._repeat = repeat
        self._weight = random_actions(env)
        self._ends: Tensor | None = None
        if self.actions.discrete and env.end_action is not None:
            self._ends = torch.zeros(self.actions.count, dtype=torch.bool, device=device)
            self._ends[env.end_action] = True

    def __call__(
        self,
        out: Tensor,
        epsilon: Tensor,
        generator: torch.Generator | None,
        *,
        may_end: bool = True,
        previous: Tensor | None = None,
    ) -> Tensor:
        """Actions of B members, (B, O) -> (B, *shape).

        Args:
            out: output of the policy's head.
            epsilon: (B,) shares of random actions. A policy trained by `q` is greedy otherwise. One trained by `ppo`
                acts at random where the share is 1, takes its most likely action where all shares are 0, and samples
                otherwise.
            generator: on the CPU, so that a seed draws the same actions on every device.
            may_end: whether a policy trained by `q` may choose to end the episode.
            previous: (B, *shape) the actions before, `Actions.nothing` where there was none; None: nowhere.
        """
        if self.learner == "q":
            if not may_end and self._ends is not None:
                out = out.masked_fill(self._ends, -torch.inf)
            return epsilon_greedy(out, epsilon, generator, self._weight, previous, self._repeat)
        parameters = out[:, :-1]
        if not bool((epsilon > 0).any()):
            return mode(parameters, self.actions)
        chosen = sample(parameters, self.actions, generator)
        random = epsilon >= 1.0
        if not bool(random.any()):
            return chosen
        wide = random.to(self._device).view(-1, *[1] * len(self.actions.shape))
        return torch.where(wide, self.random(len(out), generator, previous), chosen)

    def random(self, members: int, generator: torch.Generator | None, previous: Tensor | None = None) -> Tensor:
        """Random actions, (members, *shape); `previous` as above."""
        return self.actions.random(self._weight, members, generator, previous, self._repeat).to(self._device)


def interleave(episodes: list[Episodes]) -> Episodes:
    """n batches of B episodes -> B * n streams, trial by trial: stream b * n + j is episode j of member b."""
    if len(episodes) == 1:
        return episodes[0]
    names = Episodes.__dataclass_fields__

    def join(*parts: Tensor) -> Tensor:
        return rearrange(list(parts), "n b ... -> (b n) ...")

    return Episodes(**{name: each(join, *(getattr(e, name) for e in episodes)) for name in names})
