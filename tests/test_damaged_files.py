"""Every file of a run, damaged in every way: one sentence that names the file, no traceback, nothing lost.

The table `DAMAGES` is the test: each damage is done to a copy of one small run, then each command is called on it.
"""

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
import yaml

from dream import cli
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


def outcome(command: str, run: Path, capsys: pytest.CaptureFixture) -> tuple[int, str]:
    """Exit code and everything printed, after checks of what must hold of every outcome."""
    code = cli.run(COMMANDS[command](str(run)))
    captured = capsys.readouterr()
    text = captured.out + captured.err
    assert "Traceback" not in text and not Path("executed").exists()
    if code:
        assert code == 2, text
        sentences = [line for line in captured.err.splitlines() if re.match(r"dream: (?!warning)", line)]
        assert len(sentences) == 1, text
    return code, text
