"""IMPORT: a recurrent policy kept close to one that is told the problem.

Kamienny, Pirotta, Lazaric, Lavril, Usunier, Denoyer, "Learning Adaptive Exploration Strategies in Dynamic Environments
Through Informed Policy Regularization" (arXiv 2005.02934), section 4. One policy pi(a | o, z) is trained on two kinds
of z in turn:

    informed     z = f(mu), an embedding of the problem's id (training only)
    recurrent    z = h(tau), what the memory of the trial so far says

    max  E_informed[return] + E_recurrent[return] - beta E_recurrent[sum_t |h(tau_:t) - f(mu)|^2]

The rewards of both shape the shared policy, so f keeps what the task needs; the last term makes the memory say it. At
test time there is the memory alone. Here half of the training trials are played informed. The memory learns, in both
terms, only from trials that it played: in the others the actions themselves tell the problem. f is not moved by the
last term.
"""

from __future__ import annotations

import gymnasium as gym
import torch
from torch import Tensor, nn

from dream.config import TrainConfig
from dream.core.bottleneck import ProblemEncoder
from dream.core.rollout import Memory
from dream.execution.rl2 import ContextQ, TrialMemory, q_settings
from dream.execution.stream import Layout, TrialStream, stream_loss


class Import(nn.Module):
    """The problem's embedding f, the memory h, and the policy that both serve.

    Args:
        space: of one observation.
        layout: of the trials.
        length: most observations in a trial.
        factors: sizes of the factors of a problem.
        config: of the run; `network` and `bottleneck` are read.
    """

    def __init__(self, space: gym.Space, layout: Layout, length: int, factors: tuple[int, ...], config: TrainConfig):
        super().__init__()
        size, z = config.network, config.bottleneck
        self.f = ProblemEncoder(factors, width=size.width, z_dim=z.z_dim, initial_scale=z.init_scale)
        self.memory = TrialMemory(space, layout, length, width=size.width, hidden=size.memory_size, core=size.memory)
        self.context = nn.Linear(self.memory.out_features, z.z_dim)
        with torch.no_grad():  # the codes start small too
            self.context.weight.mul_(z.init_scale)
            self.context.bias.zero_()
        self.policy = ContextQ(space, layout, width=size.width, z_dim=z.z_dim)

    def groups(self) -> list[list[nn.Parameter]]:
        """Parameters whose gradients are clipped together."""
        return [list(self.parameters())]

    def see(self, obs: Tensor, seen: Tensor) -> Tensor:
        """What is seen: (..., O), which of it means something (...) -> (..., D)."""
        return self.memory.frames(obs, seen)

    def remember(self, seen: Tensor, integers: Tensor, reward: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        """One step: (B, D), (B, K), (B, 1), memory -> what the policy is to know of the trial (B, Z), memory."""
        features, memory = self.memory.step(seen, integers, reward, memory)
        return self.context(features), memory

    def inform(self, factors: Tensor) -> Tensor:
        """What the policy is to know of a problem that is known: (B, F) -> (B, Z)."""
        return self.f(factors)

    def act(self, seen: Tensor, integers: Tensor, context: Tensor) -> Tensor:
        """(..., D), (..., K), (..., Z) -> action values (..., A)."""
        return self.policy(seen, integers, context)

    def said(self, stream: TrialStream, seen: Tensor) -> Tensor:
        """h(tau_:t) for every prefix of whole trials: (N, T + 1, D) -> (N, T + 1, Z)."""
        return self.context(self.memory(seen, stream.integers, stream.reward_before))

    def loss(
        self,
        average: Import,
        stream: TrialStream,
        factors: Tensor,
        config: TrainConfig,
        generator: torch.Generator,
        informed: int = 0,
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """What is learned from N trials.

        Args:
            average: gives the targets. Frames are looked at once, by the online network.
            stream: N trials.
            factors: (N, F) of their problems.
            config: of the run.
            generator: not needed here.
            informed: how many of the trials, the last ones, may have been played informed: the memory does not learn
                from them.

        Returns:
            loss (); largest absolute error of each trial (N,), the memory's where it learns, and metrics, detached.
        """
        seen = self.see(stream.episodes.obs, stream.episodes.observed)
        own = stream.first(len(factors) - informed)
        own_seen = seen[: len(factors) - informed]
        code, said = self.f(factors), self.said(own, own_seen)
        with torch.no_grad():
            target_code = average.f(factors)[:, None]
            target = average.act(own_seen, own.integers, average.said(own, own_seen))
            target_informed = average.act(seen, stream.integers, target_code)
        settings = q_settings(config)
        loss, surprise, value = stream_loss(self.act(own_seen, own.integers, said), target, own, **settings)
        informed_q = self.act(seen, stream.integers, code[:, None])
        informed_loss, informed_surprise, _ = stream_loss(informed_q, target_informed, stream, **settings)
        weight = own.episodes.observed.to(said.dtype)
        error = (said - code[: len(said), None].detach()).square().sum(-1)
        distance = (error * weight).sum() / weight.sum()
        metrics = {
            "loss/policy": loss.detach(),
            "loss/informed": informed_loss.detach(),
            "loss/distance": distance.detach(),
            "execute/value": value,
            "bottleneck/spread": code.detach().var(0).sum().sqrt(),
        }
        surprise = torch.cat([surprise, informed_surprise[len(surprise) :]])
        return loss + informed_loss + 0.5 * config.end_to_end.import_weight * distance, surprise, metrics
