"""The command line with real runs: train, go on, evaluate, and every way a run directory can be wrong."""

import errno
import json
import os
import shutil
import signal
from pathlib import Path

import pytest

from dream import cli
from dream.errors import Stopped
from dream.storage.checkpoint_files import HashingFile

TRAIN = ["train", "dream", "--env", "map", "--preset", "debug"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the debug preset; copy it before changing anything."""
    path = tmp_path_factory.mktemp("trained") / "run"
    assert cli.run([*TRAIN, "--run-dir", str(path)]) == 0
    return path


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "run"))


def contents(path: Path) -> dict[str, bytes]:
    """Files of a run but for the lock, and TensorBoard's, which gets a new one each time."""
    names = [file for file in sorted(path.rglob("*")) if file.is_file() and file.name != ".lock"]
    return {str(file.relative_to(path)): file.read_bytes() for file in names if "tensorboard" not in file.parts}


def refused(capsys: pytest.CaptureFixture, run: Path, *arguments: str) -> str:
    """Run a command line that must be refused in one sentence, changing nothing in the run directory."""
    before = contents(run)
    assert cli.run(arguments) == 2
    err = capsys.readouterr().err.splitlines()
    sentences = [line for line in err if line.startswith("dream: ") and not line.startswith("dream: warning")]
    assert len(sentences) == 1 and "Traceback" not in "".join(err), err
    assert contents(run) == before
    return sentences[0].removeprefix("dream: ")


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def test_a_run_directory_has_the_documented_files(trained: Path):
    names = set(contents(trained))
    assert {"config.yaml", "environment.json", "metrics.jsonl", "timing.jsonl"} <= names
    assert any(name.startswith("checkpoints/best_") for name in names)
    assert list((trained / "tensorboard").iterdir())
    lines = [json.loads(line) for line in (trained / "metrics.jsonl").open()]
    steps = [line["step"] for line in lines]
    assert steps == sorted(set(steps)) and len(steps) >= 3
    assert not any("second" in tag or "sps" in tag for line in lines for tag in line)


def test_the_same_command_finds_a_finished_run_finished(run: Path, capsys):
    before = contents(run)
    assert cli.run([*TRAIN, "--run-dir", str(run)]) == 0
    assert "is trained" in capsys.readouterr().out
    assert contents(run) == before


def test_overwrite_trains_again_with_the_same_result(run: Path):
    before = contents(run)
    (run / "eval.csv").write_text("old")
    assert cli.run([*TRAIN, "--run-dir", str(run), "--overwrite"]) == 0
    after = contents(run)
    assert after["metrics.jsonl"] == before["metrics.jsonl"] and "eval.csv" not in after


def test_eval_of_a_real_run(run: Path, capsys):
    assert cli.run(["eval", str(run), "--trials", "96", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out.splitlines()[-1])
    expected = {"env": "map", "method": "dream", "seed": 0, "split": "test", "trials": 96}
    assert {name: printed[name] for name in expected} == expected
    assert printed["normalised_low"] <= printed["normalised"] <= printed["normalised_high"] <= 1
    assert printed["normalised"] == pytest.approx((printed["return_mean"] - 0.3) / 0.5, abs=1e-5)
    assert printed["regret"] == pytest.approx(0.8 - printed["return_mean"], abs=1e-5)
    assert (run / "eval.csv").read_text().startswith("env,method,seed,step,split,metric,value\nmap,dream,0,")
    assert cli.run(["eval", str(run), "--trials", "96"]) == 0
    assert "normalised score" in capsys.readouterr().out


def test_a_run_of_other_settings_is_refused(run: Path, capsys):
    sentence = refused(capsys, run, *TRAIN, "--learning.updates_per_round", "8", "--run-dir", str(run))
    assert "learning.updates_per_round is 2 there and 8 here" in sentence and "--overwrite" in sentence
    assert "env is 'map' there and 'bus' here" in refused(
        capsys, run, "train", "dream", "--env", "bus", "--preset", "debug", "--run-dir", str(run)
    )


def test_a_directory_of_something_else_is_refused(tmp_path: Path, capsys):
    (tmp_path / "thesis.tex").write_text("years of work")
    sentence = refused(capsys, tmp_path, *TRAIN, "--run-dir", str(tmp_path), "--overwrite")
    assert "not a run directory (it holds thesis.tex)" in sentence


def test_truncated_checkpoints(run: Path, capsys):
    newest, best = sorted((run / "checkpoints").glob("0*"))[-1], next((run / "checkpoints").glob("best_*"))
    truncate(newest / "state.pt")
    truncate(best / "weights.safetensors")
    sentence = refused(capsys, run, "eval", str(run), "--weights", "best")
    assert "weights.safetensors is damaged" in sentence
    for checkpoint in (run / "checkpoints").glob("0*"):
        truncate(checkpoint / "weights.safetensors")
    sentence = refused(capsys, run, *TRAIN, "--run-dir", str(run))
    assert "is damaged" in sentence and "--overwrite" in sentence


def test_an_unwritable_run_directory_is_refused(run: Path, tmp_path: Path, capsys):
    (tmp_path / "file").write_text("")
    assert "Cannot write" in refused(capsys, run, *TRAIN, "--run-dir", str(tmp_path / "file" / "run"))
    csv = str(tmp_path / "file" / "a.csv")
    assert "a.csv cannot be read (Not a directory)" in refused(capsys, run, "eval", str(run), "--csv", csv)


@pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not bind root")
def test_a_read_only_directory(run: Path, tmp_path: Path, capsys):
    (tmp_path / "locked").mkdir(mode=0o555)
    assert "Permission denied" in refused(capsys, run, *TRAIN, "--run-dir", str(tmp_path / "locked" / "run"))


def test_a_disk_that_fills_up(tmp_path: Path, capsys, monkeypatch):
    """Full at the second checkpoint: one sentence; with space again the same command goes on from the first."""
    real, files = HashingFile.write, set()

    def write(self, data):
        files.add(self.file.name)
        if len(files) > 7:
            self.error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            raise self.error
        return real(self, data)

    monkeypatch.setattr(HashingFile, "write", write)
    run = tmp_path / "run"
    assert cli.run([*TRAIN, "--run-dir", str(run)]) == 2
    assert "No space left" in capsys.readouterr().err
    monkeypatch.undo()
    assert cli.run([*TRAIN, "--run-dir", str(run)]) == 0
    assert "resumed at step" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("number", "saved", "code", "sentence"),
    [
        (signal.SIGINT, True, 130, "Stopped. A checkpoint is saved in "),
        (signal.SIGINT, False, 130, "Stopped at once. The training after the last checkpoint in "),
        (signal.SIGTERM, True, 143, "Stopped. A checkpoint is saved in "),
    ],
)
def test_a_stopped_training_says_what_was_saved_and_how_to_resume(
    number: int, saved: bool, code: int, sentence: str, tmp_path: Path, capsys, monkeypatch
):
    from dream.training import loop

    def train(*arguments, **named):
        raise Stopped(number, saved=saved)

    monkeypatch.setattr(loop, "train", train)
    assert cli.run([*TRAIN, "--overwrite", "--run-dir", str(tmp_path / "my run")]) == code
    said = capsys.readouterr().err
    assert sentence in said
    assert "To resume: dream train dream --env map --preset debug --run-dir '" in said and "--overwrite" not in said
