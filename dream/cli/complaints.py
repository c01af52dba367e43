"""What tyro complains about, as one sentence: what was wrong, what is allowed, where to read more."""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Sequence

from dream.config.names import suggest

_KINDS = {"INT": "an integer", "FLOAT": "a number", "INT ...": "integers", "FLOAT ...": "numbers"}


def one_sentence(box: str, command: str, options: Sequence[str]) -> str:
    """The sentence for a box of text that tyro printed.

    Args:
        box: the text.
        command: whose --help is recommended.
        options: dotted names of the options there are, to suggest one.
    """
    sections = _sections(box)
    what, close = _what_is_wrong(" ".join(sections[0]).rstrip("."), sections[1:], options)
    return f"{what}{f' (did you mean {close}?)' if close else ''}: see dream {command} --help"


def _what_is_wrong(text: str, details: list[list[str]], options: Sequence[str]) -> tuple[str, str | None]:
    """What was wrong, and what was probably meant."""
    if unknown := re.match(r"Unrecognized options: (\S+?)(?:,|$)", text):
        if not unknown[1].startswith("-"):
            return f"unexpected argument {unknown[1]!r}", None
        name = unknown[1].partition("=")[0]
        close = suggest(name.lstrip("-"), options)
        return f"unknown option {name}", "--" + re.sub("_(?=.)", "-", close) if close else None
    if choice := re.match(r"invalid choice '(.*)' for argument '(\S+)'\. Expected one of (\(.*\))$", text):
        known = ast.literal_eval(choice[3])
        near = difflib.get_close_matches(choice[1], known, n=1)
        return f"{choice[2]} is {choice[1]!r}: it must be one of {', '.join(known)}", near[0] if near else None
    if missing := re.match(r"Missing value for argument '(\S+)'", text):
        return f"{missing[1]} needs a value", None
    if value := re.match(r"Error parsing (\S+): .*?: '?(.*?)'?$", text):
        metavar = next((line.partition(" ")[2] for part in details for line in part if line.startswith("--")), "")
        return f"{value[1]} takes {_KINDS.get(metavar, metavar or 'another value')}, not {value[2]!r}", None
    return text, None


def _sections(box: str) -> list[list[str]]:
    """The lines of the box without its frame, in the parts that it is ruled into."""
    sections: list[list[str]] = [[]]
    for line in box.splitlines():
        text = line.strip(" │|")
        if line.startswith(("╭", "╰")) or not text:
            continue
        if set(text) <= {"─", "-"}:
            sections.append([])
        else:
            sections[-1].append(text)
    if not box.startswith("╭"):
        sections.pop(0)  # without Unicode the title is a line of its own, not a part of the frame
    return sections
