"""The runs of a comparison: which methods, families and seeds, with which settings, and where they lie."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dream.config import TrainConfig
from dream.envs import find_family
from dream.errors import UserError
from dream.methods.labels import MethodLabel
from dream.methods.registry import find_method


@dataclass(frozen=True, eq=False)
class PlannedRun:
    """One run of a comparison, equal to itself only."""

    label: str
    """The method as it is shown, changed settings included."""
    config: TrainConfig
    run_dir: Path

    def __str__(self) -> str:
        return f"{self.label} on {self.config.env}, seed {self.config.seed}"


def plan(
    labels: Sequence[MethodLabel],
    envs: Sequence[str],
    seeds: Sequence[int],
    runs: Path,
    *,
    changes: Mapping[str, Any] | None = None,
    bound_steps: int | None = None,
) -> list[PlannedRun]:
    """The runs of a comparison, those of one seed side by side.

    Args:
        labels: methods.
        envs: families.
        seeds: of training.
        runs: directory that holds runs/ENV/LABEL/sSEED, as `dream train` writes them.
        changes: dotted name -> value, settings for all methods, such as {"steps": 100_000}.
        bound_steps: environment steps of the methods that do not explore, whose trials are shorter; None: as many as
            the others have.

    Raises:
        UserError: a setting is wrong, or methods that explore would get different numbers of environment steps.
    """
    planned = []
    for env in envs:
        budgets: dict[str, int] = {}
        for seed in seeds:
            for label in labels:
                spec = find_method(label.method)
                bound = find_family(env).bound_settings if spec.given_problem else {}
                config = label.config(env, seed, {**(changes or {}), **bound})
                if spec.explores:
                    budgets[str(label)] = config.steps
                elif bound_steps is not None:
                    config = dataclasses.replace(config, steps=bound_steps)
                run_dir = runs / env.replace(":", "-") / label.directory / f"s{seed}"
                planned.append(PlannedRun(str(label), config, run_dir))
        if len(set(budgets.values())) > 1:
            given = ", ".join(f"{label} {steps:,}" for label, steps in budgets.items())
            raise UserError(f"on {env} the methods would get different numbers of steps ({given}): give --steps N")
    return planned
