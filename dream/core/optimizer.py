"""AdamW with one step size for all networks and gradient clipping per network."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn


def adamw(
    decayed: Iterable[nn.Parameter],
    undecayed: Sequence[nn.Parameter] = (),
    *,
    learning_rate: float,
    weight_decay: float,
) -> torch.optim.AdamW:
    """AdamW (Loshchilov and Hutter, 2019, arXiv 1711.05101), with weight decay on the first parameters only."""
    groups: list[dict[str, object]] = [{"params": list(decayed)}]
    if undecayed:
        groups.append({"params": list(undecayed), "weight_decay": 0.0})
    return torch.optim.AdamW(groups, lr=learning_rate, eps=1e-5, weight_decay=weight_decay, fused=True)


def gradient_step(
    optimizer: torch.optim.Optimizer,
    loss: Tensor,
    networks: Sequence[Sequence[nn.Parameter]],
    *,
    learning_rate: float,
    clip: float,
) -> None:
    """Minimise a loss by one optimizer step.

    Args:
        optimizer: from `adamw`.
        loss: ().
        networks: parameters whose gradients are clipped together.
        learning_rate: step size of this update.
        clip: largest gradient norm of each network.
    """
    for group in optimizer.param_groups:
        group["lr"] = learning_rate
    optimizer.zero_grad()
    loss.backward()
    for parameters in networks:
        nn.utils.clip_grad_norm_(parameters, clip, foreach=True)
    optimizer.step()
