"""Run B problems side by side: one forward pass a step; finished members wait for the others."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from dream.core.actions import Actions
from dream.core.environment import Environment
from dream.core.trial import Episodes, Observations
from dream.spaces import each, zeros

PolicyState = Any
"""What a policy carries from step to step: None, a tensor (B, ...) or a tuple of such tensors."""


class Now(NamedTuple):
    """What B members observe at one step.

    Attributes:
        obs: (B, ...), a dictionary where observations have parts.
        previous_action: (B, ...), `Actions.nothing` where there was none.
        previous_reward: (B,) float32, 0 where there was none.
        start: (B,) bool, first step of an episode.
        active: (B,) bool, the member still plays; the actions of the others are ignored. On a reset step: all True.
    """

    obs: Observations
    previous_action: Tensor
    previous_reward: Tensor
    start: Tensor
    active: Tensor


class Policy(Protocol):
    """Acts for B members at once."""

    def __call__(self, now: Now, state: PolicyState) -> tuple[Tensor, PolicyState]:
        """Observation and state -> actions (B, ...) as stored, new state."""
        ...


def rollout(
    env: Environment,
    policy: Policy,
    problem_id: np.ndarray,
    *,
    phase: str,
    episodes: int = 1,
    instruction: np.ndarray | None = None,
    state: PolicyState = None,
    device: torch.device | str = "cpu",
) -> Episodes:
    """Run `episodes` episodes in each of B problems; the policy's state carries over from episode to episode.

    Args:
        env: of B members.
        policy: see `Policy`.
        problem_id: (B,) ints.
        phase: "explore" or "execute".
        episodes: of each member.
        instruction: (B, I) ints, or None: the environment draws them.
        state: of the policy before the first step; None at the beginning of a trial.
        device: of what is returned and of what the policy observes.

    Returns:
        `Episodes` with N = B and T = episodes * (horizon + 1) - 1.
    """
    members, slots = env.num_envs, episodes * (env.horizon + 1) - 1
    actions = Actions(env.single_action_space)
    none = actions.nothing(members, device=device)
    obs_all = zeros(env.single_observation_space, members, slots + 1)
    action_all = actions.empty(members, slots)
    reward_all = np.zeros((members, slots), np.float32)
    terminated_all = np.zeros((members, slots), bool)
    mask, start = np.zeros((members, slots), bool), np.zeros((members, slots), bool)
    at = np.zeros(members, np.int64)  # the slot that each stream fills next
    everyone = np.arange(members)
    previous = none
    last_reward = np.zeros(members, np.float32)
    given = instruction

    def on_device(array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(device)

    def act(obs: Any, first: np.ndarray, active: np.ndarray) -> tuple[Tensor, PolicyState]:
        arrays = (on_device(array) for array in (last_reward, first, active))
        return policy(Now(each(on_device, obs), previous, *arrays), state)

    def store(obs: Any, rows: np.ndarray) -> None:
        def put(stored: np.ndarray, array: np.ndarray) -> None:
            stored[rows, at[rows]] = array[rows]

        each(put, obs_all, obs)

    for episode in range(episodes):
        options = {"problem_id": problem_id, "phase": phase, "instruction": given}
        obs, info = env.reset(options=options)
        given = info["instruction"]
        store(obs, everyone)
        start[everyone, at] = True
        active, first = np.ones(members, bool), np.ones(members, bool)
        while active.any():
            action, new_state = act(obs, first, active)
            first = np.zeros(members, bool)
            rows = everyone if active.all() else np.flatnonzero(active)
            # With a single episode a finished member's state is never read again.
            waits = episodes > 1 and not active.all()
            state = merge_states(state, new_state, _on(action, active)) if waits else new_state
            if len(rows) == members:
                previous = action
            else:
                previous = torch.where(_on(action, active).view(-1, *[1] * (action.ndim - 1)), action, previous)
            taken = action.cpu().numpy()
            obs, reward, terminated, truncated, _ = env.step(actions.for_environment(action))
            last_reward = np.where(active, reward, last_reward)
            slot = at[rows]
            action_all[rows, slot] = taken[rows]
            reward_all[rows, slot] = reward[rows]
            terminated_all[rows, slot] = terminated[rows]
            mask[rows, slot] = True
            at[rows] += 1
            store(obs, rows)
            active = active & ~(terminated | truncated)
        if episode + 1 < episodes:  # the reset step: the policy observes the last observation, its action is ignored
            _, state = act(obs, np.zeros(members, bool), np.ones(members, bool))
            action_all[everyone, at], mask[everyone, at] = actions.nothing().numpy(), True
            previous, last_reward = none, np.zeros(members, np.float32)
            at += 1
    return Episodes(
        obs=each(on_device, obs_all),
        action=torch.from_numpy(action_all).to(device),
        reward=torch.from_numpy(reward_all).to(device),
        terminated=torch.from_numpy(terminated_all).to(device),
        mask=torch.from_numpy(mask).to(device),
        start=torch.from_numpy(start).to(device),
        instruction=torch.from_numpy(np.asarray(given, np.int64)).to(device),
    )


def no_steps(env: Environment, problem_id: np.ndarray, *, phase: str, device: torch.device | str = "cpu") -> Episodes:
    """`Episodes` with zero steps: only the first observation. Shapes are those of `rollout` with one episode."""
    obs, info = env.reset(options={"problem_id": problem_id, "phase": phase})
    members = env.num_envs

    def empty(dtype: torch.dtype) -> Tensor:
        return torch.zeros((members, env.horizon), dtype=dtype, device=device)

    def first_of(array: np.ndarray) -> Tensor:
        stream = np.zeros((members, env.horizon + 1, *array.shape[1:]), array.dtype)
        stream[:, 0] = array
        return torch.from_numpy(stream).to(device)

    return Episodes(
        obs=each(first_of, obs),
        action=torch.from_numpy(Actions(env.single_action_space).empty(members, env.horizon)).to(device),
        reward=empty(torch.float32),
        terminated=empty(torch.bool),
        mask=empty(torch.bool),
        start=empty(torch.bool),
        instruction=torch.from_numpy(np.asarray(info["instruction"], np.int64)).to(device),
    )


def merge_states(old: PolicyState, new: PolicyState, active: Tensor) -> PolicyState:
    """The new state of the active members, the old state of those that wait: tensors (B, ...), active (B,) bool.

    Without an old state there is nothing to keep, and all members get the new one.
    """
    if old is None or new is None:
        return new

    def pick(before: Tensor, after: Tensor) -> Tensor:
        return torch.where(active.view(-1, *[1] * (after.ndim - 1)), after, before)

    if isinstance(new, tuple):
        return tuple(pick(before, after) for before, after in zip(old, new, strict=True))
    return pick(old, new)


def _on(like: Tensor, active: np.ndarray) -> Tensor:
    return torch.from_numpy(active).to(like.device)


__all__ = ["Now", "Policy", "PolicyState", "merge_states", "no_steps", "rollout"]
