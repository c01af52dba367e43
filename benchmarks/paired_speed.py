"""Environment steps a second of this checkout and of another one, in turns: what a change costs a family.

git worktree add ../before REVISION
python -m benchmarks.paired_speed ../before --env sign --csv results/paired_speed.csv    # a minute, idle

Machines differ by a factor of three, and the same machine from hour to hour, so only such a ratio tells.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from benchmarks.script import run_script
from dream.errors import UserError
from dream.storage.tidy_csv import merge_tidy_csv

SECONDS = 3.0
PLAY = """
import sys, time
import numpy as np
from dream.envs import make
env = make(sys.argv[1], 128)
rng, steps = np.random.default_rng(0), 0
def episode():
    env.reset(seed=0)
    return sum(int(env.step(rng.integers(3, size=128))[4]["active"].sum()) for _ in range(env.horizon))
episode()
begin = time.perf_counter()
while time.perf_counter() - begin < float(sys.argv[2]):
    steps += episode()
print(steps / (time.perf_counter() - begin))
"""
"""The first three actions of these families are no end of an episode."""


def main() -> None:
    """See the module docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", type=Path, help="another checkout of this repository")
    parser.add_argument("--env", default="sign", help="family (default sign)")
    parser.add_argument("--turns", type=int, default=8, help="of each checkout (default 8)")
    parser.add_argument("--csv", type=Path, required=True, help="add the speeds to this tidy CSV")
    given = parser.parse_args()
    if not (given.other / "dream").is_dir():
        raise UserError(f"{given.other} is no checkout of this repository: give one, made by git worktree add")
    here = Path(__file__).resolve().parent.parent
    turns = [[_speed(checkout, given.env) for checkout in (given.other, here)] for _ in range(given.turns)]
    before, now = np.transpose(turns)
    revision = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=given.other, check=True, capture_output=True, text=True
    ).stdout.strip()
    found = {
        f"steps per second at {revision}": np.median(before),
        "steps per second": np.median(now),
        f"now / {revision}": np.median(now / before),
    }
    for name, value in found.items():
        print(f"{given.env}: {name}: {value:,.2f}")
    row = {"env": given.env, "method": "environment", "seed": 0, "step": 0, "split": revision}
    merge_tidy_csv(given.csv, [row | {"metric": name, "value": value} for name, value in found.items()])


def _speed(checkout: Path, env: str) -> float:
    """Of one process that plays whole episodes of random actions with 128 members."""
    variables = os.environ | {"PYTHONPATH": str(checkout.resolve()), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", PLAY, env, str(SECONDS)]
    done = subprocess.run(command, cwd=checkout, env=variables, check=True, capture_output=True, text=True)
    return float(done.stdout)


if __name__ == "__main__":
    run_script(main)
