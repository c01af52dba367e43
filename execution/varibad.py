"""VariBAD: a belief about the problem, learned by predicting the trial, and a policy that acts on it.

Zintgraf, Shiarlis, Igl, Schulze, Gal, Hofmann, Whiteson, "VariBAD: A Very Good Method for Bayes-Adaptive Deep RL via
Meta-Learning" (ICLR 2020, arXiv 1910.08348), section 3.

    belief    q(m | tau_:t) = N(mean_t, deviation_t), from a memory of the trial, at every step
    ELBO_t    E_q(m | tau_:t)[log p(tau | m)] - KL(q(m | tau_:t) || q(m | tau_:t-1)), the prior N(0, I) before t = 0
              where log p(tau | m) = sum_i log p(o_i+1 | o_i, a_i, m) + log p(r_i+1 | o_i, a_i, o_i+1, m)
    policy    pi(a | o, mean_t, deviation_t), one for each phase (`PhasePolicy`). Its gradient does not reach the belief
              unless `end_to_end.belief_learns_from` is "both"

The sum runs over all transitions of the trial, before and after t, exploration and execution; the ELBO is averaged over
a few random prefixes t of each trial. In a family with instructions the instruction is part of the state, so the
decoders are given it too. Observations are predicted as in `dream.core.decoding`, rewards by a Gaussian.
`end_to_end.kl_weight` multiplies the KL; the authors' published settings have 0.1 to 1, depending on the family.
"""

from __future__ import annotations

import torch
from einops import repeat
from torch import Tensor, nn
from torch.nn import functional as F

from dream.config import TrainConfig
from dream.core.decoding import Gaussian, ObservationLikelihood
from dream.core.embedding import DiscreteEncoder
from dream.core.networks import normed_relu
from dream.core.observations import Encoded, ObservationSpace, frame_encoder, observation_encoder
from dream.core.rollout import PolicyState
from dream.core.trial import Observations
from dream.execution.base import EndToEndNetworks, Outputs, PhasePolicy, trial_encoder
from dream.execution.stream import Layout, StepInputs, TrialStream
from dream.spaces import each

REWARD_DEVIATION = 0.25
"""Standard deviation of the decoded reward."""
POOLED = (15, 20)
"""Height and width to which frames are pooled before they are predicted."""
DEVIATION = 1.0
"""Standard deviation of their colours, which range from -1/2 to 1/2, and of standardised numbers."""
LOG_DEVIATION = (-5.0, 2.0)
"""The belief's log standard deviations are clamped to this range."""


