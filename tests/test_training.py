"""The training loop: a run stopped at any moment and resumed by the same call ends bit for bit the same."""

import dataclasses
import inspect
import json
import multiprocessing
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dream.config import PRESETS, TrainConfig, default_config, override
from dream.envs import MetaEnv
from dream.errors import STOP_SIGNALS, Stopped, UserError
from dream.methods.build import build
from dream.methods.pair import DecoupledPair
from dream.storage.checkpoints import CheckpointStore
from dream.training import validation
from dream.training.loop import train
from dream.training.progress import SilentProgress
from dream.training.rounds import Training, rounds
from dream.training.signals import stop_signals
from dream.training.state import crossed, mean_metrics

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


COMMAND = [
    *("--preset", "debug"),
    *("--env", "map"),
    *("--env-parameters", "grid_size=5"),
    *("--seed", "3"),
    *("--explorer.min_explained", "0.02"),
    *("--steps", "7000"),
    *("--network.width", "8"),
    *("--network.memory_size", "8"),
    *("--learning.num_envs", "16"),
    *("--learning.buffer_size", "64"),
    *("--learning.learning_starts", "40"),
    *("--evaluation.every", "900"),
    *("--evaluation.trials", "32"),
    *("--evaluation.checkpoint_every", "600"),
]
"""The same settings on the command line."""


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
    """A finished run that was never stopped."""
    return train(CONFIG, tmp_path_factory.mktemp("uninterrupted") / "run")


def test_the_environment_of_training_says_so_and_that_of_validation_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Families may start an episode part-way only where a policy is trained on it."""
    resets: set[tuple[int, bool]] = set()

    def reset(env: MetaEnv, **arguments: Any) -> Any:
        resets.add((env.num_envs, env.training))
        return original(env, **arguments)

    original = MetaEnv.reset
    monkeypatch.setattr(MetaEnv, "reset", reset)
    train(override(CONFIG, {"steps": 1_000}), tmp_path / "run")
    assert {one for one in resets if one[0] in (16, 32)} == {(16, True), (32, False)}


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


def test_a_run_killed_at_random_moments_and_resumed_ends_the_same(uninterrupted: Path, tmp_path: Path) -> None:
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


def test_ctrl_c_at_any_stage_saves_and_the_same_call_resumes(
    uninterrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C while acting, learning and validating; two at once; and a KeyboardInterrupt raised by the progress bar."""
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
    monkeypatch.setattr(validation, "score", counted("score", validation.score))

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


def interrupt(monkeypatch: pytest.MonkeyPatch, *rounds: int, by: int = signal.SIGINT) -> list[int]:
    """A signal at the beginning of these rounds, counted over all calls of train. Returns the rounds begun so far."""
    begun: list[int] = []
    collect = DecoupledPair.collect

    def interrupting(*arguments: Any) -> Any:
        begun.append(len(begun) + 1)
        if begun[-1] in rounds:
            signal.raise_signal(by)
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


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_each_stop_signal_saves_the_round_in_progress(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler = signal.getsignal(number)
    begun = interrupt(monkeypatch, 9, by=number)
    with pytest.raises(Stopped) as stopped:
        train(CONFIG, tmp_path / "run")
    assert stopped.value.saved and stopped.value.exit_code == 128 + number
    saved = CheckpointStore(tmp_path / "run" / "checkpoints").load()
    assert saved is not None and saved[2]["counters"]["rounds"] == len(begun) == 9
    assert signal.getsignal(number) is handler


def test_sigterm_ends_the_command_with_143_and_the_run_resumes(uninterrupted: Path, tmp_path: Path) -> None:
    """A real process."""
    run = tmp_path / "run"
    command = [sys.executable, "-m", "dream", "train", "dream", *COMMAND, "--run-dir", str(run)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while not CheckpointStore(run / "checkpoints").all():
            time.sleep(0.01)
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGTERM)  # as `timeout` does
        _, said = process.communicate()
    assert process.returncode == 143 and "A checkpoint is saved" in said and "Traceback" not in said
    assert CheckpointStore(run / "checkpoints").all()[-1].step < CONFIG.steps
    train(CONFIG, run)
    assert results(run) == results(uninterrupted)


def test_a_second_signal_of_the_same_kind_stops_at_once() -> None:
    with stop_signals() as stop:
        assert not stop
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)  # of another kind
        signal.raise_signal(signal.SIGTERM)  # the same request, sent twice
        assert stop and stop.signal == signal.SIGINT
        with pytest.raises(Stopped) as stopped:
            signal.raise_signal(signal.SIGINT)
    assert not stopped.value.saved and stopped.value.exit_code == 130


