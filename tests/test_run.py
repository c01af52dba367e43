"""The run directory: atomic, resumable, never losing what was saved."""

import errno
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from dream.errors import UserError
from dream.storage import checkpoints
from dream.storage.checkpoint_files import HashingFile
from dream.storage.checkpoints import CheckpointStore
from dream.storage.environment import describe_environment
from dream.storage.plain_data import check_plain
from dream.storage.rng import pack_rng, restore_rng
from dream.storage.run_directory import RunDirectory
from dream.storage.tidy_csv import merge_tidy_csv

CONFIG = {"env": "map", "seed": 0, "device": "cpu", "explorer": {"step_cost": 0.1, "sizes": (8, 8)}}
ENVIRONMENT = {"problems": "abc", "versions": {"torch": "2.13.0"}}
STATE = {"round": 3, "replay": {"obs": torch.arange(12, dtype=torch.uint8).reshape(3, 4)}, "best": None, "ids": [1, 2]}


def weights(value: float) -> dict[str, torch.Tensor]:
    return {"g.weight": torch.full((4, 3), value), "f.bias": torch.full((2,), -value)}


def open_run(path: Path, config: dict | None = None, **options) -> RunDirectory:
    return RunDirectory.open(path, config or CONFIG, options.pop("environment", ENVIRONMENT), **options)


def files_below(path: Path) -> dict[str, bytes]:
    return {str(file.relative_to(path)): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}


# -- opening -----------------------------------------------------------------------------------------------------


def test_a_new_run_directory_holds_config_and_environment(tmp_path: Path):
    with open_run(tmp_path / "a" / "b") as run:
        assert run.resume() is None
    assert yaml.safe_load((tmp_path / "a/b/config.yaml").read_text())["explorer"] == {"step_cost": 0.1, "sizes": [8, 8]}
    assert json.loads((tmp_path / "a/b/environment.json").read_text()) == ENVIRONMENT
    assert RunDirectory.read(tmp_path / "a/b").config["env"] == "map"


def test_other_settings_are_refused_by_name_and_nothing_changes(tmp_path: Path):
    with open_run(tmp_path) as run:
        run.log(10, {"loss": 1.0})
        run.save_checkpoint(10, weights(1.0), STATE)
    before = files_below(tmp_path)
    with pytest.raises(UserError, match=r"explorer.step_cost is 0.1 there and 0.2 here.*--overwrite"):
        open_run(tmp_path, {**CONFIG, "explorer": {"step_cost": 0.2, "sizes": (8, 8)}})
    with pytest.raises(UserError, match=r"seed is 0 there and 'not set' here"):
        open_run(tmp_path, {name: value for name, value in CONFIG.items() if name != "seed"})
    assert files_below(tmp_path).keys() == before.keys()
    assert {name: text for name, text in files_below(tmp_path).items() if name != ".lock"} == {
        name: text for name, text in before.items() if name != ".lock"
    }


def test_of_many_other_settings_the_first_are_named_and_the_rest_counted(tmp_path: Path):
    with open_run(tmp_path, CONFIG | {f"setting_{i:02}": 1 for i in range(40)}):
        pass
    with pytest.raises(UserError, match="setting_00 is 1 there") as refusal:
        open_run(tmp_path)
    assert "setting_04" in str(refusal.value) and "setting_05" not in str(refusal.value)
    assert "; and 35 more)" in str(refusal.value)


def test_settings_that_do_not_change_the_result_may_differ(tmp_path: Path):
    open_run(tmp_path).close()
    open_run(tmp_path, {**CONFIG, "device": "cuda"}, ignore=["device"]).close()
    assert RunDirectory.read(tmp_path).config["device"] == "cuda"


def test_other_problems_are_refused_and_other_versions_warned_of(tmp_path: Path):
    open_run(tmp_path).close()
    with pytest.raises(UserError, match="trained on other problems"):
        open_run(tmp_path, environment={**ENVIRONMENT, "problems": "xyz"})
    with pytest.warns(UserWarning, match=r"versions.torch 2.13.0 -> 2.14.0"):
        open_run(tmp_path, environment={**ENVIRONMENT, "versions": {"torch": "2.14.0"}}).close()


def test_a_directory_of_something_else_is_left_alone_even_with_overwrite(tmp_path: Path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match=r"not a run directory \(it holds thesis.tex\)"):
        open_run(tmp_path, overwrite=True)
    assert files_below(tmp_path) == {"thesis.tex": b"years of work"}


