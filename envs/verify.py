"""What `MetaEnv` is given and what a family returns, verified: one sentence with the value for what does not fit."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from dream.errors import UserError


def checked_mask(mask: Any, members: int) -> NDArray[np.bool_]:
    """A reset mask as (members,) bool, all true without one. Raises ValueError for anything else."""
    given = np.ones(members, np.bool_) if mask is None else np.asarray(mask)
    if given.shape != (members,) or given.dtype != np.bool_ or not given.any():
        raise ValueError(
            f"reset_mask is {given.dtype} of shape {given.shape}: give {members} booleans, at least one true"
        )
    return given


def checked_instructions(
    family: str, space: gym.spaces.MultiDiscrete, instruction: Any, members: int, starts: NDArray[np.bool_] | slice
) -> NDArray[np.int64]:
    """Instructions as (members, I) int64, in their space where `starts`. Raises ValueError for anything else."""
    given, expected = np.asarray(instruction), (members, *space.shape)
    if given.shape != expected or given.dtype.kind not in "iu":
        raise ValueError(f"instruction is {given.dtype} of shape {given.shape}: give integers of shape {expected}")
    _refuse_outside("instruction", family, space, given[starts])
    return given.astype(np.int64)


def checked_actions(family: str, actions: Any, members: int, space: gym.Space[Any]) -> NDArray[Any]:
    """Actions as int64 (members,) or (members, K), or float32 (members, K) for a Box, where finite values outside are
    clipped to it. Raises ValueError for anything else.
    """
    given = np.asarray(actions)
    if not isinstance(space, gym.spaces.Discrete):
        return _checked_vectors(family, given, members, space)
    count = int(space.n)
    if given.shape != (members,) or given.dtype.kind not in "iu":
        raise ValueError(
            f"actions are {given.dtype} of shape {given.shape}: give {members} integers, one for each member"
        )
    given = given.astype(np.int64, copy=False)
    if given.view(np.uint64).max() >= count:  # negative ones wrap to huge ones
        bad = given[(given < 0) | (given >= count)][0]
        raise ValueError(f"action {bad} does not exist: {family} has actions 0 to {count - 1}")
    return given


def _checked_vectors(family: str, given: NDArray[Any], members: int, space: gym.Space[Any]) -> NDArray[Any]:
    """Actions of several components, (members, K)."""
    expected = (members, *(space.shape or ()))
    kinds = "iuf" if isinstance(space, gym.spaces.Box) else "iu"
    if given.shape != expected or given.dtype.kind not in kinds:
        numbers = "numbers" if "f" in kinds else "integers"
        raise ValueError(f"actions are {given.dtype} of shape {given.shape}: give {numbers} of shape {expected}")
    if isinstance(space, gym.spaces.Box):
        if not np.isfinite(given).all():
            raise ValueError(f"an action of {family} is not finite: {given[~np.isfinite(given).all(1)][0].tolist()}")
        return np.clip(given, space.low, space.high, dtype=np.float32)
    assert isinstance(space, gym.spaces.MultiDiscrete)
    _refuse_outside("action", family, space, given)
    return given.astype(np.int64)


def _refuse_outside(what: str, family: str, space: gym.spaces.MultiDiscrete, given: NDArray[Any]) -> None:
    """Raise ValueError with the first row of integers (N, K) that is not in the space."""
    bad = ((given < 0) | (given >= space.nvec)).any(axis=1)
    if bad.any():
        raise ValueError(
            f"{what} {given[bad][0].tolist()} does not exist: {family} takes values from 0 up to, not including, "
            f"{space.nvec.tolist()}"
        )


def check_observations(
    family: str, space: gym.Space[Any], obs: Any, problem_id: NDArray[np.int64], elapsed: NDArray[np.int64]
) -> None:
    """Raise UserError for observations (B, ...) that are not in the space of one member, with problem and step."""
    if isinstance(space, gym.spaces.Dict):
        if not isinstance(obs, dict) or set(obs) != set(space.spaces):
            given = list(obs) if isinstance(obs, dict) else type(obs).__name__
            raise UserError(f"{family} gave the observation parts {given}: give {list(space.spaces)}")
        for name, part in space.spaces.items():
            check_observations(f"{family} ({name})", part, obs[name], problem_id, elapsed)
        return
    shape = (len(problem_id), *(space.shape or ()))
    if np.shape(obs) != shape or obs.dtype != space.dtype:
        kind = getattr(obs, "dtype", type(obs).__name__)
        raise UserError(
            f"{family} gave observations {kind} of shape {np.shape(obs)} at step {elapsed.max()}: its observation "
            f"space is {space}, so give {space.dtype} of shape {shape}"
        )
    if isinstance(space, gym.spaces.MultiDiscrete):
        outside = (obs < space.start) | (obs >= space.start + space.nvec)
    elif obs.dtype == np.uint8:  # any will do for an image
        return
    else:
        assert isinstance(space, gym.spaces.Box)
        outside = ~np.isfinite(obs) | (obs < space.low) | (obs > space.high)
    bad = np.flatnonzero(outside.reshape(len(outside), -1).any(axis=1))
    if len(bad):
        refuse_observation(family, space, obs[bad[0]], int(problem_id[bad[0]]), int(elapsed[bad[0]]))


def refuse_observation(family: str, space: gym.Space[Any], obs: Any, problem_id: int, step: int) -> None:
    """Raise the UserError for an observation outside the space."""
    shown = " ".join(str(obs).split())
    raise UserError(
        f"{family} gave the observation {shown if len(shown) < 80 else shown[:77] + '...'} in problem {problem_id} at "
        f"step {step}, which is not in its observation space {space}"
    )


def check_rewards(family: str, reward: Any, problem_id: NDArray[np.int64], elapsed: NDArray[np.int64]) -> None:
    """Raise UserError for rewards that are not (B,) finite numbers, with problem and step."""
    if np.shape(reward) != np.shape(problem_id):
        raise UserError(f"{family} gave rewards of shape {np.shape(reward)}: give one for each of {len(problem_id)}")
    finite = np.isfinite(reward)
    if not finite.all():
        member = int(np.flatnonzero(~finite)[0])
        raise UserError(
            f"{family} gave the reward {reward[member]} in problem {problem_id[member]} at step {elapsed[member]}: "
            "rewards must be finite"
        )
