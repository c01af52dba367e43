"""What an exploration led a pair to believe of the problem, and of its parts, such as where one bus line leads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dream.envs import MetaEnv, Part
from dream.eval.record.recorded import RecordedTrials

SURE = 0.9
"""Belief from which on words say that it is sure."""
SLACK = 0.1
"""Variance allowed for g's own error, in units of rho^2: it keeps beliefs from 0 and 1."""
ITERATIONS = 40


@dataclass(frozen=True)
class PartBelief:
    """Belief about one part of the problem in N trials."""

    part: Part
    probability: NDArray[np.float64]
    """(N, T + 1, classes) of each of its values after t steps; after the end of a stream its last value."""
    truth: NDArray[np.int64]
    """(N,) its true value."""


def belief(recorded: RecordedTrials) -> NDArray[np.float64] | None:
    """What g(tau_:t) says of the problem: p(mu | tau_:t) over the candidates, (N, T + 1, C); None without f and g.

    g is fitted by squared error, so g(tau) is the mean of f(mu) given what was seen. Of all distributions over the
    candidates with that mean the belief is the one of largest entropy, the one that claims the least besides:

        p(mu | tau)  ~  exp(l . f(mu)),   l such that sum_mu p(mu | tau) f(mu) = g(tau) up to a little slack.

    Before anything was seen g is near the mean of all codes and the belief nearly uniform. (The nearer codes are not
    simply the likelier ones: exp(-|f(mu) - g(tau)|^2 / 2 rho^2) is sure of the code that lies nearest to that mean,
    since rho is small beside the distances of the codes; and after half of an exploration it is sure of one of the
    problems that are left. docs/watch.md compares both with exact posteriors.) After the end of a stream the belief
    stays.
    """
    if recorded.prefixes is None or recorded.codes is None or recorded.noise is None:
        return None
    length = recorded.explore.length
    slots = np.arange(recorded.prefixes.shape[1])
    rows, at = np.nonzero(slots <= length[:, None])
    found = _least_claiming(recorded.codes, recorded.prefixes[rows, at], SLACK * recorded.noise**2)
    whole = np.zeros((*recorded.prefixes.shape[:2], found.shape[1]))
    whole[rows, at] = found
    held = np.minimum(slots, length[:, None])
    return whole[np.arange(len(whole))[:, None], held]


def part_beliefs(recorded: RecordedTrials, env: MetaEnv) -> list[PartBelief]:
    """Beliefs about all that matters to execution: `belief`, summed over the problems that agree in a part.

    [] where the family does not say what a problem is made of, or the method has no z.
    """
    parts = [part for part in env.parts() if part.relevant]
    whole = belief(recorded) if parts else None
    if whole is None or recorded.candidates is None:
        return []
    found = []
    for part in parts:
        value = np.eye(part.classes)[part.labels[recorded.candidates]]  # (C, classes)
        found.append(PartBelief(part, whole @ value, part.labels[recorded.problem_id]))
    return found


def _least_claiming(codes: NDArray[np.floating], mean: NDArray[np.floating], slack: float) -> NDArray[np.float64]:
    """Distributions over codes (C, Z) of largest entropy with the given means (M, Z), (M, C).

    The dual, log sum exp(l . x) - l . mean + slack |l|^2 / 2, is convex: Newton's method, with steps shortened where
    they would change the logarithm of a probability by much.
    """
    centre = codes.mean(axis=0, dtype=np.float64)
    _, spread, axes = np.linalg.svd(codes - centre, full_matrices=False)
    axes = axes[spread > 1e-6 * max(spread[0], 1e-12)]
    points, target = (codes - centre) @ axes.T, (mean - centre) @ axes.T
    slopes = np.zeros_like(target)
    for _ in range(ITERATIONS):
        weight = _softmax(slopes @ points.T)
        expected = weight @ points
        gradient = expected - target + slack * slopes
        second = np.einsum("mc,ci,cj->mij", weight, points, points, optimize=True)
        curvature = second - expected[:, :, None] * expected[:, None, :] + slack * np.eye(len(axes))
        step = np.linalg.solve(curvature, gradient[..., None])[..., 0]
        change = np.abs(step @ points.T).max(axis=1, keepdims=True)
        slopes -= step / np.maximum(1.0, change / 2)
        if change.max() < 1e-6:
            break
    return _softmax(slopes @ points.T)


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    weight = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weight / weight.sum(axis=1, keepdims=True)
