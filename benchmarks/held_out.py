"""Pairs in all worlds that their family can be tested in: new ones, and those that differ from all of training.

python -m benchmarks.held_out runs/sign/dream/s* runs/sign-worlds/dream/s* --csv results/held_out.csv

For runs on sign, sign-worlds and kitchen; two minutes a run. A row of the CSV names what differs from training, as
`dream eval` does: "sign-worlds[variant=plans]". All tests are of the final weights. Pairs on the sign families are also
tested in the real MiniWorld, which needs OpenGL.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.script import Rows, measure_runs, run_script
from dream.envs.kitchen.problems import VARIANTS as KITCHENS
from dream.envs.sign.layout import VARIANTS as ONE_WORLD
from dream.envs.sign.worlds import VARIANTS as HOUSES
from dream.errors import UserError
from dream.eval.evaluate import eval_rows, evaluate_run
from dream.storage.run_directory import RunDirectory

MINIWORLD = {"backend": "miniworld"}
VARIANTS = {"sign": ONE_WORLD, "sign-worlds": HOUSES, "kitchen": KITCHENS}
TESTS: dict[str, list[dict[str, Any]]] = {
    family: [{}, *({"variant": variant} for variant in variants[1:])] for family, variants in VARIANTS.items()
}
"""Family -> what differs from training in each of its tests; the first variant is the usual one."""
TESTS["sign"].append(MINIWORLD)
TESTS["sign-worlds"].append({"variant": "paper", **MINIWORLD})


def main() -> None:
    """See the module docstring."""
    trials = {"type": int, "default": 1000, "help": "of each test (default 1000)"}
    measure_runs(__doc__, "run directories", held_out, shown, trials=trials)


def shown(rows: Rows) -> list[str]:
    """A line for each world."""
    return [f"{row['env']}: return {row['value']:.3f}" for row in rows if row["metric"] in ("return", "final_return")]


def held_out(run: Path, trials: int) -> Rows:
    """Tidy rows of one run."""
    family = RunDirectory.read(run).settings().env
    if family not in TESTS:
        raise UserError(f"{run} is a run on {family}: give runs on {', '.join(TESTS)}")
    rows: Rows = []
    for parameters in TESTS[family]:
        rows += eval_rows(evaluate_run(run, trials=trials, env_parameters=parameters, weights="final"))
    return rows


if __name__ == "__main__":
    run_script(main)
