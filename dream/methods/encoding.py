"""What the networks of a run read: observations and descriptions of problems."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from dream.config import TrainConfig
from dream.core.environment import Environment
from dream.core.observations import Encoded, ObservationSpace
from dream.errors import UserError
from dream.importing import load_object


def observation_space(env: Environment, config: TrainConfig) -> ObservationSpace:
    """The space that networks are built for: with `network.observation`, one that a module of one's own encodes.

    Raises UserError as `encoded_space` does.
    """
    return encoded_space(env, "network.observation", config.network.observation)


def policy_space(env: Environment, config: TrainConfig, policy: Literal["explorer", "executor"]) -> ObservationSpace:
    """As `observation_space`, for a policy of a pair, which may have an encoder of its own (`executor.observation`)."""
    name = config.explorer.observation if policy == "explorer" else config.executor.observation
    return encoded_space(env, f"{policy}.observation", name) if name else observation_space(env, config)


def encoded_space(env: Environment, setting: str, name: str | None) -> ObservationSpace:
    """The observations as the class `name` encodes them, which a setting names; None: as the toolkit does.

    Raises:
        UserError: the class is no module for this space, or has no `out_features`.
    """
    space = env.single_observation_space
    if not name:
        return space
    make = load_object(name)
    with torch.random.fork_rng(devices=[]):  # only its size is wanted
        try:
            features = make(space).out_features
        except Exception as problem:
            raise UserError(
                f"{setting} is {name!r}: it must be a torch module made from an observation space, with "
                f"the attribute out_features, but {type(problem).__name__}: {problem}"
            ) from problem
    return Encoded(space, make, int(features))


def described_by(env: Environment) -> int:
    """How many numbers describe a problem, 0 where factors do."""
    description = env.problems.description
    return 0 if description is None else description.shape[1]


def description_table(env: Environment) -> Tensor:
    """What f reads of each problem: factors (problems, F) int64, or a description (problems, K) float32."""
    problems = env.problems
    return torch.from_numpy(problems.factor_table if problems.description is None else problems.description)
