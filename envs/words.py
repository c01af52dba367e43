"""Words for people: repeated phrases counted, and text that cannot control a terminal."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import groupby

_ESCAPES = re.compile(r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|(?:\x1b\]|\x9d)[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?|\x1b.?")
"""Terminal escape sequences: CSI (colours, cursor), OSC (titles, links), and any other that begins with ESC."""


def counted(phrases: Iterable[str]) -> list[str]:
    """Merge equal phrases in a row: "left", "left", "press A" -> "left 2 times", "press A"."""
    runs = [(phrase, len(list(run))) for phrase, run in groupby(phrases)]
    return [f"{phrase} {times} times" if times > 1 else phrase for phrase, times in runs]


def walked(action: int, steps: int, degrees: int) -> str:
    """Some steps of first-person walking: action 0 turns left and 1 right, by so many degrees each, 2 goes forward."""
    if action == 2:
        return f"went {steps} step{'s' * (steps > 1)} forward"
    return f"turned {('left', 'right')[action]} {degrees * steps} degrees"


def plain(text: object) -> str:
    """The text without escape sequences and control characters; white space of any kind becomes a space."""
    without = _ESCAPES.sub("", str(text))
    return "".join(
        " " if letter.isspace() else letter for letter in without if letter.isprintable() or letter.isspace()
    )
