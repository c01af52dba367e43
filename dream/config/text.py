"""Settings written as text, `NAME=VALUE`: the one syntax of --set, --env-parameters and labels of methods."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Sequence
from typing import Any

from dream.errors import UserError

_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*(?:\.\w+)*=.+", re.DOTALL)


def split_assignments(words: Sequence[str], example: str = "explorer.step_cost=0.05") -> list[str]:
    """Each `NAME=VALUE` in words that hold one or several, separated by commas.

    A comma inside a value is not followed by `name=`. Raises UserError for anything else.
    """
    found = [part.strip() for word in words for part in re.split(r",(?=\s*[A-Za-z_][\w.]*=)", word)]
    for assignment in found:
        if _ASSIGNMENT.fullmatch(assignment) is None:
            raise UserError(f"{assignment!r} is not of the form NAME=VALUE: write for example {example}")
    return found


def read_assignments(words: Sequence[str], example: str = "explorer.step_cost=0.05") -> dict[str, Any]:
    """Name -> value of each `NAME=VALUE`. Raises UserError for another form, or a name given twice."""
    values: dict[str, Any] = {}
    for assignment in split_assignments(words, example):
        name, _, text = assignment.partition("=")
        if name in values:
            raise UserError(f"{name} is given twice: give it once")
        values[name] = read_value(text)
    return values


def read_value(text: str) -> Any:
    """The value of a text: JSON or a Python literal where it is one (1e6 is an integer), else the text itself."""
    for read in (json.loads, ast.literal_eval):
        try:
            value = read(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if isinstance(value, float) and "e" in text.lower() and value.is_integer():
            return int(value)
        return value
    return text
