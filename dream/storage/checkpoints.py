"""Checkpoints that survive a kill at any moment, a full disk and a damaged file.

A checkpoint is a directory `checkpoints/<serial>_step_<step>/`:

    weights.safetensors   the networks: readable by anything that reads safetensors
    state.pt              everything else a resumed run needs; plain data only, so it loads with weights_only
    manifest.json         step, and size and SHA-256 of the files above

It is written under a temporary name, flushed to the disk and then renamed, so that it is there whole or not at all.
The serial number orders checkpoints by the time they were written. `best_<serial>_step_<step>/` is the same without
state.pt: the weights that did best so far.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import random
import re
import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import safetensors.torch
import torch

from dream.errors import UserError

_NAME = re.compile(r"(?P<best>best_)?(?P<serial>\d{6,})_step_(?P<step>\d+)")
_TEMPORARY = ".writing-"
_KEEP = 2  # should the newest turn out damaged, there is one before it


@dataclass(frozen=True)
class Checkpoint:
    """One checkpoint on disk."""

    path: Path
    serial: int
    step: int


Loaded = tuple[int, dict[str, torch.Tensor], dict[str, Any]]
"""Step, weights and state of a checkpoint; the state is {} where none was saved."""


class CheckpointStore:
    """The checkpoints of one run.

    Args:
        path: the directory that holds them; made when the first is saved.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._damaged: set[Path] = set()

    def all(self, *, best: bool = False) -> list[Checkpoint]:
        """The checkpoints there are, oldest first; with `best` the best ones, of which there is mostly one."""
        found = []
        for path in self.path.iterdir() if self.path.is_dir() else ():
            match = _NAME.fullmatch(path.name)
            if match and bool(match["best"]) == best and path.is_dir():
                found.append(Checkpoint(path, int(match["serial"]), int(match["step"])))
        return sorted(found, key=lambda checkpoint: checkpoint.serial)

    def save(
        self,
        step: int,
        weights: Mapping[str, torch.Tensor],
        state: Mapping[str, Any] | None = None,
        *,
        best: bool = False,
        last: bool = False,
    ) -> Path:
        """Write a checkpoint, then delete the ones it makes superfluous. Returns its directory.

        Args:
            step: environment steps done.
            weights: name -> tensor, any shape and device.
            state: plain data (see `check_plain`); None leaves state.pt out.
            best: save under `best_`; each replaces the one before.
            last: the run is finished: no older one is kept beside it.

        Raises:
            UserError: no space left, or the directory cannot be written. What was there before is still there.
            TypeError: `state` holds something that could not be loaded again.
        """
        if state is not None:
            check_plain(state)
        with disk_errors(self.path):
            self._remove_leftovers()
            older = self.all(best=best)
            serial = older[-1].serial + 1 if older else 1
            final = self.path / f"{'best_' if best else ''}{serial:06d}_step_{step}"
            temporary = self.path / f"{_TEMPORARY}{final.name}"
            try:
                temporary.mkdir(parents=True)
                files = {"weights.safetensors": _write(temporary / "weights.safetensors", _weights_bytes(weights))}
                if state is not None:
                    files["state.pt"] = _write(temporary / "state.pt", dict(state))
                _write(temporary / "manifest.json", json.dumps({"step": step, "files": files}, indent=1).encode())
                _sync_directory(temporary)
                temporary.rename(final)
                _sync_directory(self.path)
            except BaseException:
                shutil.rmtree(temporary, ignore_errors=True)
                raise
            keep = 0 if best or last else _KEEP - 1
            good = [checkpoint.path for checkpoint in older if checkpoint.path not in self._damaged]
            for path in {checkpoint.path for checkpoint in older} - set(good[len(good) - keep :]):
                self._delete(path)
        return final

    def load(self, *, best: bool = False, device: str = "cpu") -> Loaded | None:
        """The newest checkpoint that is whole, or None if there is none at all.

        A damaged one is passed over with a warning when there is an older one.

        Raises:
            UserError: there are checkpoints, but every one is damaged. Nothing is deleted.
        """
        complaints: list[str] = []
        found = self.all(best=best)
        for checkpoint in reversed(found):
            try:
                loaded = _read(checkpoint, device)
            except _Damaged as damage:
                self._damaged.add(checkpoint.path)
                complaints.append(str(damage))
                continue
            if complaints:
                warnings.warn(f"{'; '.join(complaints)}; going back to step {checkpoint.step}", stacklevel=2)
            return checkpoint.step, *loaded
        if complaints and self.all(best=best) != found:
            return self.load(best=best, device=device)  # a run that is training replaced them while we were reading
        if complaints:
            raise UserError(
                f"{'; '.join(complaints)}; no other checkpoint is left. Put an undamaged copy back, "
                "or start again from nothing with --overwrite"
            )
        return None

    def delete_all(self) -> None:
        """Delete every checkpoint, oldest first."""
        self._remove_leftovers()
        for checkpoint in self.all() + self.all(best=True):
            self._delete(checkpoint.path)

    def _delete(self, path: Path) -> None:
        """Rename, then delete: killed in between, no half of a checkpoint is left under its name."""
        doomed = path.with_name(f"{_TEMPORARY}{path.name}")
        path.rename(doomed)
        shutil.rmtree(doomed)

    def _remove_leftovers(self) -> None:
        for path in self.path.glob(f"{_TEMPORARY}*"):
            shutil.rmtree(path, ignore_errors=True)


