"""A trial as one stream: what a whole-trial policy is told at each step, and what it is to learn from it.

The k exploration episodes and the n execution episodes stand one after the other, a reset step between two of them
(`dream.core.trial.chain`). N is the number of trials, T of steps in the longest of them, K of integers.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from dream.core.qlearning import double_q_value, lambda_returns, q_loss, skip_reset_steps, td_error
from dream.core.trial import Episodes, Trials, chain, chain_observations

PHASE = 2
"""Which of the integers of a step tells the phase: 0 exploration, 1 execution."""


@dataclass(frozen=True)
class Layout:
    """What a trial consists of in the eyes of a whole-trial policy.

    Attributes:
        actions: number of actions; also the index of "no action".
        instruction: sizes of the integers of an instruction.
        explore_episodes: k; with 0 a trial is its execution episodes and nothing else.
        rewarded: exploration episodes are ordinary ones, with an instruction and a reward that counts (RL^2). Otherwise
            neither is told, whoever explored, and no reward of theirs counts.
    """

    actions: int
    instruction: tuple[int, ...]
    explore_episodes: int
    rewarded: bool = False

    @property
    def told(self) -> list[int]:
        """Sizes of what is told of the episode: start of it, phase, instruction, each part of which may be missing."""
        return [2, 2, *(size + 1 for size in self.instruction)]

    @property
    def integers(self) -> list[int]:
        """Sizes of the K integers of a step: the previous action, then what is told."""
        return [self.actions + 1, *self.told]

    def inputs(
        self, previous_action: Tensor, previous_reward: Tensor, start: Tensor, instruction: Tensor, *, exploring: bool
    ) -> tuple[Tensor, Tensor]:
        """What is told beside the observation.

        Args:
            previous_action: (...) int64, `actions` where there was none.
            previous_reward: (...) float32.
            start: (...) bool, first step of an episode.
            instruction: (..., I) int64, or with fewer dimensions of size 1 that broadcast.
            exploring: the phase.

        Returns:
            integers (..., K) int64, reward (..., 1) float32.
        """
        if exploring and not self.rewarded:
            previous_reward = torch.zeros_like(previous_reward)
            instruction = torch.cat([torch.full_like(instruction[..., :1], size) for size in self.instruction], -1)
        phase = torch.full_like(previous_action, int(not exploring))
        told = torch.stack([previous_action, start.long(), phase], -1)
        instruction = instruction.expand(*previous_action.shape, -1)
        return torch.cat([told, instruction], -1), previous_reward[..., None]

    def inputs_of(self, episodes: Episodes, *, exploring: bool) -> tuple[Tensor, Tensor]:
        """`inputs` for each observation of N streams: (N, T + 1, K) and (N, T + 1, 1)."""
        nothing = torch.zeros_like(episodes.reward[:, :1])
        return self.inputs(
            episodes.previous_action(none=self.actions),
            torch.cat([nothing, episodes.reward], 1),
            torch.cat([episodes.start, nothing.bool()], 1),
            episodes.instruction[:, None],
            exploring=exploring,
        )


@dataclass(frozen=True)
class TrialStream:
    """N trials as streams.

    Attributes:
        problem_id: (N,) int64.
        episodes: the streams; the instruction is that of the last episode.
        integers: (N, T + 1, K) int64, see `Layout.inputs`.
        reward_before: (N, T + 1, 1) float32, the reward that led to each observation.
        exploring: (N, T) bool, the step belongs to the exploration phase.
        reward: (N, T) float32, the reward that counts.
        terminated: (N, T) bool, the trial's last episode was ended by the environment. The end of any other episode
            is none: the trial goes on, and with it what can be earned.
    """

    problem_id: Tensor
    episodes: Episodes
    integers: Tensor
    reward_before: Tensor
    exploring: Tensor
    reward: Tensor
    terminated: Tensor

    def first(self, count: int) -> TrialStream:
        """The first `count` trials."""
        episodes = self.episodes.map(lambda tensor: tensor[:count])
        others = {item.name: getattr(self, item.name) for item in fields(self) if item.name != "episodes"}
        return TrialStream(episodes=episodes, **{name: value[:count] for name, value in others.items()})


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
        integers, reward = layout.inputs_of(part, exploring=exploring)
        place = torch.full_like(integers[..., :1], number)  # which part an observation belongs to
        if stream is None:
            stream, joined = part, (integers, reward, place)
        else:
            pairs = zip(joined, (integers, reward, place), strict=True)
            a, b, c = (chain_observations(before, after, stream.length) for before, after in pairs)
            stream, joined = chain(stream, part, layout.actions), (a, b, c)
    assert stream is not None
    integers, reward_before, place = joined
    exploring_step = (place[:, :-1, 0] == 0) if layout.explore_episodes else torch.zeros_like(stream.mask)
    counts = torch.ones_like(exploring_step) if layout.rewarded else ~exploring_step
    return TrialStream(
        problem_id=trials.problem_id,
        episodes=stream,
        integers=integers,
        reward_before=reward_before,
        exploring=exploring_step,
        reward=stream.reward * counts,
        terminated=stream.terminated & (place[:, :-1, 0] == len(parts) - 1),
    )


def stream_loss(
    q: Tensor, target_q: Tensor, stream: TrialStream, *, explore_gamma: float, gamma: float, trace: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Double Q(lambda) loss of a policy on whole trials.

    What an exploration is worth is what the execution then earns, so the value of the observation before a reset step
    is that of the one after it. A last episode that only ran out of time bootstraps, as it does for an executor.

    Args:
        q, target_q: (N, T + 1, A) action values of the online and of the target network.
        stream: the trials.
        explore_gamma: discount of a step in the exploration phase.
        gamma: discount of a step in the execution phase; a reset step is not discounted.
        trace: lambda; traces pass reset steps.

    Returns:
        loss (); largest absolute error of each trial (N,) and mean value of the first observation (), both detached.
    """
    episodes = stream.episodes
    reset = episodes.reset_step
    with torch.no_grad():
        value, best = double_q_value(q, target_q)
        value = skip_reset_steps(value, reset, stream.reward)
        taken = episodes.action.clamp(max=q.shape[-1] - 1)
        discount = torch.where(stream.exploring, explore_gamma, gamma).masked_fill(reset, 1.0)
        greedy = (best[:, :-1] == taken) | reset
        returns = lambda_returns(
            stream.reward, stream.terminated, episodes.mask, value, greedy, gamma=discount, trace=trace
        )
    weight = episodes.transition.to(q.dtype)
    error = td_error(q[:, :-1], taken, returns, weight)
    return q_loss(error, weight), error.detach().abs().amax(1), value[:, 0].mean()