def test_overwrite_deletes_only_what_runs_write(tmp_path: Path):
    with open_run(tmp_path) as run:
        run.log(5, {"loss": 1.0})
        run.save_checkpoint(5, weights(1.0), STATE, best=True)
    merge_tidy_csv(tmp_path / "eval.csv", [])
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "checkpoints" / "mine.txt").write_text("mine")
    with open_run(tmp_path, {**CONFIG, "seed": 1}, overwrite=True) as run:
        assert run.resume() is None
    assert set(files_below(tmp_path)) == {
        ".lock", "config.yaml", "environment.json", "notes.txt", "checkpoints/mine.txt",
    }  # fmt: skip
    assert RunDirectory.read(tmp_path).config["seed"] == 1


def test_two_processes_cannot_train_in_one_directory(tmp_path: Path):
    with open_run(tmp_path):
        with pytest.raises(UserError, match=rf"pid {os.getpid()}\) is training in"):
            open_run(tmp_path)
        with pytest.raises(UserError, match="is training in"):
            open_run(tmp_path, overwrite=True)
    open_run(tmp_path).close()


def test_reading_a_directory_that_is_not_a_run_is_refused(tmp_path: Path):
    with pytest.raises(UserError, match="does not exist"):
        RunDirectory.read(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"holds no config.yaml"):
        RunDirectory.read(tmp_path)
    (tmp_path / "config.yaml").write_text("{")
    with pytest.raises(UserError, match="damaged"):
        RunDirectory.read(tmp_path)


def test_a_file_in_place_of_the_run_directory_is_refused(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"is a file"):
        open_run(tmp_path / "file")
    with pytest.raises(UserError, match=r"Cannot write .*--run-dir"):
        open_run(tmp_path / "file" / "below")


@pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not bind root")
def test_a_read_only_directory(tmp_path: Path):
    (tmp_path / "locked").mkdir(mode=0o555)
    with pytest.raises(UserError, match=r"Cannot write .*Permission denied"):
        open_run(tmp_path / "locked" / "run")


def test_a_read_only_file_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(self: Path, *arguments, **options):
        raise OSError(errno.EROFS, "Read-only file system", str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(UserError, match=r"Cannot write .*Read-only file system.*--run-dir"):
        open_run(tmp_path / "run")


# -- checkpoints -------------------------------------------------------------------------------------------------


def test_a_checkpoint_comes_back_as_it_was(tmp_path: Path):
    with open_run(tmp_path) as run:
        run.save_checkpoint(10, weights(1.0), STATE)
        run.save_checkpoint(20, weights(2.0), {**STATE, "round": 4}, best=True)
    with open_run(tmp_path) as run:
        step, loaded, state = run.resume()
    assert step == 20 and state["round"] == 4 and state["ids"] == [1, 2] and state["best"] is None
    assert torch.equal(state["replay"]["obs"], STATE["replay"]["obs"])
    assert all(torch.equal(loaded[name], value) for name, value in weights(2.0).items())


def test_two_checkpoints_and_one_best_are_kept(tmp_path: Path):
    store = CheckpointStore(tmp_path)
    for step in (10, 20, 30, 40):
        store.save(step, weights(step), STATE)
        if step in (10, 20):
            store.save(step, weights(step), best=True)
    assert [checkpoint.step for checkpoint in store.all()] == [30, 40]
    assert [checkpoint.step for checkpoint in store.all(best=True)] == [20]
    step, loaded, state = store.load(best=True)
    assert step == 20 and loaded["g.weight"][0, 0] == 20 and state == {}
    assert len(list(tmp_path.iterdir())) == 3


def test_the_same_step_can_be_saved_again(tmp_path: Path):
    store = CheckpointStore(tmp_path)
    for value in (1.0, 2.0, 3.0):
        store.save(10, weights(value), STATE)
    assert store.load()[1]["f.bias"][0] == -3.0


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [truncate, flip_a_bit, Path.unlink])
@pytest.mark.parametrize("name", ["weights.safetensors", "state.pt", "manifest.json"])
def test_a_damaged_checkpoint_gives_way_to_the_one_before(tmp_path: Path, damage, name: str):
    with open_run(tmp_path) as run:
        for step in (10, 20):
            run.log(step, {"loss": float(step)})
            run.save_checkpoint(step, weights(step), STATE)
        damage(run.checkpoints.all()[-1].path / name)
    with open_run(tmp_path) as run:
        with pytest.warns(UserWarning, match="damaged.*going back to step 10"):
            assert run.resume()[0] == 10
        assert [json.loads(line)["step"] for line in (tmp_path / "metrics.jsonl").open()] == [10]
        run.save_checkpoint(15, weights(15.0), STATE)
        assert [checkpoint.step for checkpoint in run.checkpoints.all()] == [10, 15]
        assert run.resume()[0] == 15