class _Damaged(Exception):
    """Says which file is damaged and how."""


def _read(checkpoint: Checkpoint, device: str) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Weights and state of one checkpoint, verified. Raises _Damaged."""
    try:
        files = json.loads((checkpoint.path / "manifest.json").read_bytes())["files"]
        for name, expected in files.items():
            path = checkpoint.path / name
            size = path.stat().st_size
            if size != expected["size"]:
                raise _Damaged(f"{path} is damaged ({size:,} bytes instead of {expected['size']:,})")
            with path.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != expected["sha256"]:
                    raise _Damaged(f"{path} is damaged (its contents changed since it was written)")
        weights = safetensors.torch.load_file(checkpoint.path / "weights.safetensors", device=device)
        state: dict[str, Any] = {}
        if "state.pt" in files:
            state = torch.load(checkpoint.path / "state.pt", map_location="cpu", weights_only=True, mmap=True)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _Damaged(f"{checkpoint.path} is damaged ({type(error).__name__}: {error})") from error
    return weights, state


class _HashingFile:
    """A file for writing that hashes what passes and remembers why a write failed (torch.save hides the reason)."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.hash = hashlib.sha256()
        self.size = 0
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        try:
            self.file.write(data)
        except OSError as error:
            self.error = error
            raise
        self.hash.update(data)
        self.size += len(data)
        return len(data)

    def flush(self) -> None:
        self.file.flush()


def _write(path: Path, content: bytes | dict[str, Any]) -> dict[str, Any]:
    """Write bytes as they are, a dict with torch.save; flush to the disk. Returns size and SHA-256."""
    with path.open("wb") as raw:
        file = _HashingFile(raw)
        if isinstance(content, bytes):
            file.write(content)
        else:
            try:
                torch.save(content, file)  # type: ignore[arg-type]
            except RuntimeError:
                if file.error is not None:
                    raise file.error from None
                raise
        raw.flush()
        os.fsync(raw.fileno())
    return {"size": file.size, "sha256": file.hash.hexdigest()}


def _weights_bytes(weights: Mapping[str, torch.Tensor]) -> bytes:
    # Cloned, because safetensors refuses tensors that share memory.
    return safetensors.torch.save({name: value.detach().cpu().clone().contiguous() for name, value in weights.items()})


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def check_plain(value: Any, where: str = "state") -> None:
    """Raise TypeError, naming the place, for anything but dict, list, tuple, str, bytes, numbers, None and tensors.

    torch.save would take it without complaint and torch.load(weights_only=True) refuse it: found out too late.
    """
    if isinstance(value, torch.Tensor) or value is None or type(value) in (bool, int, float, str, bytes):
        return
    if type(value) is dict:
        for key, item in value.items():
            if type(key) not in (str, int):
                raise TypeError(f"{where} has a key of type {type(key).__name__}: use str or int")
            check_plain(item, f"{where}[{key!r}]")
    elif type(value) in (list, tuple):
        for number, item in enumerate(value):
            check_plain(item, f"{where}[{number}]")
    else:
        raise TypeError(f"{where} is a {type(value).__name__}: a checkpoint holds plain data and tensors only")


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals to write below `path` into a UserError that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise UserError(
                f"No space left to write {path} ({error.strerror}): nothing saved before is lost. "
                "Free some space, then give the same command again to resume"
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG):
            raise UserError(
                f"Cannot write {error.filename or path} ({error.strerror}): make it writable, "
                "or choose another directory with --run-dir"
            ) from error
        raise


def pack_rng(rng: np.random.Generator | random.Random | torch.Generator) -> str | torch.Tensor:
    """The state of a random generator as plain data for a checkpoint."""
    if isinstance(rng, torch.Generator):
        return rng.get_state()
    if isinstance(rng, random.Random):
        return json.dumps(rng.getstate())
    return json.dumps(rng.bit_generator.state)


def restore_rng(rng: np.random.Generator | random.Random | torch.Generator, packed: str | torch.Tensor) -> None:
    """Set a generator to a state from `pack_rng`, in place. Raises ValueError if it is of another kind."""
    if isinstance(rng, torch.Generator) != isinstance(packed, torch.Tensor):
        raise ValueError(f"the state of another kind of generator cannot be given to a {type(rng).__name__}")
    if isinstance(rng, torch.Generator):
        rng.set_state(packed)  # type: ignore[arg-type]
    elif isinstance(rng, random.Random):
        version, internal, gauss = json.loads(packed)  # type: ignore[arg-type]
        rng.setstate((version, tuple(internal), gauss))
    else:
        rng.bit_generator.state = json.loads(packed)  # type: ignore[arg-type]
