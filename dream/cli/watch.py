"""`dream watch`: films, pictures and words of trials."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from tyro.conf import Positional, arg

from dream.cli.arguments import Seed, parse
from dream.cli.checks import check_directory, trained_run
from dream.cli.printing import print_json
from dream.config import Range
from dream.errors import UserError


@dataclass(frozen=True)
class WatchArguments:
    """Arguments of `dream watch`."""

    run: Annotated[Positional[Path | None], arg(metavar="[RUN]")] = None
    """run directory written by dream train"""
    pretrained: Annotated[str | None, arg(metavar="FAMILY")] = None
    """instead of a run: the pretrained pair for this family, part of the package"""
    trials: Annotated[int, Range(1, 1000)] = 3
    """number of trials"""
    split: Literal["train", "validation", "test"] = "test"
    """problems to play"""
    problem: Annotated[tuple[int, ...], Range(0, 10**12)] = ()
    """ids of the problems to play, in turn (default: spread over the split)"""
    pick: Literal["any", "best", "worst", "failures"] = "any"
    """which trials to show; failures: return closer to the best without exploring than to the optimum"""
    seed: Seed = 0
    """seed of the trials"""
    env_parameters: Mapping[str, Any] = field(default_factory=dict)
    """parameters of the family that differ from training, such as variant=walls"""
    out: Path | None = None
    """file to write: .webm or .gif (a film), .png (a contact sheet) or .npz (the recording) (default: a film in
    RUN/videos and a recording in RUN/episodes, or ./watch-FAMILY.webm)"""
    live: bool = False
    """also play the film in a window, where there is a display"""
    json: bool = False
    """print one JSON object"""


def command(arguments: list[str]) -> int:
    """Play trials of a trained run: write a film, a GIF or a contact sheet, and describe in words what happened.

    Example: dream watch runs/bus/dream/s1 --pick failures

    Or: dream watch --pretrained sign --trials 2 --out sign.gif

    Or: dream watch --pretrained bus --problem 17 100 --out trials.png
    """
    given = parse(WatchArguments, arguments, "watch", command)
    suffixes = (".webm", ".gif", ".png", ".npz")
    if given.out is not None and given.out.suffix not in suffixes:
        raise UserError(f"--out {given.out} has an unknown format: give a name that ends in {', '.join(suffixes)}")
    check_directory(given.run)
    from dream.eval.show.watching import record_run, trial_facts, write_recorded

    run = trained_run(given.run, given.pretrained, given.env_parameters, "watch")
    recorded, env = record_run(
        run,
        trials=given.trials,
        split=given.split,
        problems=given.problem,
        pick=given.pick,
        seed=given.seed,
        env_parameters=given.env_parameters,
    )
    if given.out is not None:
        files = [given.out]
    elif given.run is None:
        files = [Path(f"watch-{given.pretrained}.webm")]
    else:
        which = "-".join(map(str, given.problem)) or given.split
        name = f"watch-{which}-{given.pick}-s{given.seed}"
        files = [given.run / "videos" / f"{name}.webm", given.run / "episodes" / f"{name}.npz"]
    for file in files:
        write_recorded(recorded, env, file)
    facts = trial_facts(recorded, env)
    if given.json:
        identity = {name: getattr(recorded, name) for name in ("env", "method", "step", "seed")}
        print_json({**identity, "files": [str(file) for file in files], "trials": facts})
    else:
        for number, trial in enumerate(facts, 1):
            print(f"Trial {number}. {trial['words']}\n")
        print(f"Written: {', '.join(map(str, files))}")
    if given.live:
        _play_live(recorded, env)
    return 0


def _play_live(recorded: Any, env: Any) -> None:
    from dream.eval.show.movie import Movie
    from dream.eval.show.window import NoWindow, show_film

    movie = Movie(recorded, env)
    try:
        films = [movie.film(trial) for trial in range(len(recorded.problem_id))]
        show_film(films, f"dream watch: {recorded.method} on {recorded.env}")
    except NoWindow as why:
        print(f"dream: cannot open a window ({why}): watch the file instead", file=sys.stderr)
