"""IMPORT: a recurrent policy regularised towards one that is given the problem id.

Kamienny, Pirotta, Lazaric, Lavril, Usunier, Denoyer, "Learning Adaptive Exploration Strategies in Dynamic Environments
Through Informed Policy Regularization" (arXiv 2005.02934), section 4. One policy pi(a | o, z) is trained on two kinds
of z in turn:

    informed     z = f(mu), an embedding of the problem id (training only)
    recurrent    z = h(tau), the output of the memory of the trial so far

    max  E_informed[return] + E_recurrent[return] - beta E_recurrent[sum_t |h(tau_:t) - f(mu)|^2]

The rewards of both shape the shared policy, so f keeps what the task needs, and the last term trains the memory to
predict it. At test time there is only the memory. Here half of the training trials are played informed. In both terms
the memory learns only from trials that it played itself, because an informed policy's actions reveal the problem. The
last term has no gradient with respect to f.
"""

from __future__ import annotations

import gymnasium as gym
import torch
from torch import Tensor, nn

from dream.config import TrainConfig
from dream.core.bottleneck import ProblemEncoder
from dream.core.rollout import PolicyState
from dream.execution.base import ContextQ, EndToEndNetworks, Learned, q_settings, trial_encoder
from dream.execution.stream import Layout, StepInputs, TrialStream, stream_loss


class Import(EndToEndNetworks):
    """The problem embedding f, the memory h, and the policy on the output of either.

    Args:
        space: of one observation.
        layout: of the trials.
        length: largest number of observations in a trial.
        factors: number of values of each factor of a problem.
        config: of the run; `network` and `bottleneck` are read.
    """

    takes_problem_id = True

    def __init__(self, space: gym.Space, layout: Layout, length: int, factors: tuple[int, ...], config: TrainConfig):
        super().__init__()
        width, z = config.network.width, config.bottleneck
        self.f = ProblemEncoder(factors, width=width, z_dim=z.z_dim, initial_scale=z.init_scale)
        self.trial = trial_encoder(space, layout, length, config)
        self.context = nn.Linear(self.trial.out_features, z.z_dim)
        with torch.no_grad():  # the codes start small too
            self.context.weight.mul_(z.init_scale)
            self.context.bias.zero_()
        self.policy = ContextQ(space, layout, width=width, context_dim=z.z_dim)

    def encode_frames(self, obs: Tensor, observed: Tensor) -> Tensor:
        """Observations (..., O), which of them are no padding (...) -> frame features (..., D)."""
        return self.trial.frames(obs, observed)

    def remember(self, frame_features: Tensor, inputs: StepInputs, state: PolicyState) -> tuple[Tensor, PolicyState]:
        """One step: (B, D), inputs (B, ...), state -> h(tau) (B, Z), new state."""
        features, state = self.trial.step(frame_features, inputs, state)
        return self.context(features), state

    def contexts(self, frame_features: Tensor, inputs: StepInputs) -> Tensor:
        """Whole trials: (N, T + 1, D), inputs (N, T + 1, ...) -> h(tau_:t) for every prefix (N, T + 1, Z)."""
        return self.context(self.trial(frame_features, inputs))

    def problem_context(self, factors: Tensor) -> Tensor:
        """f(mu): (N, F) -> (N, Z)."""
        return self.f(factors)

    def act(self, frame_features: Tensor, inputs: StepInputs, context: Tensor) -> Tensor:
        """(..., D), inputs (...), context (..., Z) -> action values (..., A)."""
        return self.policy(frame_features, inputs, context)

    def loss(
        self,
        average: Import,
        stream: TrialStream,
        factors: Tensor,
        config: TrainConfig,
        generator: torch.Generator,
        informed: int = 0,
    ) -> Learned:
        """TD losses of both policies and the distance term; see `EndToEndNetworks.loss`. The generator is not used.

        The surprise of a trial is the recurrent policy's where that learns from it, else the informed policy's.
        """
        features = self.encode_frames(stream.episodes.obs, stream.episodes.observed)
        # The recurrent policy learns from its own trials only, which come first
        count = len(factors) - informed
        own, own_features = stream.first(count), features[:count]
        code, recurrent = self.f(factors), self.contexts(own_features, own.inputs)
        # Targets of both policies, on the averaged networks' own contexts
        with torch.no_grad():
            target_code = average.f(factors)[:, None]
            target = average.act(own_features, own.inputs, average.contexts(own_features, own.inputs))
            target_informed = average.act(features, stream.inputs, target_code)
        # E_recurrent[return] on own trials, E_informed[return] on all trials
        settings = q_settings(config)
        loss, surprise, value = stream_loss(self.act(own_features, own.inputs, recurrent), target, own, **settings)
        informed_q = self.act(features, stream.inputs, code[:, None])
        informed_loss, informed_surprise, _ = stream_loss(informed_q, target_informed, stream, **settings)
        # |h(tau_:t) - f(mu)|^2, mean over the prefixes of own trials; f is a fixed target
        weight = own.episodes.observed.to(recurrent.dtype)
        error = (recurrent - code[:count, None].detach()).square().sum(-1)
        distance = (error * weight).sum() / weight.sum()
        metrics = {
            "loss/policy": loss.detach(),
            "loss/informed": informed_loss.detach(),
            "loss/distance": distance.detach(),
            "execute/value": value,
            "bottleneck/spread": code.detach().var(0).sum().sqrt(),
        }
        surprise = torch.cat([surprise, informed_surprise[count:]])
        total = loss + informed_loss + 0.5 * config.end_to_end.import_weight * distance
        return Learned(total, surprise, metrics)