def test_when_every_checkpoint_is_damaged_nothing_is_touched(tmp_path: Path):
    with open_run(tmp_path) as run:
        run.log(10, {"loss": 1.0})
        run.save_checkpoint(10, weights(1.0), STATE)
        truncate(run.checkpoints.all()[-1].path / "weights.safetensors")
        before = files_below(tmp_path)
        with pytest.raises(UserError, match=r"weights.safetensors is damaged \(.* bytes instead of .*--overwrite"):
            run.resume()
        assert files_below(tmp_path) == before


def test_read_while_a_run_replaces_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    store, trainer = CheckpointStore(tmp_path), CheckpointStore(tmp_path)
    trainer.save(10, weights(1.0), best=True)
    real, calls = checkpoints.read_checkpoint, []

    def read(folder, step, **options):
        calls.append(step)
        if len(calls) == 1:
            trainer.save(20, weights(2.0), best=True)
        return real(folder, step, **options)

    monkeypatch.setattr(checkpoints, "read_checkpoint", read)
    assert store.load(best=True)[0] == 20
    assert calls == [10, 20]


def test_only_plain_data_is_saved(tmp_path: Path):
    check_plain({"a": [1, (2.0, None)], 3: {"b": b"c", "d": torch.ones(1)}})
    for bad, where in (
        ({"a": {"b": np.ones(2)}}, r"state\['a'\]\['b'\] is a ndarray"),
        ({"a": [np.float64(1)]}, r"state\['a'\]\[0\]"),
        ({(1, 2): 3}, "key of type tuple"),
        ({"a": {1, 2}}, "is a set"),
    ):
        with pytest.raises(TypeError, match=where):
            CheckpointStore(tmp_path).save(1, weights(1.0), bad)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_leaves_the_earlier_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Full at every possible write in turn: the one before is whole, and nothing is left of the one that failed."""
    store = CheckpointStore(tmp_path)
    store.save(10, weights(1.0), STATE)
    before = files_below(tmp_path)
    real = HashingFile.write
    for allowed in range(100):
        written = 0

        def write(self, data, allowed=allowed):
            nonlocal written
            if written == allowed:
                self.error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                raise self.error
            written += 1
            return real(self, data)

        monkeypatch.setattr(HashingFile, "write", write)
        try:
            store.save(20, weights(2.0), STATE)
        except UserError as error:
            assert "No space left" in str(error) and "resume" in str(error)
            assert files_below(tmp_path) == before
        else:
            break
    assert allowed > 3
    assert store.load()[0] == 20


def test_a_full_disk_for_real(tmp_path: Path):
    """The operating system refuses the write in the middle of torch.save."""
    store = CheckpointStore(tmp_path)
    store.save(10, weights(1.0), STATE)
    before = files_below(tmp_path)
    code = f"""
import resource, torch
from pathlib import Path
from dream.storage.checkpoints import CheckpointStore
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
try:
    CheckpointStore(Path({str(tmp_path)!r})).save(20, {{}}, {{"replay": torch.zeros(1_000_000)}})
