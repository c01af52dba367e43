"""The one registry of methods: name -> how the pair is put together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from dream.config import TrainConfig
from dream.exploration.counts import Counts
from dream.exploration.hyperx import HyperStateNovelty
from dream.exploration.icm import IntrinsicCuriosity
from dream.exploration.information import information
from dream.exploration.outcome import Improvement
from dream.exploration.prediction import PredictionGain
from dream.exploration.rnd import RandomNetworkDistillation
from dream.pair import DecoupledPair, PairRules


@dataclass(frozen=True)
class MethodSpec:
    """A method: what it is, and how it is built from an environment and a configuration."""

    summary: str
    explores: str
    """How it explores, in a few words."""
    paper: str
    rules: Callable[[TrainConfig], PairRules]

    def build(self, env: Any, config: TrainConfig) -> DecoupledPair:
        """The method with fresh weights, drawn from torch's global generator."""
        return DecoupledPair(env, config, self.rules(config))


def _improvement(env: Any, config: TrainConfig) -> Improvement:
    return Improvement(env.instruction_space.nvec.tolist(), config.network.width)


def _hyper_state(env: Any, config: TrainConfig) -> HyperStateNovelty:
    instruction = env.instruction_space.nvec.tolist()
    return HyperStateNovelty(env.single_observation_space, instruction, config.bottleneck.z_dim, config.network.width)


def _curiosity(env: Any, config: TrainConfig) -> IntrinsicCuriosity:
    return IntrinsicCuriosity(env.single_observation_space, int(env.single_action_space.n), config.network.width)


def _prediction(env: Any, config: TrainConfig) -> PredictionGain:
    return PredictionGain(
        env.single_observation_space,
        int(env.single_action_space.n),
        env.problems.factors,
        torch.from_numpy(env.problems.factor_table),
        width=config.network.width,
        memory=config.network.memory,
    )


METHODS: dict[str, MethodSpec] = {
    "dream": MethodSpec(
        summary="explorer paid for each bit of z that its trajectory reveals; executor on the bottlenecked z",
        explores="learned, information reward",
        paper="Liu et al. 2021, arXiv 2008.02790",
        rules=lambda config: PairRules(
            reward=lambda env, config: information(config.explorer.cost), pays_information=True
        ),
    ),
    "posterior": MethodSpec(
        summary="explores by executing as if a problem drawn from the posterior were the true one",
        explores="posterior sampling",
        paper="PEARL, Rakelly et al. 2019, arXiv 1903.08254",
        rules=lambda config: PairRules(explore="posterior"),
    ),
    "count": MethodSpec(
        summary="explorer paid for observations seldom seen, in all trials and in this one",
        explores="learned, counts",
        paper="Henaff et al. 2023, arXiv 2306.03236",
        rules=lambda config: PairRules(reward=lambda env, config: Counts(env.single_observation_space)),
    ),
    "rnd": MethodSpec(
        summary="explorer paid for observations that a predictor of random features has not learned yet",
        explores="learned, novelty",
        paper="Burda et al. 2019, arXiv 1810.12894",
        rules=lambda config: PairRules(
            reward=lambda env, config: RandomNetworkDistillation(env.single_observation_space, config.network.width)
        ),
    ),
    "icm": MethodSpec(
        summary="explorer paid for transitions whose outcome it cannot predict",
        explores="learned, curiosity",
        paper="Pathak et al. 2017, arXiv 1705.05363",
        rules=lambda config: PairRules(reward=_curiosity),
    ),
    "hyperx": MethodSpec(
        summary="explorer paid for novelty of observation and belief, annealed, and for how execution goes",
        explores="learned, novelty of hyper-states",
        paper="Zintgraf et al. 2021, arXiv 2010.01062",
        rules=lambda config: PairRules(reward=_hyper_state, pays_outcome=True),
    ),
    "prediction": MethodSpec(
        summary="explorer paid for what the problem could predict and its trajectory cannot",
        explores="learned, prediction gain",
        paper="MetaCURE, Zhang et al. 2021, arXiv 2006.08170",
        rules=lambda config: PairRules(reward=_prediction),
    ),
    "first-explore": MethodSpec(
        summary="explorer paid by how much better than expected the execution after it goes",
        explores="learned, improvement of the execution",
        paper="Norman and Clune 2023, arXiv 2307.02276",
        rules=lambda config: PairRules(reward=_improvement, pays_outcome=True),
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
