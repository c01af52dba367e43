"""What the networks of an end-to-end policy are, and the parts that they share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, NamedTuple, Self

import gymnasium as gym
import torch
from torch import Tensor, nn

from dream.config import TrainConfig
from dream.core.frames import frame_encoder
from dream.core.memories import MemoryKind, make_memory
from dream.core.networks import DuelingHead, StepEncoder
from dream.core.rollout import PolicyState
from dream.execution.stream import Layout, StepInputs, TrialStream


class Learned(NamedTuple):
    """What `EndToEndNetworks.loss` returns.

    Attributes:
        loss: ().
        surprise: (N,) largest absolute TD error of each trial, detached.
        metrics: by name, () each, detached.
    """

    loss: Tensor
    surprise: Tensor
    metrics: dict[str, Tensor]


class EndToEndNetworks(nn.Module, ABC):
    """A memory of the trial, whose output is the context of the policy, and the policy.

    (...) are any leading dimensions, D is the size of frame features, C that of the context.
    """

    takes_problem_id = False
    """Whether the policy can also act on the problem id in place of the memory (in training), see `problem_context`."""

    def groups(self) -> list[list[nn.Parameter]]:
        """Parameters whose gradients are clipped together."""
        return [list(self.parameters())]

    @abstractmethod
    def encode_frames(self, obs: Tensor, observed: Tensor) -> Tensor:
        """Observations (..., O), which of them are no padding (...) -> frame features (..., D)."""

    @abstractmethod
    def remember(self, frame_features: Tensor, inputs: StepInputs, state: PolicyState) -> tuple[Tensor, PolicyState]:
        """One step of B members: (B, D), inputs (B, ...), state -> context (B, C), new state."""

    @abstractmethod
    def contexts(self, frame_features: Tensor, inputs: StepInputs) -> Tensor:
        """The context after every prefix of whole trials: (N, T + 1, D), inputs (N, T + 1, ...) -> (N, T + 1, C)."""

    def problem_context(self, factors: Tensor) -> Tensor:
        """The context that the problem itself gives: factors (N, F) -> (N, C). Only if `takes_problem_id`."""
        raise NotImplementedError(f"{type(self).__name__} has no policy that acts on the problem id")

    @abstractmethod
    def act(self, frame_features: Tensor, inputs: StepInputs, context: Tensor) -> Tensor:
        """(..., D), inputs (...), context (..., C) -> action values (..., A)."""

    @abstractmethod
    def loss(
        self,
        average: Self,
        stream: TrialStream,
        factors: Tensor,
        config: TrainConfig,
        generator: torch.Generator,
        informed: int = 0,
    ) -> Learned:
        """The loss on N trials. Each frame is encoded once, by the online network, for both networks.

        Args:
            average: the averaged networks, which give the targets.
            stream: N trials.
            factors: (N, F) of their problems.
            config: of the run.
            generator: draws what the loss samples.
            informed: number of trials, the last ones, that may have been played on the problem id; 0 unless
                `takes_problem_id`.
        """


class TrialEncoder(nn.Module):
    """Features of the trial so far: frame encoder, step encoder and memory.

    Args:
        space: of one observation.
        layout: of the trials.
        length: largest number of observations in a trial.
        width: units of the feed-forward layers, and of a transformer.
        memory_size: units of an LSTM.
        memory: "lstm" or "transformer".
    """

    def __init__(
        self, space: gym.Space, layout: Layout, length: int, *, width: int, memory_size: int, memory: MemoryKind
    ):
        super().__init__()
        self.frames = frame_encoder(space)
        self.encoder = StepEncoder(space, width, integers=layout.integers, numbers=1)
        self.memory = make_memory(memory, width, memory_size=memory_size, length=length)
        self.out_features = self.memory.out_features

    def forward(self, frame_features: Tensor, inputs: StepInputs) -> Tensor:
        """Whole streams: (N, T + 1, D), inputs (N, T + 1, ...) -> (N, T + 1, out_features)."""
        return self.memory(self.encoder(frame_features, inputs.integers, numbers=inputs.numbers))

    def step(self, frame_features: Tensor, inputs: StepInputs, state: PolicyState) -> tuple[Tensor, PolicyState]:
        """One step: (B, D), inputs (B, ...), state or None at the beginning -> (B, out_features), new state."""
        return self.memory.step(self.encoder(frame_features, inputs.integers, numbers=inputs.numbers), state)


class ContextQ(nn.Module):
    """Action values of one step from observation, `StepInputs.episode`, and a context that scales and shifts them.

    Args:
        space: of one observation.
        layout: of the trials.
        width: units of the layers.
        context_dim: C, of the context.
    """

    def __init__(self, space: gym.Space, layout: Layout, *, width: int, context_dim: int):
        super().__init__()
        self.encoder = StepEncoder(space, width, integers=layout.episode, z_dim=context_dim)
        self.head = DuelingHead(width, width, layout.actions)

    def forward(self, frame_features: Tensor, inputs: StepInputs, context: Tensor) -> Tensor:
        """(..., D), inputs (...), (..., C) -> (..., A)."""
        return self.head(self.encoder(frame_features, inputs.episode, context))


class PhaseQ(nn.Module):
    """Action values from a separate `ContextQ` for each phase. Arguments and `forward` as for `ContextQ`.

    The value of an exploration step is the return of the execution after it, whatever its instruction will be, so its
    targets vary where its inputs do not. In one network with the values of the execution, this noise drowns what is to
    be learned about executing where success is rare and the context is trained elsewhere (docs/findings.md, cooking).
    """

    def __init__(self, space: gym.Space, layout: Layout, *, width: int, context_dim: int):
        super().__init__()
        self.explore = ContextQ(space, layout, width=width, context_dim=context_dim)
        self.execute = ContextQ(space, layout, width=width, context_dim=context_dim)

    def forward(self, frame_features: Tensor, inputs: StepInputs, context: Tensor) -> Tensor:
        """(..., D), inputs (...), (..., C) -> (..., A)."""
        explore, execute = self.explore(frame_features, inputs, context), self.execute(frame_features, inputs, context)
        return torch.where(inputs.executing[..., None], execute, explore)


def trial_encoder(space: gym.Space, layout: Layout, length: int, config: TrainConfig) -> TrialEncoder:
    """A `TrialEncoder` of the sizes in `config.network`."""
    size = config.network
    return TrialEncoder(space, layout, length, width=size.width, memory_size=size.memory_size, memory=size.memory)


def q_settings(config: TrainConfig) -> dict[str, Any]:
    """Discounts and lambda of `stream_loss`."""
    return {
        "explore_gamma": config.end_to_end.explore_gamma,
        "gamma": config.executor.gamma,
        "lambda_": config.executor.lambda_,
    }