def test_a_second_sigterm_counts_after_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    with stop_signals() as stop:
        signal.raise_signal(signal.SIGTERM)
        now = time.monotonic()
        monkeypatch.setattr(time, "monotonic", lambda: now + 1.1)
        with pytest.raises(Stopped) as stopped:
            signal.raise_signal(signal.SIGTERM)
    assert stop.signal == signal.SIGTERM and stopped.value.exit_code == 143


def test_training_outside_the_main_thread_leaves_the_signals_alone() -> None:
    handlers = [signal.getsignal(number) for number in STOP_SIGNALS]
    inside: list[Any] = []

    def enter() -> None:
        with stop_signals() as stop:
            inside.extend([bool(stop), [signal.getsignal(number) for number in STOP_SIGNALS]])

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert inside == [False, handlers]


def test_overwrite_starts_again(tmp_path: Path) -> None:
    short = dataclasses.replace(CONFIG, steps=200)
    first = results(train(short, tmp_path / "run"))
    assert results(train(dataclasses.replace(short, seed=4), tmp_path / "run", overwrite=True)) != first
    assert results(train(short, tmp_path / "run", overwrite=True)) == first


def test_the_learning_rate_falls_linearly() -> None:
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


@pytest.mark.parametrize(
    ("method", "learners"), [("dream", ("explorer", "executor")), ("dream", ("executor",)), ("import", ("end_to_end",))]
)
def test_a_run_on_policy_is_killed_and_resumed_as_exactly(
    method: str, learners: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both policies on-policy with continuous actions, one of the two beside replay, and a policy of two inputs."""
    env = "signpost" if learners == ("executor",) else "tests.toys:Dial"
    config = override(
        TrainConfig(method=method, env=env, seed=1),
        {
            **PRESETS["debug"],
            "steps": 1_200 if env == "signpost" else 600,
            "network.width": 8,
            "network.memory_size": 4,
            "learning.num_envs": 8,
            "learning.learning_starts": 8,
            "learning.buffer_size": 16,
            "evaluation.every": 200,
            "evaluation.trials": 8,
            "evaluation.checkpoint_every": 150,
            "ppo.epochs": 2,
            "ppo.minibatches": 2,
            "explorer.min_explained": -1.0,
            **{f"{policy}.learner": "ppo" for policy in learners},
        },
    )
    whole = results(train(config, tmp_path / "whole"))
    collect, collected = type(build(config, 1)[0]).collect, []

    class Killed(BaseException):
        """Ends a run without saving."""

    def killing(*arguments: Any) -> Any:
        collected.append(1)
        if len(collected) in (5, 12):
            raise Killed
        return collect(*arguments)

    monkeypatch.setattr(type(build(config, 1)[0]), "collect", killing)
    for _ in range(2):
        with pytest.raises(Killed):
            train(config, tmp_path / "run")
    train(config, tmp_path / "run")
    assert results(tmp_path / "run") == whole


def test_freed_memory_is_kept_where_the_allocator_supports_it() -> None:
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
        "print(int(kept), min(faults() for _ in range(4)))"  # the system may reclaim pages meanwhile
    )
    kept, faults = map(int, subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.split())
    if not kept:
        pytest.skip("not glibc")
    assert faults < 10_000  # 128 MB are 31,250 pages


# -- rounds ---------------------------------------------------------------------------------------


TOY = override(
    TrainConfig(method="random", env="toys:Corridor"),
    {**PRESETS["debug"], "steps": 400, "learning.num_envs": 12, "evaluation.trials": 12},
)
"""A family without bounds."""


def test_updates_begin_with_learning_starts_and_progress_is_the_share_of_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    config = override(TOY, {"learning.learning_starts": 30, "learning.updates_per_round": 2})
    method, env = build(config, config.learning.num_envs)
    shares: list[float] = []
    update = DecoupledPair.update

    def noting(self: DecoupledPair, replay: Any, progress: float, generator: Any) -> Any:
        shares.append(progress)
        return update(self, replay, progress, generator)

    monkeypatch.setattr(DecoupledPair, "update", noting)
    training, steps = Training(method, env, 0), [0]
    done = []
    for one in islice(rounds(training), 4):
        done.append(one)
        steps.append(training.step)
    assert [len(one.updates) for one in done] == [0, 0, 2, 2]  # 12 trials a round: 30 are there after the third
    assert shares == [share for step in steps[3:] for share in [step / config.steps] * 2]
    assert [one.before for one in done] == steps[:-1]
    assert [one.trials.environment_steps() for one in done] == np.diff(steps).tolist()
    assert (training.rounds, training.updates, training.replay.added) == (4, 4, 48)


# -- when a run ends ---------------------------------------------------------------------------------------------

SOLVABLE = override(CONFIG, {"evaluation.stop_at": 0.6})


def scoring(monkeypatch: pytest.MonkeyPatch, scores: dict[int, float]) -> None:
    """Validations give these normalised scores, by their number from 1 on, else 0."""
    counted = iter(range(1, 1000))
    score = validation.score
    monkeypatch.setattr(
        validation, "score", lambda *arguments: score(*arguments) | {"normalised": scores.get(next(counted), 0.0)}
    )


def test_a_run_stops_at_the_first_validation_that_reaches_stop_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scoring(monkeypatch, {1: 0.59, 2: 0.6})
    run = train(SOLVABLE, tmp_path / "run")
    lines = [json.loads(line) for line in (run / "metrics.jsonl").open()]
    assert [line["eval/solved"] for line in lines] == [0.0, 1.0]
    (newest,), (best,) = CheckpointStore(run / "checkpoints").all(), CheckpointStore(run / "checkpoints").all(best=True)
    assert newest.step == best.step == lines[-1]["step"] < SOLVABLE.steps
    before = (run / "metrics.jsonl").read_bytes()
    train(SOLVABLE, run)  # it counts as finished
    assert (run / "metrics.jsonl").read_bytes() == before


def test_stopping_early_changes_nothing_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planned, reached = override(SOLVABLE, {"evaluation.stop_at": None}), 2
    with monkeypatch.context() as patched:
        scoring(patched, {1: 0.1, 2: 0.2, 3: 0.5, 4: 0.3})
        whole = (train(planned, tmp_path / "whole") / "metrics.jsonl").read_text().splitlines()
    scoring(monkeypatch, {1: 0.1, 2: 0.2, 3: 0.5, 4: 0.3})
    run = train(override(SOLVABLE, {"evaluation.stop_at": 0.5}), tmp_path / "run")
    stopped = [json.loads(line) for line in (run / "metrics.jsonl").open()]
    for line in stopped:
        line.pop("eval/solved")
    assert stopped == [json.loads(line) for line in whole[: reached + 1]]  # step sizes follow the planned steps


def test_stop_at_is_refused_where_there_is_no_normalised_score(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"evaluation.stop_at is 0.6.*toys:Corridor has none.*implement optimal_return"):
        train(override(TOY, {"evaluation.stop_at": 0.6}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_return_and_its_interval_are_logged_where_there_is_no_normalised_score(tmp_path: Path) -> None:
    class Console(SilentProgress):
        notes: list[str] = []
        shown: dict[str, float] = {}

        def note(self, text: str) -> None:
            self.notes.append(text)

        def update(self, step: int, metrics: Any) -> None:
            self.shown.update(metrics)

    config = override(TOY, {"evaluation.trials": 200})
    run = train(config, tmp_path / "run", progress=Console())
    last = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])
    mean, low, high = (last[f"eval/validation/return{end}"] for end in ("", "_low", "_high"))
    assert low <= mean <= high and "eval/validation/normalised" not in last
    assert Console.shown["validation return"] == mean and Console.shown["+-"] == pytest.approx((high - low) / 2)
    assert sum("implement optimal_return and no_exploration_return" in note for note in Console.notes) == 1


# -- what disappears while training ------------------------------------------------------------------------------


def at_round(monkeypatch: pytest.MonkeyPatch, number: int, do: Callable[[], None]) -> None:
    """Do something at the beginning of one round."""
    begun, collect = iter(range(1, 10_000)), DecoupledPair.collect

    def doing(*arguments: Any) -> Any:
        if next(begun) == number:
            do()
        return collect(*arguments)

    monkeypatch.setattr(DecoupledPair, "collect", doing)


def test_a_run_directory_removed_while_training_ends_the_run_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    at_round(monkeypatch, 9, lambda: shutil.rmtree(run))
    with pytest.raises(UserError, match=r"run was removed or emptied while training, .* the same command starts it"):
        train(CONFIG, run)
    assert not run.exists()
    monkeypatch.undo()
    train(dataclasses.replace(CONFIG, steps=200), run)  # nothing is in the way


def test_a_run_directory_without_its_config_is_not_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tmp_path / "run"
    at_round(monkeypatch, 9, (run / "config.yaml").unlink)
    with pytest.raises(UserError, match=r"after you delete what is left of"):
        train(CONFIG, run)


def test_checkpoints_deleted_while_training_are_missed_and_another_best_one_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    scoring(monkeypatch, {1: 0.9})  # only the first would be the best
    at_round(monkeypatch, 12, lambda: shutil.rmtree(run / "checkpoints"))
    with pytest.warns(UserWarning, match="the best checkpoint was deleted from") as said:
        train(CONFIG, run)
    assert len([warning for warning in said if "best checkpoint" in str(warning.message)]) == 1
    (best,) = CheckpointStore(run / "checkpoints").all(best=True)
    assert best.step == CheckpointStore(run / "checkpoints").all()[-1].step  # of equal ones the latest


# -- readability -------------------------------------------------------------------------------------------------


def test_the_training_loop_fits_a_screen() -> None:
    assert len(inspect.getsource(train).splitlines()) <= 60
