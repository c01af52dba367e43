"""IMPORT: a recurrent policy regularised towards one that is given the problem id.

Kamienny, Pirotta, Lazaric, Lavril, Usunier, Denoyer, "Learning Adaptive Exploration Strategies in Dynamic Environments
Through Informed Policy Regularization" (arXiv 2005.02934), section 4. One policy pi(a | o, z) is trained on two kinds
of z in turn:

    informed     z = f(mu), an embedding of the problem id (training only)
    recurrent    z = h(tau), the output of the memory of the trial so far

    max  E_informed[return] + E_recurrent[return] - beta E_recurrent[sum_t |h(tau_:t) - f(mu)|^2]

The rewards of both shape the shared policy, so f keeps what the task needs, and the last term trains the memory to
predict it. There is one such policy for each phase (`PhasePolicy`). At test time there is only the memory. Here a share
of the training trials is played informed. In both terms the memory learns only from trials that it played itself,
because an informed policy's actions reveal the problem. The last term has no gradient with respect to f.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dream.config import TrainConfig
from dream.core.bottleneck import ProblemEncoder
from dream.core.observations import ObservationSpace
from dream.core.rollout import PolicyState
from dream.core.trial import Observations
from dream.execution.base import EndToEndNetworks, Outputs, PhasePolicy, trial_encoder
from dream.execution.stream import Layout, StepInputs, TrialStream


class Import(EndToEndNetworks):
    """The problem embedding f, the memory h, and the policy on the output of either.

    Args:
        space: of one observation.
        layout: of the trials.
        length: largest number of observations in a trial.
        factors: number of values of each factor of a problem.
        config: of the run; `network` and `bottleneck` are read.
        numbers: how many numbers describe a problem, in place of factors; 0 for factors.
    """

    takes_problem_id = True

    def __init__(
        self,
        space: ObservationSpace,
        layout: Layout,
        length: int,
        factors: tuple[int, ...],
        config: TrainConfig,
        numbers: int = 0,
    ):
        super().__init__()
        width, z = config.network.width, config.bottleneck
        self.f = ProblemEncoder(factors, width=width, z_dim=z.z_dim, initial_scale=z.init_scale, numbers=numbers)
        self.trial = trial_encoder(space, layout, length, config)
        self.context = nn.Linear(self.trial.out_features, z.z_dim)
        with torch.no_grad():  # the codes start small too
            self.context.weight.mul_(z.init_scale)
            self.context.bias.zero_()
        self.policy = PhasePolicy(space, layout, z.z_dim, config)

    def encode_frames(self, obs: Observations, observed: Tensor) -> Tensor:
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
        """(..., D), inputs (...), context (..., Z) -> outputs (..., O)."""
        return self.policy(frame_features, inputs, context)

    def outputs(
        self, frame_features: Tensor, stream: TrialStream, factors: Tensor, *, own: int, informed_from: int = 0
    ) -> Outputs:
        """Outputs on the memory for its own trials, on f(mu) for those from `informed_from` on; see the base class."""
        memory, memory_features = stream.select(slice(own)), frame_features[:own]
        code, context = self.f(factors[informed_from:]), self.contexts(memory_features, memory.inputs)
        out = self.act(memory_features, memory.inputs, context)
        inputs = stream.inputs.select(slice(informed_from, None))
        return Outputs(out, self.act(frame_features[informed_from:], inputs, code[:, None]), context)

    def auxiliary_loss(
        self,
        frame_features: Tensor,
        outputs: Outputs,
        stream: TrialStream,
        factors: Tensor,
        config: TrainConfig,
        generator: torch.Generator,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """beta / 2 |h(tau_:t) - f(mu)|^2, mean over the prefixes of the memory's own trials; f is a fixed target."""
        count = len(outputs.own)
        with torch.no_grad():
            code = self.f(factors)
        weight = stream.episodes.observed[:count].to(code.dtype)
        error = (outputs.context - code[:count, None]).square().sum(-1)
        distance = (error * weight).sum() / weight.sum().clamp(min=1.0)  # 0 where no trial was played on the memory
        metrics = {"loss/distance": distance.detach(), "bottleneck/spread": code.var(0).sum().sqrt()}
        return 0.5 * config.end_to_end.import_weight * distance, metrics
