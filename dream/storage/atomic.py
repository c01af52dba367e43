"""Files are written whole or not at all, and what the operating system refuses becomes one sentence."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dream.errors import UserError

TEMPORARY = ".writing-"
"""Prefix of the name under which a file or a checkpoint is written before it takes its place."""
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def disk_errors(path: Path, *, training: bool = False) -> Iterator[None]:
    """Turn any OSError raised inside into a UserError that says what to do.

    Args:
        path: what is being written, named where the error names nothing itself.
        training: a run directory is being written: only `dream train` can be resumed.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in _FULL:
            cure = "free some space, then give the same command again"
            if training:
                cure = "nothing saved before is lost. Free some space, then give the same command again to resume"
            raise UserError(f"No space left to write {path} ({reason}): {cure}") from error
        named = error.filename if isinstance(error.filename, str) else ""
        where = named if named and not Path(named).name.startswith(TEMPORARY) else path
        option = " with --run-dir" if training else ""
        raise UserError(
            f"Cannot write {where} ({reason}): make it writable, or choose another place{option}"
        ) from error


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` to write to; it replaces `path` when the block ends without an error.

    A reader, or a kill, finds the old file or the new one; a block that writes nothing leaves the old one. Folders are
    made. The temporary name keeps the suffix.

    Raises:
        UserError: it cannot be written, or `path` is a directory or a device.
    """
    temporary = path.with_name(f"{TEMPORARY}{path.name}")
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not path.is_file():
            kind = "a directory" if path.is_dir() else "not a regular file"
            raise UserError(f"Cannot write {path}: it is {kind}. Give the name of a file")
        try:
            yield temporary
            if temporary.exists():
                with temporary.open("rb+") as file:
                    os.fsync(file.fileno())
                temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write a file as `atomic_file` does. Text is UTF-8; a surrogate of a file name is written as an escape.

    Raises:
        UserError: it cannot be written.
    """
    data = content.encode("utf-8", errors="backslashreplace") if isinstance(content, str) else content
    with atomic_file(path) as temporary:
        temporary.write_bytes(data)


def sync_directory(path: Path) -> None:
    """Flush a directory's entries to the disk, where the system has that."""
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
