"""Reading files that may be damaged or hostile: size, nesting and types are limited, and nothing hangs."""

from __future__ import annotations

import json
import math
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import Any

import yaml

from dream.errors import UserError

MAX_BYTES = 1_000_000
"""Of a YAML or JSON file: config.yaml has about 2,000."""
MAX_DEPTH = 20
"""Mappings and lists inside each other."""


class Unreadable(UserError):
    """A file that this user may not read; it is not damaged."""


@contextmanager
def open_file(path: Path) -> Iterator[BufferedReader]:
    """Open a regular file for reading.

    Anything else is refused before it is opened: reading a device or a pipe might never end.

    Raises:
        FileNotFoundError: there is none.
        Unreadable: permissions forbid it.
        UserError: it is no regular file, or cannot be read for another reason.
    """
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            raise UserError(f"{path} is {'a directory' if stat.S_ISDIR(mode) else 'not a regular file'}")
        with path.open("rb") as file:
            yield file
    except FileNotFoundError:
        raise
    except PermissionError as error:
        raise Unreadable(f"{path} cannot be read ({error.strerror}): make it readable") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error})") from error


def read_file(path: Path, limit: int | None = None) -> bytes:
    """The bytes of a regular file. Errors as for `open_file`, and a UserError for more than `limit` bytes."""
    with open_file(path) as file:
        content = file.read() if limit is None else file.read(limit + 1)
    if limit is not None and len(content) > limit:
        raise UserError(f"{path} is larger than {limit:,} bytes")
    return content


def read_yaml(path: Path) -> dict[str, Any]:
    """A mapping of plain data from a YAML file: strings, numbers, booleans, None, lists and mappings with string keys.

    Raises:
        FileNotFoundError: there is none.
        UserError: cannot be read, larger than `MAX_BYTES`, deeper than `MAX_DEPTH`, an alias, another type, no mapping.
    """
    content = read_file(path, MAX_BYTES)
    try:
        loaded = yaml.load(content.decode("utf-8-sig"), Loader=_PlainLoader)
    except UserError as error:
        raise UserError(f"{path} is damaged ({error})") from None
    except Exception as error:  # PyYAML lets many kinds through: KeyError of a tag, ValueError of a number, ...
        raise UserError(f"{path} is damaged ({_first_line(error)})") from error
    return _plain_mapping(path, loaded)


def read_json(path: Path) -> dict[str, Any]:
    """As `read_yaml`, from a JSON file."""
    content = read_file(path, MAX_BYTES)
    try:
        loaded = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is damaged ({_first_line(error)})") from error
    return _plain_mapping(path, loaded)


class _PlainLoader(yaml.SafeLoader):
    """Refuses aliases, of which a few lines grow to gigabytes, and deep nesting, while reading."""

    _depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise UserError("it has an alias, and settings have none")
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise UserError(f"it is nested deeper than {MAX_DEPTH}")
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


def _plain_mapping(path: Path, loaded: object) -> dict[str, Any]:
    if not isinstance(loaded, dict):
        raise UserError(f"{path} is damaged (it holds no mapping of names to values)")
    waiting: list[tuple[Any, int]] = [(loaded, 1)]
    while waiting:  # no recursion: the depth is what is being checked
        value, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise UserError(f"{path} is damaged (it is nested deeper than {MAX_DEPTH})")
        if isinstance(value, dict):
            for name in value:
                if not isinstance(name, str):
                    raise UserError(f"{path} is damaged (the name {name!r} is no string)")
            waiting += [(item, depth + 1) for item in value.values()]
        elif isinstance(value, list):
            waiting += [(item, depth + 1) for item in value]
        elif not (value is None or isinstance(value, (str, bool, int, float))):
            raise UserError(f"{path} is damaged (it holds a {type(value).__name__}: {value!r})")
    return loaded


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def number(value: Any) -> float:
    """A number read from a file; infinity for anything but a finite number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return math.inf
    try:
        converted = float(value)
    except OverflowError:
        return math.inf
    return converted if math.isfinite(converted) else math.inf
