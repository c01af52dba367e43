"""Tables for a terminal: cells wrap between words, and a table that is too wide is printed in parts."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

_LONG = 24
"""Characters of a word that may be broken, after one of the characters below: a label with settings, a path."""
_NUMBER = re.compile(r"-?[\d.,]+|nan|never|-|")
_UNITS = re.compile(r"\[-?[\d.]+, -?[\d.]+\]|\(\d+ of \d+\)|\d+ of \d+|\S+")
"""What is not broken: an interval, "3 of 5", any other word."""


def print_table(
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    title: str = "",
    ruled: Collection[int] = (),
    styles: Sequence[str] = (),
) -> None:
    """A table on standard output, as wide as the terminal at most.

    Only words of more than 24 characters are broken. Columns that do not fit follow in further tables, which
    repeat the first column.

    Args:
        headings: of the columns.
        rows: cells as text.
        title: a line above.
        ruled: numbers of the rows below which a rule is drawn.
        styles: of the rich package, for the first cell of each row.
    """
    console = Console()
    columns = [[heading, *(row[number] for row in rows)] for number, heading in enumerate(headings)]
    if title:
        console.print(Text(title, style="bold"))
    for part in _parts(columns, console.width):
        widths = _widths([columns[number] for number in part], console.width)
        table = Table()
        for number, given in zip(part, widths, strict=True):
            right = number > 0 and all(_NUMBER.fullmatch(cell) for cell in columns[number][1:])
            table.add_column(
                Text(_wrapped(headings[number], given)), width=given, justify="right" if right else "left", no_wrap=True
            )
        for index, row in enumerate(rows):
            cells = [Text(_wrapped(row[number], given)) for number, given in zip(part, widths, strict=True)]
            if styles:
                cells[0].stylize(styles[index])
            table.add_row(*cells, end_section=index in ruled)
        console.print(table)


def _parts(columns: Sequence[Sequence[str]], width: int) -> list[list[int]]:
    """Numbers of the columns of each table, the first column in all of them."""
    parts, taken = [[0]], 0
    for number in range(1, len(columns)):
        needed = _least(columns[number]) + 3
        if len(parts[-1]) > 1 and taken + needed > width:
            parts.append([0])
        if len(parts[-1]) == 1:
            taken = _least(columns[0]) + 4
        parts[-1].append(number)
        taken += needed
    return parts


def _widths(columns: Sequence[Sequence[str]], width: int) -> list[int]:
    """Width of each column in characters: what its cells need, or less where there is less room."""
    least = [_least(column) for column in columns]
    wanted = [max(map(len, column)) for column in columns]
    room = width - 1 - 3 * len(columns) - sum(least)
    missing = sum(wanted) - sum(least)
    if missing <= room:
        return wanted
    given = [low + max(room, 0) * (high - low) // missing for low, high in zip(least, wanted, strict=True)]
    return given


def _least(column: Sequence[str]) -> int:
    """The smallest width at which no word of a column is broken."""
    return max(len(piece) for cell in column for piece in (_pieces(cell) or [""]))


def _pieces(cell: str) -> list[str]:
    """The parts of a cell that stay on one line."""
    return [piece for word in _UNITS.findall(cell) for piece in (_broken(word) if len(word) > _LONG else [word])]


def _broken(word: str) -> list[str]:
    """A long word in pieces, split after punctuation where possible."""
    pieces = re.findall(r"[^,\[\]=/]*[,\[\]=/]+|[^,\[\]=/]+", word)
    return [piece[i : i + _LONG] for piece in pieces for i in range(0, len(piece), _LONG)]


def _wrapped(cell: str, width: int) -> str:
    """A cell in lines of at most `width` characters."""
    lines, line = [], ""
    if len(cell) <= width:
        return cell
    for word in _UNITS.findall(cell):
        for index, piece in enumerate([word] if len(word) <= width else _broken(word)):
            joined = f"{line}{'' if index or not line else ' '}{piece}"
            if len(joined) > width:
                lines.append(line)
                line = piece
            else:
                line = joined
    return "\n".join([*lines, line])
