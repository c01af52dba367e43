"""The one HTML file: sections, the player's data, the style and the script, all inside."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
"""The browser refuses every request that would leave the file."""


@dataclass
class Page:
    """The content of a report: text, and HTML where the name says so."""

    title: str
    summary: Sequence[str]
    """Sentences at the head."""
    missing: Sequence[str] = ()
    """Sentences on data that is missing or damaged."""
    scores_html: str = ""
    methods: list[dict[str, Any]] = field(default_factory=list)
    """`player_data` of each method."""
    visits_html: str = ""
    swap_html: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    """Name of a run -> its settings as text."""


def render(page: Page) -> str:
    """The whole file."""
    sections = [
        ("player", "Trials", _static("player.html") if page.methods else ""),
        ("scores", "Scores", page.scores_html),
        ("visits", "Visits", page.visits_html),
        ("swap", "Swap matrix", page.swap_html),
        ("settings", "Settings", _settings(page.settings)),
    ]
    shown = [(name, heading, content) for name, heading, content in sections if content]
    return "\n".join(
        [
            "<!doctype html>",
            "<html lang=en>",
            "<meta charset=utf-8>",
            f'<meta http-equiv=Content-Security-Policy content="{POLICY}">',
            '<meta name=viewport content="width=device-width, initial-scale=1">',
            "<link rel=icon href=data:,>",
            f"<title>{html.escape(page.title)}</title>",
            f"<style>\n{_static('report.css')}</style>",
            "<header>",
            f"<h1>{html.escape(page.title)}</h1>",
            f"<p>{html.escape(' '.join(page.summary))}</p>",
            "<nav aria-label=Sections>"
            + " ".join(f"<a href='#{name}'>{heading}</a>" for name, heading, _ in shown)
            + "</nav>",
            "<button id=theme type=button>Toggle theme</button>",
            _missing(page.missing),
            "</header>",
            "<main>",
            *(
                f"<section id={name} aria-labelledby={name}-heading>"
                f"<h2 id={name}-heading>{heading}</h2>\n{content}\n</section>"
                for name, heading, content in shown
            ),
            "</main>",
            *_data(page),
            f"<script>\n{_static('player.js')}</script>",
            "</html>",
            "",
        ]
    )


def _data(page: Page) -> Iterable[str]:
    """Each trial in an element of its own, so that the browser parses only the trials that are opened."""
    index = []
    for number, method in enumerate(page.methods):
        trials = []
        for at, trial in enumerate(method["trials"]):
            yield _json(f"trial-{number}-{at}", trial)
            trials.append({name: trial[name] for name in ("problem", "instruction", "steps", "return", "outcome")})
        index.append({**method, "trials": trials})
    yield _json("methods", index)


def _json(name: str, value: Any) -> str:
    """Data for the script. "<" is escaped, so that text of a run cannot end the element."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return f'<script type="application/json" id="{name}">{text}</script>'


def _missing(sentences: Sequence[str]) -> str:
    if not sentences:
        return ""
    items = "".join(f"<li>{html.escape(sentence)}" for sentence in sentences)
    count = f"{len(sentences)} item{'s' * (len(sentences) != 1)}"
    return f"<details id=missing><summary><strong>Missing data</strong> ({count})</summary><ul>{items}</ul></details>"


def _settings(settings: Mapping[str, str]) -> str:
    found = []
    for name, text in settings.items():
        label = html.escape(name)
        content = f'<pre tabindex=0 role=region aria-label="Settings of {label}">{html.escape(text)}</pre>'
        found.append(f"<details><summary>{label}</summary>{content}</details>")
    return "".join(found)


def _static(name: str) -> str:
    return files("dream.eval.report").joinpath("static", name).read_text(encoding="utf-8")
