"""What the analyses of one family's explorers found: `Explanation`."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dream.envs import Part
from dream.eval.explain.probe import Knowledge
from dream.eval.explain.swap import SwapMatrix


@dataclass(frozen=True)
class Explored:
    """Findings about one explorer: a run, or a bound (which has no seed)."""

    label: str
    seed: int | None
    behaviour: dict[str, float]
    """Means of `dream.eval.explain.behaviour.behaviour`."""
    visits: NDArray[np.float64] | None
    """(rows, columns) mean of `dream.eval.show.visit_map.count_visits`; None where the family has no map."""
    decoded: Knowledge | None
    """Of the trained probe; None where the family does not declare its parts, and for scripts on frames."""
    possible: Knowledge | None
    """Of the exact posterior; None where it is not known."""


@dataclass(frozen=True)
class Cell:
    """Return of one explorer with one executor."""

    explorer: str
    explorer_seed: int | None
    executor: str
    executor_seed: int | None
    mean: float
    standard_error: float
    """Over trials."""


@dataclass(frozen=True)
class Explanation:
    """All findings; the methods below average over the seeds of a method."""

    family: str
    trials: int
    parts: tuple[Part, ...]
    chance: Knowledge | None
    explored: list[Explored]
    cells: list[Cell]
    extent: tuple[float, float, float, float] | None
    skipped: list[str] = field(default_factory=list)

    @property
    def explorers(self) -> list[str]:
        """Labels: runs first, then bounds."""
        return list(dict.fromkeys(one.label for one in self.explored))

    @property
    def executors(self) -> list[str]:
        """Labels: runs first, then the expert."""
        return list(dict.fromkeys(cell.executor for cell in self.cells))

    def of(self, label: str) -> list[Explored]:
        """The seeds of an explorer."""
        return [one for one in self.explored if one.label == label]

    def swap(self) -> SwapMatrix:
        """Mean return of each explorer with each executor, NaN for pairs that no seed has.

        The standard error is over seeds where there are several, else over trials.
        """
        shape = (len(self.explorers), len(self.executors))
        mean, error = np.full(shape, np.nan), np.full(shape, np.nan)
        for row, explorer in enumerate(self.explorers):
            for column, executor in enumerate(self.executors):
                cells = [c for c in self.cells if (c.explorer, c.executor) == (explorer, executor)]
                if cells:
                    means = np.array([cell.mean for cell in cells])
                    mean[row, column] = means.mean()
                    error[row, column] = (
                        means.std(ddof=1) / np.sqrt(len(means)) if len(means) > 1 else cells[0].standard_error
                    )
        return SwapMatrix(tuple(self.explorers), tuple(self.executors), mean, error, self.trials)

    def curve(self, label: str, measure: str, relevant: bool, *, possible: bool = False) -> NDArray[np.float64] | None:
        """Accuracy or nats after each step, (T + 1,): mean over seeds and over the relevant or the irrelevant parts.

        None where the family has no such parts, or the exact posterior is not known.

        Args:
            label: of the explorer.
            measure: "accuracy" or "nats".
            relevant: which parts.
            possible: of the exact posterior instead of the probe.
        """
        columns = [i for i, part in enumerate(self.parts) if part.relevant == relevant]
        if not columns:
            return None
        found = [one.possible if possible else one.decoded for one in self.of(label)]
        values = [getattr(one, measure)[:, columns].mean(axis=1) for one in found if one is not None]
        return np.mean(values, axis=0) if values else None

    def behaviour(self, label: str) -> dict[str, float]:
        """Means of the behaviour statistics over seeds."""
        seeds = self.of(label)
        return {name: float(np.mean([one.behaviour[name] for one in seeds])) for name in seeds[0].behaviour}
