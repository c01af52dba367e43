"""What an evaluation says of a run: means, regret, the interval of its score, and what is missing without bounds."""

from pathlib import Path
from typing import Any

import pytest

from dream.config import PRESETS, TrainConfig, override
from dream.envs import make
from dream.eval.evaluate import EvalResult, evaluate_run, load_method, run_trials, score, spread_over_problems
from dream.eval.statistics import normalised_interval
from dream.training.loop import train

CONFIG = override(
    TrainConfig(method="random", env="signpost", seed=3),
    {**PRESETS["debug"], "steps": 600, "learning.num_envs": 16, "evaluation.every": 600, "evaluation.trials": 16},
)
FAMILY = type(make("signpost", 1))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(CONFIG, tmp_path_factory.mktemp("scores") / "run")


def unknown(*arguments: Any, **named: Any) -> Any:
    raise NotImplementedError


def evaluated(run: Path) -> EvalResult:
    return evaluate_run(run, trials=60, seed=2)


def test_an_evaluation_reports_the_means_and_the_interval_of_its_trials(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FAMILY, "optimal_return", lambda self, problem_id, instruction: 1.0 + 2.0 * problem_id)
    monkeypatch.setattr(FAMILY, "no_exploration_return", lambda self, split="all": -2.0)
    result = evaluated(run)
    method, env, step = load_method(run, members=60)
    played = run_trials(method.play, env, spread_over_problems(env, "test", 60, 2), 2)
    assert played.optimal is not None
    assert (result.step, result.seed, result.trials, result.trials_seed) == (step, 3, 60, 2)
    assert result.return_mean == played.returns.mean()
    assert result.optimal_mean == played.optimal.mean()
    assert result.regret == played.optimal.mean() - played.returns.mean() > 0
    assert result.no_exploration == env.no_exploration_return()
    assert result.explore_length == played.explore_length.mean() > 1
    interval = normalised_interval(played.returns, played.optimal, env.no_exploration_return())
    assert (result.normalised, result.normalised_low, result.normalised_high) == tuple(interval)
    assert interval.low < interval.value < interval.high


@pytest.mark.parametrize("missing", ["optimal_return", "no_exploration_return"])
def test_without_one_of_the_bounds_there_is_a_return_and_no_score(
    run: Path, missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = evaluated(run)
    monkeypatch.setattr(FAMILY, missing, unknown)
    result = evaluated(run)
    assert (result.normalised, result.normalised_low, result.normalised_high) == (None, None, None)
    assert (result.optimal_mean is None) == (result.regret is None) == (missing == "optimal_return")
    assert (result.no_exploration is None) == (missing == "no_exploration_return")
    assert result.return_mean == whole.return_mean and result.explore_length == whole.explore_length
    method, env, _ = load_method(run, members=16)
    assert score(method.play, env, "test", 16, 0).keys() >= {"return", "explore_length"}
    assert "normalised" not in score(method.play, env, "test", 16, 0)
