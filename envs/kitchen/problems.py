"""The problems of `kitchen`: a kitchen and what its containers hold; what is held out of training."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dream.envs.draws import hashed
from dream.envs.kitchen.layout import COLLECTIONS, CONTAINERS, INGREDIENTS, NOTHING, KitchenLayout, kitchens
from dream.envs.problems import ProblemSet

VARIANTS = ("kitchens", "contents", "both")
CONTENTS: Mapping[str, int] = {"train": 20, "validation": 10, "test": 10}
"""Problems in each kitchen, by split."""
HELD_OUT = 5
"""One in so many of the contents that a kitchen can have is never in training, in whatever kitchen."""
_CANDIDATES = 150


class KitchenProblems(NamedTuple):
    """P problems in W kitchens."""

    layouts: tuple[KitchenLayout, ...]
    """(W,)"""
    kitchen: NDArray[np.int64]
    """(P,) number of the kitchen of each problem."""
    contents: NDArray[np.int64]
    """(P, 6) the ingredient in each type of container, NOTHING where the kitchen lacks it."""
    problems: ProblemSet


def held_out(contents: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Whether contents (..., 6) are held out of training, (...,): by a hash of them, the same on every machine."""
    codes = np.asarray(contents) @ (NOTHING + 1) ** np.arange(len(CONTAINERS))
    return np.asarray(hashed(codes) % np.uint64(HELD_OUT) == 0)


def draw_contents(layout: KitchenLayout, seed: int, held: bool, count: int) -> NDArray[np.int64]:
    """`count` different contents of a kitchen (count, 6), all held out or none of them; `seed` up to 2^32."""
    numbers = (seed * _CANDIDATES + np.arange(_CANDIDATES))[:, None] * len(CONTAINERS) + np.arange(len(CONTAINERS))
    drawn = (hashed(numbers) % np.uint64(len(INGREDIENTS))).astype(np.int64)
    drawn[:, [number for number in range(len(CONTAINERS)) if number not in layout.containers]] = NOTHING
    drawn = drawn[held_out(drawn) == held]
    codes = drawn @ (NOTHING + 1) ** np.arange(len(CONTAINERS))
    first = np.sort(np.unique(codes, return_index=True)[1])[:count]
    assert len(first) == count, "too few candidates"
    return drawn[first]


@lru_cache(maxsize=4)
def make_problems(training_kitchens: int, variant: str) -> KitchenProblems:
    """All problems with so many kitchens in training: those of training first, then validation, then test."""
    parts: list[tuple[str, str, int, bool]] = [
        ("train", "train", training_kitchens, False),
        ("validation", "validation", COLLECTIONS["validation"], False),
    ]
    if variant == "contents":
        parts.append(("test", "train", min(COLLECTIONS["test"], training_kitchens), True))
    else:
        parts.append(("test", "test", COLLECTIONS["test"], variant == "both"))
    layouts: dict[KitchenLayout, int] = {}
    kitchen: list[NDArray[np.int64]] = []
    contents: list[NDArray[np.int64]] = []
    splits: dict[str, NDArray[np.int64]] = {}
    many = 0
    for split, collection, count, held in parts:
        first = 10_000 * (1 + list(COLLECTIONS).index(collection) + len(COLLECTIONS) * held)
        for number, layout in enumerate(kitchens(collection, count)):
            contents.append(draw_contents(layout, first + number, held, CONTENTS[split]))
            kitchen.append(np.full(CONTENTS[split], layouts.setdefault(layout, len(layouts))))
        total = count * CONTENTS[split]
        splits[split] = np.arange(many, many + total)
        many += total
    table = np.concatenate(contents)
    digest = hashlib.sha256(repr(list(layouts)).encode()).hexdigest()[:16]
    where = np.concatenate(kitchen)
    digest_where = hashlib.sha256(np.ascontiguousarray(where, dtype="<i8").tobytes()).hexdigest()[:16]
    problems = ProblemSet(
        "kitchen",
        {"variant": variant, "layouts": digest, "kitchens": digest_where},
        many,
        splits,
        (len(INGREDIENTS) + 1,) * len(CONTAINERS),
        table,
    )
    return KitchenProblems(tuple(layouts), where, table, problems)
