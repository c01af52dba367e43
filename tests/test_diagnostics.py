"""Diagnostics: values on explorations of known content, and that diagnosing does not change the trials."""

from dataclasses import fields

import numpy as np
import pytest
import torch

from dream.config import TrainConfig
from dream.core.bottleneck import last_prefix, prefix_error
from dream.core.trial import Episodes, Trials
from dream.envs import make
from dream.eval.diagnostics import Diagnosis, code_distances
from dream.methods.build import build
from dream.methods.pair import DecoupledPair

IDS = np.arange(24) % 2


@pytest.fixture(scope="module")
def pair() -> DecoupledPair:
    torch.manual_seed(0)
    return build(TrainConfig(method="random", env="signpost"), 1)[0]


def diagnosed(pair: DecoupledPair) -> tuple[Trials, dict[str, float]]:
    env, diagnosis = make("signpost", len(IDS)), Diagnosis(pair)
    env.reset(seed=0)
    return diagnosis.play(env, IDS, torch.Generator().manual_seed(0)), diagnosis.summary()


def test_diagnosing_does_not_change_the_trials(pair: DecoupledPair) -> None:
    env = make("signpost", len(IDS))
    env.reset(seed=0)
    plain, (watched, _) = pair.play(env, IDS, torch.Generator().manual_seed(0)), diagnosed(pair)
    for part in ("explore", "execute"):
        for item in fields(Episodes):
            assert torch.equal(getattr(getattr(plain, part), item.name), getattr(getattr(watched, part), item.name))


def test_every_diagnostic_is_recomputed(pair: DecoupledPair) -> None:
    trials, found = diagnosed(pair)
    truth, net = trials.problem_id, pair.averaged
    seen = (trials.explore.obs[..., 1] > 0).any(1)
    assert 0 < seen.sum() < len(seen)
    codes = net.f(torch.tensor([[0], [1]]))
    prefixes = net.g(trials.explore)
    distance = (last_prefix(prefixes, trials.explore)[:, None] - codes).square().sum(-1)
    right = (distance.argmin(1) == truth).float()
    error = prefix_error(codes[truth], prefixes, pair.config.bottleneck.noise_std)
    reached = trials.explore.length.clamp(max=3)
    returns = trials.execute.reward.sum(1)
    expected = {
        "decoded": right.mean(),
        "informed": seen.float().mean(),
        "decoded_informed": right[seen].mean(),
        "decoded_uninformed": right[~seen].mean(),
        "error_0": error[:, 0].mean(),
        "error_2": error.gather(1, trials.explore.length.clamp(max=2)[:, None]).mean(),
        "error_3": error.gather(1, reached[:, None]).mean(),
        "error_6": last_prefix(error[..., None], trials.explore).mean(),
        "code_distance": (codes[0] - codes[1]).norm(),
        "code_distance_min": (codes[0] - codes[1]).norm(),
        "return_0": returns.mean(),
    }
    assert found == pytest.approx({name: float(value) for name, value in expected.items()}, rel=1e-4)


def test_a_family_without_a_decisive_observation() -> None:
    torch.manual_seed(0)
    pair, env = build(TrainConfig(method="none", env="bus"), 8)
    assert env.informative() is None
    env.reset(seed=0)
    diagnosis = Diagnosis(pair)
    ids = env.problems.ids("train")[:8]
    diagnosis.play(env, ids, torch.Generator())
    diagnosis.play(env, ids, torch.Generator())
    found = diagnosis.summary()
    assert "informed" not in found and not [name for name in found if name.startswith("return")]
    assert found["decoded"] == pytest.approx(1 / 8)  # no member moved: the same z in all


def test_distances_are_measured_between_a_thousand_codes_at_most() -> None:
    codes = torch.arange(3_000.0)[:, None]
    few, many = code_distances(codes[:3]), code_distances(codes)
    assert few.tolist() == [1.0, 2.0, 1.0]
    assert len(many) == 1_000 * 999 // 2 and float(many.max()) == 2_999.0 and float(many.min()) >= 3.0
