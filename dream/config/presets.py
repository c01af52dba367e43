"""Named sets of settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "default": {},
    # Runs everything within seconds; learns nothing.
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
