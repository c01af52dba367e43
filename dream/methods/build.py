"""Builds a method and its environment from the settings of a run."""

from __future__ import annotations

import inspect

from dream.config import TrainConfig
from dream.core.actions import Actions
from dream.core.environment import Environment
from dream.envs import MetaEnv, find_family, make
from dream.errors import UserError
from dream.methods.end_to_end import EndToEndPolicy
from dream.methods.pair import DecoupledPair
from dream.methods.protocol import Method
from dream.methods.registry import METHODS, find_method
from dream.methods.rules import EndToEndRules, PairRules


def make_env(config: TrainConfig, num_envs: int) -> MetaEnv:
    """`num_envs` members of the run's family; a family that renders on several cores does so on `config.threads`."""
    parameters = dict(config.env_parameters)
    if "threads" in inspect.signature(find_family(config.env)).parameters:
        parameters.setdefault("threads", config.threads)
    return make(config.env, num_envs, **parameters)


def build(config: TrainConfig, num_envs: int) -> tuple[Method, MetaEnv]:
    """An untrained method and `num_envs` members of its family.

    Raises:
        UserError: an unknown method, or settings that the method cannot have.
    """
    find_method(config.method)
    env = make_env(config, num_envs)
    try:
        return build_method(env, config), env
    except UserError:
        env.close()
        raise


def build_method(env: Environment, config: TrainConfig) -> Method:
    """The method `config.method` for an environment, with fresh weights from torch's global generator.

    Raises:
        UserError: as for `build`.
    """
    rules = find_method(config.method).rules(config)
    _refuse_learner(env, config, rules)
    if isinstance(rules, EndToEndRules):
        return EndToEndPolicy(env, config, rules)
    if config.network.memory != "lstm":
        raise UserError(
            f"{config.method} has LSTMs: network.memory {config.network.memory!r} is for {_end_to_end_methods(config)}"
        )
    if not config.trial.explore_episodes:
        raise UserError(
            f"{config.method} explores before it executes: give trial.explore_episodes at least 1, or take a "
            f"method that needs no exploration episode: {_end_to_end_methods(config)}"
        )
    return DecoupledPair(env, config, rules)


def _end_to_end_methods(config: TrainConfig) -> str:
    return ", ".join(name for name, spec in METHODS.items() if isinstance(spec.rules(config), EndToEndRules))


def _refuse_learner(env: Environment, config: TrainConfig, rules: PairRules | EndToEndRules) -> None:
    """Raise UserError where `q` would have to learn actions that are not Discrete."""
    if Actions(env.single_action_space).discrete:
        return
    policies = ["executor", *(["explorer"] if isinstance(rules, PairRules) and rules.explore == "learned" else [])]
    if isinstance(rules, EndToEndRules):
        policies = ["end_to_end"]
    for policy in policies:
        if getattr(config, policy).learner == "q":
            raise UserError(
                f"{policy}.learner is 'q', which learns Discrete actions only: the actions of {config.env} are "
                f"{env.single_action_space}, so give {policy}.learner 'ppo'"
            )
