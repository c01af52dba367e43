"""The one registry of methods: name -> `MethodSpec`."""

from __future__ import annotations

import difflib

from dream.config import TrainConfig
from dream.core.actions import Actions
from dream.core.environment import Environment
from dream.errors import UserError
from dream.execution.informed import Import
from dream.execution.rl2 import RL2
from dream.execution.stream import Layout
from dream.execution.varibad import VariBAD
from dream.exploration.base import FunctionReward
from dream.exploration.counts import Counts
from dream.exploration.hyperx import HyperStateNovelty
from dream.exploration.icm import IntrinsicCuriosity
from dream.exploration.information import revealed_information
from dream.exploration.outcome import Improvement
from dream.exploration.prediction import PredictionGain
from dream.exploration.rnd import RandomNetworkDistillation
from dream.importing import load_object
from dream.methods.encoding import described_by, description_table, observation_space
from dream.methods.rules import EndToEndRules, PairRules
from dream.methods.spec import MethodSpec, explorer


def find_method(name: str) -> MethodSpec:
    """The method of this name in `METHODS`, or the object that "package.module:NAME" names.

    Raises:
        UserError: there is none.
    """
    if ":" in name:
        found = load_object(name)
        if not isinstance(found, MethodSpec):
            raise UserError(f"{name!r} is not a method: give a MethodSpec, such as dream.methods.spec.explorer returns")
        return found
    if name not in METHODS:
        close = difflib.get_close_matches(name, METHODS, n=1)
        raise UserError(
            f"unknown method {name!r}: choose one of {', '.join(METHODS)}, or give package.module:NAME"
            + (f" (did you mean {close[0]!r}?)" if close else "")
        )
    return METHODS[name]


def _counts(env: Environment, config: TrainConfig) -> Counts:
    return Counts(env.single_observation_space)


def _distillation(env: Environment, config: TrainConfig) -> RandomNetworkDistillation:
    return RandomNetworkDistillation(env.single_observation_space, config.network.width)


def _curiosity(env: Environment, config: TrainConfig) -> IntrinsicCuriosity:
    return IntrinsicCuriosity(env.single_observation_space, Actions(env.single_action_space), config.network.width)


def _hyper_state(env: Environment, config: TrainConfig) -> HyperStateNovelty:
    instruction = env.instruction_space.nvec.tolist()
    return HyperStateNovelty(env.single_observation_space, instruction, config.bottleneck.z_dim, config.network.width)


def _prediction(env: Environment, config: TrainConfig) -> PredictionGain:
    return PredictionGain(
        env.single_observation_space,
        Actions(env.single_action_space),
        env.problems.factors,
        description_table(env),
        width=config.network.width,
        memory_size=config.network.memory_size,
        numbers=described_by(env),
    )


def _rl2(env: Environment, layout: Layout, length: int, config: TrainConfig) -> RL2:
    return RL2(observation_space(env, config), layout, length, config)


def _import(env: Environment, layout: Layout, length: int, config: TrainConfig) -> Import:
    space, factors = observation_space(env, config), env.problems.factors
    return Import(space, layout, length, factors, config, described_by(env))


def _varibad(env: Environment, layout: Layout, length: int, config: TrainConfig) -> VariBAD:
    return VariBAD(observation_space(env, config), layout, length, config)


def _improvement(env: Environment, config: TrainConfig) -> Improvement:
    return Improvement(env.instruction_space.nvec.tolist(), config.network.width)


