"""`dream eval`: evaluate a trained run."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from tyro.conf import Positional, arg

from dream.cli.arguments import Seed, Trials, parse
from dream.cli.checks import check_device, check_directory, trained_run
from dream.cli.printing import as_text, print_json
from dream.cli.tables import print_table


@dataclass(frozen=True)
class EvalArguments:
    """Arguments of `dream eval`."""

    run: Annotated[Positional[Path | None], arg(metavar="[RUN]")] = None
    """run directory written by dream train"""
    pretrained: Annotated[str | None, arg(metavar="FAMILY")] = None
    """instead of a run: the pretrained pair for this family, part of the package"""
    env_parameters: Mapping[str, Any] = field(default_factory=dict)
    """parameters of the family that differ from training, such as variant=walls"""
    split: Literal["train", "validation", "test"] = "test"
    """problems to evaluate on"""
    trials: Trials = 1000
    """number of trials, spread evenly over the problems"""
    seed: Seed = 0
    """seed of the trials"""
    weights: Literal["best", "final"] | None = None
    """the best checkpoint on validation, or the final one; by default the best, or, where validation problems are test
    problems, the final one"""
    device: str = "cpu"
    """torch device, such as cpu or cuda:0"""
    csv: Path | None = None
    """also add the rows to this tidy CSV, which may hold other runs"""
    json: bool = False
    """print one JSON object"""


def command(arguments: list[str]) -> int:
    """Evaluate a trained run on held-out problems: greedy policies, no problem ids.

    The best checkpoint on validation is evaluated, or the final one where validation problems are test problems
    (map, sign). The rows are added to eval.csv in the run directory.

    Example: dream eval runs/bus/dream/s1 --trials 2000

    Or: dream eval --pretrained sign --env-parameters variant=walls
    """
    given = parse(EvalArguments, arguments, "eval", command)
    check_directory(given.run)
    from dream.eval.evaluate import HOW_TO_GET_A_SCORE, eval_rows, evaluate_run
    from dream.storage.tidy_csv import merge_tidy_csv, read_tidy_csv

    check_device(given.device)
    run = trained_run(given.run, given.pretrained, given.env_parameters, "eval")
    tables = [path for path in (given.run and given.run / "eval.csv", given.csv) if path is not None]
    for path in tables:
        read_tidy_csv(path)  # refuses another file now, not after the trials were played
    found = evaluate_run(
        run,
        split=given.split,
        trials=given.trials,
        seed=given.seed,
        device=given.device,
        env_parameters=given.env_parameters,
        weights=given.weights,
    )
    rows, result = eval_rows(found), dataclasses.asdict(found)
    for path in tables:
        merge_tidy_csv(path, rows)
    if given.json:
        print_json(result)
        return 0
    facts = (
        ("return", as_text(result["return_mean"])),
        ("its 95% interval", f"{as_text(result['return_low'])} to {as_text(result['return_high'])}"),
        ("optimal return", as_text(result["optimal_mean"])),
        ("regret", as_text(result["regret"])),
        ("best return without exploring", as_text(result["no_exploration"])),
        ("normalised score", as_text(result["normalised"])),
        ("its 95% interval", f"{as_text(result['normalised_low'])} to {as_text(result['normalised_high'])}"),
        ("exploration steps", as_text(result["explore_length"])),
    )
    title = f"{result['method']} on {result['env']}, {result['split']} problems"
    what = f"{result['trials']:,} trials, {result['weights']} weights, step {result['step']:,}"
    print_table(("", what), facts, title=title)
    if given.split != "train" and found.trained_on:
        print(f"{found.trained_on} of the {given.split} problems were training problems of this run.")
    if found.normalised is None:
        print(f"{found.env} has no normalised score: {HOW_TO_GET_A_SCORE}.")
    return 0
