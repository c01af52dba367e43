"""The training loop: killed or interrupted at any moment and resumed by the same call, it ends bit for bit the same."""

import dataclasses
import json
import multiprocessing
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from dream.config import PRESETS, TrainConfig, default_config, override
from dream.errors import UserError
from dream.methods.pair import DecoupledPair
from dream.storage.checkpoints import CheckpointStore
from dream.training import loop as training
from dream.training.loop import crossed, mean_metrics, train
from dream.training.progress import SilentProgress

CONFIG = override(
    TrainConfig(method="dream", env="map", env_parameters={"grid_size": 5}, seed=3),
    {
        **PRESETS["debug"],
        "steps": 7_000,
        "network.width": 8,
        "network.memory_size": 8,
        "learning.num_envs": 16,
        "learning.buffer_size": 64,
        "learning.learning_starts": 40,
        "evaluation.every": 900,
        "evaluation.trials": 32,
        "evaluation.checkpoint_every": 600,
    },
)


def test_a_loss_that_is_not_finite_ends_the_run_and_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = DecoupledPair.update

    def update(
        self: DecoupledPair, replay: Any, progress: float, generator: torch.Generator
    ) -> dict[str, torch.Tensor]:
        metrics = real(self, replay, progress, generator)
        return metrics | {"loss/executor": metrics["loss/executor"] * float("nan" if progress > 0.5 else 1.0)}

    monkeypatch.setattr(DecoupledPair, "update", update)
    with pytest.raises(UserError, match=r"loss/executor is nan at step .* smaller learning.learning_rate"):
        train(CONFIG, tmp_path / "run")
    steps = [json.loads(line)["step"] for line in (tmp_path / "run" / "metrics.jsonl").open()]
    assert steps and max(steps) <= 0.6 * CONFIG.steps  # what came before is there


