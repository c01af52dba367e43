"""The one registry of methods: name -> how the pair is put together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dream.config import TrainConfig
from dream.exploration.information import information
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


METHODS: dict[str, MethodSpec] = {
    "dream": MethodSpec(
        summary="explorer paid for each bit of z that its trajectory reveals; executor on the bottlenecked z",
        explores="learned, information reward",
        paper="Liu et al. 2021, arXiv 2008.02790",
        rules=lambda config: PairRules(
            reward=lambda env, config: information(config.explorer.cost), pays_information=True
        ),
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
