"""What the networks of an end-to-end policy are, and the parts that they share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor, nn

from dream.config import TrainConfig
from dream.core.heads import make_head
from dream.core.memories import MemoryKind, make_memory
from dream.core.networks import StepEncoder
from dream.core.observations import ObservationSpace, frame_encoder
from dream.core.rollout import PolicyState
from dream.core.trial import Observations
from dream.execution.stream import Layout, StepInputs, TrialStream


class Outputs(NamedTuple):
    """What a policy gives on N trials; the first M were played on the memory.

    Attributes:
        own: (M, T + 1, O) outputs on the memory, on the trials that it played.
        informed: (N - k, T + 1, O) outputs on the problem's code, from trial k on (`informed_from`); None for networks
            that do not take it.
        context: (M, T + 1, C) what the memory gave, for auxiliary losses.
    """

    own: Tensor
    informed: Tensor | None
    context: Tensor


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
    def encode_frames(self, obs: Observations, observed: Tensor) -> Tensor:
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
        """(..., D), inputs (...), context (..., C) -> outputs (..., O)."""

    def outputs(
        self, frame_features: Tensor, stream: TrialStream, factors: Tensor, *, own: int, informed_from: int = 0
    ) -> Outputs:
        """The outputs of the policy on N whole trials.

        Args:
            frame_features: (N, T + 1, D), of this network or (for targets) of another.
            stream: N trials, the first `own` of which were played on the memory, the others on the problem id.
            factors: (N, F) of their problems.
            own: M.
            informed_from: the first trial for which the output on the problem's code is wanted.
        """
        inputs = stream.inputs
        context = self.contexts(frame_features, inputs)
        return Outputs(self.act(frame_features, inputs, context), None, context)

    def auxiliary_loss(
        self,
        frame_features: Tensor,
        outputs: Outputs,
        stream: TrialStream,
        factors: Tensor,
        config: TrainConfig,
        generator: torch.Generator,
    ) -> tuple[Tensor | None, dict[str, Tensor]]:
        """What is learned beside the policy: loss () or None, metrics () by name. None by default.

        Args:
            frame_features, stream, factors: as for `outputs`.
            outputs: of these networks on these trials.
            config: of the run.
            generator: draws what the loss samples.
        """
        return None, {}


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
        self, space: ObservationSpace, layout: Layout, length: int, *, width: int, memory_size: int, memory: MemoryKind
    ):
        super().__init__()
        self.frames = frame_encoder(space)
        self.encoder = StepEncoder(space, width, integers=layout.integers, numbers=layout.numbers)
        self.memory = make_memory(memory, width, memory_size=memory_size, length=length)
        self.out_features = self.memory.out_features

    def forward(self, frame_features: Tensor, inputs: StepInputs) -> Tensor:
        """Whole streams: (N, T + 1, D), inputs (N, T + 1, ...) -> (N, T + 1, out_features)."""
        return self.memory(self.encoder(frame_features, inputs.integers, numbers=inputs.numbers))

    def step(self, frame_features: Tensor, inputs: StepInputs, state: PolicyState) -> tuple[Tensor, PolicyState]:
        """One step: (B, D), inputs (B, ...), state or None at the beginning -> (B, out_features), new state."""
        return self.memory.step(self.encoder(frame_features, inputs.integers, numbers=inputs.numbers), state)


class ContextPolicy(nn.Module):
    """Outputs of one step from observation, `StepInputs.episode`, and a context that scales and shifts them.

    Args:
        space: of one observation.
        layout: of the trials.
        context_dim: C, of the context.
        config: of the run; `network` and `end_to_end.learner` are read.
    """

    def __init__(self, space: ObservationSpace, layout: Layout, context_dim: int, config: TrainConfig):
        super().__init__()
        width, asks = config.network.width, config.network.instruction == "query"
        self.encoder = StepEncoder(space, width, integers=layout.episode, z_dim=context_dim, asks=asks)
        self.head = make_head(config.end_to_end.learner, width, width, layout.actions, layout.initial)

    def forward(self, frame_features: Tensor, inputs: StepInputs, context: Tensor) -> Tensor:
        """(..., D), inputs (...), (..., C) -> (..., O)."""
        return self.head(self.encoder(frame_features, inputs.episode, context))


class PhasePolicy(nn.Module):
    """Outputs from a separate `ContextPolicy` for each phase. Arguments and `forward` as for `ContextPolicy`.

    The value of an exploration step is the return of the execution after it, whatever its instruction will be, so its
    targets vary where its inputs do not. In one network with the values of the execution, this noise drowns what is to
    be learned about executing where success is rare (docs/end-to-end-diagnosis.md).
    """

    def __init__(self, space: ObservationSpace, layout: Layout, context_dim: int, config: TrainConfig):
        super().__init__()
        self.explore = ContextPolicy(space, layout, context_dim, config)
        self.execute = ContextPolicy(space, layout, context_dim, config)

    def forward(self, frame_features: Tensor, inputs: StepInputs, context: Tensor) -> Tensor:
        """(..., D), inputs (...), (..., C) -> (..., O)."""
        explore, execute = self.explore(frame_features, inputs, context), self.execute(frame_features, inputs, context)
        return torch.where(inputs.executing[..., None], execute, explore)


def trial_encoder(space: ObservationSpace, layout: Layout, length: int, config: TrainConfig) -> TrialEncoder:
    """A `TrialEncoder` of the sizes in `config.network`."""
    size = config.network
    return TrialEncoder(space, layout, length, width=size.width, memory_size=size.memory_size, memory=size.memory)
