"""`dream report`: one HTML file from runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from dream.envs import MetaEnv
from dream.errors import UserError
from dream.eval.compare.summary import MethodSummary, RunScores, read_runs, summarise
from dream.eval.compare.tables import interval_text
from dream.eval.evaluate import eval_rows, evaluate_run, load_method, spread_over_problems
from dream.eval.explain.swap import SwapMatrix, swap_returns
from dream.eval.record.recorded import RecordedTrials
from dream.eval.record.recorder import record_trials
from dream.eval.report.disk import FoundRun, find_runs
from dream.eval.report.maps import swap_section, visits_section
from dream.eval.report.moments import player_data
from dream.eval.report.page import Page, render
from dream.eval.report.scores import scores_section
from dream.eval.show.visit_map import visits
from dream.eval.show.watching import failures, floor_of, shortfall
from dream.storage.atomic import write_atomic

POOL = 64
"""Trials that each method plays for the heat maps; those in the player are chosen from them."""
SHOWN = 36
"""Trials in the player, shared by the methods."""
MOST, LEAST = 12, 3
"""Most and fewest trials per method in the player."""
EVALUATED = 500
"""Trials on which a run without eval.csv is evaluated."""
SWAPPED = 12
"""Most methods in the swap matrix, whose cost grows with their square."""

Tell = Callable[[int, int, str], None]


@dataclass(frozen=True)
class _Played:
    """A method's trials."""

    run: FoundRun
    method: Any
    env: MetaEnv
    recorded: RecordedTrials
    floor: float | None
    """`floor_of` the family."""
    data: dict[str, Any]
    """`player_data` of those in the player."""


