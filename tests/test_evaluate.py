"""Evaluation: every trial counted once, scores by hand, and loading what a run left."""

import csv
import dataclasses
import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from dream.config import PRESETS, TrainConfig, override
from dream.core.rollout import no_steps
from dream.core.trial import Episodes, Trials
from dream.envs import MetaEnv, make
from dream.envs.signpost.family import Signpost
from dream.errors import UserError
from dream.eval import evaluate
from dream.eval import pretrained as pretrained_module
from dream.eval.evaluate import eval_rows, evaluate_run, load_method, run_trials, score, spread_over_problems
from dream.methods.build import build
from dream.storage.checkpoints import CheckpointStore
from dream.training.loop import train

CONFIG = override(
    TrainConfig(method="dream", env="signpost"),
    {**PRESETS["debug"], "steps": 900, "learning.num_envs": 16, "evaluation.every": 300, "evaluation.trials": 16},
)


class Fake:
    """Plays trials whose j-th execution episode returns its problem's id + j, and explores id steps, without acting."""

    def __init__(self, n: int = 1, draws: int = 0):
        self.n, self.draws = n, draws
        self.batches: list[list[int]] = []
        self.instructions: list[Any] = []

    def play(self, env: MetaEnv, problem_id: np.ndarray, generator: torch.Generator) -> Trials:
        self.batches.append(problem_id.tolist())
        torch.rand(self.draws, generator=generator)
        explore = no_steps(env, problem_id, phase="explore")
        explore = self._with(explore, mask=torch.arange(env.horizon) < torch.from_numpy(problem_id)[:, None])
        instruction = np.stack([env.sample_instruction(problem_id, env.np_random) for _ in range(self.n)], 1)
        self.instructions.append(instruction.tolist())
        execute = explore.map(lambda tensor: tensor.repeat_interleave(self.n, 0))
        reward = torch.zeros(execute.reward.shape)
        reward[:, 1] = torch.from_numpy(np.repeat(problem_id, self.n) + np.tile(np.arange(self.n), len(problem_id)))
        execute = self._with(execute, reward=reward, instruction=torch.from_numpy(instruction).flatten(0, 1))
        return Trials(torch.from_numpy(problem_id), explore, execute, torch.zeros(len(problem_id), dtype=torch.bool))

    @staticmethod
    def _with(episodes: Episodes, **changes: torch.Tensor) -> Episodes:
        return Episodes(**{**{name: getattr(episodes, name) for name in Episodes.__dataclass_fields__}, **changes})


# -- trials ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("members", [1, 4, 10, 16])
@pytest.mark.parametrize("n", [1, 3])
def test_every_trial_counts_once_for_any_batch_size(members: int, n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    fake, env, ids = Fake(n), make("map", members), np.array([7, 3, 3, 0, 9, 5, 1, 2, 8, 4])
    monkeypatch.setattr(env, "optimal_return", lambda ids, instruction: 100.0 * ids + instruction @ [1, 10])
    results = run_trials(fake.play, env, ids, seed=0)
    assert results.problem_id.tolist() == ids.tolist()
    np.testing.assert_allclose(results.returns, ids + (n - 1) / 2)
    assert results.explore_length.tolist() == ids.tolist()
    assert len(fake.batches) == -(-10 // members)
    assert [i for batch in fake.batches for i in batch][:10] == ids.tolist()
    assert set(fake.batches[-1]) <= set(ids[members * (len(fake.batches) - 1) :].tolist())
    expected = [
        100.0 * number + (np.array(goals) @ [1, 10]).mean()
        for batch, goals_of in zip(fake.batches, fake.instructions, strict=True)
        for number, goals in zip(batch, goals_of, strict=True)
    ]
    assert results.optimal is not None
    np.testing.assert_allclose(results.optimal, expected[:10])


def test_instructions_depend_on_the_seed_and_not_on_the_method() -> None:
    calm, restless, other = Fake(), Fake(draws=7), Fake()
    env, ids = make("map", 8), np.arange(16)
    for fake, seed in ((calm, 1), (restless, 1), (other, 2)):
        env.np_random.random(3)
        run_trials(fake.play, env, ids, seed=seed)
    assert calm.instructions == restless.instructions != other.instructions


def test_a_family_without_an_exact_optimum_has_no_score(monkeypatch: pytest.MonkeyPatch) -> None:
    env, method = make("signpost", 4), SimpleNamespace(play=Fake().play)

    def unknown(*arguments: Any) -> Any:
        raise NotImplementedError

    monkeypatch.setattr(env, "optimal_return", unknown)
    results = run_trials(Fake().play, env, np.array([0, 1, 1]), seed=0)
    assert results.optimal is None and results.returns.tolist() == [0, 1, 1]
    scores = score(method.play, env, "test", 4, seed=0)  # type: ignore[arg-type]
    assert scores == {"return": 0.5, "explore_length": 0.5, "return_low": 0.0, "return_high": 1.0}
    monkeypatch.undo()
    monkeypatch.setattr(env, "no_exploration_return", unknown)
    assert "normalised" not in score(method.play, env, "test", 4, seed=0)  # type: ignore[arg-type]


def test_normalised_score_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    env, method = make("signpost", 4), SimpleNamespace(play=Fake(n=2).play)
    monkeypatch.setattr(env, "no_exploration_return", lambda split="all": 0.25)
    monkeypatch.setattr(env, "optimal_return", lambda ids, instruction: np.where(ids == 1, 3.0, 1.5))
    got = score(method.play, env, "test", 8, seed=0)  # type: ignore[arg-type]
    # Returns 0.5 and 1.5, at best 1.5 and 3, without exploring 0.25: (1 - 0.25) / (2.25 - 0.25)
    assert got == {"return": 1.0, "explore_length": 0.5, "normalised": 0.375}


def test_problems_are_tried_equally_often() -> None:
    env = make("map", 1)
    ids = spread_over_problems(env, "test", 500, seed=0)
    counts = np.unique(ids, return_counts=True)
    assert set(counts[0]) <= set(env.problems.ids("test").tolist())
    assert len(ids) == 500 and np.ptp(counts[1]) <= 1
    assert (ids == spread_over_problems(env, "test", 500, seed=0)).all()
    assert (ids != spread_over_problems(env, "test", 500, seed=1)).any()


# -- runs --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short run; copy it before changing anything."""
    return train(CONFIG, tmp_path_factory.mktemp("evaluate") / "run")


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "run"))


