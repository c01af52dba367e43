"""RL^2 and E-RL^2: one recurrent policy whose memory lasts over the whole trial, trained on reward alone.

Duan, Schulman, Chen, Bartlett, Sutskever, Abbeel, "RL^2: Fast Reinforcement Learning via Slow Reinforcement Learning"
(arXiv 1611.02779): the policy is told observation, previous action, previous reward and whether an episode has just
ended, keeps its memory over all episodes of a trial, and maximises the reward of all of them (section 2.2). Our RL^2
does so: its exploration episodes are ordinary ones, with an instruction and a reward that it sees and that counts. It
is thus told more than the other methods, whose exploration has neither.

Stadie, Yang, Houthooft, Chen, Duan, Wu, Abbeel, Sutskever, "Some Considerations on Learning to Explore via
Meta-Reinforcement Learning" (arXiv 1803.01118), section 3.2, E-RL^2: the same policy, but the exploration episodes'
reward is set to zero in the objective, so that exploring is worth what it does for the episodes after it. That is the
protocol that every decoupled pair is trained under.

Both papers use policy gradients. Here the policy is learned with the algorithm that the executors and explorers of
the pairs use, so that what is compared is the idea.
"""

from __future__ import annotations

from typing import Literal

import gymnasium as gym
import torch
from torch import Tensor, nn

from dream.config import TrainConfig
from dream.core.frames import frame_encoder
from dream.core.networks import DuelingHead, Recurrent, StepEncoder
from dream.core.rollout import Memory
from dream.core.transformer import Transformer
from dream.execution.stream import PHASE, Layout, TrialStream, stream_loss

Core = Literal["lstm", "transformer"]


class TrialMemory(nn.Module):
    """Everything a policy is told in a trial -> features of the trial so far.

    Args:
        space: of one observation.
        layout: of the trials.
        length: most observations in a trial.
        width: units of the feed-forward layers, and of a transformer.
        hidden: units of an LSTM.
        core: "lstm" or "transformer".
    """

    def __init__(self, space: gym.Space, layout: Layout, length: int, *, width: int, hidden: int, core: Core):
        super().__init__()
        self.frames = frame_encoder(space)
        self.encoder = StepEncoder(space, width, integers=layout.integers, numbers=1)
        self.core = Transformer(width, length) if core == "transformer" else Recurrent(width, hidden)
        self.out_features = self.core.out_features

    def forward(self, seen: Tensor, integers: Tensor, reward: Tensor) -> Tensor:
        """Whole streams: (N, T + 1, D), (N, T + 1, K), (N, T + 1, 1) -> (N, T + 1, out_features)."""
        return self.core(self.encoder(seen, integers, numbers=reward))

    def step(self, seen: Tensor, integers: Tensor, reward: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        """One step: (B, D), (B, K), (B, 1), memory or None at the beginning -> (B, out_features), memory."""
        return self.core.step(self.encoder(seen, integers, numbers=reward), memory)


class ContextQ(nn.Module):
    """Action values of one step, from what is seen, what is told of the episode, and a context that scales and shifts.

    Args:
        space: of one observation.
        layout: of the trials.
        width: units of the layers.
        z_dim: of the context.
    """

    def __init__(self, space: gym.Space, layout: Layout, *, width: int, z_dim: int):
        super().__init__()
        self.encoder = StepEncoder(space, width, integers=layout.told, z_dim=z_dim)
        self.head = DuelingHead(width, width, layout.actions)

    def forward(self, seen: Tensor, integers: Tensor, z: Tensor) -> Tensor:
        """(..., D), (..., K), (..., Z) -> (..., A)."""
        return self.head(self.encoder(seen, integers[..., 1:], z))


class PhaseQ(nn.Module):
    """Action values from a `ContextQ` of its own for each phase. Arguments and `forward` as there.

    The value of a step of exploration is what the execution then earns, whatever instruction is drawn for it, so its
    targets vary where its inputs do not. In one network with the execution's values this noise drowns what is to be
    learned of executing where that is rare and the context comes from elsewhere (docs/findings.md, cooking).
    """

    def __init__(self, space: gym.Space, layout: Layout, *, width: int, z_dim: int):
        super().__init__()
        self.explore = ContextQ(space, layout, width=width, z_dim=z_dim)
        self.execute = ContextQ(space, layout, width=width, z_dim=z_dim)

    def forward(self, seen: Tensor, integers: Tensor, z: Tensor) -> Tensor:
        """(..., D), (..., K), (..., Z) -> (..., A)."""
        exploring = integers[..., PHASE, None] == 0
        return torch.where(exploring, self.explore(seen, integers, z), self.execute(seen, integers, z))


class RL2(nn.Module):
    """A memory, and a policy that it modulates.

    The memory's features scale and shift what the policy makes of the step, as z does in an executor: which action is
    right depends on place, instruction and problem together.

    Args:
        space: of one observation.
        layout: of the trials.
        length: most observations in a trial.
        config: of the run; `network` is read.
    """

    def __init__(self, space: gym.Space, layout: Layout, length: int, config: TrainConfig):
        super().__init__()
        size = config.network
        self.memory = TrialMemory(space, layout, length, width=size.width, hidden=size.memory_size, core=size.memory)
        self.policy = ContextQ(space, layout, width=size.width, z_dim=self.memory.out_features)

    def groups(self) -> list[list[nn.Parameter]]:
        """Parameters whose gradients are clipped together."""
        return [list(self.parameters())]

    def see(self, obs: Tensor, seen: Tensor) -> Tensor:
        """What is seen: (..., O), which of it means something (...) -> (..., D)."""
        return self.memory.frames(obs, seen)

    def remember(self, seen: Tensor, integers: Tensor, reward: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        """One step: (B, D), (B, K), (B, 1), memory -> what the policy is to know of the trial (B, Z), memory."""
        return self.memory.step(seen, integers, reward, memory)

    def act(self, seen: Tensor, integers: Tensor, context: Tensor) -> Tensor:
        """(..., D), (..., K), (..., Z) -> action values (..., A)."""
        return self.policy(seen, integers, context)

    def forward(self, stream: TrialStream, seen: Tensor) -> Tensor:
        """Whole trials and what is seen in them (N, T + 1, D) -> action values (N, T + 1, A)."""
        return self.act(seen, stream.integers, self.memory(seen, stream.integers, stream.reward_before))

    def loss(
        self, average: RL2, stream: TrialStream, factors: Tensor, config: TrainConfig, generator: torch.Generator
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """What is learned from N trials.

        Args:
            average: gives the targets. Frames are looked at once, by the online network.
            stream: N trials.
            factors: (N, F) of their problems, not needed here.
            config: of the run.
            generator: not needed here.

        Returns:
            loss (); largest absolute error of each trial (N,) and metrics, both detached.
        """
        seen = self.see(stream.episodes.obs, stream.episodes.observed)
        with torch.no_grad():
            target = average(stream, seen)
        loss, surprise, value = stream_loss(self(stream, seen), target, stream, **q_settings(config))
        return loss, surprise, {"loss/policy": loss.detach(), "execute/value": value}


def q_settings(config: TrainConfig) -> dict[str, float]:
    """How `stream_loss` discounts and traces."""
    return {
        "explore_gamma": config.end_to_end.explore_gamma,
        "gamma": config.executor.gamma,
        "trace": config.executor.lambda_,
    }
