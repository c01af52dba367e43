"""Recurrent PPO on whole streams: pure functions, and running statistics of returns.

Sources: proximal policy optimisation (Schulman et al., 2017, arXiv 1707.06347, eq. 7 and 9); generalised advantage
estimation (Schulman et al., 2016, arXiv 1506.02438, eq. 16); normalised values (van Hasselt et al., 2016, arXiv
1602.07714). Streams are read whole, from their beginning, so a memory needs no stored states.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from dream.core.actions import Actions
from dream.core.decisions import Decisions, PolicyLoss
from dream.core.distributions import entropy, log_prob
from dream.core.qlearning import skip_reset_steps


class ValueNorm(nn.Module):
    """Running mean and standard deviation of returns. A critic predicts returns in these units.

    The statistics are buffers, so that checkpoints keep them.

    Args:
        rate: of the running averages, whose start at zero is corrected as in Adam.
    """

    weight: Tensor
    mean: Tensor
    square: Tensor

    def __init__(self, rate: float = 0.05):
        super().__init__()
        self.rate = rate
        for name in ("weight", "mean", "square"):
            self.register_buffer(name, torch.zeros(()))

    @torch.no_grad()
    def observe(self, returns: Tensor, weight: Tensor) -> None:
        """Add returns (N, T) of the steps with weight (N, T)."""
        total = weight.sum().clamp(min=1.0)
        self.weight.lerp_(torch.ones_like(self.weight), self.rate)
        self.mean.lerp_((returns * weight).sum() / total, self.rate)
        self.square.lerp_((returns.square() * weight).sum() / total, self.rate)

    def _statistics(self) -> tuple[Tensor, Tensor]:
        weight = self.weight.clamp(min=1e-8)
        mean = self.mean / weight
        deviation = (self.square / weight - mean.square()).clamp(min=1e-4).sqrt()
        begun = self.weight > 0
        return torch.where(begun, mean, 0.0), torch.where(begun, deviation, 1.0)

    def normalise(self, returns: Tensor) -> Tensor:
        """Returns in the critic's units."""
        mean, deviation = self._statistics()
        return (returns - mean) / deviation

    def denormalise(self, values: Tensor) -> Tensor:
        """The critic's outputs as returns."""
        mean, deviation = self._statistics()
        return values * deviation + mean


class Targets(NamedTuple):
    """What is fixed before the updates on fresh trials; (N, T) each.

    Attributes:
        log_prob: logarithm of the probability with which each action was chosen.
        advantage: mean 0 and standard deviation 1 over the decisions.
        returns: in the critic's units.
    """

    log_prob: Tensor
    advantage: Tensor
    returns: Tensor

    def select(self, rows: Tensor) -> Targets:
        """The streams of these rows, (M,) int64."""
        return Targets(*(part[rows] for part in self))


def advantages(
    reward: Tensor,
    terminated: Tensor,
    mask: Tensor,
    reset_step: Tensor,
    value: Tensor,
    *,
    discount: float | Tensor,
    lambda_: float,
) -> Tensor:
    """Generalised advantage estimates:

        A_t = delta_t + gamma lambda (1 - terminated_t) A_{t+1}
        delta_t = r_t + gamma (1 - terminated_t) V(o_{t+1}) - V(o_t)

    A stream that stops without `terminated` (a time limit) bootstraps from the value of its last observation. A reset
    step is no decision: values pass it unchanged, and lambda does not count there.

    Args:
        reward: (N, T).
        terminated: (N, T) bool.
        mask: (N, T) bool, the stream has a step here.
        reset_step: (N, T) bool.
        value: (N, T + 1), in units of the reward.
        discount: gamma, or (N, T).
        lambda_: of the estimator.

    Returns:
        (N, T), meaningless outside the mask.
    """
    value = skip_reset_steps(value, reset_step, reward)
    going = discount * (~terminated).to(reward.dtype)
    following = torch.zeros_like(mask)  # the stream has a step after this one
    following[:, :-1] = mask[:, 1:]
    delta = (reward + going * value[:, 1:] - value[:, :-1]).masked_fill(reset_step, 0.0)
    carried = torch.where(reset_step, 1.0, going * lambda_) * following
    delta_columns, carried_columns = delta.unbind(1), carried.unbind(1)
    found = [delta_columns[-1]]
    for t in range(len(delta_columns) - 2, -1, -1):
        found.append(delta_columns[t] + carried_columns[t] * found[-1])
    return torch.stack(found[::-1], dim=1)


@torch.no_grad()
def ppo_targets(out: Tensor, decisions: Decisions, actions: Actions, norm: ValueNorm, lambda_: float) -> Targets:
    """What stays fixed during the updates on N fresh streams; updates the statistics of returns.

    Args:
        out: (N, T + 1, O) of the policy that acted.
        decisions: the streams.
        actions: of the environment.
        norm: statistics of the returns.
        lambda_: of the advantage estimator.
    """
    d = decisions
    value = norm.denormalise(out[..., -1])
    advantage = advantages(d.reward, d.terminated, d.mask, d.reset_step, value, discount=d.discount, lambda_=lambda_)
    returns = advantage + value[:, :-1]
    norm.observe(returns, d.weight)
    total = d.weight.sum().clamp(min=1.0)
    mean = (advantage * d.weight).sum() / total
    deviation = ((advantage - mean).square() * d.weight).sum().div(total).sqrt()
    chosen = log_prob(out[:, :-1, :-1], actions.valid(d.action), actions)
    return Targets(chosen, (advantage - mean) / (deviation + 1e-8), norm.normalise(returns))


def ppo_loss(
    out: Tensor,
    decisions: Decisions,
    targets: Targets,
    actions: Actions,
    *,
    clip: float,
    value_weight: float,
    entropy_weight: float,
) -> PolicyLoss:
    """Clipped surrogate objective, squared error of the values, and entropy bonus (Schulman et al., 2017, eq. 9).

    Args:
        out: (N, T + 1, O) of the policy that learns.
        decisions: N streams of T steps.
        targets: of these streams.
        actions: of the environment.
        clip: epsilon, range of the probability ratio around 1.
        value_weight: c_1.
        entropy_weight: c_2.
    """
    weight = decisions.weight
    total = weight.sum().clamp(min=1.0)

    def mean(values: Tensor) -> Tensor:
        return (values * weight).sum() / total

    # L^CLIP: the smaller of r A and clip(r, 1 - epsilon, 1 + epsilon) A
    parameters, value = out[:, :-1, :-1], out[:, :-1, -1]
    change = (log_prob(parameters, actions.valid(decisions.action), actions) - targets.log_prob) * weight
    ratio = change.exp()
    clipped = ratio.clamp(1.0 - clip, 1.0 + clip)
    gain = mean(torch.minimum(ratio * targets.advantage, clipped * targets.advantage))
    # L^VF, in the critic's units
    error = value - targets.returns
    spread = mean(entropy(parameters, actions))
    loss = -gain + value_weight * 0.5 * mean(error.square()) - entropy_weight * spread
    metrics = {
        "entropy": spread.detach(),
        "kl": mean((ratio - 1.0 - change).detach()),  # Schulman's estimator of KL(old || new)
        "clipped": mean(((ratio.detach() - 1.0).abs() > clip).float()),
        "explained": 1.0 - mean(error.detach().square()) / mean(targets.returns.square()).clamp(min=1e-6),
    }
    return PolicyLoss(loss, (error.detach() * weight).abs().amax(1), value.detach()[:, 0].mean(), metrics)
