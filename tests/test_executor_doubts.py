"""The executions of benchmarks/executor_doubts.py: each is given the exploration that it should be."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.executor_doubts import KINDS, measure
from benchmarks.script import labelled
from dream.core.rollout import no_steps
from dream.envs import make
from tests.small_training import trained


@pytest.mark.parametrize("problem_id", [[0, 0, 1, 1, 2, 2], [3, 1, 3, 2, 1, 0], [5, 4]])
def test_the_other_exploration_is_of_another_problem(problem_id: list[int]) -> None:
    ids = np.array(problem_id)

    def explore(env: Any, problem_id: np.ndarray, generator: Any) -> Any:
        episodes = no_steps(env, problem_id, phase="explore")
        return dataclasses.replace(episodes, instruction=torch.from_numpy(problem_id)[:, None])

    method: Any = SimpleNamespace(explore=explore, device=torch.device("cpu"))
    given = KINDS["other"](method, make("map", len(ids)), ids, torch.Generator())
    assert (given.instruction[:, 0].numpy() != ids).all()
    assert not KINDS["nothing"](method, make("map", len(ids)), ids, torch.Generator()).mask.any()


def test_rows_of_a_run_with_changed_settings_do_not_replace_those_of_its_method(tmp_path: Path) -> None:
    rows = [{"method": "dream", "value": 1.0}]
    changed = "dream[env_parameters.description=id]"
    assert labelled(tmp_path / "cooking" / changed / "s0", rows) == [{"method": changed, "value": 1.0}]
    assert labelled(tmp_path / "cooking" / "dream" / "s0", rows) == rows


def test_a_run_is_measured_on_both_splits(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = trained("dream", env="map", learning__num_envs=12)
    env = make("map", 48)
    monkeypatch.setattr("benchmarks.executor_doubts.TRIALS", 48)
    monkeypatch.setattr("benchmarks.executor_doubts.load_method", lambda run, members: (loop.method, env, 7))
    rows = measure(None)  # type: ignore[arg-type]
    assert [(row["split"], row["metric"], row["step"]) for row in rows] == [
        (split, f"on_{kind}", 7) for split in ("train", "test") for kind in ("own", "script", "nothing", "other")
    ]
    assert all(np.isfinite(row["value"]) for row in rows)
