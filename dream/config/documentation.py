"""The documentation of settings, read from where they are defined: the texts below the fields of a dataclass."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Mapping


def field_texts(settings: type) -> Mapping[str, str]:
    """Name of each field of a dataclass -> the text below it, on one line; a field without one is left out."""
    body = ast.parse(textwrap.dedent(inspect.getsource(settings))).body[0]
    assert isinstance(body, ast.ClassDef)
    texts = {}
    for statement, following in zip(body.body, body.body[1:], strict=False):
        if (
            isinstance(statement, ast.AnnAssign)
            and isinstance(statement.target, ast.Name)
            and isinstance(following, ast.Expr)
            and isinstance(following.value, ast.Constant)
        ):
            texts[statement.target.id] = " ".join(str(following.value.value).split())
    return texts
