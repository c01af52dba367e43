"""The run directory: what a training run leaves on disk, and what makes the same command resume it.

config.yaml        every setting of the run
environment.json   versions, commit, device, threads, hash of the problem split
metrics.jsonl      one JSON object a line: step and what was measured; no clock in it, so a resumed run's file
is identical, byte for byte, to that of a run never interrupted
timing.jsonl       the same lines for what the clock says
tensorboard/       both of them for TensorBoard
checkpoints/       see dream/storage/checkpoints.py
eval.csv           tidy rows: env,method,seed,step,split,metric,value
episodes/          recorded trials, .npz (dream/eval/recorded.py)
videos/            films that `dream watch` made
"""

from __future__ import annotations

import csv
import fcntl
import io
import json
import math
import os
import platform
import struct
import subprocess
import warnings
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import torch
import yaml
from numpy.typing import NDArray

from dream.errors import UserError
from dream.storage.checkpoints import CheckpointStore, Loaded, disk_errors

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

CSV_COLUMNS = ("env", "method", "seed", "step", "split", "metric", "value")
_LOCK = ".lock"
_TEMPORARY = ".tmp"
_OURS = ("environment.json", "metrics.jsonl", "timing.jsonl", "eval.csv", "report.html")
_OUR_FOLDERS = {"tensorboard": "events.out.tfevents.*", "episodes": "*.npz", "videos": "*.webm"}
"""What --overwrite deletes, besides the checkpoints; config.yaml is replaced last."""


