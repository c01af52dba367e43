"""Printing: JSON, text, numbers and warnings."""

from __future__ import annotations

import contextlib
import json
import math
import sys
import textwrap
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console


def print_json(content: Mapping[str, Any]) -> None:
    """One line, and valid JSON: a number that is not finite becomes null."""

    def finite(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {name: finite(item) for name, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [finite(item) for item in value]
        return None if isinstance(value, float) and not math.isfinite(value) else value

    print(json.dumps(finite(content)))


def print_wrapped(text: str) -> None:
    """Paragraphs on standard output, as wide as the terminal."""
    for paragraph in text.split("\n\n"):
        print(textwrap.fill(" ".join(paragraph.split()), Console().width, break_on_hyphens=False), end="\n\n")


def as_text(value: Any) -> str:
    """A number as a table shows it; "-" for None."""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3f}"
    return "-" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


@contextlib.contextmanager
def plain_warnings() -> Iterator[None]:
    """Warnings as one line each, without the source line that raised them."""

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        print(f"dream: warning: {message}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield
