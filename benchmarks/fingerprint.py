"""Hashes of the weights of short runs of every method, to check that a refactoring does not change what is learned.

    python -m benchmarks.fingerprint --out before.csv      # on one commit
    python -m benchmarks.fingerprint --out after.csv       # on another, on the same machine
    diff before.csv after.csv

The hash of the weights ignores the names of tensors, so that renaming a module changes nothing.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import tempfile
from pathlib import Path

import safetensors.torch
import torch

from dream import train
from dream.config import PRESETS, default_config, override

GRID_METHODS = (
    *("dream", "posterior", "count", "rnd", "icm", "hyperx", "prediction", "first-explore"),
    *("rl2", "e-rl2", "import", "varibad", "contextual", "random", "none", "oracle"),
)
RUNS = [
    *(("bus", method) for method in GRID_METHODS),
    *(("cooking", method) for method in ("dream", "e-rl2", "import", "varibad")),
    *(("map", method) for method in ("dream", "rl2")),
    *(("sign", method) for method in ("dream", "prediction", "e-rl2")),
]


def weights_hash(run: Path) -> str:
    """SHA-256 of the newest checkpoint's tensors, names left out."""
    newest = max((run / "checkpoints").glob("0*"))
    tensors = safetensors.torch.load_file(newest / "weights.safetensors").values()
    hashes = sorted(
        hashlib.sha256(
            f"{t.dtype}{tuple(t.shape)}".encode() + t.contiguous().view(torch.uint8).numpy().tobytes()
            if t.ndim
            else str(t).encode()
        ).hexdigest()
        for t in tensors
    )
    return hashlib.sha256("".join(hashes).encode()).hexdigest()[:16]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    with arguments.out.open("w", newline="") as file, tempfile.TemporaryDirectory() as folder:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["env", "method", "weights"])
        for env, method in RUNS:
            config = override(default_config(method, env, seed=3), PRESETS["debug"])
            run = train(config, Path(folder) / env / method)
            writer.writerow([env, method, weights_hash(run)])
            file.flush()


if __name__ == "__main__":
    main()
