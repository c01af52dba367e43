"""Shared by the benchmarks of sign: a random policy, and writing a CSV."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dream.core.acting import RANDOM_END_PROBABILITY
from dream.core.rollout import Now, Policy, PolicyState


def random_policy() -> Policy:
    """Uniform over forward and turns, the end rare; always the same draws."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.tensor([(1 - RANDOM_END_PROBABILITY) / 3] * 3 + [RANDOM_END_PROBABILITY])

    def policy(now: Now, state: PolicyState) -> tuple[Tensor, PolicyState]:
        return torch.multinomial(weight, len(now.obs), replacement=True, generator=generator), None

    return policy


def write_csv(path: Path | None, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write the rows, if a path is given."""
    if path is None:
        return
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
