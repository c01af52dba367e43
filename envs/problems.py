"""`ProblemSet`: the problems of a family and their fixed train, validation and test splits; the two phases."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

SPLITS = ("train", "validation", "test")
Phase = Literal["explore", "execute"]
PHASES: tuple[Phase, ...] = ("explore", "execute")


@dataclass(frozen=True)
class ProblemSet:
    """The problems of a family and their fixed splits.

    Attributes:
        family: name of the family, e.g. "bus".
        parameters: what the family was built with (grid size, split name, ...); part of the hash.
        num_problems: ids run from 0 to num_problems - 1.
        splits: "train", "validation" and "test", each a sorted (n,) int64 array of ids.
        factors: number of values of each factor a problem is made of, length F (a kitchen: what is in each drawer).
        factor_table: (num_problems, F) int64, the factors of every problem.
        description: (num_problems, K) float32, numbers that describe every problem, such as where a goal is. f reads
            them in place of the factors: problems with nearly the same description get nearly the same code.
    """

    family: str
    parameters: Mapping[str, Any]
    num_problems: int
    splits: Mapping[str, NDArray[np.int64]]
    factors: tuple[int, ...]
    factor_table: NDArray[np.int64] = field(repr=False)
    description: NDArray[np.float32] | None = field(default=None, repr=False)

    def ids(self, split: str) -> NDArray[np.int64]:
        """Ids of a split, or of "all" problems, (n,) int64. Raises ValueError for a split that does not exist."""
        if split == "all":
            return np.arange(self.num_problems)
        if split not in self.splits:
            raise ValueError(f"unknown split {split!r}: choose one of {', '.join(self.splits)} or all")
        return self.splits[split]

    @property
    def validates(self) -> bool:
        """Whether no validation problem is a test problem: only then may a checkpoint be chosen by validation."""
        return not np.isin(self.splits["validation"], self.splits["test"]).any()

    def sample(self, split: str, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """n ids of a split, balanced: every id floor(n / size) times and the rest without replacement, shuffled."""
        ids = self.ids(split)
        whole = np.repeat(ids, n // len(ids))
        rest = rng.choice(ids, size=n - len(whole), replace=False)
        return rng.permutation(np.concatenate([whole, rest]))

    def checked(self, problem_id: Any, n: int | None = None) -> NDArray[np.int64]:
        """The ids as (n,) int64, any number of them without n. Raises ValueError for anything else."""
        ids = np.asarray(problem_id)
        if ids.ndim != 1 or (n is not None and len(ids) != n) or ids.dtype.kind not in "iu":
            many = "a list of integers" if n is None else f"{n} integers, one for each member"
            raise ValueError(f"problem_id is {ids.dtype} of shape {ids.shape}: give {many}")
        bad = (ids < 0) | (ids >= self.num_problems)
        if bad.any():
            raise ValueError(
                f"problem_id {ids[bad][0]} does not exist: {self.family} has ids 0 to {self.num_problems - 1}"
            )
        return ids.astype(np.int64)

    def features(self, problem_id: NDArray[np.integer]) -> NDArray[np.int64]:
        """Factors of the given problems, (N,) -> (N, F) int64."""
        return self.factor_table[np.asarray(problem_id, dtype=np.int64)]

    @property
    def hash(self) -> str:
        """First 16 hex digits of the SHA-256 of family, parameters, splits and factors: same hash, same problems."""
        digest = hashlib.sha256()
        digest.update(
            json.dumps(
                [self.family, dict(self.parameters), self.num_problems, list(self.factors)], sort_keys=True, default=str
            ).encode()
        )
        for name in SPLITS:
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(self.splits[name], dtype="<i8").tobytes())
        digest.update(np.ascontiguousarray(self.factor_table, dtype="<i8").tobytes())
        if self.description is not None:
            digest.update(np.ascontiguousarray(self.description, dtype="<f4").tobytes())
        return digest.hexdigest()[:16]


def shuffled_ids(n: int, salt: int = 0) -> NDArray[np.int64]:
    """0 .. n - 1 in a fixed order that depends on `salt` alone (a SplitMix64 hash, the same on every machine), (n,)."""
    with np.errstate(over="ignore"):
        z = (np.arange(n, dtype=np.uint64) + np.uint64(salt) * np.uint64(1 << 32)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return np.argsort(z ^ (z >> np.uint64(31)), kind="stable")


def hashed_splits(n: int, test: float = 0.25, validation: float = 0.125, salt: int = 0) -> dict[str, NDArray[np.int64]]:
    """Ids 0 .. n - 1 split by a hash: these shares (at least one id each) for test and validation, the rest for train.

    One or two problems are too few to hold any out: then every split holds all of them, as in `signpost`.

    Raises ValueError when nothing would be left to train on.
    """
    if 0 < n < len(SPLITS):
        return {split: np.arange(n) for split in SPLITS}
    tests, validations = max(1, int(n * test)), max(1, int(n * validation))
    if tests + validations >= n:
        raise ValueError(f"{n} problems are too few to hold out {tests} for test and {validations} for validation")
    parts = np.split(shuffled_ids(n, salt), [tests, tests + validations])
    return {name: np.sort(part) for name, part in zip(("test", "validation", "train"), parts, strict=True)}


def split_problems(
    family: str,
    num_problems: int,
    *,
    parameters: Mapping[str, Any] | None = None,
    factor_table: NDArray[np.integer] | None = None,
    description: NDArray[np.floating] | None = None,
    test: float = 0.25,
    validation: float = 0.125,
) -> ProblemSet:
    """A `ProblemSet` with splits by a hash: for a family without splits of its own.

    Args:
        family: name.
        num_problems: how many problems there are.
        parameters: what the family was built with.
        factor_table: (num_problems, F) what each problem is made of; by default one factor, the id itself.
        description: (num_problems, K) numbers that describe each problem, read by f in place of the factors.
        test: share held out for test.
        validation: share held out for validation.

    Raises:
        ValueError: too few problems, or a factor table or description of another length.
    """
    table = np.arange(num_problems)[:, None] if factor_table is None else np.asarray(factor_table, np.int64)
    if table.ndim != 2 or len(table) != num_problems:
        raise ValueError(f"factor_table has shape {table.shape}: give ({num_problems}, factors)")
    if description is not None and (np.ndim(description) != 2 or len(description) != num_problems):
        raise ValueError(f"description has shape {np.shape(description)}: give ({num_problems}, numbers)")
    splits = hashed_splits(num_problems, test, validation)
    factors = tuple(int(largest) + 1 for largest in table.max(axis=0))
    numbers = None if description is None else np.array(description, np.float32)  # writable, for torch
    return ProblemSet(family, dict(parameters or {}), num_problems, splits, factors, table, numbers)
