"""Posterior sampling: explore by executing as if a problem drawn from the posterior were the true one.

Rakelly, Zhou, Quillen, Finn, Levine, "Efficient Off-Policy Meta-Reinforcement Learning via Probabilistic Context
Variables" (PEARL, ICML 2019, arXiv 1903.08254), section 4: the posterior over z is a product of Gaussians, one for each
transition, whatever their order,

    q(z | tau) ~ N(z; m_0, s_0) prod_t Psi(z | o_t, a_t, o_t+1)

Here the prior is a learned factor too. A new z is drawn for each exploration episode (from the prior before the first),
and the executor acts on it with an instruction of a random training problem. The executor, f and g are those of the
other explorers. The posterior is fitted to the codes f(mu) by maximum likelihood at every prefix, on g's features of
transitions. The scored execution acts on g(tau), as after every other explorer. In training, executions on a part of an
exploration act on a sample from the posterior after it, so that the executor learns what to do when its z turns out to
be wrong, as it does while it explores.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from dream.core.trial import Episodes

PRECISION = (-12.0, 12.0)
"""Log precisions are clamped to this range."""


class GaussianPosterior(nn.Module):
    """q(z | tau) with diagonal covariance, from features of the transitions.

    Args:
        width: of the features.
        z_dim: of z.
    """

    def __init__(self, width: int, z_dim: int):
        super().__init__()
        self.prior_mean = nn.Parameter(torch.zeros(z_dim))
        self.prior_log_precision = nn.Parameter(torch.zeros(z_dim))
        out = nn.Linear(width, 2 * z_dim)
        self.factor = nn.Sequential(nn.Linear(width, width), nn.ReLU(), out)
        with torch.no_grad():  # at first transitions carry almost no weight
            out.weight.mul_(0.1)
            out.bias[:z_dim], out.bias[z_dim:] = 0.0, -6.0

    def forward(self, features: Tensor, explore: Episodes) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation for every prefix, (N, T + 1, Z) each; entry 0 is the prior.

        Args:
            features: (N, T + 1, width), entry t + 1 of transition t (`TrajectoryEncoder.transitions`).
            explore: the N streams; reset steps have no weight.
        """
        mean, log_precision = self.factor(features[:, 1:]).chunk(2, -1)
        precision = log_precision.clamp(*PRECISION).exp() * explore.transition[..., None]
        first = self.prior_log_precision.clamp(*PRECISION).exp().expand(len(features), 1, -1)
        total = torch.cat([first, precision], 1).cumsum(1)
        weighted = torch.cat([first * self.prior_mean, precision * mean], 1).cumsum(1)
        return weighted / total, total.rsqrt()

    def loss(self, code: Tensor, features: Tensor, explore: Episodes) -> Tensor:
        """-log q(f(mu) | tau_:t) per dimension, mean over all prefixes that exist: (N, Z) -> ()."""
        mean, deviation = self(features, explore)
        nll = 0.5 * ((code[:, None] - mean) / deviation).square() + deviation.log() + 0.5 * math.log(2.0 * math.pi)
        weight = explore.observed.to(nll.dtype)
        return (nll.mean(-1) * weight).sum() / weight.sum()

    def sample(
        self, features: Tensor | None, explore: Episodes | None, noise: Tensor, steps: Tensor | None = None
    ) -> Tensor:
        """One z per stream from the posterior after whole explorations, or from the prior before the first.

        Args:
            features: (N, T + 1, width), or None.
            explore: the N streams, or None.
            noise: (N, Z) standard normal.
            steps: (N,) from the posterior after so many steps instead.

        Returns:
            (N, Z).
        """
        if features is None or explore is None:
            return self.prior_mean + noise * (-0.5 * self.prior_log_precision.clamp(*PRECISION)).exp()
        mean, deviation = self(features, explore)
        last = (explore.length if steps is None else steps)[:, None, None].expand(-1, 1, mean.shape[-1])
        return mean.gather(1, last)[:, 0] + noise * deviation.gather(1, last)[:, 0]
