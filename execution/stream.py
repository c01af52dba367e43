"""A trial as one stream: what an end-to-end policy observes at each step, and what it learns from it.

The k exploration episodes and the n execution episodes follow each other, a reset step between two of them
(`dream.core.trial.chain`). N is the number of trials, T the number of steps of the longest, K the number of integers.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import NamedTuple

import torch
from torch import Tensor

from dream.core.qlearning import double_q_value, lambda_returns, q_loss, skip_reset_steps, td_error
from dream.core.trial import Episodes, Trials, chain, chain_observations


class StepInputs(NamedTuple):
    """What an end-to-end policy is given at each step beside the observation.

    Attributes:
        previous_action: (...) int64, the number of actions where there was none.
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
        """(..., K) int64: the previous action, then `episode`. Their sizes are `Layout.integers`."""
        return torch.cat([self.previous_action[..., None], self.episode], -1)

    @property
    def numbers(self) -> Tensor:
        """(..., 1) float32: the previous reward."""
        return self.previous_reward[..., None]

    def first(self, count: int) -> StepInputs:
        """The first `count` rows."""
        return StepInputs(*(part[:count] for part in self))

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
        actions: number of actions; also the index of "no action".
        instruction: number of values of each part of an instruction.
        explore_episodes: k; with 0 a trial consists of its execution episodes only.
        rewarded: exploration episodes are ordinary ones, with an instruction and a reward that counts (RL^2). Otherwise
            the policy is given neither, whatever explored, and their reward does not count.
    """

    actions: int
    instruction: tuple[int, ...]
    explore_episodes: int
    rewarded: bool = False

    @property
    def episode(self) -> list[int]:
        """Sizes of `StepInputs.episode`: start, phase, instruction (each part may be missing)."""
        return [2, 2, *(size + 1 for size in self.instruction)]

    @property
    def integers(self) -> list[int]:
        """Sizes of `StepInputs.integers`: the previous action, which may be missing, then `episode`."""
        return [self.actions + 1, *self.episode]

    def inputs(
        self, previous_action: Tensor, previous_reward: Tensor, start: Tensor, instruction: Tensor, *, exploring: bool
    ) -> StepInputs:
        """The inputs beside the observation.

        Args:
            previous_action: (...) int64, `actions` where there was none.
            previous_reward: (...) float32.
            start: (...) bool, first step of an episode.
            instruction: (..., I) int64; leading dimensions may be missing or of size 1, they broadcast.
            exploring: the phase.
        """
        if exploring and not self.rewarded:
            previous_reward = torch.zeros_like(previous_reward)
            instruction = torch.cat([torch.full_like(instruction[..., :1], size) for size in self.instruction], -1)
        executing = torch.full_like(start, not exploring)
        return StepInputs(
            previous_action, start, executing, instruction.expand(*previous_action.shape, -1), previous_reward
        )

    def inputs_of(self, episodes: Episodes, *, exploring: bool) -> StepInputs:
        """`inputs` for each observation of N streams, (N, T + 1, ...)."""
        zero = torch.zeros_like(episodes.reward[:, :1])
        return self.inputs(
            episodes.previous_action(none=self.actions),
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

    def first(self, count: int) -> TrialStream:
        """The first `count` trials."""
        parts = {item.name: getattr(self, item.name) for item in fields(self)}
        return TrialStream(
            episodes=parts.pop("episodes").map(lambda tensor: tensor[:count]),
            inputs=parts.pop("inputs").first(count),
            **{name: value[:count] for name, value in parts.items()},
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
        part_number = torch.full_like(part_inputs.previous_action, number)  # of each observation
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


def stream_loss(
    q: Tensor, target_q: Tensor, stream: TrialStream, *, explore_gamma: float, gamma: float, lambda_: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Double Q(lambda) loss of a policy on whole trials.

    The value of an exploration is the return of the execution after it, so the value before a reset step is that of the
    observation after it. A last episode that only ran out of time bootstraps, as for an executor.

    Args:
        q, target_q: (N, T + 1, A) action values of the online and of the target network.
        stream: the trials.
        explore_gamma: discount of a step in the exploration phase.
        gamma: discount of a step in the execution phase; a reset step is not discounted.
        lambda_: of Q(lambda); traces pass reset steps.

    Returns:
        loss (); largest absolute error of each trial (N,) and mean value of the first observation (), both detached.
    """
    episodes = stream.episodes
    reset = episodes.reset_step
    with torch.no_grad():
        # Double Q: values of the target network at the online network's best actions
        value, best = double_q_value(q, target_q)
        value = skip_reset_steps(value, reset, stream.reward)
        # Q(lambda) targets; traces are cut at actions that are not greedy
        taken = episodes.action.clamp(max=q.shape[-1] - 1)
        discount = torch.where(stream.exploring, explore_gamma, gamma).masked_fill(reset, 1.0)
        greedy = (best[:, :-1] == taken) | reset
        returns = lambda_returns(
            stream.reward, stream.terminated, episodes.mask, value, greedy, gamma=discount, lambda_=lambda_
        )
    # Squared TD errors of the real transitions; the largest of a trial is its priority
    weight = episodes.transition.to(q.dtype)
    error = td_error(q[:, :-1], taken, returns, weight)
    return q_loss(error, weight), error.detach().abs().amax(1), value[:, 0].mean()
