"""Every file of a run, damaged in every way: one sentence that names the file, no traceback, nothing lost.

The table `DAMAGES` is the test: each damage is done to a copy of one small run, then each command is called on it.
"""

import json
import os
import re
import resource
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
import yaml

from dream import cli
from dream.errors import UserError
from dream.eval.record.recorded import load_trials
from dream.storage.checkpoint_files import write_checkpoint
from dream.storage.checkpoints import CheckpointStore

TRAIN = ["train", "dream", "--env", "signpost", "--preset", "debug", "--steps", "600", "--evaluation.every", "300"]
TRAIN += ["--evaluation.trials", "8", "--evaluation.show_every", "0", "--evaluation.checkpoint_every", "300"]
COMMANDS: dict[str, Callable[[str], list[str]]] = {
    "train": lambda run: [*TRAIN, "--run-dir", run],
    "eval": lambda run: ["eval", run, "--trials", "8"],
    "watch": lambda run: ["watch", run, "--trials", "1", "--out", "trial.npz"],
    "report": lambda run: ["report", run, "--trials", "1", "--out", "report.html"],
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run that was evaluated and has a second, older checkpoint; copy it before changing anything."""
    path = tmp_path_factory.mktemp("trained") / "run"
    assert cli.run(COMMANDS["train"](str(path))) == 0
    assert cli.run(COMMANDS["eval"](str(path))) == 0
    store = CheckpointStore(path / "checkpoints")
    step, weights, state = store.load()  # type: ignore[misc]
    store.save(step, weights, state)
    assert len(store.all()) == 2 and len(store.all(best=True)) == 1
    return path


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "run"))


# -- ways to damage a file ---------------------------------------------------------------------------------------

Damage = Callable[[Path], Any]


def replaced(content: str | bytes) -> Damage:
    return lambda path: path.write_bytes(content if isinstance(content, bytes) else content.encode())


def a_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def a_loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def a_device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


EVERY_FILE: dict[str, Damage] = {
    "empty": replaced(b""),
    "binary": replaced(bytes(range(256)) * 4),
    "a directory": a_directory,
    "a symbolic link to itself": a_loop,
    "a device without an end": a_device,
    "a pipe without a writer": a_pipe,
}


def settings(**changes: Any) -> Damage:
    """config.yaml with other values; a name with a double underscore is one below."""

    def change(path: Path) -> None:
        config = yaml.safe_load(path.read_text())
        for name, value in changes.items():
            head, _, rest = name.partition("__")
            (config[head] if rest else config)[rest or head] = value
        path.write_text(yaml.safe_dump(config))

    return change


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
CONFIGS: dict[str, Damage] = {
    **EVERY_FILE,
    "a line": replaced("just a line\n"),
    "a list": replaced("[1, 2]\n"),
    "a number for a group": settings(learning=3),
    "a list for a group": settings(network=[1, 2]),
    "a list for mappings": settings(env_parameters=[1]),
    "a key that is a number": lambda path: path.write_text(path.read_text() + "7: 8\n"),
    "a list for a name": settings(env=["map"]),
    "a mapping for a method": settings(method={"a": 1}),
    "a huge width": settings(network__width=10**12),
    "a date": lambda path: path.write_text(path.read_text().replace("seed: 0", "seed: 2026-11-29")),
    "a tag": replaced("!!python/object/apply:os.system ['touch executed']\n"),
    "a tag of a bool": replaced("a: !!bool x\n"),
    "nested 5,000 deep": replaced("a: " + "[" * 5_000 + "]" * 5_000),
    "nested 100,000 deep": replaced("a: " + "{b: " * 100_000),
    "a bomb": replaced(BOMB),
    "5 MB": replaced("a: " + "x" * 5_000_000),
}
ENVIRONMENTS: dict[str, Damage] = {
    **EVERY_FILE,
    "a list": replaced("[]"),
    "nested 100,000 deep": replaced("[" * 100_000),
    "a list of versions": replaced('{"versions": [], "problems": []}'),
}


# -- damaged checkpoints whose hashes fit ------------------------------------------------------------------------


def rehashed(folder: Path, change: Callable[[dict[str, Any], dict[str, Any]], Any]) -> None:
    """Write the checkpoint again with weights and state changed, as a whole checkpoint with a manifest that fits."""
    weights = safetensors.torch.load_file(folder / "weights.safetensors")
    state = torch.load(folder / "state.pt", weights_only=True) if (folder / "state.pt").exists() else None
    change(weights, state if state is not None else {})
    step = json.loads((folder / "manifest.json").read_text())["step"]
    shutil.rmtree(folder)
    write_checkpoint(folder, step, weights, state)


def resigned(name: str, content: bytes) -> Damage:
    """Other bytes in a file of the checkpoint, their size and hash in the manifest."""
    import hashlib

    def change(folder: Path) -> None:
        if (folder / name).exists():
            (folder / name).write_bytes(content)
            manifest = json.loads((folder / "manifest.json").read_text())
            manifest["files"][name] = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            (folder / "manifest.json").write_text(json.dumps(manifest))

    return change


def manifest(**changes: Any) -> Damage:
    def change(folder: Path) -> None:
        content = json.loads((folder / "manifest.json").read_text())
        (folder / "manifest.json").write_text(json.dumps({**content, **changes}))

    return change


def in_file(name: str, damage: Damage) -> Damage:
    return lambda folder: damage(folder / name)


def first(weights: dict[str, Any]) -> str:
    return next(name for name in sorted(weights) if weights[name].ndim == 2)


def set_first(change: Callable[[Any], Any]) -> Damage:
    def damage(folder: Path) -> None:
        rehashed(folder, lambda weights, state: weights.update({first(weights): change(weights[first(weights)])}))

    return damage


WEIGHTS: dict[str, Damage] = {
    "no safetensors": resigned("weights.safetensors", b"nothing"),
    "an empty file of weights": resigned("weights.safetensors", b""),
    "a header without an end": resigned("weights.safetensors", (10**9).to_bytes(8, "little") + b"{"),
    "weights that are not finite": set_first(lambda value: value * float("nan")),
    "weights of another dtype": set_first(lambda value: value.double()),
    "weights of another shape": set_first(lambda value: value.T.contiguous()[:1]),
    "a missing tensor": lambda folder: rehashed(folder, lambda weights, state: weights.pop(first(weights))),
    "an unknown tensor": lambda folder: rehashed(folder, lambda weights, state: weights.update(x=torch.ones(1))),
    "a manifest without files": manifest(files={}),
    "a manifest of a list": in_file("manifest.json", replaced("[]")),
    "a manifest with a list of files": manifest(files=["weights.safetensors"]),
    "a manifest of other files": manifest(files={"../../config.yaml": {"size": 1, "sha256": ""}}),
    "a manifest without sizes": manifest(files={"weights.safetensors": 3}),
    "a manifest of another step": manifest(step=1),
    "a manifest nested 100,000 deep": in_file("manifest.json", replaced("[" * 100_000)),
    **{f"a manifest that is {name}": in_file("manifest.json", damage) for name, damage in EVERY_FILE.items()},
    **{f"weights that are {name}": in_file("weights.safetensors", damage) for name, damage in EVERY_FILE.items()},
}
STATES: dict[str, Damage] = {
    "no state": lambda folder: (folder / "state.pt").unlink(),
    "a state that is no zip": resigned("state.pt", b"nothing"),
    "a state that is an empty file": resigned("state.pt", b""),
    "a pickle that calls": resigned("state.pt", b"cos\nsystem\n(S'touch executed'\ntR."),
    "a state without a method": lambda folder: rehashed(folder, lambda weights, state: state.pop("method")),
    "a state without counters": lambda folder: rehashed(folder, lambda weights, state: state.pop("counters")),
    "a state of other types": lambda folder: rehashed(folder, lambda weights, state: state.update(pending=3, rng=[])),
    "an optimizer of other parameters": lambda folder: rehashed(
        folder, lambda weights, state: state["method"].update(optimizer={"state": {}, "param_groups": []})
    ),
    "a manifest without a state": lambda folder: manifest(
        files={
            "weights.safetensors": json.loads((folder / "manifest.json").read_text())["files"]["weights.safetensors"]
        }
    )(folder),
}


# -- what every command makes of it ------------------------------------------------------------------------------


def contents(path: Path) -> dict[str, bytes]:
    """The files of a run but for its lock, links and pipes."""
    files = [file for file in sorted(path.rglob("*")) if not file.is_symlink() and file.is_file()]
    return {str(file.relative_to(path)): file.read_bytes() for file in files if file.name != ".lock"}


def outcome(command: str, run: Path, capsys: pytest.CaptureFixture, *more: str) -> tuple[int, str]:
    """Exit code and everything printed, after checks of what must hold of every outcome."""
    code = cli.run([*COMMANDS[command](str(run)), *more])
    captured = capsys.readouterr()
    text = captured.out + captured.err
    assert "Traceback" not in text and "Errno" not in text and not Path("executed").exists()
    if code:
        assert code == 2, text
        sentences = [line for line in captured.err.splitlines() if re.match(r"dream: (?!warning)", line)]
        assert len(sentences) == 1, text
    return code, text


def refused(command: str, run: Path, capsys: pytest.CaptureFixture, *more: str) -> str:
    """What is printed by a command that must be refused and change nothing."""
    before = contents(run)
    code, text = outcome(command, run, capsys, *more)
    assert code == 2, text
    assert contents(run) == before
    return text


def newest(run: Path) -> Path:
    return CheckpointStore(run / "checkpoints").all()[-1].path


def best(run: Path) -> Path:
    return CheckpointStore(run / "checkpoints").all(best=True)[-1].path


@pytest.mark.parametrize("name", CONFIGS)
def test_damaged_settings_are_refused_by_every_command(run: Path, name: str, capsys: pytest.CaptureFixture) -> None:
    CONFIGS[name](run / "config.yaml")
    for command in COMMANDS:
        text = refused(command, run, capsys)
        # Training compares settings by name, so that values of another type are other settings.
        assert "config.yaml" in text or f"{run} holds a run with other settings" in text


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_a_damaged_environment_is_named_when_a_run_is_resumed(
    run: Path, name: str, capsys: pytest.CaptureFixture
) -> None:
    ENVIRONMENTS[name](run / "environment.json")
    _, text = outcome("train", run, capsys)
    assert "environment.json" in text or "was trained on other problems" in text
    assert outcome("eval", run, capsys)[0] == 0


@pytest.mark.parametrize("name", {**WEIGHTS, **STATES})
def test_training_goes_back_from_a_damaged_checkpoint(run: Path, name: str, capsys: pytest.CaptureFixture) -> None:
    folder = newest(run)
    {**WEIGHTS, **STATES}[name](folder)
    code, text = outcome("train", run, capsys)
    assert code == 0 and str(folder) in text and "is damaged" in text and "going back to step" in text


@pytest.mark.parametrize("name", ["no safetensors", "weights that are not finite", "no state", "a pickle that calls"])
def test_with_every_checkpoint_damaged_training_is_refused(run: Path, name: str, capsys: pytest.CaptureFixture) -> None:
    for checkpoint in CheckpointStore(run / "checkpoints").all():
        {**WEIGHTS, **STATES}[name](checkpoint.path)
    text = refused("train", run, capsys)
    assert text.count("is damaged") == 2 and "--overwrite" in text


@pytest.mark.parametrize("name", WEIGHTS)
def test_damaged_best_weights_are_not_evaluated(run: Path, name: str, capsys: pytest.CaptureFixture) -> None:
    folder = best(run)
    WEIGHTS[name](folder)
    text = refused("eval", run, capsys, "--weights", "best")
    assert "is damaged" in text and f"delete {folder}" in text


def test_a_resumed_run_warns_of_damaged_best_weights(run: Path, capsys: pytest.CaptureFixture) -> None:
    WEIGHTS["no safetensors"](best(run))
    code, text = outcome("train", run, capsys)
    assert code == 0 and re.search(r"dream: warning: .*best_.*weights.safetensors is damaged", text)


def test_without_best_weights_evaluation_goes_back_from_a_damaged_checkpoint(
    run: Path, capsys: pytest.CaptureFixture
) -> None:
    shutil.rmtree(best(run))
    folder = newest(run)
    WEIGHTS["an unknown tensor"](folder)
    for command in ("eval", "watch"):
        code, text = outcome(command, run, capsys)
        assert code == 0 and str(folder) in text and "going back to step" in text


def test_a_report_names_damaged_weights_and_logs(run: Path, capsys: pytest.CaptureFixture) -> None:
    for checkpoint in CheckpointStore(run / "checkpoints").all():
        WEIGHTS["no safetensors"](checkpoint.path)
    (run / "eval.csv").write_text("")
    (run / "metrics.jsonl").write_bytes(b"[" * 100_000)
    code, text = outcome("report", run, capsys)
    assert code == 0
    for piece in ("eval.csv", "metrics.jsonl", "weights.safetensors is damaged"):
        assert re.search(f"Missing: .*{piece}", text), text


# -- logs and tables ---------------------------------------------------------------------------------------------


def with_row(row: str) -> Damage:
    return lambda path: path.write_text(path.read_text() + row + "\n")


TABLES: dict[str, Damage] = {
    **EVERY_FILE,
    "another table": replaced("name,grade\nAda,1\n"),
    "a row too short": with_row("signpost,dream,0,600,test"),
    "a row too long": with_row("signpost,dream,0,600,test,return,1,2"),
    "a word for a value": with_row("signpost,dream,0,600,test,return,abc"),
    "NaN for a value": with_row("signpost,dream,0,600,test,return,nan"),
    "a word for a step": with_row("signpost,dream,0,soon,test,return,1"),
    "an open quote": with_row('signpost,dream,0,600,test,return,"1'),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_damaged_table_is_refused_before_trials_are_played(
    run: Path, name: str, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dream.eval import evaluate

    TABLES[name](run / "eval.csv")
    monkeypatch.setattr(evaluate, "run_trials", None)
    assert "eval.csv" in refused("eval", run, capsys)


def test_a_table_that_a_spreadsheet_saved_is_read(run: Path, capsys: pytest.CaptureFixture) -> None:
    table = run / "eval.csv"
    before = table.read_bytes()
    table.write_bytes(b"\xef\xbb\xbf" + before.replace(b"\n", b"\r\n"))
    assert outcome("eval", run, capsys)[0] == 0
    assert table.read_bytes() == before


@pytest.mark.parametrize("name", ["metrics.jsonl", "timing.jsonl", ".lock"])
@pytest.mark.parametrize("damage", ["a directory", "a symbolic link to itself", "a pipe without a writer"])
def test_training_names_what_stands_in_the_place_of_a_file(
    run: Path, name: str, damage: str, capsys: pytest.CaptureFixture
) -> None:
    EVERY_FILE[damage](run / name)
    assert str(run if name == ".lock" else run / name) in refused("train", run, capsys)


def test_a_file_in_the_place_of_the_checkpoints_is_named(run: Path, capsys: pytest.CaptureFixture) -> None:
    shutil.rmtree(run / "checkpoints")
    (run / "checkpoints").write_text("")
    for command in ("train", "eval", "watch"):
        assert str(run / "checkpoints") in refused(command, run, capsys)


@pytest.mark.parametrize("name", ["config.yaml", "manifest.json", "weights.safetensors", "eval.csv"])
def test_a_file_of_another_user_is_named_and_not_called_damaged(
    run: Path, name: str, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may read everything, so the refusal of the operating system is simulated."""
    real = Path.open

    def refuse(self: Path, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        if self.name == name and "r" in mode:
            raise PermissionError(13, "Permission denied", str(self))
        return real(self, mode, *arguments, **options)

    monkeypatch.setattr(Path, "open", refuse)
    for command in ("eval",) if name == "eval.csv" else ("eval", "train"):
        code, text = outcome(command, run, capsys)
        assert code == 2 and f"{name} cannot be read (Permission denied): make it readable" in text
        assert "damaged" not in text


# -- recordings --------------------------------------------------------------------------------------------------


def with_arrays(**changes: Any) -> Damage:
    """The recording with some arrays replaced, or left out where the new one is None."""

    def change(path: Path) -> None:
        with np.load(path) as file:
            arrays = {**file, **changes}
        np.savez(path, **{name: value for name, value in arrays.items() if value is not None})

    return change


def change_bytes(path: Path) -> None:
    content = bytearray(path.read_bytes())
    middle = len(content) // 3
    content[middle : middle + 200] = bytes(byte ^ 4 for byte in content[middle : middle + 200])
    path.write_bytes(content)


RECORDINGS: dict[str, Damage] = {
    **EVERY_FILE,
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:-100]),
    "changed bytes": change_bytes,
    "a pickled object": with_arrays(returns=np.array([{"a": 1}], dtype=object)),
    "facts that are no JSON": with_arrays(facts=np.array("{")),
    "facts nested deep": with_arrays(facts=np.array("[" * 100_000)),
    "a missing array": with_arrays(returns=None),
    "an unknown array": with_arrays(x=np.zeros(1)),
    "fewer rows": with_arrays(problem_id=np.zeros(0, np.int64)),
    "fewer streams": with_arrays(**{"execute.reward": np.zeros((0, 1), np.float32)}),
}


