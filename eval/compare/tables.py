"""A comparison as tables: rows of summary.csv and improvement.csv, Markdown of summary.md. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from dream.eval.compare.summary import SHARES, Improvement, MethodSummary, Reached
from dream.eval.statistics import Interval

_TIMES = ("steps", "minutes")


def summary_rows(summaries: Sequence[MethodSummary]) -> list[dict[str, Any]]:
    """One flat row per method, all with the same columns.

    Columns: env, method, measure, seeds and scores (of each seed, space between), iqm with its bounds
    (`seed_interval`), mean, return, final_iqm, and for each share of `SHARES` the seeds that reached it on validation,
    the median of steps and of minutes ("inf": at least half of the seeds never did); explore_length, train_iqm. Empty:
    unknown.
    """
    rows = []
    for summary in summaries:
        row: dict[str, Any] = {
            "env": summary.env,
            "method": summary.method,
            "measure": summary.measure,
            "seeds": " ".join(map(str, summary.seeds)),
            "scores": " ".join(f"{score:.6g}" for score in summary.scores),
            **_columns("iqm", summary.iqm),
            "mean": summary.mean,
            "return": summary.return_mean,
            "final_iqm": summary.final_iqm,
        }
        for share in SHARES:
            at, found = f"{share:.0%}".rstrip("%"), _at(summary, share)
            row[f"reached_{at}"] = found and found.seeds
            row[f"steps_to_{at}"] = found and found.steps
            row[f"minutes_to_{at}"] = found and found.minutes
        rows.append(row | {"explore_length": summary.explore_length, "train_iqm": summary.train_iqm})
    return rows


def improvement_rows(found: Sequence[Improvement]) -> list[dict[str, Any]]:
    """One flat row per pair: env, method, baseline, probability with its 95% interval (empty for a single seed)."""
    return [
        {"env": pair.env, "method": pair.method, "baseline": pair.baseline, **_columns("probability", pair.probability)}
        for pair in found
    ]


def markdown(summaries: Sequence[MethodSummary]) -> str:
    """The full table of all families, and a paragraph that explains its columns."""
    columns, rows = whole(summaries)
    lines = [_line(columns), "|" + "---|" * len(columns), *map(_line, rows)]
    return "\n".join([*lines, "", *explanations(summaries), ""])


def whole(summaries: Sequence[MethodSummary]) -> tuple[list[str], list[list[str]]]:
    """Columns and rows of the full table."""
    columns = ["family", "method", "score: IQM [interval]", "each seed", "mean", "final weights: IQM"]
    columns += ["exploration steps"]
    columns += [f"{what} to {' / '.join(f'{share:.0%}' for share in SHARES)}" for what in _TIMES]
    columns += ["return", "on training problems: IQM"]
    return columns, [_cells(summary) for summary in summaries]


def explanations(summaries: Sequence[MethodSummary]) -> list[str]:
    """Explanations of the columns, one paragraph per measure in use."""
    return [_EXPLANATIONS[measure] for measure in sorted({summary.measure for summary in summaries})]


def brief(summaries: Sequence[MethodSummary]) -> tuple[list[str], list[list[str]]]:
    """Columns and rows of a table for a terminal."""
    share = SHARES[-1]
    columns = ["family", "method", "IQM [interval]", "each seed", "final", *(f"{x} to {share:.0%}" for x in _TIMES)]
    rows = []
    for summary in summaries:
        cells = _cells(summary)
        rows.append([*cells[:4], cells[5], *reached_texts(_at(summary, share), len(summary.seeds))])
    return columns, rows


_EXPLANATIONS = {
    "normalised": "Normalised scores on test problems: 0 is the best possible without exploring, 1 the optimum. They "
    "are those of the best checkpoint on validation where validation problems are held out, else of the final weights; "
    "the column of the final weights shows these for all. IQM: interquartile mean over seeds. In brackets: the lowest "
    "and the highest of 5 to 8 seeds, the second ones of 9 or 10, an interval that covers the score of a typical seed "
    "with 94% or more (docs/statistics.md); in parentheses: the range of fewer than 5 seeds, too few for an interval. "
    "Steps (including exploration) and minutes: until validation first reached that score, the median over all seeds, "
    "with seeds that never reached it counted as infinity; in brackets, how many reached it if not all did.",
    "return": "Families without known bounds are scored by return; columns that need bounds are left out.",
}


def interval_text(interval: Interval, *, ranged: bool = False) -> str:
    """`0.987 [0.950, 1.000]`; `0.987 (0.950 to 1.000)` if the bounds are a range; `0.987` where they are NaN."""
    if math.isnan(interval.low):
        return f"{interval.value:.3f}"
    return f"{interval.value:.3f} ({interval.low:.3f} to {interval.high:.3f})" if ranged else str(interval)


def reached_texts(found: Reached | None, seeds: int) -> tuple[str, str]:
    """Steps and minutes as text: "600,717", "never", or "600,717 (4 of 5)" where not all seeds reached the score."""
    if found is None:
        return "-", "-"
    some = "" if found.seeds in (0, seeds) else f" ({found.seeds} of {seeds})"
    steps = "never" if math.isinf(found.steps) else f"{found.steps:,.0f}"
    if found.minutes is None:
        return steps + some, "-"
    return steps + some, "never" if math.isinf(found.minutes) else f"{found.minutes:.1f}"


def _cells(summary: MethodSummary) -> list[str]:
    """A row of the full table."""
    seeds = len(summary.seeds)
    reached = zip(*(reached_texts(_at(summary, share), seeds) for share in SHARES), strict=True)
    return [
        summary.env,
        summary.method,
        interval_text(summary.iqm, ranged=summary.ranged),
        " ".join(f"{round(score, 2) + 0.0:.2f}" for score in summary.scores),  # -0.00 becomes 0.00
        f"{summary.mean:.3f}",
        "-" if summary.final_iqm is None else f"{summary.final_iqm:.3f}",
        "-" if summary.explore_length is None else f"{summary.explore_length:.1f}",
        *(" / ".join(texts) if summary.reached else "-" for texts in reached),  # of all shares: steps, then minutes
        f"{summary.return_mean:.3f}",
        "-" if summary.train_iqm is None else f"{summary.train_iqm:.3f}",
    ]


def _at(summary: MethodSummary, share: float) -> Reached | None:
    return next((found for found in summary.reached if found.share == share), None)


def _columns(name: str, interval: Interval) -> Mapping[str, float | None]:
    low, high = (None if math.isnan(bound) else bound for bound in (interval.low, interval.high))
    return {name: interval.value, f"{name}_low": low, f"{name}_high": high}


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
