"""AdamW and one gradient step: the step size of each call, clipping per network, decay of the first parameters only."""

import pytest
import torch
from torch import Tensor, nn

from dream.core.optimizer import adamw, gradient_step


def parameter(*values: float) -> nn.Parameter:
    return nn.Parameter(torch.tensor(values))


def sgd_step(
    loss_weights: dict[nn.Parameter, list[float]],
    networks: list[list[nn.Parameter]],
    *,
    learning_rate: float = 1.0,
    clip: float = 1e9,
    optimizer: torch.optim.Optimizer | None = None,
) -> None:
    """One step on a loss that is linear, so that the gradient of each parameter is its weights."""
    loss: Tensor = sum(((p * torch.tensor(w)).sum() for p, w in loss_weights.items()), torch.zeros(()))
    optimizer = optimizer or torch.optim.SGD(list(loss_weights), lr=123.0)
    gradient_step(optimizer, loss, networks, learning_rate=learning_rate, clip=clip)


def test_the_learning_rate_of_the_call_is_the_step_size() -> None:
    p = parameter(1.0, 2.0)
    sgd_step({p: [1.0, -4.0]}, [[p]], learning_rate=0.5)
    assert p.tolist() == [0.5, 4.0]  # p - 0.5 * gradient, whatever the optimizer was made with


def test_every_parameter_group_gets_the_learning_rate() -> None:
    first, second = parameter(0.0), parameter(0.0)
    optimizer = adamw([first], [second], learning_rate=3.0, weight_decay=0.0)
    sgd_step({first: [2.0], second: [-2.0]}, [[first, second]], learning_rate=0.25, optimizer=optimizer)
    assert [group["lr"] for group in optimizer.param_groups] == [0.25, 0.25]
    # Adam's first step is lr * gradient / (|gradient| + eps)
    assert first.item() == pytest.approx(-0.25, rel=1e-4) and second.item() == pytest.approx(0.25, rel=1e-4)


def test_gradients_are_clipped_per_network() -> None:
    small, large, other = parameter(0.0, 0.0), parameter(0.0), parameter(0.0)
    gradient = {small: [0.3, 0.4], large: [12.0], other: [-5.0]}
    sgd_step(gradient, [[small], [large, other]], clip=6.5)
    torch.testing.assert_close(small.data, torch.tensor([-0.3, -0.4]))  # norm 0.5: below the limit, unchanged
    torch.testing.assert_close(large.data, torch.tensor([-6.0]))  # norm 13 of both together, halved
    torch.testing.assert_close(other.data, torch.tensor([2.5]))


def test_gradients_of_an_earlier_step_are_forgotten() -> None:
    p = parameter(0.0)
    for _ in range(2):
        sgd_step({p: [1.0]}, [[p]])
    assert p.item() == -2.0


def test_only_the_first_parameters_are_decayed() -> None:
    decayed, undecayed = parameter(2.0), parameter(2.0)
    optimizer = adamw([decayed], [undecayed], learning_rate=0.1, weight_decay=0.5)
    assert optimizer.defaults["eps"] == 1e-5
    sgd_step({decayed: [0.0], undecayed: [0.0]}, [[decayed, undecayed]], learning_rate=0.1, optimizer=optimizer)
    assert decayed.item() == pytest.approx(2.0 * (1.0 - 0.1 * 0.5))
    assert undecayed.item() == 2.0


def test_without_undecayed_parameters_there_is_one_group() -> None:
    decayed = parameter(2.0)
    optimizer = adamw(iter([decayed]), learning_rate=0.1, weight_decay=0.5)
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.5]


def test_adam_divides_by_the_gradient_size_plus_epsilon() -> None:
    """A gradient as small as epsilon (1e-5) moves a weight by half a step: it is not blown up to a whole one."""
    p = parameter(0.0)
    optimizer = adamw([p], learning_rate=1.0, weight_decay=0.0)
    sgd_step({p: [1e-5]}, [[p]], learning_rate=1.0, optimizer=optimizer)
    assert p.item() == pytest.approx(-0.5, rel=1e-3)
