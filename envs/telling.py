"""Words for what was done: phrases that repeat are counted."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby


def counted(phrases: Iterable[str]) -> list[str]:
    """Equal phrases in a row as one: "left", "left", "press A" -> "left 2 times", "press A"."""
    runs = [(phrase, len(list(run))) for phrase, run in groupby(phrases)]
    return [f"{phrase} {times} times" if times > 1 else phrase for phrase, times in runs]
