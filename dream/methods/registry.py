"""The one registry of methods: name -> how the pair is put together."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dream.config import TrainConfig
from dream.core.trial import Trials
from dream.errors import UserError
from dream.execution.informed import Import
from dream.execution.rl2 import RL2
from dream.execution.stream import Layout
from dream.execution.varibad import VariBAD
from dream.exploration.base import Belief, ExplorationReward
from dream.exploration.counts import Counts
from dream.exploration.hyperx import HyperStateNovelty
from dream.exploration.icm import IntrinsicCuriosity
from dream.exploration.information import information
from dream.exploration.outcome import Improvement
from dream.exploration.prediction import PredictionGain
from dream.exploration.rnd import RandomNetworkDistillation
from dream.importing import load_object
from dream.methods.end_to_end import EndToEndPolicy, EndToEndRules
from dream.methods.pair import DecoupledPair, PairRules
from dream.methods.protocol import Method


@dataclass(frozen=True)
class MethodSpec:
    """A method: what it is, and how it is built from an environment and a configuration."""

    summary: str
    explores: str
    """How it explores, in a few words."""
    paper: str
    rules: Callable[[TrainConfig], PairRules | EndToEndRules]

    def build(self, env: Any, config: TrainConfig) -> Method:
        """The method with fresh weights, drawn from torch's global generator.

        Raises UserError for a number of exploration episodes, or a memory, that the method does not support.
        """
        rules, trial = self.rules(config), config.trial
        if isinstance(rules, EndToEndRules):
            return EndToEndPolicy(env, config, rules)
        if config.network.memory != "lstm":
            raise UserError(f"{config.method} has LSTMs: network.memory {config.network.memory!r} is for {_END_TO_END}")
        if not trial.explore_episodes:
            raise UserError(
                f"{config.method} explores before it executes: give trial.explore_episodes at least 1, or take a "
                f"method that needs no exploration episode: {_END_TO_END}"
            )
        return DecoupledPair(env, config, rules)


_END_TO_END = "rl2, e-rl2, import, varibad"


RewardFactory = Callable[[Any, TrainConfig], ExplorationReward]
"""Environment, configuration -> exploration reward."""


def explorer(
    summary: str,
    *,
    reward: Callable[[Trials, Belief], Tensor] | None = None,
    reward_for: RewardFactory | None = None,
    explores: str = "learned",
    paper: str = "",
    pays_information: bool = False,
    pays_outcome: bool = False,
) -> MethodSpec:
    """A method like dream but for what its explorer is paid: the same executor, encoders and training.

    Args:
        summary: what it is, in a line.
        reward: (N trials, the belief about them) -> what each of the T exploration steps is paid, (N, T).
        reward_for: instead of it, what makes the reward for an environment and a configuration, such as a `RewardModel`
            with networks of its own.
        explores: how it explores, in a few words.
        paper: where it comes from.
        pays_information, pays_outcome: what the reward depends on, see `PairRules`.

    Raises:
        UserError: both rewards were given, or neither.
    """
    if (reward is None) == (reward_for is None):
        raise UserError(f"explorer({summary!r}): give it either reward or reward_for")
    rules = PairRules(
        reward=reward_for if reward is None else lambda env, config: reward,
        pays_information=pays_information,
        pays_outcome=pays_outcome,
    )
    return MethodSpec(summary, explores, paper, lambda config: rules)


def find_method(name: str) -> MethodSpec:
    """The method of a name in `METHODS`, or "package.module:NAME" for one of your own.

    Raises:
        UserError: there is none.
    """
    if ":" in name:
        found = load_object(name)
        if not isinstance(found, MethodSpec):
            raise UserError(
                f"{name!r} is not a method: give a MethodSpec, such as dream.methods.registry.explorer returns"
            )
        return found
    if name not in METHODS:
        close = difflib.get_close_matches(name, METHODS, n=1)
        raise UserError(
            f"unknown method {name!r}: choose one of {', '.join(METHODS)}, or give package.module:NAME"
            + (f" (did you mean {close[0]!r}?)" if close else "")
        )
    return METHODS[name]


def _counts(env: Any, config: TrainConfig) -> Counts:
    return Counts(env.single_observation_space)


def _distillation(env: Any, config: TrainConfig) -> RandomNetworkDistillation:
    return RandomNetworkDistillation(env.single_observation_space, config.network.width)


def _curiosity(env: Any, config: TrainConfig) -> IntrinsicCuriosity:
    return IntrinsicCuriosity(env.single_observation_space, int(env.single_action_space.n), config.network.width)


def _hyper_state(env: Any, config: TrainConfig) -> HyperStateNovelty:
    instruction = env.instruction_space.nvec.tolist()
    return HyperStateNovelty(env.single_observation_space, instruction, config.bottleneck.z_dim, config.network.width)


def _prediction(env: Any, config: TrainConfig) -> PredictionGain:
    return PredictionGain(
        env.single_observation_space,
        int(env.single_action_space.n),
        env.problems.factors,
        torch.from_numpy(env.problems.factor_table),
        width=config.network.width,
        memory=config.network.memory_size,
    )


def _rl2(env: Any, layout: Layout, length: int, config: TrainConfig) -> RL2:
    return RL2(env.single_observation_space, layout, length, config)


def _import(env: Any, layout: Layout, length: int, config: TrainConfig) -> Import:
    return Import(env.single_observation_space, layout, length, env.problems.factors, config)


def _varibad(env: Any, layout: Layout, length: int, config: TrainConfig) -> VariBAD:
    return VariBAD(env.single_observation_space, layout, length, config)


def _improvement(env: Any, config: TrainConfig) -> Improvement:
    return Improvement(env.instruction_space.nvec.tolist(), config.network.width)


METHODS: dict[str, MethodSpec] = {
    "dream": explorer(
        "explorer paid for each bit of z that its trajectory reveals; executor on the bottlenecked z",
        reward_for=lambda env, config: information(config.explorer.step_cost),
        explores="learned, information reward",
        paper="Liu et al. 2021, arXiv 2008.02790",
        pays_information=True,
    ),
    "posterior": MethodSpec(
        summary="explores by executing as if a problem drawn from the posterior were the true one",
        explores="posterior sampling",
        paper="PEARL, Rakelly et al. 2019, arXiv 1903.08254",
        rules=lambda config: PairRules(explore="posterior"),
    ),
    "count": explorer(
        "explorer paid for observations seldom seen, in all trials and in this one",
        reward_for=_counts,
        explores="learned, counts",
        paper="Henaff et al. 2023, arXiv 2306.03236",
    ),
    "rnd": explorer(
        "explorer paid for observations that a predictor of random features has not learned yet",
        reward_for=_distillation,
        explores="learned, novelty",
        paper="Burda et al. 2019, arXiv 1810.12894",
    ),
    "icm": explorer(
        "explorer paid for transitions whose outcome it cannot predict",
        reward_for=_curiosity,
        explores="learned, curiosity",
        paper="Pathak et al. 2017, arXiv 1705.05363",
    ),
    "hyperx": explorer(
        "explorer paid for novelty of observation and belief, annealed, and for how execution goes",
        reward_for=_hyper_state,
        explores="learned, novelty of hyper-states",
        paper="Zintgraf et al. 2021, arXiv 2010.01062",
        pays_outcome=True,
    ),
    "prediction": explorer(
        "explorer paid for what the problem could predict and its trajectory cannot",
        reward_for=_prediction,
        explores="learned, prediction gain",
        paper="MetaCURE, Zhang et al. 2021, arXiv 2006.08170",
    ),
    "first-explore": explorer(
        "explorer paid by how much better than expected the execution after it goes",
        reward_for=_improvement,
        explores="learned, improvement of the execution",
        paper="Norman and Clune 2023, arXiv 2307.02276",
        pays_outcome=True,
    ),
    "rl2": MethodSpec(
        summary="one memory for the whole trial, trained on the reward of all episodes, exploration included",
        explores="end to end, in rewarded episodes",
        paper="RL^2, Duan et al. 2016, arXiv 1611.02779",
        rules=lambda config: EndToEndRules(_rl2, rewarded=True),
    ),
    "e-rl2": MethodSpec(
        summary="one memory for the whole trial, trained on the reward of the execution alone",
        explores="end to end",
        paper="E-RL^2, Stadie et al. 2018, arXiv 1803.01118",
        rules=lambda config: EndToEndRules(_rl2),
    ),
    "import": MethodSpec(
        summary="as e-rl2, its policy shared with one that is told the problem, its memory drawn to the problem's code",
        explores="end to end",
        paper="Kamienny et al. 2020, arXiv 2005.02934",
        rules=lambda config: EndToEndRules(_import),
    ),
    "varibad": MethodSpec(
        summary="policy on a belief that is learned by predicting observations and rewards of the whole trial",
        explores="end to end, knowing what it does not know",
        paper="Zintgraf et al. 2020, arXiv 1910.08348",
        rules=lambda config: EndToEndRules(_varibad),
    ),
    "contextual": MethodSpec(
        summary="executor given the problem itself, without bottleneck; or its instruction alone (executor.context)",
        explores="not at all, is told the problem",
        paper="bound",
        rules=lambda config: PairRules(explore="none", context=config.executor.context, bottleneck=False),
    ),
    "random": MethodSpec(
        summary="explores at random; the same executor and encoders as dream",
        explores="uniformly random actions (seldom the one that ends the episode)",
        paper="bound",
        rules=lambda config: PairRules(explore="random"),
    ),
    "none": MethodSpec(
        summary="ends exploration at once; the same executor and encoders as dream: the floor",
        explores="not at all",
        paper="bound",
        rules=lambda config: PairRules(explore="none"),
    ),
    "oracle": MethodSpec(
        summary="executor given f(problem), at test time too: the ceiling, and a check that executing can be learned",
        explores="not at all, is told the problem",
        paper="bound",
        rules=lambda config: PairRules(explore="none", context="id"),
    ),
}
