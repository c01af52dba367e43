"""`MethodSpec`: what a method is; and `explorer`, which makes one from an exploration reward."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dream.config import TrainConfig
from dream.errors import UserError
from dream.exploration.base import FunctionReward, RewardFunction
from dream.methods.rules import EndToEndRules, PairRules, RewardFactory


@dataclass(frozen=True)
class MethodSpec:
    """A method: what it is, and the rules by which `dream.methods.build` puts it together."""

    summary: str
    """What it is, in a line."""
    exploration: str
    """How it explores, in a few words."""
    paper: str
    rules: Callable[[TrainConfig], PairRules | EndToEndRules]
    explores: bool = True
    """Whether its trials have exploration steps. Without them the same number of steps are more trials and updates, so
    `dream compare` can give these methods a budget of their own (--bound-steps)."""
    given_problem: bool = False
    """Whether it is given the problem id, also on test problems: there it is a bound with `MetaEnv.bound_settings`."""


def explorer(
    summary: str,
    *,
    reward: RewardFunction | None = None,
    reward_for: RewardFactory | None = None,
    exploration: str = "learned",
    paper: str = "",
    rewards_information: bool = False,
    rewards_outcome: bool = False,
) -> MethodSpec:
    """A method that differs from dream only in its exploration reward: the same executor, encoders and training.

    Args:
        summary: what it is, in a line.
        reward: (N trials, the belief about them) -> reward of each of the T exploration steps, (N, T).
        reward_for: instead of `reward`, makes an `ExplorationReward` for an environment and settings; needed for a
            reward with networks of its own.
        exploration: how it explores, in a few words.
        paper: its source.
        rewards_information, rewards_outcome: what the reward depends on, see `PairRules`.

    Raises:
        UserError: both rewards are given, or neither.
    """
    if (reward is None) == (reward_for is None):
        raise UserError(f"explorer({summary!r}): give it either reward or reward_for")
    rules = PairRules(
        reward=reward_for if reward is None else lambda env, config: FunctionReward(reward),
        rewards_information=rewards_information,
        rewards_outcome=rewards_outcome,
    )
    return MethodSpec(summary, exploration, paper, lambda config: rules)
