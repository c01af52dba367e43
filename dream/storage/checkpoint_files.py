"""The files of one checkpoint: written with their hashes, and verified in full before anything of them is used."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import safetensors.torch
import torch
from torch import Tensor

from dream.errors import UserError
from dream.storage.atomic import sync_directory
from dream.storage.reading import Unreadable, open_file, read_json

WEIGHTS, STATE, MANIFEST = "weights.safetensors", "state.pt", "manifest.json"


class Damaged(Exception):
    """Says which file of a checkpoint is damaged and how."""


def write_checkpoint(folder: Path, step: int, weights: Mapping[str, Tensor], state: Mapping[str, Any] | None) -> None:
    """Make a folder with the files of a checkpoint and flush them to the disk. Raises OSError."""
    folder.mkdir()
    files = {WEIGHTS: _write(folder / WEIGHTS, _weights_bytes(weights))}
    if state is not None:
        files[STATE] = _write(folder / STATE, dict(state))
    _write(folder / MANIFEST, json.dumps({"step": step, "files": files}, indent=1).encode())
    sync_directory(folder)


def read_checkpoint(folder: Path, step: int, *, state: bool, device: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Weights and state of a checkpoint, verified; nothing is unpickled.

    Args:
        folder: of the checkpoint.
        step: that it must be of.
        state: it must hold a state; else {} is returned where there is none.
        device: of the weights; the state stays on the CPU.

    Raises:
        Damaged: a file is missing, was changed, does not parse or has other contents, or a weight is not finite.
        UserError: a file cannot be read for another reason, such as its permissions.
    """
    files = _verified_files(folder, step)
    if state and STATE not in files:
        raise Damaged(f"{folder} is damaged (it has no {STATE})")
    with _damage(folder / WEIGHTS):
        weights = safetensors.torch.load_file(folder / WEIGHTS, device=device)
        if lost := [name for name, value in weights.items() if not torch.isfinite(value).all()]:
            raise ValueError(f"{lost[0]} has values that are not finite")
    loaded: Any = {}
    if STATE in files:
        with _damage(folder / STATE):
            loaded = torch.load(folder / STATE, map_location="cpu", weights_only=True, mmap=True)
            if not isinstance(loaded, dict):
                raise ValueError(f"it holds a {type(loaded).__name__} instead of a dict")
    return weights, loaded


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    """Any exception of a parser means that the file is damaged."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except Exception as error:
        raise Damaged(f"{path} is damaged ({reason(error)})") from error


def check_weights(given: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Raise ValueError, naming a tensor, unless both have the same names, shapes and dtypes."""
    for name in sorted(given.keys() | expected.keys()):
        if name not in given:
            raise ValueError(f"{name} is missing")
        if name not in expected:
            raise ValueError(f"{name} is not known to the method")
        mine, theirs = given[name], expected[name]
        if mine.shape != theirs.shape or mine.dtype != theirs.dtype:
            raise ValueError(f"{name} is {_kind(mine)} instead of {_kind(theirs)}")


def _kind(value: Tensor) -> str:
    return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"


def _verified_files(folder: Path, step: int) -> set[str]:
    """Names of the files that the manifest lists, their sizes and hashes checked."""
    try:
        manifest = read_json(folder / MANIFEST)
        files = manifest["files"]
        if manifest["step"] != step:
            raise Damaged(f"{folder} is damaged (its manifest is of step {manifest['step']})")
        if WEIGHTS not in files or not files.keys() <= {WEIGHTS, STATE}:
            raise Damaged(f"{folder / MANIFEST} is damaged (it lists {', '.join(files) or 'no files'})")
        for name, expected in files.items():
            path = folder / name
            with open_file(path) as file:
                size = os.fstat(file.fileno()).st_size
                if size != expected["size"]:
                    raise Damaged(f"{path} is damaged ({size:,} bytes instead of {expected['size']:,})")
                if hashlib.file_digest(file, "sha256").hexdigest() != expected["sha256"]:
                    raise Damaged(f"{path} is damaged (its contents changed since it was written)")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Damaged(f"{folder / MANIFEST} is damaged ({reason(error)})") from error
    except FileNotFoundError as error:
        raise Damaged(f"{folder} is damaged ({Path(error.filename).name} is missing)") from error
    except Unreadable:
        raise
    except UserError as error:
        raise Damaged(str(error) if "is damaged" in str(error) else f"{folder} is damaged ({error})") from error
    return set(files)


def reason(error: Exception) -> str:
    """An exception in a few words: its first line, and its type unless the line is a sentence of ours."""
    text = (str(error).splitlines() or [""])[0][:200]
    if type(error) is ValueError:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


class HashingFile:
    """A file for writing that hashes what passes and remembers why a write failed (torch.save hides the reason)."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.hash = hashlib.sha256()
        self.size = 0
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        """Write all of it. Raises OSError."""
        try:
            self.file.write(data)
        except OSError as error:
            self.error = error
            raise
        self.hash.update(data)
        self.size += len(data)
        return len(data)

    def flush(self) -> None:
        """Flush the file below."""
        self.file.flush()


def _write(path: Path, content: bytes | dict[str, Any]) -> dict[str, Any]:
    """Write bytes as they are, a dict with torch.save; flush to the disk. Returns size and SHA-256."""
    with path.open("wb") as raw:
        file = HashingFile(raw)
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


def _weights_bytes(weights: Mapping[str, Tensor]) -> bytes:
    # Cloned, because safetensors refuses tensors that share memory.
    return safetensors.torch.save({name: value.detach().cpu().clone().contiguous() for name, value in weights.items()})