def change_config(run: Path, name: str, value: Any) -> None:
    config = yaml.safe_load((run / "config.yaml").read_text())
    head, _, rest = name.partition(".")
    if rest:
        config[head][rest] = value
    else:
        config[head] = value
    (run / "config.yaml").write_text(yaml.safe_dump(config))


def test_the_best_checkpoint_is_loaded_or_else_the_newest(run: Path) -> None:
    method, env, step = load_method(run, members=7, weights="best")
    store = CheckpointStore(run / "checkpoints")
    assert env.num_envs == 7 and method.config == CONFIG
    best_step, best, _ = store.load(best=True)  # type: ignore[misc]
    assert step == best_step
    assert all(torch.equal(value, best[name]) for name, value in method.weights().items())
    store.save(123, {name: value + 1 for name, value in best.items()}, best=True)
    assert load_method(run, weights="best")[2] == 123
    newest_step, newest, _ = store.load()  # type: ignore[misc]
    assert load_method(run)[2] == newest_step  # its validation problems are its test problems
    for checkpoint in store.all(best=True):
        shutil.rmtree(checkpoint.path)
    method, _, step = load_method(run, weights="best")
    assert step == newest_step
    assert all(torch.equal(value, newest[name]) for name, value in method.weights().items())


def test_runs_that_cannot_be_loaded_are_explained(run: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        load_method(tmp_path / "nowhere")
    change_config(run, "network.width", "wide")
    with pytest.raises(UserError, match=r"settings of this version of dream \(network.width is 'wide'"):
        load_method(run)
    change_config(run, "network.width", 17)
    with pytest.raises(UserError, match=r"does not fit config.yaml \(averaged"):
        load_method(run)
    change_config(run, "method", "telepathy")
    with pytest.raises(UserError, match=r"unknown method 'telepathy': choose one of dream"):
        load_method(run)
    change_config(run, "method", "dream")
    change_config(run, "network.width", 16)
    for checkpoint in (run / "checkpoints").iterdir():
        weights = checkpoint / "weights.safetensors"
        weights.write_bytes(weights.read_bytes()[:-9])
    with pytest.raises(UserError, match="damaged"):
        load_method(run)
    shutil.rmtree(run / "checkpoints")
    with pytest.raises(UserError, match="no checkpoint yet"):
        load_method(run)


def test_evaluating_a_run(trained: Path) -> None:
    result = evaluate_run(trained, trials=50, seed=3)
    assert (result.env, result.method, result.seed, result.split, result.trials) == ("signpost", "dream", 0, "test", 50)
    method, env, step = load_method(trained, members=50)
    played = run_trials(method.play, env, spread_over_problems(env, "test", 50, 3), 3)
    assert result.step == step and result.return_mean == played.returns.mean()
    assert result.optimal_mean == 1.0 and result.no_exploration == 0.0
    assert result.regret == pytest.approx(1.0 - result.return_mean)
    assert result.normalised == pytest.approx(result.return_mean)
    assert result.normalised_low is not None and result.normalised_high is not None
    assert result.normalised_low <= result.return_mean <= result.normalised_high
    assert result.explore_length == played.explore_length.mean()
    assert evaluate_run(trained, trials=50, seed=3) == result


def test_an_evaluation_as_tidy_rows(trained: Path) -> None:
    result = evaluate_run(trained, trials=20, split="validation")
    rows = eval_rows(result)
    identity = {"env": "signpost", "method": "dream", "seed": 0, "step": result.step, "split": "validation"}
    assert all(list(row) == [*identity, "metric", "value"] and row.items() >= identity.items() for row in rows)
    values = {row["metric"]: row["value"] for row in rows}
    assert len(values) == len(rows)
    assert values["trials"] == 20 and values["return"] == result.return_mean
    assert values["normalised"] == result.normalised and values["regret"] == result.regret


def test_an_unknown_method_is_refused_before_anything_is_built() -> None:
    with pytest.raises(UserError, match="unknown method 'dreem'"):
        build(TrainConfig(method="dreem", env="no such family"), 4)


def test_a_pair_in_the_package_is_the_run_it_was_taken_from(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pretrained_module, "FOLDER", tmp_path / "pretrained")
    pretrained_module.export(run, tmp_path / "pretrained" / "signpost")
    assert pretrained_module.pretrained_names() == ["signpost"]
    taken = pretrained_module.pretrained("signpost")
    assert evaluate_run(taken, trials=40) == evaluate_run(run, trials=40)
    assert not list(taken.rglob("state.pt"))
    kept, whole = (
        [json.loads(line) for line in (path / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
        for path in (taken, run)
    )
    assert kept and kept == [
        {key: value for key, value in line.items() if key == "step" or key.startswith("eval/validation/")}
        for line in whole
    ]
    with pytest.raises(UserError, match=r"no pretrained pair 'map': choose one of signpost"):
        pretrained_module.pretrained("map")
    with pytest.raises(UserError, match="exists already"):
        pretrained_module.export(run, taken)


def test_parameters_of_an_evaluation_override_those_of_training(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built = []

    def remember(config: TrainConfig, members: int) -> Any:
        built.append(dict(config.env_parameters))
        return build(dataclasses.replace(config, env_parameters={}), members)

    monkeypatch.setattr(evaluate, "build", remember)
    monkeypatch.setattr(evaluate, "make_env", lambda config, members: make("signpost", members))
    change_config(run, "env_parameters", {"size": 3, "light": "on"})
    assert evaluate_run(run, trials=2).env == "signpost"
    result = evaluate_run(run, trials=2, env_parameters={"light": "off", "planet": "mars"})
    assert result.env == "signpost[light=off,planet=mars]"
    assert built == [{"size": 3, "light": "on"}, {"size": 3, "light": "off", "planet": "mars"}]


def test_an_evaluation_in_an_env_of_another_size_says_what_does_not_fit() -> None:
    bus = pretrained_module.pretrained("bus")
    with pytest.raises(UserError, match=r"observation space was MultiDiscrete\(\[9 9 4\]\) in training and is .*11 11"):
        evaluate_run(bus, trials=4, env_parameters={"grid_size": 11})
    with pytest.raises(UserError, match="described otherwise than in training, and this shows f"):
        load_method(bus, members=4, env_parameters={"description": "lines"})


def test_how_problems_are_described_does_not_matter_at_test_time() -> None:
    bus = pretrained_module.pretrained("bus")
    usual, other = evaluate_run(bus, trials=40), evaluate_run(bus, trials=40, env_parameters={"description": "lines"})
    assert other.return_mean == usual.return_mean and other.explore_length == usual.explore_length


def test_problems_that_the_run_was_trained_on_are_counted() -> None:
    bus, cooking = pretrained_module.pretrained("bus"), pretrained_module.pretrained("cooking")
    assert evaluate_run(bus, trials=4).trained_on == 0
    assert evaluate_run(bus, trials=4, split="train").trained_on == 48
    assert evaluate_run(bus, trials=4, split="validation", env_parameters={"split": "paper"}).trained_on == 48
    assert evaluate_run(cooking, trials=4, env_parameters={"split": "paper"}).trained_on == 1  # kitchen 10
    assert evaluate_run(pretrained_module.pretrained("map"), trials=4).trained_on == 24


def test_a_pair_in_the_package_is_loaded_by_the_name_of_its_family() -> None:
    method, env, step = pretrained_module.load_pretrained("bus", members=3)
    assert (method.config.env, env.family, env.num_envs) == ("bus", "bus", 3)
    assert step == load_method(pretrained_module.pretrained("bus"), members=1)[2]
    with pytest.raises(UserError, match="no pretrained pair 'boat': choose one of bus"):
        pretrained_module.load_pretrained("boat")


def test_exploration_that_gains_nothing_has_no_normalised_score(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Signpost, "no_exploration_return", lambda self, split="all": 1.0)  # the optimum
    result = evaluate_run(trained, trials=20)
    assert result.normalised is None and (result.no_exploration, result.optimal_mean) == (1.0, 1.0)
    assert result.return_low <= result.return_mean <= result.return_high


def test_a_run_of_a_family_that_cannot_be_found_is_one_sentence(run: Path) -> None:
    change_config(run, "env", "no_such_module:Family")
    with pytest.raises(UserError, match="no_such_module"):
        load_method(run)


@pytest.mark.parametrize("name", pretrained_module.pretrained_names())
def test_the_pretrained_pairs_have_their_published_scores(name: str) -> None:
    folder = pretrained_module.pretrained(name)
    with (folder / "eval.csv").open(encoding="utf-8") as file:
        said = {row["metric"]: float(row["value"]) for row in csv.DictReader(file) if row["split"] == "test"}
    result = evaluate_run(folder, trials=120)
    assert result.normalised is not None
    assert abs(result.normalised - said["normalised"]) < 0.1 and said["normalised"] > 0.9
