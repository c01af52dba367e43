"""Masked recurrent double Q-learning on whole streams: pure functions.

Sources: double Q-learning (van Hasselt et al., 2016, arXiv 1509.06461); Watkins's Q(lambda) (Watkins 1989; Sutton &
Barto 2018, section 12.10): the multi-step return is cut where the action taken was not the greedy one; advantage
learning (Baird 1995; Bellemare et al., 2016, arXiv 1512.04860).
"""

from __future__ import annotations

import torch
from torch import Tensor

from dream.core.actions import random_discrete
from dream.core.decisions import Decisions, PolicyLoss


def double_q_value(online: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Value of each observation: the target network's value of the online network's best action.

    Args:
        online, target: (..., A) action values.

    Returns:
        value (...), best action (...) int64.
    """
    best = online.argmax(-1)
    return target.gather(-1, best[..., None]).squeeze(-1), best


def lambda_returns(
    reward: Tensor,
    terminated: Tensor,
    mask: Tensor,
    value: Tensor,
    greedy: Tensor,
    *,
    gamma: float | Tensor,
    lambda_: float,
) -> Tensor:
    """Targets of Watkins's Q(lambda), with c_t = lambda where the action taken is the greedy one, else 0:

        G_t = r_t + gamma (1 - terminated_t) [(1 - c_{t+1}) V(o_{t+1}) + c_{t+1} G_{t+1}]

    A stream that stops without `terminated` (a time limit) bootstraps from the value of its last observation.

    Args:
        reward: (N, T).
        terminated: (N, T) bool: the return after this transition is zero.
        mask: (N, T) bool: the stream has a step here.
        value: (N, T + 1): V of every observation, from `double_q_value`.
        greedy: (N, T) bool: the action taken is the greedy one; others cut the trace.
        gamma: discount, or (N, T) one for each step.
        lambda_: of Q(lambda); 0 gives one-step targets.

    Returns:
        (N, T) targets, meaningless outside the mask.
    """
    discount = gamma * (~terminated).to(reward.dtype)
    steps = reward.shape[1]
    cut = lambda_ * (greedy & mask).to(reward.dtype)
    # G_t = fixed_t + carried_t (G_{t+1} - V(o_{t+1})): the one-step target plus what the trace adds
    fixed = reward + discount * value[:, 1:]
    carried = torch.zeros_like(cut)
    carried[:, :-1] = discount[:, :-1] * cut[:, 1:]
    fixed_columns, carried_columns, value_columns = fixed.unbind(1), carried.unbind(1), value.unbind(1)
    returns = [fixed_columns[-1]]
    for t in range(steps - 2, -1, -1):
        returns.append(fixed_columns[t] + carried_columns[t] * (returns[-1] - value_columns[t + 1]))
    return torch.stack(returns[::-1], dim=1)


def skip_reset_steps(value: Tensor, reset_step: Tensor, reward: Tensor) -> Tensor:
    """Replace the value before a reset step by the value after it plus the reward of the reset step.

    The policy takes no action at a reset step, so its own estimate there is never trained.

    Args:
        value: (N, T + 1).
        reset_step: (N, T) bool.
        reward: (N, T).

    Returns:
        (N, T + 1).
    """
    out = value.clone()
    out[:, :-1] = torch.where(reset_step, reward + value[:, 1:], value[:, :-1])
    return out


def widen_action_gap(returns: Tensor, target_q: Tensor, action: Tensor, alpha: float) -> Tensor:
    """Advantage learning (arXiv 1512.04860, eq. 10): G_t - alpha (max_a Q(o_t, a) - Q(o_t, a_t)).

    The best action keeps its value, the others come to lie 1 / (1 - alpha) times as far below it. A wasted step costs
    next to nothing, less than the error of a network in a problem it has never seen, and a greedy policy then walks in
    circles; a wider gap outweighs the error (docs/learning.md).

    Args:
        returns: (N, T) targets G.
        target_q: (N, T, A) action values of the target network.
        action: (N, T) int64.
        alpha: from 0, which changes nothing, to below 1.

    Returns:
        (N, T).
    """
    gap = target_q.amax(-1) - target_q.gather(-1, action[..., None]).squeeze(-1)
    return returns - alpha * gap


def td_error(q: Tensor, action: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Weighted errors weight_t (Q(o_t, a_t) - target_t).

    Args:
        q: (N, T, A).
        action: (N, T) int64.
        target: (N, T), detached here.
        weight: (N, T), 1 for the steps in the loss, else 0.

    Returns:
        (N, T).
    """
    return (q.gather(-1, action[..., None]).squeeze(-1) - target.detach()) * weight


def q_loss(error: Tensor, weight: Tensor) -> Tensor:
    """Half the mean squared error over the steps in the loss: `td_error` (N, T), weight (N, T) -> ()."""
    return 0.5 * error.square().sum() / weight.sum().clamp(min=1)


def q_policy_loss(
    q: Tensor, target_q: Tensor, decisions: Decisions, lambda_: float, action_gap: float = 0.0
) -> PolicyLoss:
    """Double Q(lambda) loss of a policy with Discrete actions.

    Args:
        q, target_q: (N, T + 1, A) action values of the online and of the target network.
        decisions: N streams of T steps.
        lambda_: of Q(lambda); traces pass reset steps and are cut at actions that are not greedy.
        action_gap: alpha of advantage learning.
    """
    d = decisions
    taken = d.action.clamp(max=q.shape[-1] - 1)
    with torch.no_grad():
        # Double Q: values of the target network at the online network's best actions
        value, best = double_q_value(q, target_q)
        value = skip_reset_steps(value, d.reset_step, d.reward)
        # Q(lambda) targets
        greedy = (best[:, :-1] == taken) | d.reset_step
        returns = lambda_returns(d.reward, d.terminated, d.mask, value, greedy, gamma=d.discount, lambda_=lambda_)
        # Advantage learning
        returns = widen_action_gap(returns, target_q[:, :-1], taken, action_gap)
    # Squared TD errors of the decisions; the largest of a stream is its priority
    error = td_error(q[:, :-1], taken, returns, d.weight)
    return PolicyLoss(q_loss(error, d.weight), error.detach().abs().amax(1), value[:, 0].mean(), {})


def epsilon_greedy(
    q: Tensor,
    epsilon: Tensor,
    generator: torch.Generator | None,
    action_weight: Tensor | None = None,
    previous: Tensor | None = None,
    repeat: float = 0.0,
) -> Tensor:
    """The best action, or with probability epsilon a random one.

    Args:
        q: (B, A).
        epsilon: (B,) probabilities; if all are zero no random number is drawn.
        generator: on the CPU, so that a seed draws the same actions on every device.
        action_weight: (A,) probabilities of the random actions; uniform if None.
        previous, repeat: see `random_discrete`.

    Returns:
        (B,) int64.
    """
    best = q.argmax(-1)
    if not bool((epsilon > 0).any()):
        return best
    members, actions = q.shape
    weight = torch.full((actions,), 1.0 / actions) if action_weight is None else action_weight
    random = random_discrete(weight, members, generator, previous, repeat).to(q.device)
    explore = torch.rand(members, generator=generator).to(q.device) < epsilon.to(q.device)
    return torch.where(explore, random, best)
