"""VariBAD: a belief about the problem learned by predicting the trial, and a policy that acts on it.

Zintgraf, Shiarlis, Igl, Schulze, Gal, Hofmann, Whiteson, "VariBAD: A Very Good Method for Bayes-Adaptive Deep RL via
Meta-Learning" (ICLR 2020, arXiv 1910.08348), section 3.

    belief    q(m | tau_:t) = N(mean_t, deviation_t), from a memory of the trial, at every step
    ELBO_t    E_q(m | tau_:t)[log p(tau | m)] - KL(q(m | tau_:t) || q(m | tau_:t-1)), the prior N(0, I) before t = 0
              where log p(tau | m) = sum_i log p(o_i+1 | o_i, a_i, m) + log p(r_i+1 | o_i, a_i, o_i+1, m)
    policy    pi(a | o, mean_t, deviation_t); its gradient does not reach the belief. One for each phase, see `PhaseQ`

The sum runs over all transitions of the trial, those before t and those to come, exploration and execution, and the
mean over a few prefixes t drawn for each trial. In a problem with instructions the instruction is part of the state, so
the decoders are told it too. Integers are predicted one distribution for each component, frames after pooling to 15 x
20 pixels with a Gaussian, rewards with a Gaussian. `end_to_end.kl_weight` multiplies the KL; the authors' published
settings have 0.1 to 1, depending on the family.
"""

from __future__ import annotations

import gymnasium as gym
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dream.config import TrainConfig
from dream.core.frames import frame_encoder, is_frame
from dream.core.networks import DiscreteEncoder, normed_relu, observation_encoder
from dream.core.rollout import Memory
from dream.execution.rl2 import PhaseQ, TrialMemory, q_settings
from dream.execution.stream import Layout, TrialStream, stream_loss

REWARD_DEVIATION = 0.25
"""Standard deviation of the decoded reward: a quarter of what success pays."""
POOLED = (15, 20)
"""Height and width that frames are pooled to before they are predicted."""
LOG_DEVIATION = (-5.0, 2.0)
"""The belief's log standard deviations are kept in this range."""


