"""How often straight ways to an object, in the houses of sign-worlds and in the room of sign, touch another one first.

python -m benchmarks.straight_ways --csv results/straight_ways.csv       # half a minute

Who walks so turns left until the object is in the frame and then goes towards it, past nothing (`straight_ways` in
`dream.envs.sign.planning`). From 20 poses in the start area to each of the six objects.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from benchmarks.script import run_script
from dream.envs.sign.compiled import obstacles_of
from dream.envs.sign.houses import COLLECTIONS, houses
from dream.envs.sign.layout import LAYOUTS, SignLayout
from dream.envs.sign.planning import blocked_share, straight_ways
from dream.storage.tidy_csv import merge_tidy_csv

STARTS, HORIZON = 20, 20
MANY = 100
"""Houses of a collection, at most."""


def main() -> None:
    """See the module docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--csv", type=Path, required=True, help="add the shares to this tidy CSV")
    given = parser.parse_args()
    rows = []
    worlds: dict[tuple[str, str], Iterable[SignLayout]] = {("sign", "test"): [LAYOUTS["sign"]] * 10}
    worlds |= {("sign-worlds", name): houses(name, min(MANY, count)) for name, count in COLLECTIONS.items()}
    for (env, split), layouts in worlds.items():
        found = shares(layouts)
        print(f"{env} {split}: " + ", ".join(f"{name} {share:.3f}" for name, share in found.items()), flush=True)
        one = {"env": env, "method": "straight ways", "seed": 0, "step": 0, "split": split}
        rows += [{**one, "metric": name, "value": share} for name, share in found.items()]
    merge_tidy_csv(given.csv, rows)


def shares(layouts: Iterable[SignLayout]) -> dict[str, float]:
    """Shares of the straight ways in some worlds that touch their object, and another one."""
    rng, met = np.random.default_rng(0), []
    for layout in layouts:
        low, high = zip(layout.start_x, layout.start_z, (-np.pi, np.pi), strict=True)
        start = rng.uniform(low, high, (STARTS, 3))
        met.append(straight_ways(obstacles_of([layout], [layout.floorplan()]), start, HORIZON))
    touched = np.concatenate(met)
    return {"right": float((touched == np.arange(touched.shape[1])).mean()), "wrong": blocked_share(touched)}


if __name__ == "__main__":
    run_script(main)