class VariBAD(EndToEndNetworks):
    """Belief, decoders, and the policy.

    Args:
        space: of one observation.
        layout: of the trials.
        length: largest number of observations in a trial.
        config: of the run; `network` and `bottleneck.z_dim` are read.
    """

    def __init__(self, space: ObservationSpace, layout: Layout, length: int, config: TrainConfig):
        super().__init__()
        width, z_dim = config.network.width, config.bottleneck.z_dim
        self.trial = trial_encoder(space, layout, length, config)
        self.belief = nn.Linear(self.trial.out_features, 2 * z_dim)
        with torch.no_grad():  # the belief starts near its prior
            self.belief.weight.mul_(0.1)
            self.belief.bias.zero_()
        self.outcome = ObservationDecoder(space, layout, width=width, z_dim=z_dim)
        self.reward = TransitionDecoder(space, layout, 1, width=width, z_dim=z_dim, outcome=True)
        self.frames = frame_encoder(space)
        self.policy_trains_belief = config.end_to_end.belief_learns_from == "both"
        self.policy = PhasePolicy(space, layout, 2 * z_dim, config)

    def groups(self) -> list[list[nn.Parameter]]:
        """Parameters whose gradients are clipped together: the policy's and the belief's."""
        acts = [*self.frames.parameters(), *self.policy.parameters()]
        ids = {id(parameter) for parameter in acts}
        return [acts, [parameter for parameter in self.parameters() if id(parameter) not in ids]]

    def encode_frames(self, obs: Observations, observed: Tensor) -> Tensor:
        """Observations (..., O), which of them are no padding (...) -> frame features (..., 2 D).

        The belief's and the policy's, one after the other: each has a frame encoder of its own.
        """
        return torch.cat([self.trial.frames(obs, observed), self.frames(obs, observed)], -1)

    def remember(self, frame_features: Tensor, inputs: StepInputs, state: PolicyState) -> tuple[Tensor, PolicyState]:
        """One step: (B, 2 D), inputs (B, ...), state -> belief (B, 2 Z), new state."""
        belief_features, _ = frame_features.chunk(2, -1)
        features, state = self.trial.step(belief_features, inputs, state)
        return self._belief_of(features), state

    def contexts(self, frame_features: Tensor, inputs: StepInputs) -> Tensor:
        """Whole trials: (N, T + 1, 2 D) -> mean and log deviation after every prefix, (N, T + 1, 2 Z)."""
        belief_features, _ = frame_features.chunk(2, -1)
        return self._belief_of(self.trial(belief_features, inputs))

    def act(self, frame_features: Tensor, inputs: StepInputs, context: Tensor) -> Tensor:
        """(..., 2 D), inputs (...), belief (..., 2 Z) -> outputs (..., O)."""
        _, policy_features = frame_features.chunk(2, -1)
        return self.policy(policy_features, inputs, context if self.policy_trains_belief else context.detach())

    def _belief_of(self, features: Tensor) -> Tensor:
        mean, log_deviation = self.belief(features).chunk(2, -1)
        return torch.cat([mean, log_deviation.clamp(*LOG_DEVIATION)], -1)

    def auxiliary_loss(
        self,
        frame_features: Tensor,
        outputs: Outputs,
        stream: TrialStream,
        factors: Tensor,
        config: TrainConfig,
        generator: torch.Generator,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted negative ELBO. The factors are not used."""
        negative, metrics = self.negative_elbo(stream, frame_features, outputs.context, config, generator)
        return config.end_to_end.elbo_weight * negative, metrics

    def negative_elbo(
        self,
        stream: TrialStream,
        frame_features: Tensor,
        belief: Tensor,
        config: TrainConfig,
        generator: torch.Generator,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """-ELBO per transition of a trial in nats, mean over trials and prefixes; and its parts per trial in nats.

        Args:
            stream: N trials.
            frame_features: (N, T + 1, 2 D) from `encode_frames`.
            belief: (N, T + 1, 2 Z) from `contexts`.
            config: of the run.
            generator: draws prefixes and beliefs.
        """
        episodes, prefixes = stream.episodes, config.end_to_end.elbo_prefixes
        count, z_dim = len(belief), belief.shape[-1] // 2
        # Sample P prefixes t of each trial, the empty one included, and m ~ q(m | tau_:t)
        share = torch.rand(count, prefixes, generator=generator).to(belief.device)
        at = (share * (episodes.length[:, None] + 1)).long()
        mean, log_deviation = belief.gather(1, repeat(at, "n p -> n p c", c=2 * z_dim)).chunk(2, -1)
        noise = torch.randn(count, prefixes, z_dim, generator=generator).to(belief.device)
        z = mean + noise * log_deviation.exp()  # (N, P, Z)

        # -log p(tau | m): outcomes and rewards of all transitions of the trial, before and after t
        belief_features, _ = frame_features.chunk(2, -1)
        before, after, inputs = belief_features[:, :-1], belief_features[:, 1:], stream.inputs.before()
        action = self.outcome.actions.valid(episodes.action)
        outcome = self.outcome.nats(before, episodes.next_obs, action, inputs, z)
        predicted = self.reward(before, action, inputs, z, after)[..., 0]
        reward = 0.5 * ((predicted - stream.reward[:, None]) / REWARD_DEVIATION).square()
        weight = episodes.transition[:, None].to(belief.dtype)  # (N, 1, T)
        steps = weight.sum() / count
        outcome_nats = (outcome * weight).sum() / (count * prefixes)
        reward_nats = (reward * weight).sum() / (count * prefixes)

        # KL(q(m | tau_:t) || q(m | tau_:t-1)), mean over all prefixes that exist
        kl, observed = step_kl(belief), episodes.observed.to(belief.dtype)
        kl_nats = (kl * observed).sum() / observed.sum()
        negative = (outcome_nats + reward_nats + config.end_to_end.kl_weight * kl_nats) / steps
        metrics = {
            "belief/outcome_nats": outcome_nats.detach(),
            "belief/reward_nats": reward_nats.detach(),
            "belief/kl_nats": kl_nats.detach(),
            "belief/deviation": (belief.chunk(2, -1)[1].detach().exp().mean(-1) * observed).sum() / observed.sum(),
        }
        return negative, metrics


def step_kl(belief: Tensor) -> Tensor:
    """KL(q(m | tau_:t) || q(m | tau_:t-1)) in nats, (N, T + 1, 2 Z) -> (N, T + 1); N(0, I) before t = 0."""
    mean, log_deviation = belief.chunk(2, -1)
    before = torch.cat([torch.zeros_like(belief[:, :1]), belief[:, :-1]], 1)
    mean_before, log_before = before.chunk(2, -1)
    ratio = (2.0 * (log_deviation - log_before)).exp()
    distance = ((mean - mean_before) / log_before.exp()).square()
    return (log_before - log_deviation + 0.5 * (ratio + distance - 1.0)).sum(-1)


class TransitionDecoder(nn.Module):
    """Decodes a property of transitions from their observation, action, instruction and z, which scales and shifts.

    Args:
        space: of one observation.
        layout: of the trials.
        outputs: size of what is decoded.
        width: units of the layers.
        z_dim: of z.
        outcome: whether the observation after the transition is given too.
    """

    def __init__(
        self, space: ObservationSpace, layout: Layout, outputs: int, *, width: int, z_dim: int, outcome: bool = False
    ):
        super().__init__()
        self.actions = layout.actions
        self.before = observation_encoder(space, width)
        self.after = observation_encoder(space, width) if outcome else None
        self.integers = DiscreteEncoder([*layout.actions.sizes, *layout.episode], width)
        self.numbers = nn.Linear(layout.actions.numbers, width, bias=False) if layout.actions.numbers else None
        self.scale_shift = nn.Linear(z_dim, 2 * width)
        self.hidden, self.out = nn.Linear(width, width), nn.Linear(width, outputs)

    def forward(
        self, before: Tensor, action: Tensor, inputs: StepInputs, z: Tensor, after: Tensor | None = None
    ) -> Tensor:
        """Decode every transition of N trials from each of P beliefs.

        Args:
            before: (N, T, D) frame features before the transitions.
            action: (N, T, ...), valid ones.
            inputs: (N, T, ...) before the transitions.
            z: (N, P, Z).
            after: (N, T, D) frame features after them, if the decoder is given them.

        Returns:
            (N, P, T, outputs).
        """
        integers = self.actions.integers(action)
        given = inputs.episode if integers is None else torch.cat([integers, inputs.episode], -1)
        h = self.before(before) + self.integers(given)
        if self.numbers is not None:
            h = h + self.numbers(action)
        if self.after is not None and after is not None:
            h = h + self.after(after)
        scale, shift = self.scale_shift(z)[:, :, None].chunk(2, -1)  # (N, P, 1, width)
        h = F.layer_norm(h, h.shape[-1:])[:, None] * (1.0 + scale) + shift
        return self.out(normed_relu(self.hidden(normed_relu(h))))


class ObservationDecoder(TransitionDecoder):
    """Decodes the observation after a transition. Arguments as for `TransitionDecoder`."""

    def __init__(self, space: ObservationSpace, layout: Layout, *, width: int, z_dim: int):
        observed = space.space if isinstance(space, Encoded) else space
        likelihood = ObservationLikelihood(observed, Gaussian(DEVIATION, POOLED, pooled))
        super().__init__(space, layout, likelihood.outputs, width=width, z_dim=z_dim)
        self.likelihood = likelihood

    def nats(self, before: Tensor, outcome: Observations, action: Tensor, inputs: StepInputs, z: Tensor) -> Tensor:
        """-log p(o' | o, a, z) of every transition, for Gaussians up to a constant: (N, P, T).

        Args:
            before, action, inputs, z: as for `forward`.
            outcome: (N, T, ...) observations after the transitions.
        """
        return self.likelihood(self(before, action, inputs, z), each(lambda obs: obs[:, None], outcome))


def pooled(pixels: Tensor) -> Tensor:
    """Mean colours from -1/2 to 1/2: (M, C, H, W) float32 from 0 to 255 -> (M, C, 15, 20)."""
    return F.adaptive_avg_pool2d(pixels, POOLED) / 255.0 - 0.5