def results(path: Path) -> dict[str, Any]:
    """What must not depend on how often a run was interrupted: its log and its newest and best weights, as bytes."""
    store = CheckpointStore(path / "checkpoints")
    newest, best = store.all()[-1], store.all(best=True)[-1]
    return {
        "metrics": (path / "metrics.jsonl").read_bytes(),
        "steps": [json.loads(line)["step"] for line in (path / "timing.jsonl").open()],
        "newest": (newest.step, (newest.path / "weights.safetensors").read_bytes()),
        "best": (best.step, (best.path / "weights.safetensors").read_bytes()),
    }


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run that nobody disturbed."""
    return train(CONFIG, tmp_path_factory.mktemp("uninterrupted") / "run")


def test_the_log_of_a_run(uninterrupted: Path) -> None:
    path = uninterrupted
    lines = [json.loads(line) for line in (path / "metrics.jsonl").open()]
    steps = [line["step"] for line in lines]
    assert len(lines) == 8 and steps == sorted(set(steps)) and steps[-1] >= CONFIG.steps
    for before, step in zip([0, *steps], steps, strict=False):
        assert step == steps[-1] or crossed(before, step, CONFIG.evaluation.every)
    for line in lines[1:]:
        assert line.keys() >= {"explore/explained", "execute/return", "loss/explorer", "eval/validation/normalised"}
        assert all(value is not None for value in line.values())
    assert lines[-1]["updates"] == CONFIG.learning.updates_per_round * (
        lines[-1]["rounds"] - 2
    )  # 40 trials are 3 rounds
    scores = [line["eval/validation/normalised"] for line in lines]
    last_best = max(range(len(scores)), key=lambda i: (scores[i], i))
    assert results(path)["best"][0] == steps[last_best]


def test_a_finished_run_is_left_as_it_is(uninterrupted: Path) -> None:
    path = uninterrupted

    def contents() -> dict[str, bytes]:
        return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}

    before = contents()
    assert train(CONFIG, path) == path
    assert contents() == before


def test_killed_at_random_moments_and_resumed(uninterrupted: Path, tmp_path: Path) -> None:
    timing = json.loads((uninterrupted / "timing.jsonl").read_text().splitlines()[-1])
    rounds = json.loads((uninterrupted / "metrics.jsonl").read_text().splitlines()[-1])["rounds"]
    seconds_a_round = timing["time/seconds"] / rounds
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(
        ["dream.training.loop", "torch.utils.tensorboard", "torch._dynamo"]
    )  # once, not thrice
    store, path = CheckpointStore(tmp_path / "run" / "checkpoints"), tmp_path / "run"
    rng, killed = random.Random(0), 0
    for _ in range(3):
        serial = store.all()[-1].serial if store.all() else 0
        process = processes.Process(target=train, args=(CONFIG, path))
        process.start()
        while process.is_alive() and not (store.all() and store.all()[-1].serial > serial):
            time.sleep(0.002)
        process.join(rng.uniform(0, 2 * seconds_a_round))  # anywhere in the rounds after its first checkpoint
        process.kill()
        process.join()
        killed += process.exitcode == -signal.SIGKILL
    assert killed >= 1 and store.all()[0].step < CONFIG.steps
    train(CONFIG, path)
    assert results(path) == results(uninterrupted)


def test_ctrl_c_anywhere_saves_and_the_same_call_goes_on(
    uninterrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C while acting, learning and validating; twice at once; and an interruption by who watches."""
    moments = [(3, "collect", 1), (6, "update", 1), (9, "score", 1), (15, "update", 2), (17, "collect", 2)]
    begun = 0  # rounds, over all lives of the run

    def counted(stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Ctrl-C, once or twice, before the first call of `stage` from this round on."""

        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal begun
            begun += stage == "collect"
            for moment in moments:
                if moment[0] <= begun and moment[1] == stage:
                    moments.remove(moment)
                    for _ in range(moment[2]):
                        signal.raise_signal(signal.SIGINT)
                    break
            return function(*arguments, **options)

        return call

    monkeypatch.setattr(DecoupledPair, "collect", counted("collect", DecoupledPair.collect))
    monkeypatch.setattr(DecoupledPair, "update", counted("update", DecoupledPair.update))
    monkeypatch.setattr(training, "score", counted("score", training.score))

    class Impatient(SilentProgress):
        gone = False

        def update(self, step: int, metrics: Any) -> None:
            if begun >= 20 and not self.gone:
                Impatient.gone = True
                raise KeyboardInterrupt

    path, lives, lost = tmp_path / "run", 1, 0
    handler = signal.getsignal(signal.SIGINT)
    while True:
        try:
            train(CONFIG, path, progress=Impatient())
            break
        except KeyboardInterrupt:
            saved = CheckpointStore(path / "checkpoints").load()
            assert saved is not None and signal.getsignal(signal.SIGINT) is handler
            if lives <= 3:
                assert saved[2]["counters"]["rounds"] == begun  # a single Ctrl-C waits for the end of the round
            lost, lives = begun - saved[2]["counters"]["rounds"], lives + 1
    assert lives == 7 and lost >= 3 and not moments
    assert results(path) == results(uninterrupted)


def interrupt(monkeypatch: pytest.MonkeyPatch, *rounds: int) -> list[int]:
    """Ctrl-C at the beginning of these rounds, counted over all lives of the run. Returns the rounds begun so far."""
    begun: list[int] = []
    collect = DecoupledPair.collect

    def interrupting(*arguments: Any) -> Any:
        begun.append(len(begun) + 1)
        if begun[-1] in rounds:
            signal.raise_signal(signal.SIGINT)
        return collect(*arguments)

    monkeypatch.setattr(DecoupledPair, "collect", interrupting)
    return begun


def test_one_ctrl_c_loses_nothing_even_in_the_first_and_the_last_round(
    uninterrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds = json.loads((uninterrupted / "metrics.jsonl").read_text().splitlines()[-1])["rounds"]
    collected = interrupt(monkeypatch, 1, rounds)
    with pytest.raises(KeyboardInterrupt):
        train(CONFIG, tmp_path / "run")
    assert len(collected) == 1 and len(CheckpointStore(tmp_path / "run" / "checkpoints").all()) == 1
    train(CONFIG, tmp_path / "run")  # finished when the second Ctrl-C came
    assert len(collected) == rounds
    assert results(tmp_path / "run") == results(uninterrupted)


def test_overwrite_starts_again(tmp_path: Path) -> None:
    short = dataclasses.replace(CONFIG, steps=200)
    first = results(train(short, tmp_path / "run"))
    assert results(train(dataclasses.replace(short, seed=4), tmp_path / "run", overwrite=True)) != first
    assert results(train(short, tmp_path / "run", overwrite=True)) == first


def test_the_learning_rate_falls_in_a_line() -> None:
    config = override(CONFIG, {"learning.learning_rate": 3e-3, "learning.final_learning_rate": 1e-3, "steps": 100})
    rates = [config.learning.learning_rate_at(share) for share in (0.0, 0.5, 1.0, 1.3)]
    assert rates == pytest.approx([3e-3, 2e-3, 1e-3, 1e-3])


def test_a_multiple_is_crossed_when_it_is_reached() -> None:
    assert not crossed(0, 99, 100) and crossed(99, 100, 100) and not crossed(100, 101, 100)
    assert crossed(150, 450, 100)


def test_metrics_are_means_over_updates() -> None:
    assert mean_metrics([]) == {}
    pending = [{"a": torch.tensor(1.0), "b": torch.tensor(-2.0)}, {"a": torch.tensor(4.0), "b": torch.tensor(2.0)}]
    assert mean_metrics(pending) == {"a": 2.5, "b": 0.0}


def test_a_damaged_newest_checkpoint_is_passed_over_and_the_run_ends_as_before(
    uninterrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt(monkeypatch, 12)
    with pytest.raises(KeyboardInterrupt):
        train(CONFIG, tmp_path / "run")
    older, newest = CheckpointStore(tmp_path / "run" / "checkpoints").all()
    state = newest.path / "state.pt"
    state.write_bytes(state.read_bytes()[:-100])
    with pytest.warns(UserWarning, match=rf"state.pt is damaged .* going back to step {older.step}"):
        train(CONFIG, tmp_path / "run")
    assert results(tmp_path / "run") == results(uninterrupted)


def test_a_finished_run_keeps_its_weights_and_no_replay(uninterrupted: Path) -> None:
    (only,) = CheckpointStore(uninterrupted / "checkpoints").all()
    loaded = CheckpointStore(uninterrupted / "checkpoints").load()
    assert loaded is not None and loaded[0] == only.step >= CONFIG.steps and loaded[2]["replay"] is None


def test_a_run_on_frames_is_resumed_as_exactly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changes = {
        "steps": 1_500,
        "learning.num_envs": 8,
        "learning.learning_starts": 8,
        "learning.buffer_size": 16,
        "evaluation.trials": 8,
    }
    changes |= {"learning.explore_batch_size": 4, "learning.execute_batch_size": 4, "learning.transition_batch_size": 6}
    changes |= {"evaluation.every": 300, "evaluation.checkpoint_every": 300, "network.width": 8}
    config = override(default_config("dream", "sign"), changes)
    whole = results(train(config, tmp_path / "whole"))
    collected = interrupt(monkeypatch, 3)
    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "run")
    train(config, tmp_path / "run")
    assert len(collected) > 4 and results(tmp_path / "run") == whole


def test_freed_memory_is_kept_where_the_system_lets_us_ask() -> None:
    """In a process of its own, as it holds for the whole process: memory taken again costs no page faults."""
    code = (
        "import resource, sys, torch\n"
        "from dream.training.allocator import keep_freed_memory\n"
        "def faults():\n"
        "    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "    held = [torch.ones(4_000_000) for _ in range(8)]\n"
        "    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before\n"
        "kept = keep_freed_memory()\n"
        "faults()\n"
        "print(int(kept), faults())"
    )
    kept, faults = map(int, subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.split())
    if not kept:
        pytest.skip("not glibc")
    assert faults < 10_000  # 128 MB are 31,250 pages