@pytest.mark.parametrize("name", RECORDINGS)
def test_a_damaged_recording_is_named(trained: Path, name: str) -> None:
    assert cli.run(COMMANDS["watch"](str(trained))) == 0
    path = Path("trial.npz")
    load_trials(path)
    RECORDINGS[name](path)
    with pytest.raises(UserError, match=r"^trial.npz (is|cannot be read)"):
        load_trials(path)


# -- places to write to ------------------------------------------------------------------------------------------


def test_places_that_cannot_be_written_are_named(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "full").symlink_to("/dev/full")
    for folder in ("a.csv", "a.html", "a.webm", "a.npz", "a.png"):
        (tmp_path / folder).mkdir()
    for place in ("/proc/nope", "/proc/self/nope", "/dev/null", "/dev/null/run", str(tmp_path / "loop")):
        assert place in refused("train", run, capsys, "--run-dir", place)
    assert "UTF-8" in refused("train", run, capsys, "--run-dir", "run\udcff")
    assert "too long" in refused("train", run, capsys, "--run-dir", "x" * 300)
    for table in ("a.csv", "loop", "full"):
        assert str(tmp_path / table) in refused("eval", run, capsys, "--csv", str(tmp_path / table))
    for film in ("a.webm", "a.npz", "a.png"):
        assert str(tmp_path / film) in refused("watch", run, capsys, "--out", str(tmp_path / film))
    assert str(tmp_path / "loop") in refused("watch", run, capsys, "--out", str(tmp_path / "loop" / "a.gif"))
    assert str(tmp_path / "a.html") in refused("report", run, capsys, "--out", str(tmp_path / "a.html"))


