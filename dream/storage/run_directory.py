"""The run directory: the files of a training run, from which the same command resumes it.

config.yaml        every setting of the run
environment.json   versions, commit, device, threads, hash of the problem split
metrics.jsonl      one JSON object per validation: step and metrics, without times, so that the file of a resumed run is
identical, byte for byte, to that of an uninterrupted one
timing.jsonl       one JSON object per validation: step, times and speeds
tensorboard/       both, for TensorBoard
checkpoints/       see dream/storage/checkpoints.py
saved.json         step of the newest checkpoint, to notice that checkpoints were deleted
eval.csv           tidy rows: env,method,seed,step,split,metric,value
episodes/          recorded trials, .npz (eval/record/recorded.py)
videos/            films of `dream watch`
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
import yaml
from numpy.typing import NDArray
from torch import Tensor

from dream.config import TrainConfig, config_from_dict
from dream.errors import UserError
from dream.storage.atomic import TEMPORARY, disk_errors, write_atomic
from dream.storage.checkpoints import CheckpointStore, Loaded, Use
from dream.storage.environment import compare_environment
from dream.storage.lock import try_lock
from dream.storage.logs import Logs
from dream.storage.plain_data import as_json, flatten
from dream.storage.reading import Unreadable, read_yaml

CONFIG = "config.yaml"
MOST_NAMED = 5
"""Most settings that a refusal names one by one; more would hide what to do."""
_LOCK = ".lock"
_SAVED = "saved.json"
_OURS = ("environment.json", "metrics.jsonl", "timing.jsonl", _SAVED, "eval.csv", "report.html")
_OUR_FOLDERS = {"tensorboard": "events.out.tfevents.*", "episodes": "*.npz", "videos": "*.webm"}
"""What --overwrite deletes, besides the checkpoints; config.yaml is replaced last."""


class RunDirectory:
    """A run directory, either open for training (`open`, locked) or for reading (`read`)."""

    def __init__(self, path: Path, config: dict[str, Any]) -> None:
        self.path = path
        self.config = config
        self.checkpoints = CheckpointStore(path / "checkpoints")
        self._lock: IO[str] | None = None
        self._logs = Logs(path)

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
        """Make a run directory, or resume the one that is there; locked until `close`.

        Args:
            path: the directory; parents are made.
            config: nested plain data, saved as config.yaml.
            environment: what `describe_environment` returns, saved as environment.json.
            ignore: dotted names of settings that may differ on resuming, as they do not change the result.
            overwrite: delete what an earlier run left here (only files that runs write) and start again.

        Raises:
            UserError: the directory holds a run with other settings or other problems, a run whose checkpoints were
                deleted, or files that are not a run's; it cannot be read or written; another process trains in it.
        """
        path = Path(path)
        wanted = as_json(config)
        with disk_errors(path, training=True):
            if any(0xD800 <= ord(character) <= 0xDFFF for character in str(path)):
                raise UserError(
                    f"{path} is no valid UTF-8, which TensorBoard needs: choose another name with --run-dir"
                )
            if path.exists() and not path.is_dir():
                raise UserError(f"{path} is a file: give a directory with --run-dir")
            _refuse_strangers(path)
            path.mkdir(parents=True, exist_ok=True)
            run = cls(path, wanted)
            run._acquire()
            try:
                if overwrite:
                    run._delete_results()
                elif os.path.lexists(path / CONFIG):
                    _refuse_other_config(path, wanted, set(ignore))
                    compare_environment(path, environment)
                    run._refuse_lost_checkpoints()
                write_atomic(path / CONFIG, yaml.safe_dump(wanted, sort_keys=False))
                write_atomic(path / "environment.json", json.dumps(as_json(environment), indent=1) + "\n")
            except BaseException:
                run.close()
                raise
        return run

    @classmethod
    def read(cls, path: Path | str) -> RunDirectory:
        """A run directory for looking at or evaluating: no lock. Raises UserError if it is none, or damaged."""
        path = Path(path)
        return cls(path, _read_config(path))

    def settings(self, **changes: Any) -> TrainConfig:
        """The run's settings, some top-level ones changed. Raises UserError where config.yaml holds others."""
        try:
            return config_from_dict({**self.config, **changes})
        except UserError as error:
            raise UserError(
                f"{self.path / CONFIG} does not hold settings of this version of dream ({error}): "
                "correct it, or train again with --overwrite"
            ) from error

    # -- checkpoints ---------------------------------------------------------------------------------------------

    def save_checkpoint(
        self,
        step: int,
        weights: Mapping[str, Tensor],
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
        with disk_errors(self.path, training=True):
            self._logs.flush()
        if best:
            # First: killed in between, the resumed run comes here again and writes the same weights.
            self.save_best(step, weights)
        self.checkpoints.save(step, weights, state, last=last)
        write_atomic(self.path / _SAVED, json.dumps({"step": step}) + "\n")

    def save_best(self, step: int, weights: Mapping[str, Tensor]) -> None:
        """Save weights as the best so far. A run resumed from an earlier step comes here again with the same ones."""
        self.checkpoints.save(step, weights, best=True)

    def resume(self, use: Use | None = None) -> Loaded | None:
        """The newest whole checkpoint, (step, weights, state), the logs cut back to it; None to start from nothing.

        Args:
            use: as for `CheckpointStore.load`.

        Raises:
            UserError: there are checkpoints and all are damaged; then nothing is changed.
        """
        loaded = self.checkpoints.load(use=use)
        if loaded is not None:
            self._warn_of_damaged_best()
        self._logs.cut(loaded[0] if loaded else None)
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
        self._logs.append(step, metrics, timing or {})

    def show(self, step: int, pictures: Mapping[str, NDArray[np.uint8]], films: Mapping[str, bytes]) -> None:
        """Send pictures, tag -> (H, W, 3) uint8, and films, tag -> GIF, to TensorBoard, which plays them.

        Raises UserError when the disk is full.
        """
        self._logs.show(step, pictures, films)

    def close(self) -> None:
        """Finish the logs and release the directory."""
        self._logs.close()
        if self._lock is not None:
            self._lock.close()  # which releases it; the file stays, as removing it would race with another process
            self._lock = None

    def __enter__(self) -> RunDirectory:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _acquire(self) -> None:
        lock = (self.path / _LOCK).open("a+", encoding="utf-8")
        if not try_lock(lock.fileno()):
            lock.seek(0)
            holder = lock.read().strip() or "unknown"
            lock.close()
            raise UserError(
                f"Another process (pid {holder}) is training in {self.path}: wait for it, stop it, "
                "or choose another directory with --run-dir"
            )
        lock.seek(0)
        lock.truncate()
        lock.write(str(os.getpid()))
        lock.flush()
        self._lock = lock

    def _refuse_lost_checkpoints(self) -> None:
        """Raise UserError for a run whose checkpoints were deleted: training again would delete the rest of it.

        saved.json, written after every checkpoint, tells such a run from one killed before its first checkpoint. That
        one has nothing to resume from either: it starts again, and replaces its logs and best weights by the same ones.
        """
        if os.path.lexists(self.path / _SAVED) and not self.checkpoints.all():
            kept = "its best weights and its logs" if self.checkpoints.all(best=True) else "its logs"
            raise UserError(
                f"{self.path} holds a run whose checkpoints are gone, so it cannot be resumed: restore them in "
                f"{self.checkpoints.path}, choose another directory with --run-dir, or delete {kept} and start again "
                "with --overwrite"
            )

    def _warn_of_damaged_best(self) -> None:
        try:
            self.checkpoints.load(best=True)
        except UserError as error:
            warnings.warn(str(error), stacklevel=3)

    def _delete_results(self) -> None:
        """Delete what runs write, config.yaml apart: killed half-way, the same command starts again."""
        self.checkpoints.delete_all()
        for name in _OURS:
            (self.path / name).unlink(missing_ok=True)
        for folder, pattern in _OUR_FOLDERS.items():
            for file in (self.path / folder).glob(pattern):
                file.unlink()


def settings_that_differ(path: Path, wanted: Mapping[str, Any], ignore: Iterable[str] = ()) -> list[str]:
    """The settings in which the run in `path` differs from `wanted`, a few words each; [] for the same run.

    Beyond `MOST_NAMED` of them, the last item says how many more there are.

    Args:
        path: a run directory.
        wanted: nested plain data, as `TrainConfig.as_dict` gives.
        ignore: dotted names of settings, or groups of settings, that may differ.

    Raises:
        UserError: the run's config.yaml is missing or damaged.
    """
    saved, now = flatten(_read_config(path)), flatten(as_json(wanted))
    differing = [
        f"{name} is {saved.get(name, 'not set')!r} there and {now.get(name, 'not set')!r} here"
        for name in sorted(saved.keys() | now.keys())
        if saved.get(name) != now.get(name) and not any(name == i or name.startswith(f"{i}.") for i in ignore)
    ]
    more = [f"and {len(differing) - MOST_NAMED} more"] if len(differing) > MOST_NAMED else []
    return differing[:MOST_NAMED] + more


def _refuse_strangers(path: Path) -> None:
    """Raise UserError for a directory with files in it that is not a run's: nothing is written into it."""
    if not path.exists() or os.path.lexists(path / CONFIG):
        return
    strangers = sorted(file.name for file in path.iterdir() if file.name not in (_LOCK, f"{TEMPORARY}{CONFIG}"))
    if strangers:
        raise UserError(
            f"{path} is not empty and not a run directory (it holds {', '.join(strangers[:3])}"
            f"{', ...' if len(strangers) > 3 else ''}): choose another with --run-dir"
        )


def _read_config(path: Path) -> dict[str, Any]:
    try:
        return read_yaml(path / CONFIG)
    except FileNotFoundError:
        where = f"holds no {CONFIG}" if path.is_dir() else "is a file" if path.exists() else "does not exist"
        raise UserError(
            f"{path} is not a run directory ({where}): give the directory that `dream train` wrote"
        ) from None
    except Unreadable:
        raise
    except UserError as error:
        raise UserError(f"{error}: restore it, or train again with --overwrite") from error


def _refuse_other_config(path: Path, wanted: dict[str, Any], ignore: set[str]) -> None:
    """Raise UserError, naming the settings that differ, unless the run in `path` was started with `wanted`."""
    if differing := settings_that_differ(path, wanted, ignore):
        raise UserError(
            f"{path} holds a run with other settings ({'; '.join(differing)}): give the same settings to resume it, "
            "another --run-dir to keep both, or --overwrite to replace it"
        )
