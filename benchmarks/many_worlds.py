"""What many worlds cost: frames a second of a batch in one world and in different ones, and compiling all of them.

python -m benchmarks.many_worlds --csv results/many_worlds.csv       # a minute, with nothing else running

Both batches look from the starts of episodes, in turns, one core. A batch of one world is drawn from another world in
each turn, so that both see the same worlds.
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path

import numpy as np

from benchmarks.script import run_script
from dream.envs.sign.compiled import compile_layouts
from dream.envs.sign.fast import FastBackend
from dream.envs.sign.houses import houses
from dream.storage.tidy_csv import merge_tidy_csv

MEMBERS, TURNS, REPEATS = 128, 60, 5


def main() -> None:
    """See the module docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--csv", type=Path, required=True, help="add the figures to this tidy CSV")
    given = parser.parse_args()
    found = measure()
    for name, value in found.items():
        print(f"{name}: {value:,.2f}")
    rows = [
        {"env": "sign-worlds", "method": "rendering", "seed": 0, "step": 0, "split": "train", "metric": name,
         "value": value}
        for name, value in found.items()
    ]  # fmt: skip
    merge_tidy_csv(given.csv, rows)


def measure() -> dict[str, float]:
    """Figures by name: seconds, megabytes, frames a second, and their ratio."""
    begin = time.perf_counter()
    layouts = tuple(layout for collection in ("train", "validation", "test") for layout in houses(collection))
    made = time.perf_counter()
    compile_layouts(layouts)
    compiled = time.perf_counter()
    backend = FastBackend(MEMBERS, *layouts)
    rng = np.random.default_rng(0)
    seconds = {"one world": 0.0, "different worlds": 0.0}
    for turn in range(-2, TURNS):  # the first two turns warm up
        for kind in seconds:
            one = rng.integers(len(layouts), size=1)
            world = np.repeat(one, MEMBERS) if kind == "one world" else rng.integers(len(layouts), size=MEMBERS)
            low = np.array([(layouts[n].start_x[0], layouts[n].start_z[0]) for n in world])
            pose = np.concatenate([low + rng.random((MEMBERS, 2)), rng.uniform(-3, 3, (MEMBERS, 1))], axis=1)
            colour, yaw = rng.integers(3, size=MEMBERS), rng.uniform(-3, 3, (MEMBERS, 6))
            start = time.perf_counter()
            for _ in range(REPEATS):
                backend.reset(colour, pose, yaw, world=world)
            seconds[kind] += (time.perf_counter() - start) * (turn >= 0)
    speeds = {kind: MEMBERS * TURNS * REPEATS / spent for kind, spent in seconds.items()}
    return {
        "worlds": len(layouts),
        "seconds to generate": made - begin,
        "seconds to compile": compiled - made,
        "peak megabytes of the process": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "frames per second, one world": speeds["one world"],
        "frames per second, different worlds": speeds["different worlds"],
        "different worlds / one world": speeds["different worlds"] / speeds["one world"],
    }


if __name__ == "__main__":
    run_script(main)
