"""A trial as one stream: what an end-to-end policy observes at each step, and what it learns from it.

The k exploration episodes and the n execution episodes follow each other, a reset step between two of them
(`dream.core.trial.chain`). N is the number of trials, T the number of steps of the longest, K the number of integers.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import NamedTuple

import torch
from torch import Tensor

from dream.core.actions import Actions
from dream.core.decisions import Decisions
from dream.core.trial import Episodes, Trials, chain, chain_observations


class StepInputs(NamedTuple):
    """What an end-to-end policy is given at each step beside the observation.

    Attributes:
        previous_action: (...) + shape of an action, `Actions.nothing` where there was none.
        start: (...) bool, first step of an episode.
        executing: (...) bool, the phase: execution, not exploration.
        instruction: (..., I) int64; a part that is not given has the value after its last one.
        previous_reward: (...) float32, 0 where there was none.
    """

    previous_action: Tensor
    start: Tensor
    executing: Tensor
    instruction: Tensor
    previous_reward: Tensor

    @property
    def episode(self) -> Tensor:
        """(..., 2 + I) int64, what describes the episode: start, phase (0 exploration, 1 execution), instruction."""
        return torch.cat([torch.stack([self.start, self.executing], -1).long(), self.instruction], -1)

    @property
    def integers(self) -> Tensor:
        """(..., K) int64: the integers of the previous action, then `episode`. Their sizes are `Layout.integers`."""
        if self.previous_action.is_floating_point():
            return self.episode
        previous = self.previous_action
        return torch.cat([previous[..., None] if previous.ndim == self.start.ndim else previous, self.episode], -1)

    @property
    def numbers(self) -> Tensor:
        """(..., F) float32: the previous reward, then the numbers of the previous action. F is `Layout.numbers`."""
        reward = self.previous_reward[..., None]
        return torch.cat([reward, self.previous_action], -1) if self.previous_action.is_floating_point() else reward

    def select(self, rows: Tensor | slice) -> StepInputs:
        """These rows, (M,) int64 or a slice."""
        return StepInputs(*(part[rows] for part in self))

    def at(self, step: int) -> StepInputs:
        """The inputs at one step, (N, ...), of those (N, T + 1, ...) of streams."""
        return StepInputs(*(part[:, step] for part in self))

    def before(self) -> StepInputs:
        """The inputs before each of T transitions, of those (N, T + 1) at all observations."""
        return StepInputs(*(part[:, :-1] for part in self))


@dataclass(frozen=True)
class Layout:
    """What a trial consists of for an end-to-end policy.

    Attributes:
        actions: of the environment.
        instruction: number of values of each part of an instruction.
        explore_episodes: k; with 0 a trial consists of its execution episodes only.
        rewarded: exploration episodes are ordinary ones, with an instruction and a reward that counts (RL^2). Otherwise
            the policy is given neither, whatever explored, and their reward does not count.
        initial: (A,) initial probabilities of Discrete actions for `ppo`.
    """

    actions: Actions
    instruction: tuple[int, ...]
    explore_episodes: int
    rewarded: bool = False
    initial: Tensor | None = None

    @property
    def episode(self) -> list[int]:
        """Sizes of `StepInputs.episode`: start, phase, instruction (each part may be missing)."""
        return [2, 2, *(size + 1 for size in self.instruction)]

    @property
    def integers(self) -> list[int]:
        """Sizes of `StepInputs.integers`: the previous action, which may be missing, then `episode`."""
        return [*self.actions.integer_sizes, *self.episode]

    @property
    def numbers(self) -> int:
        """Size of `StepInputs.numbers`: the previous reward, and the previous action of a Box."""
        return 1 + self.actions.numbers

    def inputs(
        self, previous_action: Tensor, previous_reward: Tensor, start: Tensor, instruction: Tensor, *, exploring: bool
    ) -> StepInputs:
        """The inputs beside the observation.

        Args:
            previous_action: (...) + shape of an action, `Actions.nothing` where there was none.
            previous_reward: (...) float32.
            start: (...) bool, first step of an episode.
            instruction: (..., I) int64; leading dimensions may be missing or of size 1, they broadcast.
            exploring: the phase.
        """
        if exploring and not self.rewarded:
            previous_reward = torch.zeros_like(previous_reward)
            instruction = torch.cat([torch.full_like(instruction[..., :1], size) for size in self.instruction], -1)
        executing = torch.full_like(start, not exploring)
        return StepInputs(previous_action, start, executing, instruction.expand(*start.shape, -1), previous_reward)

    def inputs_of(self, episodes: Episodes, *, exploring: bool) -> StepInputs:
        """`inputs` for each observation of N streams, (N, T + 1, ...)."""
        zero = torch.zeros_like(episodes.reward[:, :1])
        return self.inputs(
            episodes.previous_action(self.actions),
            torch.cat([zero, episodes.reward], 1),
            torch.cat([episodes.start, zero.bool()], 1),
            episodes.instruction[:, None],
            exploring=exploring,
        )


@dataclass(frozen=True)
class TrialStream:
    """N trials as streams.

    Attributes:
        problem_id: (N,) int64.
        episodes: the streams; their instruction is that of the last episode.
        inputs: (N, T + 1, ...), see `Layout.inputs`.
        exploring: (N, T) bool, the step belongs to the exploration phase.
        reward: (N, T) float32, the reward that counts.
        terminated: (N, T) bool, the environment ended the last episode of the trial. The end of any other episode is no
            termination: the trial continues, and so does its return.
    """

    problem_id: Tensor
    episodes: Episodes
    inputs: StepInputs
    exploring: Tensor
    reward: Tensor
    terminated: Tensor

    def select(self, rows: Tensor | slice) -> TrialStream:
        """The trials of these rows, (M,) int64 or a slice."""
        parts = {item.name: getattr(self, item.name) for item in fields(self)}
        return TrialStream(
            episodes=parts.pop("episodes").map(lambda tensor: tensor[rows]),
            inputs=parts.pop("inputs").select(rows),
            **{name: value[rows] for name, value in parts.items()},
        )


def trial_stream(trials: Trials, layout: Layout) -> TrialStream:
    """Chain the episodes of each of N trials to one stream of T = T_explore + 1 + n T_execute + (n - 1) steps.

    Without an exploration phase (`Layout.explore_episodes` = 0) the stream begins with the first execution episode.
    """
    n, count = trials.execute_episodes, len(trials.problem_id)
    rows = torch.arange(count, device=trials.problem_id.device) * n
    parts = [(trials.execute.select(rows + j), False) for j in range(n)]
    if layout.explore_episodes:
        parts.insert(0, (trials.explore, True))
    stream: Episodes | None = None
    for number, (part, exploring) in enumerate(parts):
        part_inputs = layout.inputs_of(part, exploring=exploring)
        part_number = torch.full_like(part_inputs.start, number, dtype=torch.int64)  # of each observation
        if stream is None:
            stream, inputs, numbers = part, part_inputs, part_number
        else:
            pairs = zip(inputs, part_inputs, strict=True)
            inputs = StepInputs(*(chain_observations(before, after, stream.length) for before, after in pairs))
            numbers = chain_observations(numbers, part_number, stream.length)
            stream = chain(stream, part, layout.actions)
    assert stream is not None
    step_part = numbers[:, :-1]
    exploring_step = (step_part == 0) if layout.explore_episodes else torch.zeros_like(stream.mask)
    counts = torch.ones_like(exploring_step) if layout.rewarded else ~exploring_step
    return TrialStream(
        problem_id=trials.problem_id,
        episodes=stream,
        inputs=inputs,
        exploring=exploring_step,
        reward=stream.reward * counts,
        terminated=stream.terminated & (step_part == len(parts) - 1),
    )


def stream_decisions(stream: TrialStream, *, explore_gamma: float, gamma: float) -> Decisions:
    """What a policy learns from whole trials.

    The value of an exploration is the return of the execution after it, so the value before a reset step is that of the
    observation after it. A last episode that only ran out of time bootstraps, as for an executor.

    Args:
        stream: N trials.
        explore_gamma: discount of a step in the exploration phase.
        gamma: discount of a step in the execution phase; a reset step is not discounted.
    """
    episodes = stream.episodes
    reset = episodes.reset_step
    return Decisions(
        action=episodes.action,
        reward=stream.reward,
        terminated=stream.terminated,
        mask=episodes.mask,
        reset_step=reset,
        discount=torch.where(stream.exploring, explore_gamma, gamma).masked_fill(reset, 1.0),
        weight=episodes.transition.to(stream.reward.dtype),
    )
