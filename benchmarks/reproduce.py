"""Train and evaluate every method on every family with several seeds; rows go to a tidy CSV as they come.

    python -m benchmarks.reproduce --processes 2          # everything in results/grids.csv, several hours
    python -m benchmarks.reproduce --envs map --seeds 0   # a part of it
    python -m benchmarks.reproduce --envs cooking --methods dream --set executor.priority=0 --csv results/ablations.csv

With --set the method is called dream[executor.priority=0] in the rows. Finished runs are not trained again,
so the command may be stopped and given again. Each process uses one core.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import multiprocessing
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

METHODS = ("dream", "random", "none", "oracle")
ENVS = ("map", "bus", "cooking")
BOUND_SHARE = {"map": 1 / 3, "cooking": 1 / 2}
"""Share of the family's steps that `none` and `oracle` get, 1 where none is given. Their trials have no exploration, so
these steps hold about as many updates as all of those of `dream`."""


@dataclasses.dataclass(frozen=True)
class Job:
    """One run to train and evaluate."""

    env: str
    method: str
    seed: int
    runs: Path
    csv: Path
    trials: int
    settings: tuple[str, ...] = ()
    """`SETTING=VALUE`, what differs from the defaults."""

    @property
    def label(self) -> str:
        """The method, and what differs from its defaults."""
        return f"{self.method}[{','.join(self.settings)}]" if self.settings else self.method

    @property
    def run_dir(self) -> Path:
        """Where the run is written."""
        return self.runs / self.env / self.label / f"s{self.seed}"


def main() -> None:
    """See the module's text."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--envs", nargs="+", default=ENVS, metavar="ENV")
    parser.add_argument("--methods", nargs="+", default=METHODS, metavar="METHOD")
    parser.add_argument("--seeds", nargs="+", type=int, default=range(5), metavar="SEED")
    parser.add_argument("--set", nargs="+", default=(), metavar="SETTING=VALUE", dest="settings")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--csv", type=Path, default=Path("results/grids.csv"))
    given = parser.parse_args()
    jobs = [
        Job(env, method, seed, given.runs, given.csv, given.trials, tuple(given.settings))
        for env in given.envs
        for seed in given.seeds
        for method in given.methods
    ]
    context = multiprocessing.get_context("spawn")
    with context.Pool(given.processes, end_with_parent, (os.getpid(),), maxtasksperchild=1) as pool:
        for done, line in enumerate(pool.imap_unordered(run, jobs, chunksize=1), 1):
            print(f"{done}/{len(jobs)} {line}", flush=True)


def end_with_parent(parent: int) -> None:
    """End this worker when the command is killed; its run is resumed when the command is given again."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def run(job: Job) -> str:
    """Train one run (or find it finished), evaluate it on its test problems, and on training problems too."""
    from dream.config import config_from_dict, default_config
    from dream.eval.evaluate import eval_rows, evaluate_run
    from dream.presets import override
    from dream.run import merge_tidy_csv
    from dream.training import train

    # A one-hot id says nothing of a test problem; told where the lines lead, the oracle is a bound there too.
    description = {"description": "lines"} if job.method == "oracle" and job.env == "bus" else {}
    changes = {name: json.loads(value) for name, _, value in (setting.partition("=") for setting in job.settings)}
    config = default_config(job.method, job.env, seed=job.seed, env_parameters=description)
    if job.method in ("none", "oracle"):
        config = dataclasses.replace(config, steps=round(config.steps * BOUND_SHARE.get(job.env, 1)))
    config = override(config, changes)
    train(config_from_dict(config.as_dict()), job.run_dir)
    line = f"{job.env} {job.label} s{job.seed}:"
    for split in ("test", "train"):
        result = evaluate_run(job.run_dir, split=split, trials=job.trials)
        merge_tidy_csv(job.csv, [{**row, "method": job.label} for row in eval_rows(result)])
        line += f" {split} {result.return_mean:.3f}"
    merge_tidy_csv(job.csv, list(curve_rows(job)))
    return line


def curve_rows(job: Job) -> Iterator[dict[str, object]]:
    """All that was measured at each validation, with updates and seconds, as rows of split `validation`."""

    def lines(name: str) -> list[dict[str, float]]:
        return [json.loads(line) for line in (job.run_dir / name).read_text(encoding="utf-8").splitlines()]

    for metrics, timing in zip(lines("metrics.jsonl"), lines("timing.jsonl"), strict=True):
        prefix = "eval/validation/"
        values = {name.removeprefix(prefix): value for name, value in metrics.items() if name.startswith(prefix)}
        values |= {"updates": metrics["updates"], "seconds": timing["time/seconds"]}
        for metric, value in values.items():
            yield {
                "env": job.env,
                "method": job.label,
                "seed": job.seed,
                "step": int(metrics["step"]),
                "split": "validation",
                "metric": metric,
                "value": value,
            }


if __name__ == "__main__":
    main()
