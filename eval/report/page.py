"""The one HTML file: sections, the player's data, the style and the script, all inside."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
"""The browser itself refuses every request that would leave the file."""


@dataclass
class Page:
    """What a report says; what was found is text, what is HTML is named so."""

    title: str
    summary: Sequence[str]
    """Sentences at the head."""
    missing: Sequence[str] = ()
    """Sentences on what is not there."""
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
        ("scores", "How well it does", page.scores_html),
        ("player", "Trials, step by step", _static("player.html") if page.methods else ""),
        ("visits", "Where explorations went", page.visits_html),
        ("swap", "Every explorer with every executor", page.swap_html),
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
            "<button id=theme type=button>Toggle theme</button>",
            *(f"<p>{html.escape(sentence)}</p>" for sentence in page.summary),
            _missing(page.missing),
            "<nav>" + " ".join(f"<a href='#{name}'>{heading}</a>" for name, heading, _ in shown) + "</nav>",
            "</header>",
            "<main>",
            *(f"<section id={name}><h2>{heading}</h2>\n{content}\n</section>" for name, heading, content in shown),
            "</main>",
            *_data(page),
            f"<script>\n{_static('player.js')}</script>",
            "</html>",
            "",
        ]
    )


def _data(page: Page) -> Iterable[str]:
    """Each trial in an element of its own, so that the browser reads only what is looked at."""
    index = []
    for number, method in enumerate(page.methods):
        trials = []
        for at, trial in enumerate(method["trials"]):
            yield _json(f"trial-{number}-{at}", trial)
            trials.append({name: trial[name] for name in ("problem", "tags", "return", "optimal")})
        index.append({**method, "trials": trials})
    yield _json("methods", index)


def _json(name: str, value: Any) -> str:
    """Data for the script. No "<" stands in it, so that no text of a run can end the element."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return f'<script type="application/json" id="{name}">{text}</script>'


def _missing(sentences: Sequence[str]) -> str:
    if not sentences:
        return ""
    items = "".join(f"<li>{html.escape(sentence)}" for sentence in sentences)
    return f"<aside id=missing><strong>Missing data</strong><ul>{items}</ul></aside>"


def _settings(settings: Mapping[str, str]) -> str:
    return "".join(
        f"<details><summary>{html.escape(name)}</summary><pre>{html.escape(text)}</pre></details>"
        for name, text in settings.items()
    )


def _static(name: str) -> str:
    return files("dream.eval.report").joinpath("static", name).read_text(encoding="utf-8")
