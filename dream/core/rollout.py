"""Runs B problems side by side: one forward pass a step, finished members wait."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from dream.core.trial import Episodes

Memory = Any
"""What a policy carries from step to step: None, a tensor (B, ...) or a tuple of such tensors."""


class Now(NamedTuple):
    """What B members know at one step.

    Attributes:
        obs: (B, ...).
        previous_action: (B,) int64, the number of actions where there was none.
        previous_reward: (B,) float32, 0 where there was none.
        start: (B,) bool, first step of an episode.
        active: (B,) bool, the member still plays; what a policy says for the others is ignored. On a reset step: all.
    """

    obs: Tensor
    previous_action: Tensor
    previous_reward: Tensor
    start: Tensor
    active: Tensor


class Policy(Protocol):
    """Acts for B members at once."""

    def __call__(self, now: Now, memory: Memory) -> tuple[Tensor, Memory]:
        """What is known and the memory -> actions (B,) int64, new memory."""
        ...


def rollout(
    env: Any,
    policy: Policy,
    problem_id: np.ndarray,
    *,
    phase: str,
    episodes: int = 1,
    instruction: np.ndarray | None = None,
    memory: Memory = None,
    device: torch.device | str = "cpu",
) -> Episodes:
    """Run `episodes` episodes in each of B problems with one policy whose memory lasts over all of them.

    Args:
        env: a `MetaEnv` of B members (envs/base.py).
        policy: see `Policy`.
        problem_id: (B,) ints.
        phase: "explore" or "execute".
        instruction: (B, I) ints, or None to have the environment draw them.
        memory: what the policy remembers from before.

    Returns:
        `Episodes` with N = B and T = episodes * (horizon + 1) - 1, on `device`.
    """
    members, slots = env.num_envs, episodes * (env.horizon + 1) - 1
    none = int(env.single_action_space.n)
    shape, dtype = env.single_observation_space.shape, env.single_observation_space.dtype
    obs_all = np.zeros((members, slots + 1, *shape), dtype)
    action_all = np.zeros((members, slots), np.int64)
    reward_all = np.zeros((members, slots), np.float32)
    terminated_all = np.zeros((members, slots), bool)
    mask, start = np.zeros((members, slots), bool), np.zeros((members, slots), bool)
    at = np.zeros(members, np.int64)  # slot that each stream writes next
    everyone = np.arange(members)
    previous = torch.full((members,), none, dtype=torch.int64, device=device)
    paid = np.zeros(members, np.float32)  # the reward that each stream got last
    given = instruction

    def act(obs: np.ndarray, first: np.ndarray, active: np.ndarray) -> tuple[Tensor, Memory]:
        arrays = (torch.from_numpy(array).to(device) for array in (paid, first, active))
        return policy(Now(torch.from_numpy(obs).to(device), previous, *arrays), memory)

    for episode in range(episodes):
        options = {"problem_id": problem_id, "phase": phase, "instruction": given}
        obs, info = env.reset(options=options)
        given = info["instruction"]
        obs_all[everyone, at] = obs
        start[everyone, at] = True
        active, first = np.ones(members, bool), np.ones(members, bool)
        while active.any():
            action, new_memory = act(obs, first, active)
            first = np.zeros(members, bool)
            rows = everyone if active.all() else np.flatnonzero(active)
            memory = _merge(memory, new_memory, active, episodes)
            previous = action if len(rows) == members else torch.where(_as(active, action), action, previous)
            taken = action.cpu().numpy()
            obs, reward, terminated, truncated, _ = env.step(taken)
            paid = np.where(active, reward, paid)
            slot = at[rows]
            action_all[rows, slot] = taken[rows]
            reward_all[rows, slot] = reward[rows]
            terminated_all[rows, slot] = terminated[rows]
            mask[rows, slot] = True
            at[rows] += 1
            obs_all[rows, at[rows]] = obs[rows]
            active = active & ~(terminated | truncated)
        if episode + 1 < episodes:  # the reset step: the memory sees the last observation, nobody acts
            _, memory = act(obs, np.zeros(members, bool), np.ones(members, bool))
            action_all[everyone, at], mask[everyone, at] = none, True
            previous, paid = torch.full_like(previous, none), np.zeros(members, np.float32)
            at += 1
    return Episodes(
        obs=torch.from_numpy(obs_all).to(device),
        action=torch.from_numpy(action_all).to(device),
        reward=torch.from_numpy(reward_all).to(device),
        terminated=torch.from_numpy(terminated_all).to(device),
        mask=torch.from_numpy(mask).to(device),
        start=torch.from_numpy(start).to(device),
        instruction=torch.from_numpy(np.asarray(given, np.int64)).to(device),
    )


def no_steps(env: Any, problem_id: np.ndarray, *, phase: str, device: torch.device | str = "cpu") -> Episodes:
    """`Episodes` in which nobody did anything: only the first observation was seen."""
    obs, info = env.reset(options={"problem_id": problem_id, "phase": phase})
    members = env.num_envs

    def empty(dtype: torch.dtype) -> Tensor:
        return torch.zeros((members, env.horizon), dtype=dtype, device=device)

    obs_all = np.zeros((members, env.horizon + 1, *obs.shape[1:]), obs.dtype)
    obs_all[:, 0] = obs
    return Episodes(
        obs=torch.from_numpy(obs_all).to(device),
        action=empty(torch.int64),
        reward=empty(torch.float32),
        terminated=empty(torch.bool),
        mask=empty(torch.bool),
        start=empty(torch.bool),
        instruction=torch.from_numpy(np.asarray(info["instruction"], np.int64)).to(device),
    )


def _as(active: np.ndarray, like: Tensor) -> Tensor:
    return torch.from_numpy(active).to(like.device)


def _merge(old: Memory, new: Memory, active: np.ndarray, episodes: int) -> Memory:
    """The new memory, except for members that already wait for the next episode: theirs must not move.

    With a single episode nobody reads a finished member's memory again, so nothing needs merging.
    """
    if episodes == 1 or old is None or active.all():
        return new

    def pick(before: Tensor, after: Tensor) -> Tensor:
        return torch.where(_as(active, after).view(-1, *[1] * (after.ndim - 1)), after, before)

    if isinstance(new, tuple):
        return tuple(pick(before, after) for before, after in zip(old, new, strict=True))
    return pick(old, new)


__all__ = ["Memory", "Now", "Policy", "no_steps", "rollout"]
