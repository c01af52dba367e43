"""f, g and the information bottleneck: the heart of DREAM.

Liu, Raghunathan, Liang, Finn, "Decoupling Exploration and Exploitation for Meta-RL without Sacrifices" (ICML 2021,
arXiv 2008.02790). In the paper's words and ours:

    problem encoder     F(z | mu)  = N(f(mu), rho^2 I)     what the executor is given while training
    trajectory encoder  q(z | tau) = N(g(tau), rho^2 I)    what it is given at test time
    execution           max E[V(z; mu)] - lambda I(z; mu)  the bottleneck keeps only what the task needs
    exploration         max I(tau; z) >= H(z) + E[log q(z | tau_:0)]
                                         + E[sum_t log q(z | tau_:t+1) - log q(z | tau_:t)]
    with fixed rho      log q(z | tau) = -|z - g(tau)|^2 / (2 rho^2) + const

I(z; mu) is bounded by the rate E[KL(F(z | mu) || N(0, I))] = E|f(mu)|^2 / 2 + const, the variational information
bottleneck (Alemi et al., 2017, arXiv 1612.00410), so lambda weighs |f(mu)|^2 / 2 against the executor's loss.
"""

from __future__ import annotations

from collections.abc import Sequence

import gymnasium as gym
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dream.core.frames import frame_encoder
from dream.core.networks import DiscreteEncoder, Recurrent, normed_relu, observation_encoder
from dream.core.trial import Episodes


class ProblemEncoder(nn.Module):
    """f: the mean of F(z | mu), a linear map of the sum of one embedding per factor of the problem.

    One factor, the id itself, makes a one-hot id. With several, problems never seen get a code put together from parts
    that were. The map starts small, so all problems start with nearly the same code and are pulled apart where the
    executor gains by telling them apart; large random codes would be arbitrary ones, which g cannot predict.
    """

    def __init__(self, factors: Sequence[int], *, width: int, z_dim: int, initial_scale: float):
        super().__init__()
        self.embed = DiscreteEncoder(factors, width)
        self.out = nn.Linear(width, z_dim)
        with torch.no_grad():
            self.out.weight.mul_(initial_scale)
            self.out.bias.zero_()

    def forward(self, features: Tensor) -> Tensor:
        """(N, F) ints -> (N, Z)."""
        return self.out(self.embed(features))


class TrajectoryEncoder(nn.Module):
    """g: the mean of q(z | tau_:t) for every prefix of an exploration, the empty one included.

    Each transition (o, a, o') goes through a small network of its own before the memory, which has to remember
    transitions, not to find them. Its last layers start small and cannot die: f's codes start near zero, and a head of
    ReLUs that is first asked for nothing switches itself off for good.

    With `single` it can also be asked what one transition tells on its own, see `from_single`.
    """

    def __init__(self, space: gym.Space, actions: int, *, width: int, hidden: int, z_dim: int, single: bool = False):
        super().__init__()
        self.actions = actions
        self.frames = frame_encoder(space)
        self.before = observation_encoder(space, width)
        self.after = observation_encoder(space, width)
        self.action = DiscreteEncoder([actions + 1], width)
        self.hidden = nn.Linear(width, width)
        self.core = Recurrent(width, hidden, forget_bias=2.0)
        self.head = nn.Linear(self.core.out_features, width)
        self.out = nn.Linear(width, z_dim)
        with torch.no_grad():
            self.out.weight.mul_(0.1)
            self.out.bias.zero_()
        self.single = nn.Linear(width, z_dim) if single else None
        if self.single is not None:
            with torch.no_grad():
                self.single.weight.mul_(0.1)
                self.single.bias.zero_()

    def see(self, explore: Episodes) -> Tensor:
        """What is seen in each observation of whole streams: (N, T + 1, D)."""
        return self.frames(explore.obs, explore.observed)

    def forward(self, explore: Episodes, seen: Tensor | None = None) -> Tensor:
        """N streams of T steps -> (N, T + 1, Z): entry t is g(tau_:t), after t transitions.

        Entries after the end of a stream mean nothing; `last_prefix` picks the valid one.

        Args:
            explore: the streams.
            seen: (N, T + 1, D) from `see`, where it is known already.
        """
        return self.read(self.transitions(explore, seen))

    def read(self, transitions: Tensor) -> Tensor:
        """What `forward` makes of `transitions`: (N, T + 1, width) -> (N, T + 1, Z)."""
        return self.out(F.elu(self.head(self.core(transitions))))

    def from_single(self, explore: Episodes) -> Tensor:
        """z from one transition without its past: N streams -> (N, T, Z). Built with `single` only.

        It is never acted on. Its loss over transitions of as many trials teaches the features what to look for much
        sooner than whole streams do, whose steps all make the same error (docs/sign.md).
        """
        assert self.single is not None
        return self.single(self.transitions(explore)[:, 1:])

    def transitions(self, explore: Episodes, seen: Tensor | None = None) -> Tensor:
        """Features of each transition before the memory, (N, T + 1, width); entry 0 is the first observation."""
        seen = self.see(explore) if seen is None else seen
        previous = torch.cat([seen[:, :1], seen[:, :-1]], dim=1)
        action = explore.previous_action(none=self.actions)[..., None]
        h = normed_relu(self.before(previous) + self.action(action) + self.after(seen))
        return normed_relu(self.hidden(h))


def last_prefix(prefixes: Tensor, explore: Episodes) -> Tensor:
    """g(tau) of the whole exploration: (N, T + 1, Z) -> (N, Z)."""
    last = explore.length[:, None, None].expand(-1, 1, prefixes.shape[-1])
    return prefixes.gather(1, last).squeeze(1)


def nats(distance_squared: Tensor, noise: float) -> Tensor:
    """-log q(z | tau) up to a constant: squared distance / (2 rho^2), in nats."""
    return distance_squared / (2.0 * noise**2)


def prefix_error(code: Tensor, prefixes: Tensor, noise: float) -> Tensor:
    """-log q(f(mu) | tau_:t) up to a constant, in nats: (N, Z), (N, T + 1, Z) -> (N, T + 1)."""
    return nats((code[:, None] - prefixes).square().sum(-1), noise)


def encoder_loss(error: Tensor, explore: Episodes) -> Tensor:
    """g's loss: the mean of `prefix_error` over all prefixes that exist (eq. 5, maximised over q)."""
    weight = explore.observed.to(error.dtype)
    return (error * weight).sum() / weight.sum()


def rate(code: Tensor) -> Tensor:
    """KL(N(f, rho^2 I) || N(0, I)) of each code but for its constant: |f|^2 / 2 nats, (N, Z) -> (N,)."""
    return 0.5 * code.square().sum(-1)
