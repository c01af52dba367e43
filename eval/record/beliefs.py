"""Beliefs about the problem and its parts after each step of an exploration, derived from the trajectory encoder g."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dream.envs import MetaEnv, Part
from dream.eval.record.recorded import RecordedTrials

SURE = 0.9
"""Probability from which on words call a belief certain."""
SLACK = 0.1
"""Variance of g's own error, in units of rho^2: it keeps beliefs away from 0 and 1."""
ITERATIONS = 40


@dataclass(frozen=True)
class PartBelief:
    """Belief about one part of the problem in N trials."""

    part: Part
    probability: NDArray[np.float64]
    """(N, T + 1, classes) of each value after t steps; after the end of a stream, that at its end."""
    truth: NDArray[np.int64]
    """(N,) the true value."""


def belief(recorded: RecordedTrials) -> NDArray[np.float64] | None:
    """p(mu | tau_:t) over the candidates as g implies it, (N, T + 1, C); None without f and g.

    g is fitted by squared error, so g(tau) estimates the mean of f(mu) given tau. Among the distributions over the
    candidates with that mean, the belief is the one of largest entropy:

        p(mu | tau)  ~  exp(l . f(mu)),   l such that sum_mu p(mu | tau) f(mu) = g(tau) up to a little slack.

    Before the first observation g is near the mean of all codes and the belief nearly uniform. (Weights
    exp(-|f(mu) - g(tau)|^2 / 2 rho^2) would not do: rho is small relative to the distances of the codes, so all mass
    would go to the code nearest to the mean, and halfway through an exploration to one of the remaining problems.
    docs/watch.md compares both with exact posteriors.) After the end of a stream the belief is that at its end.
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
    """Beliefs about the relevant parts of the problem: `belief`, summed over the problems that agree in a part.

    [] where the family has no parts, or the method no z.
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

    The dual, log sum exp(l . x) - l . mean + slack |l|^2 / 2, is convex. It is minimised by Newton's method with steps
    limited so that no log-probability changes by much at once.
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
