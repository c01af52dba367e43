"""Write the tables of comparisons into the pages, from the raw rows that their commands name.

Run `python docs/make_tables.py` after a change in results/ or in the columns. Under each command `dream compare --from
...` of a page it replaces the next table that begins with "| family |"; a test compares them.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COMMAND = re.compile(r"^dream compare --from .*$", re.MULTILINE)
TABLE = re.compile(r"^\| family \|.*\n(?:\|.*\n)+", re.MULTILINE)


def main() -> None:
    """See the module docstring."""
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        text = page.read_text(encoding="utf-8")
        pieces = [text[: match.start()] for match in COMMAND.finditer(text)][:1] or [text]
        for match in COMMAND.finditer(text):
            following = COMMAND.search(text, match.end())
            piece = text[match.start() : following.start() if following else len(text)]
            if "--out" not in match[0] and TABLE.search(piece):
                piece = TABLE.sub(printed(match[0]).replace("\\", r"\\"), piece, count=1)
            pieces.append(piece)
        if "".join(pieces) != text:
            page.write_text("".join(pieces), encoding="utf-8")
            print(f"wrote {page.relative_to(ROOT)}")


def printed(command: str) -> str:
    """The table of a comparison."""
    with tempfile.TemporaryDirectory() as folder:
        os.symlink(ROOT / "results", Path(folder) / "results")
        words = [sys.executable, "-m", "dream", *shlex.split(command)[1:]]
        subprocess.run(words, cwd=folder, check=True, capture_output=True)
        (summary,) = Path(folder, "runs").rglob("summary.md")
        lines = summary.read_text(encoding="utf-8").splitlines(keepends=True)
    return "".join(line for line in lines if line.startswith("|"))


if __name__ == "__main__":
    main()
