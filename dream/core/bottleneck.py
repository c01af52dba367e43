"""f, g and the information bottleneck: the heart of DREAM.

Liu, Raghunathan, Liang, Finn, "Decoupling Exploration and Exploitation for Meta-RL without Sacrifices" (ICML 2021,
arXiv 2008.02790). The paper's objectives and our names:

    problem encoder     F(z | mu)  = N(f(mu), rho^2 I)     the executor's z in training
    trajectory encoder  q(z | tau) = N(g(tau), rho^2 I)    the executor's z at test time
    execution           max E[V(z; mu)] - lambda I(z; mu)  the bottleneck keeps only what the task needs
    exploration         max I(tau; z) >= H(z) + E[log q(z | tau_:0)]
                                         + E[sum_t log q(z | tau_:t+1) - log q(z | tau_:t)]
    with fixed rho      log q(z | tau) = -|z - g(tau)|^2 / (2 rho^2) + const

I(z; mu) is bounded by the rate E[KL(F(z | mu) || N(0, I))] = E|f(mu)|^2 / 2 + const, the variational information
bottleneck (Alemi et al., 2017, arXiv 1612.00410), so lambda weighs |f(mu)|^2 / 2 against the executor's loss.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dream.core.actions import Actions
from dream.core.embedding import DiscreteEncoder, action_encoder
from dream.core.memories import LSTMMemory
from dream.core.networks import normed_relu
from dream.core.observations import ObservationSpace, frame_encoder, observation_encoder
from dream.core.trial import Episodes


class ProblemEncoder(nn.Module):
    """f: the mean of F(z | mu), a linear map of the sum of one embedding per factor of the problem.

    A problem that is described by numbers gets a hidden layer on these in place of the embeddings, so that problems
    with nearly the same description have nearly the same code.

    With one factor, the id, this is a linear map of the one-hot id. With several, the code of a problem outside the
    training set is composed of factors seen in training. The map starts small: all problems start with nearly the same
    code, and the executor's loss separates those that it gains by telling apart. Large random codes would be arbitrary,
    and g could not predict them.

    Args:
        factors: number of values of each factor.
        width: of the embeddings.
        z_dim: of z.
        initial_scale: factor on the initial weights of the linear map.
        numbers: how many numbers describe a problem, in place of factors; 0 for factors.
    """

    def __init__(self, factors: Sequence[int], *, width: int, z_dim: int, initial_scale: float, numbers: int = 0):
        super().__init__()
        self.embed: nn.Module = (
            nn.Sequential(nn.Linear(numbers, width), nn.Tanh()) if numbers else DiscreteEncoder(factors, width)
        )
        self.out = nn.Linear(width, z_dim)
        with torch.no_grad():
            self.out.weight.mul_(initial_scale)
            self.out.bias.zero_()

    def forward(self, factors: Tensor) -> Tensor:
        """Factors (N, F) int64 or descriptions (N, K) float32 of N problems -> codes (N, Z)."""
        return self.out(self.embed(factors))


class TrajectoryEncoder(nn.Module):
    """g: the mean of q(z | tau_:t) for every prefix of an exploration, the empty one included.

    A small feed-forward network encodes each transition (o, a, o') before the memory, so the memory only has to retain
    transitions, not to assemble them. The last layer starts small, because f's codes start near zero. The head uses
    ELU: a ReLU head whose targets are all near zero at first would die.

    Args:
        space: of one observation.
        actions: of the environment.
        width: units of the feed-forward layers.
        memory_size: units of the LSTM.
        z_dim: of z.
        single: whether it also predicts z from single transitions, see `from_single`.
    """

    def __init__(
        self,
        space: ObservationSpace,
        actions: Actions,
        *,
        width: int,
        memory_size: int,
        z_dim: int,
        single: bool = False,
    ):
        super().__init__()
        self.actions = actions
        self.frames = frame_encoder(space)
        self.before = observation_encoder(space, width)
        self.after = observation_encoder(space, width)
        self.action = action_encoder(actions, width)
        self.hidden = nn.Linear(width, width)
        self.memory = LSTMMemory(width, memory_size, forget_bias=2.0)
        self.head = nn.Linear(self.memory.out_features, width)
        self.out = nn.Linear(width, z_dim)
        with torch.no_grad():
            self.out.weight.mul_(0.1)
            self.out.bias.zero_()
        self.single = nn.Linear(width, z_dim) if single else None
        if self.single is not None:
            with torch.no_grad():
                self.single.weight.mul_(0.1)
                self.single.bias.zero_()

    def encode_frames(self, explore: Episodes) -> Tensor:
        """Frame features of whole streams: (N, T + 1, D)."""
        return self.frames(explore.obs, explore.observed)

    def forward(self, explore: Episodes, frame_features: Tensor | None = None) -> Tensor:
        """N streams of T steps -> (N, T + 1, Z): entry t is g(tau_:t), after t transitions.

        Entries after the end of a stream are meaningless; `last_prefix` picks the one of the whole exploration.

        Args:
            explore: the streams.
            frame_features: (N, T + 1, D) from `encode_frames`, where they are computed already.
        """
        return self.read(self.transitions(explore, frame_features))

    def read(self, transitions: Tensor) -> Tensor:
        """The rest of `forward` after `transitions`: (N, T + 1, width) -> (N, T + 1, Z)."""
        return self.out(F.elu(self.head(self.memory(transitions))))

    def from_single(self, explore: Episodes) -> Tensor:
        """z predicted from each transition without its past: N streams -> (N, T, Z). Needs `single`.

        No policy acts on it. Its loss on transitions of many different trials trains the features much faster than
        whole streams do, because the errors of the steps of one stream are nearly the same (docs/sign.md).
        """
        assert self.single is not None
        return self.single(self.transitions(explore)[:, 1:])

    def transitions(self, explore: Episodes, frame_features: Tensor | None = None) -> Tensor:
        """Features of each transition before the memory, (N, T + 1, width); entry 0 is the first observation."""
        features = self.encode_frames(explore) if frame_features is None else frame_features
        previous = torch.cat([features[:, :1], features[:, :-1]], dim=1)
        given = self.actions.inputs(explore.previous_action(self.actions))
        h = normed_relu(self.before(previous) + self.action(given) + self.after(features))
        return normed_relu(self.hidden(h))


def last_prefix(prefixes: Tensor, explore: Episodes) -> Tensor:
    """g(tau) of the whole exploration: (N, T + 1, Z) -> (N, Z)."""
    return prefix_at(prefixes, explore.length)


def prefix_at(prefixes: Tensor, steps: Tensor) -> Tensor:
    """g(tau_:t) after t = `steps` (N,) transitions: (N, T + 1, Z) -> (N, Z)."""
    return prefixes.gather(1, steps[:, None, None].expand(-1, 1, prefixes.shape[-1])).squeeze(1)


def nats(distance_squared: Tensor, noise: float) -> Tensor:
    """-log q(z | tau) up to a constant: squared distance / (2 rho^2), in nats."""
    return distance_squared / (2.0 * noise**2)


def prefix_error(code: Tensor, prefixes: Tensor, noise: float) -> Tensor:
    """-log q(f(mu) | tau_:t) up to a constant, in nats: (N, Z), (N, T + 1, Z) -> (N, T + 1)."""
    return nats((code[:, None] - prefixes).square().sum(-1), noise)


def encoder_loss(error: Tensor, explore: Episodes) -> Tensor:
    """g's loss: the mean of `prefix_error` (N, T + 1) over all prefixes that exist (eq. 5, maximised over q)."""
    weight = explore.observed.to(error.dtype)
    return (error * weight).sum() / weight.sum()


def rate(code: Tensor) -> Tensor:
    """KL(N(f, rho^2 I) || N(0, I)) of each code without its constant: |f|^2 / 2 nats, (N, Z) -> (N,)."""
    return 0.5 * code.square().sum(-1)