def write_report(
    paths: Sequence[Path],
    out: Path,
    *,
    seed: int = 0,
    trials: int | None = None,
    tell: Tell = lambda done, total, what: None,
) -> Page:
    """Make the report of runs of one family.

    Scores are read from the runs' eval.csv. A run without one is evaluated on `EVALUATED` trials; nothing is written to
    the run. Of each method the seed with the median score is played.

    Args:
        paths: run directories, or directories with runs below them.
        out: the file, replaced if it exists.
        seed: of the trials that are played.
        trials: in the player per method; None: `SHOWN` shared by the methods, `LEAST` to `MOST` each.
        tell: called with the number of finished pieces of work, the number of all, and the next piece.

    Returns:
        The content of the report.

    Raises:
        UserError: no run, several families or parameters, or a file that cannot be written.
    """
    if out.is_dir():
        raise UserError(f"{out} is a directory: give the name of a file, such as {out / 'report.html'}")
    runs, missing = find_runs(paths)
    labels = list(dict.fromkeys(run.label for run in runs))
    work = _Work(len(runs) + 3 * len(labels) + 2, tell)
    scored = _scores(runs, missing, work)
    summaries = sorted(summarise(scored), key=lambda summary: -summary.iqm.value)
    order = [summary.method for summary in summaries]  # the best method first, methods without a score last
    labels = order + [label for label in labels if label not in order]
    scored.sort(key=lambda one: order.index(one.method))
    shown = min(POOL, trials or max(LEAST, min(MOST, SHOWN // len(labels))))
    played: list[_Played] = []
    for label in labels:
        floor = played[0].floor if played else None
        one = _play(median_first(label, runs, scored), shown, seed, floor, missing, work)
        played += [one] if one is not None else []
    page = Page(
        title=f"{labels[0]} on {runs[0].env}" if len(labels) == 1 else f"{len(labels)} methods on {runs[0].env}",
        summary=_summary(runs, summaries, labels),
        settings={run.name: yaml.safe_dump(dict(run.config), sort_keys=False) for run in runs},
    )
    work.next("scores and curves")
    page.scores_html = scores_section(scored, summaries)
    page.methods = [one.data for one in played]
    page.visits_html = visits_section(
        {one.run.label: counts for one in played if (counts := visits(one.recorded, one.env)) is not None}, POOL
    )
    page.swap_html = _swap(played, seed, missing, work)
    page.missing = missing
    write_atomic(out, render(page))
    work.end()
    return page


class _Work:
    """Reports progress."""

    def __init__(self, total: int, tell: Tell) -> None:
        self._total, self._tell, self._done = total, tell, 0

    def next(self, what: str) -> None:
        self._tell(min(self._done, self._total), self._total, what)
        self._done += 1

    def end(self) -> None:
        self._tell(self._total, self._total, "done")


def _scores(runs: Sequence[FoundRun], missing: list[str], work: _Work) -> list[RunScores]:
    rows = []
    for run in runs:
        work.next(f"{run.name}: scores")
        if not any(row["split"] == "test" for row in run.rows):
            try:
                found = eval_rows(evaluate_run(run.path, trials=EVALUATED))
            except (UserError, ValueError) as error:
                missing.append(f"{run.name} has no score: {error}")
                continue
            run.rows += [{**row, "method": run.label} for row in found]
        rows += run.rows
    try:
        return read_runs(rows)
    except UserError as error:
        missing.append(f"no scores: {error}")
        return []


def median_first(label: str, runs: Sequence[FoundRun], scored: Sequence[RunScores]) -> list[FoundRun]:
    """The runs of a method by distance from the median score, runs without a score last."""
    mine = [run for run in runs if run.label == label]
    scores = {one.seed: one.score for one in scored if one.method == label}
    ranked = sorted((run for run in mine if run.seed in scores), key=lambda run: scores[run.seed])
    if not ranked:
        return mine
    middle = (len(ranked) - 1) // 2
    order = sorted(range(len(ranked)), key=lambda place: abs(place - middle))
    return [ranked[place] for place in order] + [run for run in mine if run not in ranked]


def _play(
    runs: Sequence[FoundRun], shown: int, seed: int, floor: float | None, missing: list[str], work: _Work
) -> _Played | None:
    """Trials of the first of these runs that can be loaded. `floor` is computed unless given."""
    work.next(f"{runs[0].name}: trials")
    for run in runs:
        try:
            method, env, step = load_method(run.path, members=POOL)
            problem_id = spread_over_problems(env, "test", POOL, seed)
            recorded = record_trials(method, env, problem_id, seed, step=step)
            floor = floor_of(env) if floor is None else floor
            rows, outcomes = chosen_trials(recorded, floor, shown)
            work.next(f"{run.name}: pictures")
            return _Played(run, method, env, recorded, floor, player_data(recorded, env, rows, outcomes, run.name))
        except (UserError, ValueError) as error:  # also raised for weights that are not finite
            missing.append(f"{run.name} cannot be played: {error}")
    return None


def chosen_trials(recorded: RecordedTrials, floor: float | None, shown: int) -> tuple[list[int], list[str]]:
    """Rows to show, and the outcome of each: the first ones, which all methods share, then the worst and the best."""
    behind, common = shortfall(recorded), math.ceil(shown / 2)
    best = np.argsort(behind, kind="stable").tolist()
    rows = dict.fromkeys(range(min(common, len(behind))))
    for number, order in enumerate((best[::-1], best)):
        rows |= dict.fromkeys(order[: (shown - common + 1 - number) // 2])
    for row in best[::-1]:  # where some of these are the same, more of the worst
        if len(rows) >= shown:
            break
        rows.setdefault(row)
    outcomes = _outcomes(recorded, floor)
    return list(rows), [outcomes[row] for row in rows]


def _outcomes(recorded: RecordedTrials, floor: float | None) -> list[str]:
    """How each trial went: against its optimum, or against the median of all trials where that is not known."""
    behind = shortfall(recorded)
    if recorded.optimal is None:
        return ["above the median" if one < np.median(behind) else "median or below" for one in behind]
    failed = failures(recorded, floor)
    return [
        "optimal" if one < 1e-6 else "failure" if failed is not None and failed[row] else "suboptimal"
        for row, one in enumerate(behind)
    ]


def _swap(played: Sequence[_Played], seed: int, missing: list[str], work: _Work) -> str:
    if len(played) < 2:
        return ""
    some = played[:SWAPPED]
    if len(some) < len(played):
        missing.append(f"the swap matrix has the first {SWAPPED} methods only: dream explain makes larger ones")
    work.next("swap matrix")
    methods = {one.run.label: one.method for one in some}
    n = some[0].recorded.returns.shape[1]
    try:
        returns = swap_returns(methods, methods, some[0].env, POOL, seed, execute_episodes=n)
        matrix = SwapMatrix.from_returns(list(methods), list(methods), returns)
    except (ValueError, RuntimeError, UserError) as error:
        missing.append(f"no swap matrix: {error}")
        return ""
    return swap_section(matrix)


def _summary(runs: Sequence[FoundRun], summaries: Sequence[MethodSummary], labels: Sequence[str]) -> list[str]:
    seeds = len({run.seed for run in runs})
    counted = f"{len(runs)} run{'s' * (len(runs) != 1)}, {seeds} seed{'s' * (seeds != 1)}."
    sentences = [counted] if len(runs) > 1 else [f"Seed {runs[0].seed}."]
    for summary in summaries[:1]:
        measure = "Normalised score" if summary.measure == "normalised" else "Return"
        best = "" if len(labels) == 1 else f" of {summary.method}, the best method"
        score = f"{measure} on test problems{best}: {interval_text(summary.iqm, ranged=summary.ranged)}"
        mean = f" (return {summary.return_mean:.3f})" if summary.measure == "normalised" else ""
        sentences.append(f"{score}{mean}.")
    return sentences
