"""The data of meta-RL: `Episodes` (a batch of streams of transitions) and `Trials` (explore, then execute).

Shapes: N streams of at most T transitions each. A stream is stored from slot 0 on, so padding is only ever at its end.
Between two of its k > 1 exploration episodes, a stream holds one *reset step* from the last observation of one episode
to the first of the next. No policy takes it and its reward is 0. It is the step before a `start`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from dream.core.actions import Actions
from dream.spaces import each

Observations = Any
"""A tensor (..., *shape), or a dictionary of them by part, see `dream.spaces`."""


@dataclass(frozen=True)
class Episodes:
    """N streams of transitions.

    Attributes:
        obs: (N, T + 1, ...), slot t is the observation before action t; a dictionary where observations have parts.
        action: (N, T, ...), see `Actions`. On a reset step: `Actions.nothing`.
        reward: (N, T) float32.
        terminated: (N, T) bool, the environment ended the episode with this transition (a time limit does not).
        mask: (N, T) bool, the stream has a step here.
        start: (N, T) bool, first step of an episode.
        instruction: (N, I) int64.
    """

    obs: Observations
    action: Tensor
    reward: Tensor
    terminated: Tensor
    mask: Tensor
    start: Tensor
    instruction: Tensor

    @property
    def length(self) -> Tensor:
        """(N,) int64 steps of each stream, reset steps included."""
        return self.mask.sum(1)

    @property
    def reset_step(self) -> Tensor:
        """(N, T) bool: the steps between two episodes."""
        following = torch.zeros_like(self.start)
        following[:, :-1] = self.start[:, 1:]
        return following & self.mask

    @property
    def transition(self) -> Tensor:
        """(N, T) bool: the real environment transitions."""
        return self.mask & ~self.reset_step

    @property
    def observed(self) -> Tensor:
        """(N, T + 1) bool: which observations, and so which prefixes, exist (the empty prefix always does)."""
        return torch.cat([torch.ones_like(self.mask[:, :1]), self.mask], dim=1)

    @property
    def next_obs(self) -> Observations:
        """(N, T, ...): the observation after each action."""
        return each(lambda obs: obs[:, 1:], self.obs)

    def map(self, function: Callable[[Tensor], Tensor]) -> Episodes:
        """A copy with `function` applied to every tensor."""
        return Episodes(**{item.name: each(function, getattr(self, item.name)) for item in fields(self)})

    def select(self, rows: Tensor) -> Episodes:
        """The streams of the given rows, (M,) int64."""
        return self.map(lambda tensor: tensor.index_select(0, rows))

    def previous_action(self, actions: Actions) -> Tensor:
        """(N, T + 1, ...): the action that led to each observation, `actions.nothing` where there was none."""
        return torch.cat([actions.nothing(len(self.action), 1, device=self.action.device), self.action], dim=1)

    def trimmed(self) -> Episodes:
        """The streams without the slots after the end of the longest one (at least one slot is kept)."""
        steps = max(1, int(self.mask.any(0).sum()))
        return Episodes(
            obs=each(lambda obs: obs[:, : steps + 1], self.obs),
            action=self.action[:, :steps],
            reward=self.reward[:, :steps],
            terminated=self.terminated[:, :steps],
            mask=self.mask[:, :steps],
            start=self.start[:, :steps],
            instruction=self.instruction,
        )


def concatenate(first: Episodes, second: Episodes) -> Episodes:
    """The streams of both; the shorter ones are padded."""

    def join(a: Tensor, b: Tensor) -> Tensor:
        width = max(a.shape[1], b.shape[1])
        return torch.cat([_padded(a, width), _padded(b, width)])

    names = [item.name for item in fields(Episodes) if item.name != "instruction"]
    joined = {name: each(join, getattr(first, name), getattr(second, name)) for name in names}
    return Episodes(**joined, instruction=torch.cat([first.instruction, second.instruction]))


def chain(first: Episodes, second: Episodes, actions: Actions) -> Episodes:
    """The streams of `first`, each followed by a reset step and by its stream of `second`: (N, T1 + 1 + T2) steps.

    Args:
        first, second: N streams each.
        actions: of the environment.

    Returns:
        `Episodes` with the instruction of `second`.
    """
    length = first.length[:, None]
    slots = first.mask.shape[1] + 1 + second.mask.shape[1]
    slot = torch.arange(slots, device=length.device)
    reset, after = slot == length, slot > length + second.mask.shape[1]

    def join(name: str, at_reset: bool | float) -> Tensor:
        joined = _chained(getattr(first, name), getattr(second, name), first.length, slots)
        return joined.masked_fill(after, 0).masked_fill(reset, at_reset)

    action = _chained(first.action, second.action, first.length, slots)
    wide = (..., *[None] * (action.ndim - 2))
    none = actions.nothing(1, 1, device=action.device)

    return Episodes(
        obs=chain_observations(first.obs, second.obs, first.length),
        action=torch.where(reset[wide], none, action.masked_fill(after[wide], 0)),
        reward=join("reward", 0.0),
        terminated=join("terminated", False),
        mask=join("mask", True),
        start=join("start", False),
        instruction=second.instruction,
    )


def chain_observations(first: Observations, second: Observations, length: Tensor) -> Any:
    """`chain` for observations, or for anything else with one entry per observation.

    Args:
        first: (N, T1 + 1, ...).
        second: (N, T2 + 1, ...).
        length: (N,) steps of each stream of the first.

    Returns:
        (N, T1 + T2 + 2, ...); entries after the end of a stream are meaningless.
    """

    def join(a: Tensor, b: Tensor) -> Tensor:
        return _chained(a, b, length, a.shape[1] + b.shape[1], shift=1)

    return each(join, first, second)


def _chained(first: Tensor, second: Tensor, length: Tensor, slots: int, shift: int = 0) -> Tensor:
    """Slots 0 .. length - 1 + shift of the first, then (after a slot of its own unless shifted) those of the second."""
    slot = torch.arange(slots, device=length.device)
    begin = length[:, None] + 1
    index = torch.where(slot < length[:, None] + shift, slot, slot - begin + first.shape[1])
    both = torch.cat([first, second], 1)
    index = index.clamp(0, both.shape[1] - 1)
    rows = torch.arange(len(first), device=length.device)[:, None] * both.shape[1]
    return both.flatten(0, 1).index_select(0, (rows + index).flatten()).view(len(first), slots, *first.shape[2:])


def _padded(tensor: Tensor, width: int) -> Tensor:
    missing = width - tensor.shape[1]
    return torch.cat([tensor, tensor.new_zeros(len(tensor), missing, *tensor.shape[2:])], 1) if missing else tensor


@dataclass(frozen=True)
class Fresh:
    """What is known of trials only while they are fresh: needed to learn on-policy.

    Attributes:
        explored: the exploration policy acted, not random actions.
        z: (B, Z) what the executor acted on; None of an end-to-end policy.
    """

    explored: bool
    z: Tensor | None = None


@dataclass(frozen=True)
class Hindsight:
    """What N execution episodes would have been right for (arXiv 1707.01495), see `dream.envs.hindsight`.

    Attributes:
        valid: (N,) bool, there is such a problem and instruction.
        problem_id: (N,) int64.
        instruction: (N, I) int64.
        reward: (N,) float32, of the last step.
        terminated: (N,) bool, the last step would have ended the episode.
    """

    valid: Tensor
    problem_id: Tensor
    instruction: Tensor
    reward: Tensor
    terminated: Tensor

    def relabel(self, execute: Episodes, chosen: Tensor) -> Episodes:
        """The N episodes, those of `chosen` (N,) bool with the instruction that they were right for."""
        steps = torch.arange(execute.mask.shape[1], device=chosen.device)
        last = chosen[:, None] & (steps == execute.length[:, None] - 1)
        return replace(
            execute,
            instruction=torch.where(chosen[:, None], self.instruction, execute.instruction),
            reward=torch.where(last, self.reward[:, None], execute.reward),
            terminated=torch.where(last, self.terminated[:, None], execute.terminated),
        )


@dataclass(frozen=True)
class Trials:
    """B trials: k exploration episodes, then n execution episodes, all in one problem.

    Attributes:
        problem_id: (B,) int64.
        explore: B streams, each holding the k exploration episodes one after the other.
        execute: B * n streams of one episode each; stream b * n + j is the j-th execution episode of trial b.
        decoded_steps: (B,) int64, how many exploration steps the execution acted on: an executor's z was g of these. In
            training it may be a part of the exploration. -1 where the policy acted on the problem id, z = f(problem).
        fresh: of trials that were just collected; None of replayed ones.
        hindsight: of the B * n executions; None where the family does not tell.
        noise: (B, Z) standard normal, which chose a z from the posterior of a method that executes on such samples.
    """

    problem_id: Tensor
    explore: Episodes
    execute: Episodes
    decoded_steps: Tensor
    fresh: Fresh | None = None
    noise: Tensor | None = None
    hindsight: Hindsight | None = None

    @property
    def used_id(self) -> Tensor:
        """(B,) bool: the policy acted on the problem id, an executor on f(problem) instead of g(exploration)."""
        return self.decoded_steps < 0

    @property
    def used_all(self) -> Tensor:
        """(B,) bool: the policy acted on the whole exploration."""
        return self.decoded_steps == self.explore.length

    @property
    def execute_episodes(self) -> int:
        """n, execution episodes of a trial."""
        return self.execute.mask.shape[0] // self.problem_id.shape[0]

    def environment_steps(self) -> int:
        """Environment steps of these trials, exploration included."""
        return int(self.explore.transition.sum()) + int(self.execute.transition.sum())


def all_steps(explore: Episodes, used_id: Tensor) -> Tensor:
    """`Trials.decoded_steps` of executions on whole explorations, or on the problem id where `used_id` (B,): (B,)."""
    return torch.where(used_id, -1, explore.length)


def concatenate_trials(first: Trials, second: Trials) -> Trials:
    """The trials of both."""
    return Trials(
        torch.cat([first.problem_id, second.problem_id]),
        concatenate(first.explore, second.explore),
        concatenate(first.execute, second.execute),
        torch.cat([first.decoded_steps, second.decoded_steps]),
        noise=None if first.noise is None or second.noise is None else torch.cat([first.noise, second.noise]),
    )