METHODS: dict[str, MethodSpec] = {
    "dream": explorer(
        "explorer rewarded for the information about z that its trajectory reveals; executor on the bottlenecked z",
        reward_for=lambda env, config: FunctionReward(revealed_information),
        exploration="learned, information reward",
        paper="Liu et al. 2021, arXiv 2008.02790",
        rewards_information=True,
    ),
    "posterior": MethodSpec(
        summary="explores by executing as if a problem sampled from the posterior were the true one",
        exploration="posterior sampling",
        paper="PEARL, Rakelly et al. 2019, arXiv 1903.08254",
        rules=lambda config: PairRules(explore="posterior"),
    ),
    "count": explorer(
        "explorer rewarded for observations that are rare in training and within the trial",
        reward_for=_counts,
        exploration="learned, counts",
        paper="Henaff et al. 2023, arXiv 2306.03236",
    ),
    "rnd": explorer(
        "explorer rewarded for observations that a predictor of random features has not learned yet",
        reward_for=_distillation,
        exploration="learned, novelty",
        paper="Burda et al. 2019, arXiv 1810.12894",
    ),
    "icm": explorer(
        "explorer rewarded for transitions whose outcome a forward model cannot predict",
        reward_for=_curiosity,
        exploration="learned, curiosity",
        paper="Pathak et al. 2017, arXiv 1705.05363",
    ),
    "hyperx": explorer(
        "explorer rewarded for novelty of observation and belief, annealed, and for the return of the execution",
        reward_for=_hyper_state,
        exploration="learned, novelty of hyper-states",
        paper="Zintgraf et al. 2021, arXiv 2010.01062",
        rewards_outcome=True,
    ),
    "prediction": explorer(
        "explorer rewarded for what the problem predicts better than its trajectory alone",
        reward_for=_prediction,
        exploration="learned, prediction gain",
        paper="MetaCURE, Zhang et al. 2021, arXiv 2006.08170",
    ),
    "first-explore": explorer(
        "explorer rewarded for how much better than expected the following execution is",
        reward_for=_improvement,
        exploration="learned, improvement of the execution",
        paper="Norman and Clune 2023, arXiv 2307.02276",
        rewards_outcome=True,
    ),
    "rl2": MethodSpec(
        summary="one memory for the whole trial, trained on the reward of all episodes, exploration included",
        exploration="end to end, in rewarded episodes",
        paper="RL^2, Duan et al. 2016, arXiv 1611.02779",
        rules=lambda config: EndToEndRules(_rl2, rewarded=True),
    ),
    "e-rl2": MethodSpec(
        summary="one memory for the whole trial, trained on the reward of the execution alone",
        exploration="end to end",
        paper="E-RL^2, Stadie et al. 2018, arXiv 1803.01118",
        rules=lambda config: EndToEndRules(_rl2),
    ),
    "import": MethodSpec(
        summary="e-rl2, its policy also trained on the problem's code, its memory regularised towards that code",
        exploration="end to end",
        paper="Kamienny et al. 2020, arXiv 2005.02934",
        rules=lambda config: EndToEndRules(_import),
    ),
    "varibad": MethodSpec(
        summary="policy on a belief that is learned by predicting observations and rewards of the whole trial",
        exploration="end to end, on a belief with uncertainty",
        paper="Zintgraf et al. 2020, arXiv 1910.08348",
        rules=lambda config: EndToEndRules(_varibad),
    ),
    "contextual": MethodSpec(
        summary="executor given the problem id without bottleneck, or its instruction alone (executor.context)",
        exploration="not at all, given the problem id",
        paper="bound",
        rules=lambda config: PairRules(explore="none", context=config.executor.context, bottleneck=False),
        explores=False,
        given_problem=True,
    ),
    "random": MethodSpec(
        summary="explores at random; the same executor and encoders as dream",
        exploration="uniformly random actions (rarely the one that ends the episode)",
        paper="bound",
        rules=lambda config: PairRules(explore="random"),
    ),
    "none": MethodSpec(
        summary="does not explore; the same executor and encoders as dream: lower bound",
        exploration="not at all",
        paper="bound",
        rules=lambda config: PairRules(explore="none"),
        explores=False,
    ),
    "oracle": MethodSpec(
        summary="executor given f(problem), at test time too: upper bound, and a check that executing can be learned",
        exploration="not at all, given the problem id",
        paper="bound",
        rules=lambda config: PairRules(explore="none", context="id"),
        explores=False,
        given_problem=True,
    ),
}