@pytest.mark.parametrize("suffix", ["webm", "gif", "png", "npz"])
def test_a_full_disk_leaves_no_part_of_a_film(run: Path, tmp_path: Path, suffix: str, capsys) -> None:
    """The operating system refuses to write more than 1,000 bytes into a file."""
    out = tmp_path / "films" / f"trial.{suffix}"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, limits[1]))
    try:
        text = refused("watch", run, capsys, "--out", str(out))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert str(out) in text and "ree some space" in text and "resume" not in text
    assert not list(out.parent.iterdir())


# -- work that must not be lost ----------------------------------------------------------------------------------


@pytest.mark.parametrize("gone", ["all", "all but the best"])
def test_a_run_whose_checkpoints_were_deleted_is_refused(run: Path, gone: str, capsys: pytest.CaptureFixture) -> None:
    for checkpoint in CheckpointStore(run / "checkpoints").all():
        shutil.rmtree(checkpoint.path)
    if gone == "all":
        shutil.rmtree(run / "checkpoints")
    text = refused("train", run, capsys)
    assert str(run) in text and "checkpoints are gone" in text and "--overwrite" in text
    assert outcome("train", run, capsys, "--overwrite")[0] == 0
    assert CheckpointStore(run / "checkpoints").all()


def test_a_run_killed_before_its_first_checkpoint_starts_again(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed while the first checkpoint is written: the validation is logged and its weights are the best so far."""
    save = CheckpointStore.save

    def killed(self: CheckpointStore, *arguments: Any, **options: Any) -> None:
        if not options.get("best"):
            raise KeyboardInterrupt
        save(self, *arguments, **options)

    run = tmp_path / "killed"
    with monkeypatch.context() as patch:
        patch.setattr(CheckpointStore, "save", killed)
        assert cli.run(COMMANDS["train"](str(run))) == 130
    assert (run / "metrics.jsonl").read_text() and best(run) and not CheckpointStore(run / "checkpoints").all()
    capsys.readouterr()
    assert outcome("train", run, capsys)[0] == 0
    assert (run / "metrics.jsonl").read_bytes() == (trained / "metrics.jsonl").read_bytes()


def test_a_pair_that_was_copied_to_be_evaluated_is_not_trained_over(run: Path, capsys: pytest.CaptureFixture) -> None:
    from dream.eval.pretrained import export

    export(run, run.parent / "pair")
    assert "checkpoints are gone" in refused("train", run.parent / "pair", capsys)
