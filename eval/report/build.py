"""`dream report`: runs in, one HTML file out."""

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
"""Trials that each method plays: the shown ones, `POOL` at most, are among them, and the heat maps are of all."""
SHOWN = 36
"""Trials shown in all, shared by the methods."""
MOST, LEAST = 12, 3
"""Trials shown of a method."""
EVALUATED = 500
"""Trials of a run that has not been evaluated yet."""
SWAPPED = 12
"""The swap matrix is made of at most so many methods; it grows with their square."""

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
    """`player_data` of those that are shown."""


def write_report(
    paths: Sequence[Path],
    out: Path,
    *,
    seed: int = 0,
    trials: int | None = None,
    tell: Tell = lambda done, total, what: None,
) -> Page:
    """Make the report of runs of one family.

    Scores are those in the runs' eval.csv; a run without is evaluated on `EVALUATED` trials, and nothing is written
    into it. Of each method the seed with the median score is played.

    Args:
        paths: run directories, or directories with runs below them.
        out: the file, replaced if it is there.
        seed: of the trials that are played.
        trials: shown of each method; None: `SHOWN` shared by the methods, `LEAST` to `MOST` each.
        tell: called with how many of how many pieces of work are done, and what comes next.

    Returns:
        What stands in it.

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
    order = [summary.method for summary in summaries]  # the best method first, those without a score last
    labels = order + [label for label in labels if label not in order]
    scored.sort(key=lambda one: order.index(one.method))
    shown = min(POOL, trials or max(LEAST, min(MOST, SHOWN // len(labels))))
    played: list[_Played] = []
    for label in labels:
        floor = played[0].floor if played else None
        one = _play(_median(label, runs, scored), shown, seed, floor, missing, work)
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
    """Says what is being done, and how much of all."""

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
        missing.append(f"there are no scores: {error}")
        return []


def _median(label: str, runs: Sequence[FoundRun], scored: Sequence[RunScores]) -> list[FoundRun]:
    """The runs of a method, the one with the median score first, then the others by their distance to it."""
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
    """Trials of the first of these runs that can be loaded. `floor` is worked out where it is not given."""
    work.next(f"{runs[0].name}: plays")
    for run in runs:
        try:
            method, env, step = load_method(run.path, members=POOL)
            problem_id = spread_over_problems(env, "test", POOL, seed)
            recorded = record_trials(method, env, problem_id, seed, step=step)
            floor = floor_of(env) if floor is None else floor
            rows, tags = _chosen(recorded, floor, shown)
            work.next(f"{run.name}: pictures")
            return _Played(run, method, env, recorded, floor, player_data(recorded, env, rows, tags, run.name))
        except (UserError, ValueError) as error:  # where weights are not finite, too
            missing.append(f"{run.name} cannot be played: {error}")
    return None


def _chosen(recorded: RecordedTrials, floor: float | None, shown: int) -> tuple[list[int], list[list[str]]]:
    """Rows to show and why: the first ones, which all methods have in common, then failures or the worst, the best."""
    behind, common = shortfall(recorded), math.ceil(shown / 2)
    failed = failures(recorded, floor)
    rows = {row: ["test"] for row in range(min(common, len(behind)))}
    best = np.argsort(behind, kind="stable").tolist()
    for number, (tag, order) in enumerate((("worst", best[::-1]), ("best", best))):
        wanted = (shown - common + 1 - number) // 2
        for row in order[:wanted]:
            name = "failure" if tag == "worst" and failed is not None and failed[row] else tag
            rows.setdefault(row, []).append(name)
    for row in best[::-1]:  # where these were the same ones, more from the lower end
        if len(rows) >= shown:
            break
        rows.setdefault(row, ["failure" if failed is not None and failed[row] else "worst"])
    return list(rows), list(rows.values())


def _swap(played: Sequence[_Played], seed: int, missing: list[str], work: _Work) -> str:
    if len(played) < 2:
        return ""
    some = played[:SWAPPED]
    if len(some) < len(played):
        missing.append(f"the swap matrix is of the first {SWAPPED} methods: `dream explain` makes larger ones")
    work.next("every explorer with every executor")
    methods = {one.run.label: one.method for one in some}
    n = some[0].recorded.returns.shape[1]
    try:
        returns = swap_returns(methods, methods, some[0].env, POOL, seed, execute_episodes=n)
        matrix = SwapMatrix.from_returns(list(methods), list(methods), returns)
    except (ValueError, RuntimeError, UserError) as error:
        missing.append(f"there is no swap matrix: {error}")
        return ""
    return swap_section(matrix)


def _summary(runs: Sequence[FoundRun], summaries: Sequence[MethodSummary], labels: Sequence[str]) -> list[str]:
    seeds = len({run.seed for run in runs})
    sentences = [
        f"{len(runs)} run{'s' * (len(runs) != 1)}: {len(labels)} method{'s' * (len(labels) != 1)}, "
        f"{seeds} seed{'s' * (seeds != 1)}."
    ]
    for summary in summaries[:1]:
        measure = "normalised score" if summary.measure == "normalised" else "return"
        best = "" if len(labels) == 1 else "Best on test problems: "
        told = f"{measure} {interval_text(summary.iqm)}, return {summary.return_mean:.3f}"
        sentences.append(f"{best}{summary.method}, {told}.")
    return sentences
