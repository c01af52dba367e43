"""environment.json: what the numbers of a run may depend on besides its config."""

from __future__ import annotations

import platform
import subprocess
import warnings
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from dream.errors import UserError
from dream.storage.plain_data import flatten
from dream.storage.reading import read_json


def describe_environment(device: str, problems: str) -> dict[str, Any]:
    """Versions, commit, device, threads and problems.

    Args:
        device: torch device of the run.
        problems: hash of the problem split (`ProblemSet.hash`).
    """
    packages = ("dream-metarl", "torch", "numpy", "gymnasium", "numba", "scipy", "safetensors")
    return {
        "problems": problems,
        "versions": {"python": platform.python_version()} | {name: _version(name) for name in packages},
        "commit": _commit(),
        "device": torch.cuda.get_device_name(device) if torch.device(device).type == "cuda" else device,
        "processor": f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}",
        "threads": torch.get_num_threads(),
    }


def compare_environment(run_dir: Path, environment: Mapping[str, Any]) -> None:
    """Compare environment.json with the environment of now, before a run is resumed.

    Warns of anything that may change the numbers, and of a file that is damaged. A missing one is not compared.

    Raises:
        UserError: the run was trained on other problems, or the file cannot be read.
    """
    path = run_dir / "environment.json"
    try:
        before = flatten(read_json(path))
    except FileNotFoundError:
        return
    except UserError as error:
        warnings.warn(f"{error}: resuming without knowing which versions and problems the run began with", stacklevel=3)
        return
    now = flatten(environment)
    if before.get("problems") != now.get("problems"):
        raise UserError(
            f"{run_dir} was trained on other problems (split {before.get('problems')}, now {now.get('problems')}): "
            "choose another directory with --run-dir, or replace the run with --overwrite"
        )
    changed = [
        f"{name} {before.get(name)} -> {now.get(name)}"
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name)
    ]
    if changed:
        warnings.warn(
            f"resuming where the numbers may not be those of an uninterrupted run: {', '.join(changed)}", stacklevel=3
        )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _commit() -> str | None:
    """Commit of the checkout this package is, "+" appended if files differ from it; None for an installed package."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    try:
        commit = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--abbrev=12", "--exclude=*", "--dirty=+"],
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return commit.stdout.strip() or None
