"""Which problems are played when: training ones while training, validation ones to validate, test ones to evaluate."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dream.compare.plan import PlannedRun
from dream.compare.rows import evaluate, is_evaluated, run_rows
from dream.config import PRESETS, TrainConfig, override
from dream.envs import make
from dream.eval.compare.summary import read_runs
from dream.eval.evaluate import eval_rows, evaluate_run, score
from dream.methods.pair import DecoupledPair
from dream.training.loop import train

CONFIG = override(
    TrainConfig(method="none", env="cooking"),
    {**PRESETS["debug"], "steps": 1_000, "learning.num_envs": 16, "evaluation.every": 400, "evaluation.trials": 16},
)


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, set[int]]]:
    """The problems that were collected in, and those that were played in."""
    ids: dict[str, set[int]] = {"collect": set(), "play": set()}
    collect, explore = DecoupledPair.collect, DecoupledPair.explore

    def spy_collect(self: DecoupledPair, env: Any, problem_id: np.ndarray, *rest: Any) -> Any:
        ids["collect"] |= set(problem_id.tolist())
        return collect(self, env, problem_id, *rest)

    def spy_explore(self: DecoupledPair, env: Any, problem_id: np.ndarray, *rest: Any) -> Any:
        ids["play"] |= set(problem_id.tolist())
        return explore(self, env, problem_id, *rest)

    monkeypatch.setattr(DecoupledPair, "collect", spy_collect)
    monkeypatch.setattr(DecoupledPair, "explore", spy_explore)
    yield ids


def problems(split: str) -> set[int]:
    return set(make("cooking", 1).problems.ids(split).tolist())


def test_the_splits_of_this_family_share_no_problem() -> None:
    train_ids, validation, test = (problems(split) for split in ("train", "validation", "test"))
    assert train_ids and validation and test
    assert not (train_ids & validation or train_ids & test or validation & test)


def test_a_run_trains_on_training_problems_and_validates_on_validation_problems(
    played: dict[str, set[int]], tmp_path: Path
) -> None:
    run = train(CONFIG, tmp_path / "run")
    assert played["collect"] and played["collect"] <= problems("train")
    assert played["play"] and played["play"] <= problems("validation")
    played["play"].clear()
    evaluate_run(run, trials=16)
    assert played["play"] and played["play"] <= problems("test")


@pytest.mark.parametrize(("env", "counting", "other"), [("cooking", "best", "final"), ("map", "final", "best")])
def test_a_checkpoint_is_chosen_on_validation_only_where_that_is_held_out(
    env: str, counting: Any, other: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first of several validations is the best here, so the best and the final weights are of different steps."""
    scores = iter([1.0, 0.5, 0.25, *[0.0] * 100])
    monkeypatch.setattr("dream.training.state.validation_score", lambda found: next(scores))
    run = train(override(CONFIG, {"env": env}), tmp_path / "run")
    best, final = (evaluate_run(run, trials=16, weights=weights) for weights in (counting, other))
    assert (best.weights, best.counts, final.weights, final.counts) == (counting, True, other, False)
    assert (best.step < final.step) == (counting == "best") and best.step != final.step
    assert evaluate_run(run, trials=16) == best
    assert {row["metric"] for row in eval_rows(best)} >= {"return", "normalised"}
    assert all(row["metric"].startswith(f"{other}_") for row in eval_rows(final))
    compared = PlannedRun("none", override(CONFIG, {"env": env}), run)
    assert not is_evaluated(compared, 16)
    evaluate(compared, 16)
    assert is_evaluated(compared, 16) and not is_evaluated(compared, 32)
    (read,) = read_runs(run_rows(compared))
    assert read.score == best.normalised and read.final == (final if counting == "best" else best).normalised


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_a_split_is_scored_on_its_own_problems(split: str) -> None:
    ids: set[int] = set()

    class Stop(Exception):
        pass

    def play(env: Any, problem_id: np.ndarray, generator: Any) -> Any:
        ids.update(problem_id.tolist())
        raise Stop

    with pytest.raises(Stop):
        score(play, make("cooking", 16), split, 16, seed=0)
    assert ids and ids <= problems(split)
