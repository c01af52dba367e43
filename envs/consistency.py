"""The exact posterior of a deterministic family: the problems that agree with an exploration."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dream.envs.base import MetaEnv
from dream.spaces import Arrays, each, has_numbers, rows, was_taken, zeros


def why_not_exact(env: MetaEnv) -> str | None:
    """Why the posterior of the family is not taken from replays, None where it may be.

    Numbers are equal only if each step is computed in exactly the same way, whatever plays beside it.
    """
    if has_numbers(env.single_observation_space):
        return f"the observations of {env.family} are numbers, not integers"
    if has_numbers(env.single_action_space):
        return f"the actions of {env.family} are numbers, not integers"
    return None


def consistent_problems(
    env: MetaEnv,
    obs: Arrays,
    action: NDArray[Any],
    mask: NDArray[np.bool_],
    start: NDArray[np.bool_] | None = None,
) -> NDArray[np.bool_]:
    """Play the actions of recorded explorations in every problem, and compare the observations.

    With a uniform prior over problems, the posterior after a stream is uniform over those that agree.

    Arguments and errors as for `steps_of_agreement`.

    Returns:
        (N, num_problems) bool.
    """
    return steps_of_agreement(env, obs, action, mask, start) == np.asarray(mask).sum(axis=1)[:, None]


def steps_of_agreement(
    env: MetaEnv,
    obs: Arrays,
    action: NDArray[Any],
    mask: NDArray[np.bool_],
    start: NDArray[np.bool_] | None = None,
) -> NDArray[np.int64]:
    """The number of steps of recorded explorations after which each problem still has the same observations.

    Problem p agrees with the first t steps of stream n, and so is in the posterior after them, if the result is t or
    more. Every distinct episode is played once per problem, in batches of the environment's members, so give an
    environment of some thousand members.

    Args:
        env: the family; its current episodes are lost.
        obs: (N, T + 1, ...), slot t is the observation before action t, as in `Episodes`.
        action: (N, T, ...).
        mask: (N, T) bool, the stream has a step here; padding is at the end only. A stream may stop anywhere: its
            end is not compared.
        start: (N, T) bool, the first step of each episode; the step before it is the reset step. By default the
            actions say where reset steps are (`dream.spaces.was_taken`).

    Returns:
        (N, num_problems) from -1 (not even the first observation) to the steps of the stream.

    Raises:
        ValueError: shapes that do not fit, or a stream that agrees with no problem: it was recorded in another family,
            or the family is not deterministic (sign starts elsewhere in each episode).
    """
    action, mask, space = np.asarray(action), np.asarray(mask), env.single_action_space
    given = each(np.shape, obs), action.shape
    streams = zeros(env.single_observation_space, len(mask), mask.shape[1] + 1)
    expected = each(np.shape, streams), (*mask.shape, *(space.shape or ()))
    if given != expected:
        raise ValueError(f"obs and action have shapes {given[0]} and {given[1]}: give {expected[0]} and {expected[1]}")
    obs = rows(obs, 2)
    length = mask.sum(axis=1)[:, None]
    agrees = np.repeat(length, env.problems.num_problems, axis=1)
    resets = mask & _resets(env, action, mask, start)
    number = np.concatenate([np.zeros((len(mask), 1), np.int64), np.cumsum(resets, axis=1)], axis=1)  # of obs slots
    for episode in range(int(number.max(initial=0)) + 1):
        streams = np.flatnonzero(number[:, -1] >= episode)
        first = (number[streams] == episode).argmax(axis=1)
        steps = (mask & ~resets & (number[:, :-1] == episode))[streams].sum(axis=1)
        slot = first[:, None] + np.arange(env.horizon + 1)
        observed = obs[streams[:, None], np.minimum(slot, obs.shape[1] - 1)]
        done = action[streams[:, None], np.minimum(slot[:, :-1], action.shape[1] - 1)]
        inside = np.arange(env.horizon + 1) <= steps[:, None]  # later slots belong to another episode
        observed[~inside], done[~inside[:, 1:]] = 0, 0
        same = _steps_that_agree(env, observed, done, steps)
        until = np.where(same < steps[:, None], first[:, None] + same, length[streams])
        agrees[streams] = np.minimum(agrees[streams], until)
    if not (agrees == length).any(axis=1).all():
        stream = int(np.flatnonzero(~(agrees == length).any(axis=1))[0])
        raise ValueError(
            f"stream {stream} agrees with no problem of {env.family}: it was recorded in another family, or the family "
            "is not deterministic"
        )
    return agrees


def _resets(
    env: MetaEnv, action: NDArray[Any], mask: NDArray[np.bool_], start: NDArray[np.bool_] | None
) -> NDArray[np.bool_]:
    """Where a stream has a reset step, (N, T)."""
    if start is not None:
        return np.append(np.asarray(start)[:, 1:], np.zeros((len(mask), 1), np.bool_), axis=1)
    return ~was_taken(env.single_action_space, action)


def _steps_that_agree(
    env: MetaEnv, obs: NDArray[Any], action: NDArray[Any], steps: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The same for single episodes: obs (N, horizon + 1, D), action (N, horizon, ...), steps (N,); padding is 0."""
    count = len(obs)
    played = np.concatenate([obs.reshape(count, -1), action.reshape(count, -1), steps[:, None]], axis=1)
    _, which, back = np.unique(played, axis=0, return_index=True, return_inverse=True)
    problems, members = env.problems.num_problems, env.num_envs
    agreed = np.zeros(len(which) * problems, np.int64)
    for begin in range(0, len(agreed), members):
        pair = np.minimum(np.arange(begin, begin + members), len(agreed) - 1)  # the last batch is filled up
        episode = which[pair // problems]
        now, _ = env.reset(options={"problem_id": pair % problems, "phase": "explore"})
        same = (rows(now, 1) == obs[episode, 0]).all(axis=1)
        until = np.where(same, 0, -1)
        for step in range(int(steps[episode].max())):
            now, *_, info = env.step(action[episode, step])
            same &= (step < steps[episode]) & info["active"] & (rows(now, 1) == obs[episode, step + 1]).all(axis=1)
            until += same
            if not same.any():
                break
        agreed[pair] = until
    return agreed.reshape(len(which), problems)[back.reshape(-1)]
