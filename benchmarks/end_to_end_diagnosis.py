r"""One diagnostic step of an end-to-end policy: train it with changed settings, and score each link on the way.

    python -m benchmarks.end_to_end_diagnosis "import[end_to_end.id_fraction=1.0]" --steps 800000 \
        --csv results/end_to_end_diagnosis.csv

Plays greedy trials on training problems: on the memory's own explorations, on those of the family's script, which
collects all that is relevant, and (IMPORT) on the problem id. The first says what the method scores, the second whether
the exploration is what it lacks, the third whether executing was learned at all.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.script import Rows, run_script, tidy_rows
from dream.config import TrainConfig
from dream.core.replay import TrialReplay
from dream.core.trial import Episodes, Trials
from dream.envs import MetaEnv
from dream.errors import UserError
from dream.eval.evaluate import Play, score
from dream.eval.explain.bounds import ScriptedExplorer
from dream.methods.build import build, make_env
from dream.methods.end_to_end import EndToEndPolicy
from dream.methods.labels import MethodLabel
from dream.storage.tidy_csv import merge_tidy_csv
from dream.training.rounds import Training, rounds
from dream.training.state import crossed, mean_metrics

TRIALS = 400
REPLAYED = 2000
"""Trials drawn to measure what is replayed."""


def main() -> None:
    """See the module docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("methods", nargs="+", help="NAME or NAME[SETTING=VALUE,...], end-to-end methods")
    parser.add_argument("--env", default="cooking", help="problem family")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--steps", type=int, help="environment steps (default: the family's)")
    parser.add_argument("--every", type=int, default=100_000, help="steps between scores")
    parser.add_argument("--stop-at", type=float, help="stop at the first normalised score of the method of this size")
    parser.add_argument("--csv", type=Path, help="also add the rows to this tidy CSV")
    given = parser.parse_args()
    torch.set_num_threads(1)
    for label in map(MethodLabel.parse, given.methods):
        for seed in given.seeds:
            config = label.config(given.env, seed, {} if given.steps is None else {"steps": given.steps})
            rows: Rows = []
            for measured in diagnose(label, config, given.every, given.stop_at):
                rows += measured
                if given.csv:
                    merge_tidy_csv(given.csv, rows)


def diagnose(label: MethodLabel, config: TrainConfig, every: int, stop_at: float | None = None) -> Iterator[Rows]:
    """Train, and measure each `every` steps. Yields the tidy rows of each time. Raises UserError for a pair."""
    torch.manual_seed(config.seed)
    method, env = build(config, config.learning.num_envs)
    if not isinstance(method, EndToEndPolicy):
        raise UserError(f"{label} has no policy for the whole trial: give rl2, e-rl2, import or varibad")
    training, begun = Training(method, env, config.seed), time.monotonic()
    returns: list[float] = []
    updates: list[dict[str, torch.Tensor]] = []
    with contextlib.closing(env), contextlib.closing(make_env(config, TRIALS)) as other_env:
        for done in rounds(training):
            returns.append(float(done.trials.execute.reward.sum(1).mean()))
            updates += done.updates
            finished = training.step >= config.steps
            if not (finished or crossed(done.before, training.step, every)):
                continue
            values = links(method, other_env) | {
                "collected_return": float(np.mean(returns)),
                "progress_collected": progress(done.trials.execute),
                "updates": float(training.updates),
                "seconds": time.monotonic() - begun,
            }
            if config.end_to_end.learner == "q":
                exponent = config.end_to_end.priority_exponent
                values["progress_replayed"] = replayed_progress(training.replay, exponent)
                values["progress_uniform"] = replayed_progress(training.replay, 0.0)
            metrics = mean_metrics(updates)
            values |= {name: value for name, value in metrics.items() if name.startswith("loss/")}
            show(label, config, training.step, metrics | values)
            yield [row | {"method": str(label)} for row in tidy_rows(config, training.step, "train", values)]
            returns, updates = [], []
            if finished or (stop_at is not None and values.get("normalised", -np.inf) >= stop_at):
                return


def links(method: EndToEndPolicy, env: MetaEnv) -> dict[str, float]:
    """Scores of greedy trials on training problems, metric -> value."""
    explorations = method.config.trial.explore_episodes
    drawers: list[float] = []

    def own(env: MetaEnv, problem_id: NDArray[np.int64], generator: torch.Generator) -> Trials:
        trials = method.play(env, problem_id, generator)
        drawers.extend(opened(env, trials))
        return trials

    def scripted(env: MetaEnv, problem_id: NDArray[np.int64], generator: torch.Generator) -> Trials:
        explore = ScriptedExplorer(explorations).explore(env, problem_id, generator)
        return method.execute(env, problem_id, explore, generator)

    def informed(env: MetaEnv, problem_id: NDArray[np.int64], generator: torch.Generator) -> Trials:
        return method.play_informed(env, problem_id, generator)

    takes_id = method.networks.takes_problem_id
    plays: dict[str, Play] = {}
    if not (takes_id and method.config.end_to_end.id_fraction == 1):  # else the memory is never trained
        plays[""] = own
        if explorations and not method.rules.rewarded:  # rl2 explores in ordinary episodes, the script does not
            plays["_script"] = scripted
    if takes_id:
        plays["_informed"] = informed
    values: dict[str, float] = {}
    for name, play in plays.items():
        scores = score(play, env, "train", TRIALS, 0)
        values |= {f"{metric}{name}": scores[metric] for metric in ("normalised", "return", "explore_length")}
    if drawers:
        values["drawers_opened"] = float(np.mean(drawers))
    return values


def opened(env: MetaEnv, trials: Trials) -> NDArray[np.float64]:
    """Distinct drawers opened in each exploration, (B,); (0,) in another family, or without exploration."""
    explore = trials.explore
    if not explore.mask.shape[1]:
        return np.zeros(0)
    arrays = (part.numpy() for part in (trials.problem_id, explore.obs, explore.action, explore.mask))
    return env.exploration_summary(*arrays).get("drawers_opened", np.zeros(0))


def progress(execute: Episodes) -> float:
    """Share of the transitions of N streams that were rewarded."""
    return float((execute.reward[execute.mask] > 0).float().mean())


def replayed_progress(replay: TrialReplay, exponent: float) -> float:
    """`progress` of trials drawn with this exponent of their priorities."""
    drawn = copy.deepcopy(replay)  # a copy: drawing changes the replay's generator
    return progress(drawn.sample_by_priority(REPLAYED, exponent)[0].execute)


def show(label: MethodLabel, config: TrainConfig, step: int, values: Mapping[str, float]) -> None:
    """Print a line."""
    text = " ".join(f"{name} {value:.3g}" for name, value in values.items())
    print(f"{label} seed {config.seed} step {step:,}: {text}", flush=True)


if __name__ == "__main__":
    run_script(main)
