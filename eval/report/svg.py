"""Figures of a page: SVG of matplotlib adapted to it, heat maps, and wide content that scrolls."""

from __future__ import annotations

import html
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_COLOURS = {  # of matplotlib, replaced by those of the page, which has a light and a dark value for each
    "#000000": "var(--ink)",
    "#ffffff": "var(--paper)",
    "white": "var(--paper)",
    "#666666": "var(--faint)",
    "#555555": "var(--faint)",
    "#999999": "var(--faint)",
    "#eeeeee": "var(--rule)",
}


def figure(draw: Callable[[Path], Any], name: str, label: str) -> str:
    """What `draw` writes to a path as SVG, as a <figure> of the page; "" if it writes nothing.

    Args:
        draw: writes an SVG, or returns without writing.
        name: of letters and dashes, unique on the page: it keeps the ids of figures apart.
        label: alternative text.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "figure.svg")
        draw(path)
        if not path.exists():
            return ""
        text = path.read_text(encoding="utf-8")
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', text)
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", text)
    text = re.sub(r'xlink:href="#([^"]+)"', rf'xlink:href="#{name}-\1"', text)
    # Text has no colour of its own, which means black.
    text = text.replace("<svg ", f'<svg role="img" aria-label="{html.escape(label)}" fill="var(--ink)" ', 1)
    text = re.sub(
        r"(fill|stroke): (#[0-9a-f]{6}|white)\b", lambda match: f"{match[1]}: {_COLOURS.get(match[2], match[2])}", text
    )
    return f"<figure>{text}</figure>"


def heat_map(counts: NDArray[np.integer], label: str) -> str:
    """Counts (rows, columns), top row first, as an SVG; opacity is the square root of a count over the largest one."""
    rows, columns = counts.shape
    most = max(1, int(counts.max()))
    cells = []
    for row, column in np.argwhere(counts > 0).tolist():
        depth = (counts[row, column] / most) ** 0.5
        place = f'x="{column}" y="{row}" width="0.94" height="0.94" fill-opacity="{depth:.3f}"'
        cells.append(f"<rect {place}><title>{counts[row, column]}</title></rect>")
    return (
        f'<svg class="heat" role="img" aria-label="{html.escape(label)}" viewBox="0 0 {columns} {rows}">'
        f'<rect class="ground" width="{columns}" height="{rows}"/>{"".join(cells)}</svg>'
    )


def scrolled(content: str, label: str) -> str:
    """HTML that scrolls sideways where the window is narrow, also with the keyboard. `label` names it, uniquely."""
    return f'<div class=wide tabindex=0 role=region aria-label="{html.escape(label)}">{content}</div>'
