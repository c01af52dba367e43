"""A bandit with one known arm: whether another arm pays more has to be found out, and most of them pay less."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from dream.envs.base import MetaEnv
from dream.envs.fixed_arm.scripts import BestArm, summary_of_pulls
from dream.envs.insight import Expert, Part
from dream.envs.problems import split_problems
from dream.envs.single_instruction import SingleInstruction
from dream.envs.words import counted
from dream.spaces import number_space

SEED = 2307
"""Of the table of problems."""
SPREADS = 6.0
"""Payoffs are cut off this many standard deviations from the extreme means, which a bounded space needs."""


@cache
def arm_means(count: int, arms: int, fixed: float) -> NDArray[np.float32]:
    """The table of problems: (count, arms) mean payoffs, the first `fixed`, the others from N(0, 1)."""
    means = np.random.default_rng(SEED).standard_normal((count, arms)).astype(np.float32)
    means[:, 0] = fixed
    means.setflags(write=False)  # shared by all environments of a process
    return means


class FixedArm(SingleInstruction, MetaEnv):
    """A bandit whose first arm always pays 0.5; obs the payoff of the pull just made, 0 before it.

    An episode is one pull of one of 10 arms. The other arms pay a normally distributed amount with standard deviation
    0.5, and their means are drawn from N(0, 1): on average they pay less than the fixed arm, the best of nine pays
    more. The payoff is the reward in execution. The source is Norman and Clune 2024 (arXiv 2307.02276).

    Args:
        num_envs: members.
        arms: 2 to 100.
        fixed: what the first arm pays, from -10 to 10.
        noise: standard deviation of the payoffs of the other arms, from 0 to 10.
        num_problems: bandits, at least 20; a twentieth are for validation and a tenth for test.
        render_mode: None or "rgb_array".

    Raises:
        ValueError: a parameter that is not allowed.
    """

    summary = "find an arm that pays more than the one whose payoff is known"
    picture = "dream.envs.fixed_arm.picture:draw"
    observation_names = ("payoff",)
    # The outcome of an exploration is known at its end, after 20 pulls.
    default_settings: ClassVar[Mapping[str, Any]] = {
        "steps": 3_000_000,
        "trial.explore_episodes": 20,
        "explorer.gamma": 0.99,
    }

    def __init__(
        self,
        num_envs: int,
        arms: int = 10,
        fixed: float = 0.5,
        noise: float = 0.5,
        num_problems: int = 10_000,
        render_mode: str | None = None,
    ) -> None:
        if not 2 <= arms <= 100:
            raise ValueError(f"arms is {arms}: give 2 to 100")
        if not -10 <= fixed <= 10:
            raise ValueError(f"fixed is {fixed}: give -10 to 10")
        if not 0 <= noise <= 10:
            raise ValueError(f"noise is {noise}: give 0 to 10")
        if num_problems < 20:
            raise ValueError(f"num_problems is {num_problems}: give at least 20")
        self.arms, self.fixed, self.noise = arms, float(fixed), float(noise)
        self.means = arm_means(num_problems, arms, self.fixed)
        """(num_problems, arms) mean payoff of every arm."""
        self._most = float(np.ceil(np.abs(self.means).max() + SPREADS * noise))
        super().__init__(
            num_envs,
            problems=split_problems(
                "fixed-arm",
                num_problems,
                parameters={"arms": arms, "fixed": self.fixed, "noise": self.noise},
                description=self.means,
                test=0.1,
                validation=0.05,
            ),
            horizon=1,
            observation_space=number_space(-self._most, self._most, (1,)),
            instruction_space=gym.spaces.MultiDiscrete([1]),
            action_names=("fixed arm", *(f"arm {arm}" for arm in range(1, arms))),
            render_mode=render_mode,
        )
        self._arm = np.full(num_envs, -1)
        self._noise, self._payoff = np.zeros((2, num_envs), np.float32)

    def optimal_return(self, problem_id: NDArray[np.integer], instruction: NDArray[np.integer]) -> NDArray[np.float64]:
        """Expected payoff of the best arm, (N,), (N, 1) -> (N,). Errors as for `MetaEnv`."""
        ids = self.problems.checked(problem_id)
        self._checked_instructions(ids, instruction)
        return self.means[ids].max(axis=1).astype(np.float64)

    def no_exploration_return(self, split: str = "all") -> float:
        """Expected payoff of the fixed arm, or 0, that of any other arm under N(0, 1), whichever is more.

        The means are those of the distribution that the table was drawn from. Raises ValueError for a split that does
        not exist.
        """
        self.problems.ids(split)
        return max(self.fixed, 0.0)

    def expert(self, problem_id: NDArray[np.integer], instruction: NDArray[np.integer]) -> Expert:
        """Pulls the best arm of the believed problems. Arguments and errors as for `MetaEnv`."""
        ids = self.problems.checked(problem_id)
        self._checked_instructions(ids, instruction)
        return BestArm(self.means[ids])

    def parts(self) -> tuple[Part, ...]:
        """Of every arm but the fixed one: whether it pays less, more, or the most."""
        names = ("less", "more", "most")
        best = self.means.max(axis=1)
        return tuple(
            Part(
                f"arm {arm}",
                np.where(mean <= self.fixed, 0, np.where(mean < best, 1, 2)),
                len(names),
                True,
                names,
            )
            for arm, mean in enumerate(self.means.T)
            if arm
        )

    def revealed(
        self, problem_id: int, obs: NDArray[Any], action: NDArray[np.integer], scene: Mapping[str, NDArray[Any]]
    ) -> NDArray[np.bool_]:
        """A pull shows its arm, if with noise, (T + 1, arms - 1); arguments as for `MetaEnv`."""
        shown = np.zeros((len(obs), self.arms - 1), np.bool_)
        shown[1:] = np.asarray(action)[:, None] == np.arange(1, self.arms)
        return shown

    def informative(self) -> NDArray[np.bool_]:
        """Whether the last pull paid more than the fixed arm does, (B,)."""
        return (self.last_obs[:, 0] > self.fixed) & (self._arm > 0)

    def exploration_summary(
        self, problem_id: NDArray[np.integer], obs: NDArray[Any], action: NDArray[np.integer], mask: NDArray[np.bool_]
    ) -> dict[str, NDArray[np.float64]]:
        """See `summary_of_pulls`; arguments as for `MetaEnv`."""
        return summary_of_pulls(self.means[np.asarray(problem_id)], obs, action, mask)

    def tell(self, problem_id: int, obs: NDArray[Any], action: NDArray[np.integer]) -> list[str]:
        """Pulls and payoffs; arguments as for `MetaEnv`."""
        pulls = zip(np.asarray(action).tolist(), obs[1:, 0].tolist(), strict=True)
        return counted(
            f"pulled {'the ' if not arm else ''}{self.action_names[arm]}: {paid:+.2f}" for arm, paid in pulls
        )

    def scene(self) -> dict[str, NDArray[Any]]:
        """arm: (B,) the arm that was just pulled, -1 before."""
        return {"arm": self._arm.copy()}

    def _begin(self, members: NDArray[np.int64]) -> NDArray[np.float32]:
        # The noise of the pull is drawn here: a step must not touch the generator.
        self._noise[members] = self.np_random.standard_normal(len(members)) * self.noise
        self._arm[members], self._payoff[members] = -1, 0
        return self._payoff[:, None].copy()

    def _advance(self, actions: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[np.float32], NDArray[np.bool_]]:
        pulled = self.means[self.problem_id, actions] + np.where(actions > 0, self._noise, np.float32(0))
        self._arm = np.where(self.active, actions, self._arm)
        self._payoff = np.where(self.active, np.clip(pulled, -self._most, self._most), self._payoff)
        return self._payoff[:, None].copy(), self._payoff.copy(), np.zeros(self.num_envs, np.bool_)
