"""Named sets of settings, and how one set is laid over another."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

T = TypeVar("T")

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "default": {},
    # Everything a run does, in seconds: it learns nothing.
    "debug": {
        "steps": 6_000,
        "network.width": 16,
        "network.memory_size": 16,
        "learning.num_envs": 32,
        "learning.updates_per_round": 2,
        "learning.explore_batch_size": 16,
        "learning.execute_batch_size": 16,
        "learning.buffer_size": 256,
        "learning.learning_starts": 64,
        "evaluation.every": 2_000,
        "evaluation.trials": 64,
        "evaluation.checkpoint_every": 2_000,
        "evaluation.show_every": 6_000,
    },
}


def override(config: T, changes: Mapping[str, Any]) -> T:
    """A copy of a (nested) dataclass with some settings changed.

    Args:
        config: the dataclass.
        changes: dotted name -> value, such as {"learning.batch": 16}; a mapping's entries too, such as
            {"env_parameters.grid_size": 5}, where any name is taken.

    Raises:
        ValueError: there is no setting of that name.
    """
    here: dict[str, Any] = {}
    below: dict[str, dict[str, Any]] = {}
    names = [field.name for field in dataclasses.fields(config)]  # type: ignore[arg-type]
    for name, value in changes.items():
        head, _, rest = name.partition(".")
        if head not in names:
            raise ValueError(f"unknown setting {head!r}: choose from {', '.join(names)}")
        if rest:
            below.setdefault(head, {})[rest] = value
        else:
            here[head] = value
    for head, nested in below.items():
        inner = here.get(head, getattr(config, head))
        here[head] = {**inner, **nested} if isinstance(inner, Mapping) else override(inner, nested)
    return dataclasses.replace(config, **here)  # type: ignore[type-var]
