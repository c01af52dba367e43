"""Distributions over actions, as functions of their parameters (..., P).

Discrete and MultiDiscrete actions are categorical, each integer independent of the others given the observation; the
parameters are the logits of all integers. Actions of a Box are Gaussian with independent components; the parameters are
K means and K logarithms of standard deviations, in the units of `Actions` (the bounds are -1 and 1).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from dream.core.actions import Actions


def parameters_of(actions: Actions) -> int:
    """P, the number of parameters."""
    return sum(actions.sizes) + 2 * actions.numbers


def log_prob(parameters: Tensor, action: Tensor, actions: Actions) -> Tensor:
    """Logarithm of the probability (density) of actions: (..., P), (..., *shape) -> (...)."""
    if actions.numbers:
        mean, log_deviation = parameters.chunk(2, -1)
        standard = (action - mean) * (-log_deviation).exp()
        return (-0.5 * standard.square() - log_deviation - 0.5 * math.log(2 * math.pi)).sum(-1)
    integers = actions.integers(action)
    assert integers is not None
    parts = [
        logits.log_softmax(-1).gather(-1, integers[..., i, None])[..., 0]
        for i, logits in enumerate(parameters.split(actions.sizes, -1))
    ]
    return parts[0] if len(parts) == 1 else torch.stack(parts).sum(0)


def entropy(parameters: Tensor, actions: Actions) -> Tensor:
    """Entropy in nats: (..., P) -> (...)."""
    if actions.numbers:
        return (parameters.chunk(2, -1)[1] + 0.5 * math.log(2 * math.pi * math.e)).sum(-1)
    parts = []
    for logits in parameters.split(actions.sizes, -1):
        logs = logits.log_softmax(-1)
        parts.append(-(logs.exp() * logs).sum(-1))
    return parts[0] if len(parts) == 1 else torch.stack(parts).sum(0)


def sample(parameters: Tensor, actions: Actions, generator: torch.Generator | None) -> Tensor:
    """Actions drawn from their distributions, (B, P) -> (B, *shape).

    Args:
        parameters: (B, P).
        actions: of the environment.
        generator: on the CPU, so that a seed draws the same numbers on every device.
    """
    if actions.numbers:
        mean, log_deviation = parameters.chunk(2, -1)
        return mean + log_deviation.exp() * torch.randn(mean.shape, generator=generator).to(mean.device)
    # The largest of logits plus Gumbel noise is a sample (Maddison et al., 2014, arXiv 1411.0030)
    uniform = torch.rand(parameters.shape, generator=generator).clamp(min=1e-20).to(parameters.device)
    return mode(parameters - (-uniform.log()).log(), actions)


def mode(parameters: Tensor, actions: Actions) -> Tensor:
    """The most likely actions, (..., P) -> (..., *shape)."""
    if actions.numbers:
        return parameters.chunk(2, -1)[0]
    best = torch.stack([logits.argmax(-1) for logits in parameters.split(actions.sizes, -1)], -1)
    return best[..., 0] if actions.discrete else best
