"""Heat maps of explorations, and the swap matrix."""

from __future__ import annotations

import html
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from dream.eval.explain.swap import SwapMatrix
from dream.eval.report.svg import heat_map, scrolled

_VISITS = """Observations in each cell over {trials} explorations of test problems, each map on its own scale. A cell is
one of the family's grid, or half a unit where the map is not a grid. Hover over a cell for its count."""
_SWAP = """Mean return on {trials} trials of test problems. Each explorer (row) explores once, and every executor
(column) continues from its exploration. Framed: an explorer with its own executor. A weak row means a weak explorer, a
weak column a weak executor. Hover over a cell for its standard error over trials."""


def visits_section(maps: Mapping[str, NDArray[np.integer]], trials: int) -> str:
    """A heat map for each method; "" where the family has no positions."""
    if not maps:
        return ""
    drawn = []
    for name, counts in maps.items():
        drawing = heat_map(counts, f"Heat map of the explorations of {name}")
        drawn.append(f"<figure>{drawing}<figcaption>{html.escape(name)}</figcaption></figure>")
    return f"<div class=maps>{''.join(drawn)}</div><p class=note>{_VISITS.format(trials=trials)}</p>"


def swap_section(matrix: SwapMatrix) -> str:
    """The swap matrix as a table, shaded by return; pairs that trained together are framed."""
    mean, error = matrix.mean, matrix.standard_error
    low, high = float(np.quantile(mean, 0.1)), float(mean.max())  # an outlier at the bottom does not use up the shades
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
    note = _SWAP.format(trials=matrix.trials)
    return f"{scrolled(table, 'Table of the swap matrix')}<p class=note>{note}</p>"
