"""Shared by all tests."""

import os
from pathlib import Path

import pytest
import torch

# What a test starts as a process of its own imports this checkout, not whatever is installed.
os.environ["PYTHONPATH"] = str(Path(__file__).resolve().parent.parent)

# The tests' networks are tiny: more threads only wait for each other, and the numbers depend on how many there are.
torch.set_num_threads(1)
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("COLUMNS", "120")


@pytest.fixture(autouse=True)
def _no_stray_runs(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in an empty directory, so that nothing is written into the checkout by a default run directory."""
    monkeypatch.chdir(tmp_path_factory.mktemp("cwd"))