except Exception as error:
    print(type(error).__name__, error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.startswith("UserError No space left"), done
    assert files_below(tmp_path) == before


def test_a_full_disk_while_logging(tmp_path: Path):
    with open_run(tmp_path) as run:
        (tmp_path / "metrics.jsonl").symlink_to("/dev/full")
        with pytest.raises(UserError, match="No space left"):
            run.log(1, {"loss": 1.0})


KILLED = """
import sys, torch
from pathlib import Path
from dream.storage.checkpoints import CheckpointStore
store = CheckpointStore(Path(sys.argv[1]))
step = 0 if (loaded := store.load()) is None else loaded[0]
while True:
    step += 1
    store.save(step, {"w": torch.full((1000,), float(step))}, {"step": step, "replay": torch.full((100_000,), step)})
    store.save(step, {"w": torch.full((1000,), float(step))}, best=True)
    print(step, flush=True)
"""


def test_killed_at_any_moment_a_whole_checkpoint_is_there(tmp_path: Path):
    rng = random.Random(0)
    reached = 0
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        saved = int(process.stdout.readline())
        assert saved == reached + 1 or saved == reached + 2
        time.sleep(rng.uniform(0.0, 0.1))
        process.send_signal(signal.SIGKILL)
        saved = int((process.stdout.read().split() or [saved])[-1])
        process.wait()
        step, loaded, state = CheckpointStore(tmp_path).load()
        assert step in (saved, saved + 1) and state["step"] == step
        assert loaded["w"][0] == step and state["replay"][-1] == step
        assert CheckpointStore(tmp_path).load(best=True)[0] in (saved, saved + 1)
        reached = saved
    assert len(list(tmp_path.iterdir())) <= 4


def test_random_generators_resume_their_state():
    generators = (np.random.default_rng(3), torch.Generator().manual_seed(3))
    draw = (lambda rng: rng.normal(size=3).tolist(), lambda rng: torch.randn(3, generator=rng).tolist())
    others = (np.random.default_rng(0), torch.Generator())
    for rng, other, sample in zip(generators, others, draw, strict=True):
        sample(rng)
        packed = pack_rng(rng)
        check_plain(packed)
        expected = sample(rng)
        restore_rng(other, packed)
        assert sample(other) == expected
    with pytest.raises(ValueError):
        restore_rng(np.random.default_rng(0), torch.Generator().get_state())


# -- logs --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("half_written", ['{"step": 30, "lo', '{"step": 10, "loss": 0.5}', "\0\0"])
def test_metrics_hold_no_clock_and_are_cut_back_on_resuming(tmp_path: Path, half_written: str):
    with open_run(tmp_path) as run:
        assert run.resume() is None
        run.log(10, {"loss": torch.tensor(0.5), "return": np.float32(0.25), "updates": 3}, {"time/sps": 1234.5})
        run.save_checkpoint(10, weights(1.0), STATE)
        run.log(20, {"loss": float("nan")}, {"time/sps": 1.0})
    assert (tmp_path / "metrics.jsonl").read_text() == (
        '{"step": 10, "loss": 0.5, "return": 0.25, "updates": 3}\n{"step": 20, "loss": null}\n'
    )
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write(half_written)
    with open_run(tmp_path) as run:
        assert run.resume()[0] == 10
        run.log(20, {"loss": 0.125})
    assert (tmp_path / "metrics.jsonl").read_text().splitlines()[1:] == ['{"step": 20, "loss": 0.125}']
    assert (tmp_path / "timing.jsonl").read_text() == '{"step": 10, "time/sps": 1234.5}\n'


def test_without_a_checkpoint_the_logs_start_again(tmp_path: Path):
    with open_run(tmp_path) as run:
        run.log(10, {"loss": 1.0})
    with open_run(tmp_path) as run:
        assert run.resume() is None
    assert (tmp_path / "metrics.jsonl").read_text() == ""


def test_tensorboard_shows_each_step_once_after_resuming(tmp_path: Path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with open_run(tmp_path) as run:
        run.resume()
        run.log(10, {"loss/f": 1.0})
        run.save_checkpoint(10, weights(1.0), STATE)
        run.log(20, {"loss/f": 2.0})
    time.sleep(1.1)  # event files are ordered by the second in their names
    with open_run(tmp_path) as run:
        run.resume()
        run.log(20, {"loss/f": 3.0})
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("loss/f")] == [(10, 1.0), (20, 3.0)]


def test_tidy_csv_rows_replace_those_of_the_same_run_and_split(tmp_path: Path):
    path = tmp_path / "results" / "a.csv"
    row = {"env": "map", "method": "dream", "seed": 0, "step": 10, "split": "test", "metric": "return", "value": 0.5}
    merge_tidy_csv(path, [row])
    merge_tidy_csv(path, [{**row, "seed": 1, "value": 0.25}])
    merge_tidy_csv(path, [{**row, "split": "train"}])
    merge_tidy_csv(path, [{**row, "step": 20, "value": 0.75}, {**row, "step": 20, "metric": "regret", "value": 0.1}])
    assert path.read_text().splitlines() == [
        "env,method,seed,step,split,metric,value",
        "map,dream,1,10,test,return,0.25",
        "map,dream,0,10,train,return,0.5",
        "map,dream,0,20,test,return,0.75",
        "map,dream,0,20,test,regret,0.1",
    ]
    before = files_below(tmp_path)
    with pytest.raises(ValueError, match="columns"):
        merge_tidy_csv(path, [row, {**row, "note": "x"}])
    assert files_below(tmp_path) == before


def test_a_csv_of_something_else_is_left_alone(tmp_path: Path):
    (tmp_path / "grades.csv").write_text("name,grade\nAda,1\n")
    with pytest.raises(UserError, match="no tidy CSV"):
        merge_tidy_csv(tmp_path / "grades.csv", [])
    assert (tmp_path / "grades.csv").read_text() == "name,grade\nAda,1\n"


def test_the_environment_names_what_numbers_depend_on():
    environment = describe_environment("cpu", "abc")
    assert environment["problems"] == "abc" and environment["device"] == "cpu"
    assert environment["versions"]["torch"] == torch.__version__
    assert environment["threads"] == torch.get_num_threads()
    json.dumps(environment)