class RunDirectory:
    """A run directory, either open for training (`open`, locked) or for reading (`read`)."""

    def __init__(self, path: Path, config: dict[str, Any]) -> None:
        self.path = path
        self.config = config
        self.checkpoints = CheckpointStore(path / "checkpoints")
        self._lock: IO[str] | None = None
        self._writer: SummaryWriter | None = None
        self._purge_step: int | None = None

    @classmethod
    def open(
        cls,
        path: Path | str,
        config: Mapping[str, Any],
        environment: Mapping[str, Any],
        *,
        ignore: Iterable[str] = (),
        overwrite: bool = False,
    ) -> RunDirectory:
        """Make a run directory, or take up the one that is there; locked until `close`.

        Args:
            path: the directory; parents are made.
            config: nested plain data, saved as config.yaml.
            environment: what `describe_environment` returns, saved as environment.json.
            ignore: dotted names of settings that may differ on resuming, as they do not change the result.
            overwrite: delete what an earlier run left here (only files that runs write) and start again.

        Raises:
            UserError: the directory holds a run with other settings or other problems, or files that are not a
                run's; it cannot be written; another process trains in it.
        """
        path = Path(path)
        wanted = _plain(config)
        with disk_errors(path):
            if path.exists() and not path.is_dir():
                raise UserError(f"{path} is a file: give a directory with --run-dir")
            _refuse_strangers(path)
            path.mkdir(parents=True, exist_ok=True)
            run = cls(path, wanted)
            run._acquire()
            try:
                if overwrite:
                    run._delete_results()
                elif (path / "config.yaml").exists():
                    _refuse_other_config(path, wanted, set(ignore))
                    _compare_environment(path, environment)
                write_atomic(path / "config.yaml", yaml.safe_dump(wanted, sort_keys=False))
                write_atomic(path / "environment.json", json.dumps(_plain(environment), indent=1) + "\n")
            except BaseException:
                run.close()
                raise
        return run

    @classmethod
    def read(cls, path: Path | str) -> RunDirectory:
        """A run directory for looking at or evaluating: no lock. Raises UserError if it is none."""
        path = Path(path)
        if not (path / "config.yaml").is_file():
            where = "does not exist" if not path.exists() else "holds no config.yaml"
            raise UserError(f"{path} is not a run directory ({where}): give the directory that `dream train` wrote")
        return cls(path, _read_config(path))

    # -- checkpoints ---------------------------------------------------------------------------------------------

    def save_checkpoint(
        self,
        step: int,
        weights: Mapping[str, torch.Tensor],
        state: Mapping[str, Any],
        *,
        best: bool = False,
        last: bool = False,
    ) -> None:
        """Save a checkpoint that the run can resume from; with `best` also its weights as the best so far.

        With `last` the run is finished, and older checkpoints are deleted.

        Log the step's metrics first: `resume` drops the lines of later steps, and keeps those of this one.
        Raises UserError when the disk is full or cannot be written; the checkpoints before are untouched.
        """
        for name in ("metrics.jsonl", "timing.jsonl"):
            if (self.path / name).exists():
                with (self.path / name).open("rb") as file:
                    os.fsync(file.fileno())
        if best:
            # First: killed in between, the resumed run comes here again and writes the same weights.
            self.save_best(step, weights)
        self.checkpoints.save(step, weights, state, last=last)

    def save_best(self, step: int, weights: Mapping[str, torch.Tensor]) -> None:
        """Save weights as the best so far. A run resumed from an earlier step comes here again with the same ones."""
        self.checkpoints.save(step, weights, best=True)

    def resume(self) -> Loaded | None:
        """The newest whole checkpoint, (step, weights, state), the logs cut back to it; None to start from nothing.

        Raises UserError if there are checkpoints and all are damaged; then nothing is changed.
        """
        loaded = self.checkpoints.load()
        step = loaded[0] if loaded else None
        for name in ("metrics.jsonl", "timing.jsonl"):
            _drop_lines_after(self.path / name, step)
        self._purge_step = 0 if step is None else step + 1
        return loaded

    # -- logs ----------------------------------------------------------------------------------------------------

    def log(self, step: int, metrics: Mapping[str, Any], timing: Mapping[str, Any] | None = None) -> None:
        """Append one line to metrics.jsonl and one to timing.jsonl, and send both to TensorBoard.

        Args:
            step: environment steps done; never smaller than in the line before.
            metrics: tag -> number, the same whenever the run is repeated.
            timing: tag -> number from a clock.

        A number that is not finite becomes null in the files. Raises UserError when the disk is full.
        """
        with disk_errors(self.path):
            for name, values in (("metrics.jsonl", metrics), ("timing.jsonl", timing or {})):
                if values:
                    line = json.dumps({"step": step, **{tag: _number(value) for tag, value in values.items()}})
                    with (self.path / name).open("a", encoding="utf-8") as file:
                        file.write(line + "\n")
            writer = self._tensorboard()
            for tag, value in {**metrics, **(timing or {})}.items():
                writer.add_scalar(tag, float(value), step)
            writer.flush()

    def show(self, step: int, pictures: Mapping[str, NDArray[np.uint8]], films: Mapping[str, bytes]) -> None:
        """Send pictures, tag -> (H, W, 3) uint8, and films, tag -> GIF, to TensorBoard, which plays them.

        Raises UserError when the disk is full.
        """
        with disk_errors(self.path):
            writer = self._tensorboard()
            for tag, picture in pictures.items():
                writer.add_image(tag, picture, step, dataformats="HWC")
            file: Any = writer.file_writer
            for tag, film in films.items():  # add_video would need another library to make the GIF
                file.add_summary(_animated(tag, film), step)
            writer.flush()

    def _tensorboard(self) -> SummaryWriter:
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter  # a slow import, and not needed to read a run

            self._writer = SummaryWriter(str(self.path / "tensorboard"), purge_step=self._purge_step)
        return self._writer

    def close(self) -> None:
        """Finish the logs and give the directory free."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        if self._lock is not None:
            self._lock.close()  # which releases it; the file stays, as removing it would race with another process
            self._lock = None

    def __enter__(self) -> RunDirectory:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _acquire(self) -> None:
        lock = (self.path / _LOCK).open("a+", encoding="utf-8")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip() or "unknown"
            lock.close()
            raise UserError(
                f"Another process (pid {holder}) is training in {self.path}: wait for it, stop it, "
                "or choose another directory with --run-dir"
            ) from None
        lock.seek(0)
        lock.truncate()
        lock.write(str(os.getpid()))
        lock.flush()
        self._lock = lock

    def _delete_results(self) -> None:
        """Delete what runs write, config.yaml apart: killed half-way, the same command starts again."""
        self.checkpoints.delete_all()
        for name in _OURS:
            (self.path / name).unlink(missing_ok=True)
        for folder, pattern in _OUR_FOLDERS.items():
            for file in (self.path / folder).glob(pattern):
                file.unlink()


def describe_environment(device: str, problems: str) -> dict[str, Any]:
    """What the numbers of a run may depend on besides its config.

    Args:
        device: torch device of the run.
        problems: hash of the problem split (`ProblemSet.hash`).
    """
    packages = ("dream-metarl", "torch", "numpy", "gymnasium", "numba", "scipy", "safetensors")
    return {
        "problems": problems,
        "versions": {"python": platform.python_version()} | {name: _version(name) for name in packages},
        "commit": _commit(),
        "device": torch.cuda.get_device_name(device) if torch.device(device).type == "cuda" else device,
        "processor": f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}",
        "threads": torch.get_num_threads(),
    }


def write_atomic(path: Path, text: str) -> None:
    """Write a text file so that a reader, or a kill, sees the old one or the new one. Raises UserError if it cannot."""
    temporary = path.with_name(f".{path.name}{_TEMPORARY}")
    with disk_errors(path):
        try:
            with temporary.open("w", encoding="utf-8", newline="") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def merge_tidy_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Add rows to a tidy CSV, atomically; they replace those of the same env, method, seed and split.

    Args:
        path: the file; made if there is none. Several processes may add to one at the same time.
        rows: each with exactly the keys `env,method,seed,step,split,metric,value`.

    Raises:
        ValueError: a row has other keys.
        UserError: the file holds something else, or cannot be written; it stays as it was.
    """
    for row in rows:
        if set(row) != set(CSV_COLUMNS):
            raise ValueError(f"a tidy row has the columns {', '.join(CSV_COLUMNS)}, not {', '.join(row)}")
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(path.parent, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            replaced = {_group(row) for row in rows}
            kept = [row for row in read_tidy_csv(path) if _group(row) not in replaced]
            text = io.StringIO()
            writer = csv.DictWriter(text, CSV_COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows([*kept, *rows])
            write_atomic(path, text.getvalue())
        finally:
            os.close(lock)


def _group(row: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(row[name]) for name in ("env", "method", "seed", "split"))


def read_tidy_csv(path: Path) -> list[dict[str, str]]:
    """Rows of a tidy CSV, [] where there is no file. Raises UserError if its columns are not `CSV_COLUMNS`."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        rows = list(reader)
    if tuple(reader.fieldnames or ()) != CSV_COLUMNS:
        raise UserError(f"{path} is no tidy CSV (its first line is not {','.join(CSV_COLUMNS)}): choose another file")
    return rows


def _refuse_strangers(path: Path) -> None:
    """Raise UserError for a directory with files in it that is not a run's: we write nothing into it."""
    if not path.exists() or (path / "config.yaml").exists():
        return
    strangers = sorted(file.name for file in path.iterdir() if file.name not in (_LOCK, f".config.yaml{_TEMPORARY}"))
    if strangers:
        raise UserError(
            f"{path} is not empty and not a run directory (it holds {', '.join(strangers[:3])}"
            f"{', ...' if len(strangers) > 3 else ''}): choose another with --run-dir"
        )


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config = yaml.safe_load((path / "config.yaml").read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path / 'config.yaml'} is damaged: put it back, or start again with --overwrite") from error
    if not isinstance(config, dict):
        raise UserError(f"{path / 'config.yaml'} holds no settings: put it back, or start again with --overwrite")
    return config


def settings_that_differ(path: Path, wanted: Mapping[str, Any], ignore: Iterable[str] = ()) -> list[str]:
    """What is set otherwise in the run in `path` than in `wanted`, a few words each; [] for the same run.

    Args:
        path: a run directory.
        wanted: nested plain data, as `TrainConfig.as_dict` gives.
        ignore: dotted names of settings, or groups of settings, that may differ.
    """
    saved, now = _flatten(_read_config(path)), _flatten(_plain(wanted))
    return [
        f"{name} is {saved.get(name, 'not set')!r} there and {now.get(name, 'not set')!r} here"
        for name in sorted(saved.keys() | now.keys())
        if saved.get(name) != now.get(name) and not any(name == i or name.startswith(f"{i}.") for i in ignore)
    ]


def _refuse_other_config(path: Path, wanted: dict[str, Any], ignore: set[str]) -> None:
    """Raise UserError, naming the settings that differ, unless the run in `path` was started with `wanted`."""
    if differing := settings_that_differ(path, wanted, ignore):
        raise UserError(
            f"{path} holds a run with other settings ({'; '.join(differing)}): give the same settings to resume it, "
            "another --run-dir to keep both, or --overwrite to replace it"
        )


def _compare_environment(path: Path, environment: Mapping[str, Any]) -> None:
    """Refuse to go on with other problems; warn of anything else that may change the numbers."""
    try:
        saved = json.loads((path / "environment.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return  # nothing to compare with: an unimportant file was deleted
    before, now = _flatten(saved), _flatten(_plain(environment))
    if before.get("problems") != now.get("problems"):
        raise UserError(
            f"{path} was trained on other problems (split {before.get('problems')}, now {now.get('problems')}): "
            "choose another directory with --run-dir, or replace the run with --overwrite"
        )
    changed = [
        f"{name} {before.get(name)} -> {now.get(name)}"
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name)
    ]
    if changed:
        warnings.warn(
            f"resuming where the numbers may not be those of an uninterrupted run: {', '.join(changed)}", stacklevel=3
        )


def _flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one: {"a": {"b": 1}} -> {"a.b": 1}."""
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping):
            flat |= _flatten(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def _plain(tree: Mapping[str, Any]) -> dict[str, Any]:
    """As it will be read back from YAML or JSON: tuples become lists, paths and enums strings."""
    plain: dict[str, Any] = json.loads(json.dumps(tree, default=str))
    return plain


def _animated(tag: str, film: bytes) -> Any:
    """A GIF as TensorBoard's summary of an image; its width and height stand in its bytes 6 to 9."""
    from tensorboard.compat.proto.summary_pb2 import Summary

    width, height = struct.unpack("<HH", film[6:10])
    image = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=film)
    return Summary(value=[Summary.Value(tag=tag, image=image)])


def _number(value: Any) -> int | float | None:
    number: int | float = value.item() if hasattr(value, "item") else value
    return number if math.isfinite(number) else None


def _drop_lines_after(path: Path, step: int | None) -> None:
    """Cut a log back to the lines up to `step` (None: to nothing), a half-written last line included."""
    if not path.exists():
        return
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    kept = [line for line in lines if step is not None and _step_of(line) <= step]
    if kept != lines:
        write_atomic(path, "".join(kept))


def _step_of(line: str) -> float:
    """Step of a log line; infinity for a line that is not whole."""
    try:
        return float(json.loads(line)["step"]) if line.endswith("\n") else math.inf
    except (ValueError, KeyError, TypeError):
        return math.inf


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _commit() -> str | None:
    """Commit of the checkout this package is, "+" appended if files differ from it; None for an installed package."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    try:
        commit = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--abbrev=12", "--exclude=*", "--dirty=+"],
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return commit.stdout.strip() or None
