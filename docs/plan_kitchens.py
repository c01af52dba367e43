"""Compute how often an executor without exploration is in time in each kitchen of `kitchen`, and store it.

    python docs/plan_kitchens.py --slack 2 4       # six minutes

Written to dream/envs/kitchen/chances.json, by slack and collection. Run again after any change of
`dream.envs.kitchen.layout`.
"""

from __future__ import annotations

import argparse
import json

from dream.envs.kitchen.bound import chance_in_time
from dream.envs.kitchen.chances import STORED
from dream.envs.kitchen.layout import COLLECTIONS, kitchens


def main() -> None:
    """See the module docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slack", type=int, nargs="+", default=[2, 4], help="steps of the limit beyond the optimum")
    found: dict[str, dict[str, list[float]]] = {}
    for slack in parser.parse_args().slack:
        found[str(slack)] = {
            collection: [round(float(chance), 6) for chance in chance_in_time(list(kitchens(collection)), slack)]
            for collection in COLLECTIONS
        }
        means = {name: round(sum(each) / len(each), 4) for name, each in found[str(slack)].items()}
        print(f"slack {slack}: {means}", flush=True)
        STORED.write_text(json.dumps(found, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
