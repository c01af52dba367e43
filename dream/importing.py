"""Load an object by its path, `package.module:NAME`: how users name an env or a method of their own."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

from dream.errors import UserError


def load_object(path: str) -> Any:
    """The object that `path` names; its module may also be a file in the current folder.

    The `dream` command does not have the current folder on `sys.path`, so it comes first there during the import.

    Args:
        path: `package.module:NAME`.

    Raises:
        UserError: the path has another form, the module cannot be imported, or it has no such name.
    """
    module, _, name = path.partition(":")
    if not module or not name:
        raise UserError(f"cannot load {path!r}: write package.module:NAME")
    here = os.getcwd()
    added = "" not in sys.path and here not in sys.path
    if added:
        sys.path.insert(0, here)
    try:
        return getattr(importlib.import_module(module), name)
    except Exception as error:  # whatever the user's module raises while it is imported
        reason = str(error) if isinstance(error, ImportError | AttributeError) else f"{type(error).__name__}: {error}"
        raise UserError(f"cannot load {path!r}: {reason}; give an importable package.module:NAME") from error
    finally:
        if added and here in sys.path:
            sys.path.remove(here)
