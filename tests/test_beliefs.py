"""Beliefs: hand-computed ones, and those of a trained pair beside the exact posterior."""

import numpy as np
import pytest
import torch

from dream.envs import consistent_problems, make
from dream.eval.evaluate import load_method, spread_over_problems
from dream.eval.pretrained import pretrained
from dream.eval.record import beliefs
from dream.eval.record.beliefs import belief, part_beliefs
from dream.eval.record.recorded import RecordedStreams, RecordedTrials
from dream.eval.record.recorder import record_trials


def recording(prefixes: np.ndarray, codes: np.ndarray, length: list[int], noise: float = 0.01) -> RecordedTrials:
    """Trials on signpost of which only what beliefs need is filled in."""
    count, steps = prefixes.shape[0], prefixes.shape[1] - 1
    mask = np.arange(steps) < np.array(length)[:, None]
    blank = np.zeros((count, steps), np.int64)
    start = np.arange(steps)[None] == np.zeros((count, 1))
    streams = RecordedStreams(
        np.zeros((count, steps + 1, 2), np.int16),
        blank, blank.astype(np.float32), blank > 0, mask, start, np.zeros((count, 1), np.int64),
    )  # fmt: skip
    ids = np.arange(count, dtype=np.int64) % len(codes)
    return RecordedTrials(
        env="signpost", env_parameters={}, method="dream", step=0, seed=0, problem_id=ids, explore=streams,
        execute=streams, returns=np.zeros((count, 1)), optimal=None, noise=noise,
        prefixes=prefixes.astype(np.float32), codes=codes.astype(np.float32), code=codes[ids].astype(np.float32),
        candidates=np.arange(len(codes)),
    )  # fmt: skip


def test_two_problems_by_hand() -> None:
    """With codes -1 and 1 and no slack p(1) = (1 + g) / 2; after the end the belief stays."""
    g = np.array([[0.0, 0.6, -0.8, 0.123], [0.0, -0.5, 9.0, 9.0]])[..., None]
    found = belief(recording(g, np.array([[-1.0], [1.0]]), [3, 1], noise=1e-4))
    assert found is not None
    assert found[0, :, 1] == pytest.approx([0.5, 0.8, 0.1, 0.5615], abs=1e-4)
    assert found[1, :, 1] == pytest.approx([0.5, 0.25, 0.25, 0.25], abs=1e-4)


def test_slack_keeps_beliefs_from_certainty() -> None:
    """The dual's condition: sum p x = g - slack * l, with l half the log-odds of two codes at -1 and 1."""
    noise = 0.5
    found = belief(recording(np.array([[[1.0], [0.0]]]), np.array([[-1.0], [1.0]]), [1], noise=noise))
    assert found is not None
    p = found[0, 0, 1]
    assert 0.9 < p < 1 and 2 * p - 1 == pytest.approx(
        1 - beliefs.SLACK * noise**2 * 0.5 * np.log(p / (1 - p)), abs=1e-6
    )


def test_beliefs_are_distributions_with_the_mean_of_g_and_uniform_at_the_mean_code() -> None:
    rng = np.random.default_rng(0)
    codes = rng.normal(size=(30, 6))
    truth = rng.dirichlet(np.full(30, 0.2), size=(4, 5))
    prefixes = truth @ codes
    prefixes[:, 0] = codes.mean(0)
    found = belief(recording(prefixes, codes, [4, 4, 4, 4], noise=0.01))
    assert found is not None and (found >= 0).all()
    assert np.allclose(found.sum(2), 1)
    assert np.allclose(found[:, 0], 1 / 30, atol=1e-6)
    assert np.allclose(found @ codes, prefixes, atol=1e-3)
    entropy = -(found * np.log(np.maximum(found, 1e-300))).sum(2)
    assert (entropy[:, 1:] >= -(truth * np.log(np.maximum(truth, 1e-300))).sum(2)[:, 1:] - 1e-6).all()


def test_parts_add_up_the_problems_that_agree() -> None:
    g = np.array([[[0.0], [0.6]], [[0.0], [0.6]]])
    recorded = recording(g, np.array([[-1.0], [1.0]]), [1, 1], noise=1e-4)
    (button,) = part_beliefs(recorded, make("signpost", 1))
    assert button.part.name == "right button" and button.truth.tolist() == [0, 1]
    assert button.probability[0, 1].tolist() == pytest.approx([0.2, 0.8], abs=1e-4)


def test_a_method_without_z_has_no_belief() -> None:
    recorded = recording(np.zeros((1, 2, 1)), np.zeros((2, 1)), [1])
    assert part_beliefs(recorded.__class__(**{**vars(recorded), "prefixes": None}), make("signpost", 1)) == []


def test_a_trained_pair_approaches_the_exact_posterior() -> None:
    """Log-likelihood of where the useful lines lead, step by step, beside the exact posterior's."""
    torch.manual_seed(0)
    count = 12
    method, env, _ = load_method(pretrained("bus"), members=count)
    ids = spread_over_problems(env, "test", count, 0)
    recorded = record_trials(method, env, ids, 0)
    explore, everyone = recorded.explore, make("bus", 2048)
    found, exact = [], []
    for t in (0, 2, 6, 10):
        until = explore.mask & (np.arange(explore.mask.shape[1]) < t)
        agrees = consistent_problems(everyone, explore.obs, explore.action, until)
        for part in part_beliefs(recorded, env):
            possible = (agrees / agrees.sum(1, keepdims=True)) @ np.eye(4)[part.part.labels]
            found.append(np.log(part.probability[np.arange(count), t, part.truth]).mean())
            exact.append(np.log(possible[np.arange(count), part.truth]).mean())
    assert min(exact) < -1 and max(exact) > -1e-9
    assert np.abs(np.subtract(found, exact)).mean() < 0.05