class VariBAD(nn.Module):
    """Belief, decoders, and the policy.

    Args:
        space: of one observation.
        layout: of the trials.
        length: most observations in a trial.
        config: of the run; `network` and `bottleneck.z_dim` are read.
    """

    def __init__(self, space: gym.Space, layout: Layout, length: int, config: TrainConfig):
        super().__init__()
        size, z_dim = config.network, config.bottleneck.z_dim
        self.memory = TrialMemory(space, layout, length, width=size.width, hidden=size.memory_size, core=size.memory)
        self.belief = nn.Linear(self.memory.out_features, 2 * z_dim)
        with torch.no_grad():  # the belief starts near its prior
            self.belief.weight.mul_(0.1)
            self.belief.bias.zero_()
        self.outcome = ObservationDecoder(space, layout, width=size.width, z_dim=z_dim)
        self.reward = TransitionDecoder(space, layout, 1, width=size.width, z_dim=z_dim, outcome=True)
        self.frames = frame_encoder(space)
        self.policy = PhaseQ(space, layout, width=size.width, z_dim=2 * z_dim)

    def groups(self) -> list[list[nn.Parameter]]:
        """Parameters whose gradients are clipped together: the belief's and the policy's."""
        acts = [*self.frames.parameters(), *self.policy.parameters()]
        ids = {id(parameter) for parameter in acts}
        return [acts, [parameter for parameter in self.parameters() if id(parameter) not in ids]]

    def see(self, obs: Tensor, seen: Tensor) -> Tensor:
        """What memory and policy see, each with its own eyes: (..., O), what of it means something (...) -> (..., 2 D).

        Observations that are integers are seen twice.
        """
        return torch.cat([self.memory.frames(obs, seen), self.frames(obs, seen)], -1)

    def remember(self, seen: Tensor, integers: Tensor, reward: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        """One step: (B, 2 D), (B, K), (B, 1), memory -> the belief (B, 2 Z), memory."""
        features, memory = self.memory.step(seen.chunk(2, -1)[0], integers, reward, memory)
        return self._belief_of(features), memory

    def act(self, seen: Tensor, integers: Tensor, context: Tensor) -> Tensor:
        """(..., 2 D), (..., K), (..., 2 Z) -> action values (..., A); no gradient reaches the belief."""
        return self.policy(seen.chunk(2, -1)[1], integers, context.detach())

    def beliefs(self, stream: TrialStream, seen: Tensor) -> Tensor:
        """Mean and log deviation after every prefix of whole trials: (N, T + 1, 2 D) -> (N, T + 1, 2 Z)."""
        features = self.memory(seen.chunk(2, -1)[0], stream.integers, stream.reward_before)
        return self._belief_of(features)

    def _belief_of(self, features: Tensor) -> Tensor:
        mean, log_deviation = self.belief(features).chunk(2, -1)
        return torch.cat([mean, log_deviation.clamp(*LOG_DEVIATION)], -1)

    def loss(
        self, average: VariBAD, stream: TrialStream, factors: Tensor, config: TrainConfig, generator: torch.Generator
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """What is learned from N trials.

        Args:
            average: gives the targets. Frames are looked at once, by the online network.
            stream: N trials.
            factors: (N, F) of their problems, not needed here.
            config: of the run.
            generator: draws prefixes and beliefs.

        Returns:
            loss (); largest absolute error of each trial (N,) and metrics, both detached.
        """
        seen = self.see(stream.episodes.obs, stream.episodes.observed)
        belief = self.beliefs(stream, seen)
        with torch.no_grad():
            target = average.act(seen, stream.integers, average.beliefs(stream, seen))
        q = self.act(seen, stream.integers, belief)
        policy_loss, surprise, value = stream_loss(q, target, stream, **q_settings(config))
        negative, metrics = self.negative_elbo(stream, seen, belief, config, generator)
        metrics |= {"loss/policy": policy_loss.detach(), "execute/value": value}
        return policy_loss + negative, surprise, metrics

    def negative_elbo(
        self, stream: TrialStream, seen: Tensor, belief: Tensor, config: TrainConfig, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """-ELBO, mean over trials and prefixes, in nats for each transition of a trial; and its parts in nats.

        Args:
            stream: N trials.
            seen: (N, T + 1, 2 D) from `see`.
            belief: (N, T + 1, 2 Z) from `beliefs`.
            config: of the run.
            generator: draws prefixes and beliefs.
        """
        episodes, prefixes = stream.episodes, config.end_to_end.elbo_prefixes
        count, z_dim = len(belief), belief.shape[-1] // 2
        share = torch.rand(count, prefixes, generator=generator).to(belief.device)
        at = (share * (episodes.length[:, None] + 1)).long()  # any prefix, the empty one included
        mean, log_deviation = belief.gather(1, at[..., None].expand(-1, -1, 2 * z_dim)).chunk(2, -1)
        noise = torch.randn(count, prefixes, z_dim, generator=generator).to(belief.device)
        z = mean + noise * log_deviation.exp()  # (N, P, Z)

        memory_seen = seen.chunk(2, -1)[0]
        before, after, told = memory_seen[:, :-1], memory_seen[:, 1:], stream.integers[:, :-1]
        action = episodes.action.clamp(max=self.outcome.actions - 1)
        outcome = self.outcome.nats(before, episodes.obs[:, 1:], action, told, z)
        predicted = self.reward(before, action, told, z, after)[..., 0]
        reward = 0.5 * ((predicted - stream.reward[:, None]) / REWARD_DEVIATION).square()
        weight = episodes.transition[:, None].to(belief.dtype)  # (N, 1, T)
        steps = weight.sum() / count
        outcome_nats = (outcome * weight).sum() / (count * prefixes)
        reward_nats = (reward * weight).sum() / (count * prefixes)

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
    """KL(q(m | tau_:t) || q(m | tau_:t-1)) in nats, (N, T + 1, 2 Z) -> (N, T + 1); before t = 0 stands N(0, I)."""
    mean, log_deviation = belief.chunk(2, -1)
    before = torch.cat([torch.zeros_like(belief[:, :1]), belief[:, :-1]], 1)
    mean_before, log_before = before.chunk(2, -1)
    ratio = (2.0 * (log_deviation - log_before)).exp()
    distance = ((mean - mean_before) / log_before.exp()).square()
    return (log_before - log_deviation + 0.5 * (ratio + distance - 1.0)).sum(-1)


class TransitionDecoder(nn.Module):
    """Something about transitions, decoded from what is known of them and from z, which scales and shifts it.

    Args:
        space: of one observation.
        layout: of the trials.
        outputs: numbers to decode.
        width: units of the layers.
        z_dim: of z.
        outcome: whether the observation after the transition is known too.
    """

    def __init__(
        self, space: gym.Space, layout: Layout, outputs: int, *, width: int, z_dim: int, outcome: bool = False
    ):
        super().__init__()
        self.actions = layout.actions
        self.before = observation_encoder(space, width)
        self.after = observation_encoder(space, width) if outcome else None
        self.integers = DiscreteEncoder([layout.actions, *layout.told], width)
        self.scale_shift = nn.Linear(z_dim, 2 * width)
        self.hidden, self.out = nn.Linear(width, width), nn.Linear(width, outputs)

    def forward(
        self, before: Tensor, action: Tensor, integers: Tensor, z: Tensor, after: Tensor | None = None
    ) -> Tensor:
        """Decode every transition of N trials from each of P beliefs.

        Args:
            before: (N, T, D) what was seen before the transitions.
            action: (N, T) int64, below the number of actions.
            integers: (N, T, K) what was told then (`Layout.inputs`).
            z: (N, P, Z).
            after: (N, T, D) what was seen after them, where the decoder is told.

        Returns:
            (N, P, T, outputs).
        """
        h = self.before(before) + self.integers(torch.cat([action[..., None], integers[..., 1:]], -1))
        if self.after is not None and after is not None:
            h = h + self.after(after)
        scale, shift = self.scale_shift(z)[:, :, None].chunk(2, -1)  # (N, P, 1, width)
        h = F.layer_norm(h, h.shape[-1:])[:, None] * (1.0 + scale) + shift
        return self.out(normed_relu(self.hidden(normed_relu(h))))


class ObservationDecoder(TransitionDecoder):
    """What is seen after a transition: integers, or pooled frames. Arguments as for `TransitionDecoder`."""

    def __init__(self, space: gym.Space, layout: Layout, *, width: int, z_dim: int):
        sizes = None if is_frame(space) else [int(n) for n in space.nvec]  # type: ignore[attr-defined]
        outputs = POOLED[0] * POOLED[1] * space.shape[-1] if sizes is None else sum(sizes)  # type: ignore[index]
        super().__init__(space, layout, outputs, width=width, z_dim=z_dim)
        self.sizes = sizes

    def nats(self, before: Tensor, outcome: Tensor, action: Tensor, integers: Tensor, z: Tensor) -> Tensor:
        """-log p(o' | o, a, z) of every transition, for frames up to a constant: (N, P, T).

        Args:
            before, action, integers, z: as for `forward`.
            outcome: (N, T, ...) observations after the transitions.
        """
        predicted = self(before, action, integers, z)
        if self.sizes is None:
            return 0.5 * (predicted - pooled(outcome)[:, None]).square().sum(-1)
        nats = torch.zeros_like(predicted[..., 0])
        targets = outcome[:, None].expand(-1, z.shape[1], *outcome.shape[1:]).long()
        for component, logits in enumerate(predicted.split(self.sizes, -1)):
            nats = nats - logits.log_softmax(-1).gather(-1, targets[..., component, None])[..., 0]
        return nats


def pooled(frames: Tensor) -> Tensor:
    """Frames pooled to 15 x 20 pixels, from -1/2 to 1/2: (N, T, H, W, C) uint8 -> (N, T, 15 * 20 * C)."""
    parts = frames.flatten(0, 1).split(256)  # few at a time: as floats they are four times as large
    small = [F.adaptive_avg_pool2d(part.permute(0, 3, 1, 2).float(), POOLED).flatten(1) for part in parts]
    return (torch.cat(small) / 255.0 - 0.5).view(*frames.shape[:2], -1)
