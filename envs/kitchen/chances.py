"""The bound without exploration of every kitchen, stored: planning them all takes minutes (`docs/plan_kitchens.py`)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dream.envs.kitchen.bound import chance_in_time
from dream.envs.kitchen.layout import COLLECTIONS, KitchenLayout, kitchens

STORED = Path(__file__).with_name("chances.json")
"""Slack -> collection -> `chance_in_time` of each kitchen."""


def chances_of(layouts: Sequence[KitchenLayout], slack: int) -> NDArray[np.float64]:
    """`chance_in_time` of some kitchens, (W,): looked up, or planned for other slacks."""
    known = _known(slack)
    if known is None:
        return chance_in_time(layouts, slack)
    return np.array([known[layout] for layout in layouts])


@cache
def _known(slack: int) -> dict[KitchenLayout, float] | None:
    stored: dict[str, dict[str, list[float]]] = json.loads(STORED.read_text(encoding="utf-8"))
    if str(slack) not in stored:
        return None
    found: dict[KitchenLayout, float] = {}
    for collection in COLLECTIONS:
        found |= zip(kitchens(collection), stored[str(slack)][collection], strict=True)
    return found
