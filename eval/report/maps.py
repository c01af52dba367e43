"""Where explorations went, and every explorer with every executor."""

from __future__ import annotations

import html
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from dream.eval.explain.swap import SwapMatrix
from dream.eval.report.svg import heat_map

_VISITS = """Observations made in each cell in {trials} explorations of test problems, each map on a scale of its own; a
cell is one of the family's grid, or half a unit where its map is no grid. Point at a cell for its count."""
_SWAP = """Mean return on {trials} trials of test problems: everyone explores once (rows), every executor goes on from
there (columns). Framed: an explorer with its own executor. A weak row is a weak explorer, a weak column a weak
executor. Point at a cell for its standard error over trials."""


def visits_section(maps: Mapping[str, NDArray[np.integer]], trials: int) -> str:
    """A heat map for each method; "" where the family does not tell where an agent is."""
    if not maps:
        return ""
    drawn = [
        f"<figure>{heat_map(counts, f'where {name} explored')}<figcaption>{html.escape(name)}</figcaption></figure>"
        for name, counts in maps.items()
    ]
    return f"<div class=maps>{''.join(drawn)}</div><p class=note>{_VISITS.format(trials=trials)}</p>"


def swap_section(matrix: SwapMatrix) -> str:
    """The swap matrix as a table, shaded by return; a pair that trained together is framed."""
    mean, error = matrix.mean, matrix.standard_error
    low, high = float(np.quantile(mean, 0.1)), float(mean.max())  # a method that fails badly takes no shades away
    head = "".join(f"<th scope=col>{html.escape(name)}" for name in matrix.executors)
    lines = []
    for row, explorer in enumerate(matrix.explorers):
        found = []
        for column, executor in enumerate(matrix.executors):
            share = max(0.0, (mean[row, column] - low) / max(high - low, 1e-9))
            own = " class=own" if explorer == executor else ""
            margin = f" title='± {error[row, column]:.3f}'" if np.isfinite(error[row, column]) else ""
            found.append(f"<td{own}{margin} style='--share:{share:.3f}'>{mean[row, column] + 0.0:.2f}")
        lines.append(f"<tr><th scope=row>{html.escape(explorer)}{''.join(found)}")
    table = f"<table class=swap><thead><tr><th scope=col>explorer \\ executor{head}<tbody>{''.join(lines)}</table>"
    return f"<div class=wide>{table}</div><p class=note>{_SWAP.format(trials=matrix.trials)}</p>"
