"""Scores and learning curves: a table, notes, figures."""

from __future__ import annotations

import functools
import html
import math
from collections.abc import Sequence

from dream.eval.compare.summary import Improvement, MethodSummary, RunScores, improvements
from dream.eval.compare.tables import explanations, interval_text, whole
from dream.eval.report.svg import figure, scrolled


def scores_section(runs: Sequence[RunScores], summaries: Sequence[MethodSummary]) -> str:
    """The table and the figures of runs of one family and of their `summarise`, methods in the same order."""
    if not runs:
        return "<p>No run has been evaluated on test problems.</p>"
    pairs = improvements(summaries)
    return "".join(
        [
            _table(summaries),
            *(f"<p class=note>{html.escape(text)}</p>" for text in explanations(summaries)),
            '<div class="figures">',
            *_figures(runs, summaries, pairs),
            "</div>",
            _improvements(pairs),
        ]
    )


def _table(summaries: Sequence[MethodSummary]) -> str:
    columns, rows = whole(summaries)
    head = "".join(f"<th scope=col>{html.escape(name)}" for name in columns[1:])
    lines = []
    for row in rows:
        name, *others = map(html.escape, row[1:])
        lines.append(f"<tr><th scope=row>{name}" + "".join(f"<td>{cell}" for cell in others))
    table = f"<table class=scores><thead><tr>{head}<tbody>{''.join(lines)}</table>"
    return scrolled(table, "Table of scores")


def _figures(runs: Sequence[RunScores], summaries: Sequence[MethodSummary], pairs: Sequence[Improvement]) -> list[str]:
    from dream.eval.compare import figures  # matplotlib takes a while to import

    several = len(summaries) > 1
    drawn = [
        ("scores", "Scores on test problems of every seed", functools.partial(figures.scores, summaries=summaries)),
        ("steps", "Learning curves by environment steps", functools.partial(figures.curves_by_steps, runs=runs)),
        ("minutes", "Learning curves by minutes", functools.partial(figures.curves_by_minutes, runs=runs)),
    ]
    if several:
        drawn.append(("profiles", "Performance profiles", functools.partial(figures.profiles, summaries=summaries)))
        drawn.append(("improvement", "Probability of improvement", functools.partial(figures.improvement, found=pairs)))
    return [figure(draw, f"figure-{name}", label) for name, label, draw in drawn]


def _improvements(pairs: Sequence[Improvement]) -> str:
    if not pairs:
        return ""
    lines = "".join(
        f"<tr><th scope=row>{html.escape(pair.baseline)}<td>{html.escape(interval_text(pair.probability))}"
        for pair in pairs
    )
    first = html.escape(pairs[0].method)
    single = any(math.isnan(pair.probability.low) for pair in pairs)
    note = " A single seed has no interval." if single else ""
    return (
        f"<details><summary>Probability that a seed of {first} scores higher than one of another method</summary>"
        f"<table><thead><tr><th scope=col>method<th scope=col>probability [95%]<tbody>{lines}</table>"
        f"<p class=note>0.5: no difference.{note}</p></details>"
    )
