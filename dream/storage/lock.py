"""One process at a time: advisory locks of open files. Windows has no `fcntl`; nothing is locked there."""

from __future__ import annotations

import sys

if sys.platform != "win32":
    import fcntl


def try_lock(descriptor: int) -> bool:
    """Lock an open file until it is closed. False where another process holds it."""
    if sys.platform != "win32":
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def wait_for_lock(descriptor: int) -> None:
    """Wait until no other process holds an open file, then lock it until it is closed."""
    if sys.platform != "win32":
        fcntl.flock(descriptor, fcntl.LOCK_EX)
