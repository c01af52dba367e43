"""Write an `Explanation` to a directory: CSV rows, figures, and a page of sentences and tables."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dream.eval.explain.explanation import Explanation, Explored
from dream.storage.atomic import atomic_file, write_atomic


def write_explanation(found: Explanation, out: Path) -> list[Path]:
    """Write swap.csv, found.csv, behaviour.csv, visits.npz, explanation.md and the figures into a directory.

    Files about parts and positions are written only where the family declares these. Returns the files.
    Raises UserError if the directory cannot be written.
    """
    from dream.eval.explain import figures
    from dream.eval.explain.words import markdown

    files = [out / "swap.csv", out / "behaviour.csv", out / "explanation.md", out / "swap.svg"]
    _write_csv(files[0], swap_rows(found))
    _write_csv(files[1], behaviour_rows(found))
    write_atomic(files[2], markdown(found))
    names = found.explorers
    with atomic_file(files[3]) as path:
        figures.swap_figure(path, found.swap())
    behaviours = [found.behaviour(name) for name in names]
    measures = list(dict.fromkeys(measure for one in behaviours for measure in one))
    values = np.array([[one.get(measure, np.nan) for measure in measures] for one in behaviours])
    files.append(out / "behaviour.svg")
    with atomic_file(files[-1]) as path:
        figures.behaviour_figure(path, names, measures, values)
    if found.parts:
        files.append(out / "found.csv")
        _write_csv(files[-1], found_rows(found))
        for measure in figures.MEASURES:
            files.append(out / f"found_{measure}.svg")
            with atomic_file(files[-1]) as path:
                figures.found_figure(path, *_curves(found, measure), measure)
    if found.extent is not None:
        files += [out / "visits.npz", out / "visits.svg"]
        with atomic_file(files[-2]) as path:
            np.savez_compressed(
                path,
                visits=np.stack([one.visits for one in found.explored if one.visits is not None]),
                method=np.array([one.label for one in found.explored]),
                seed=np.array([-1 if one.seed is None else one.seed for one in found.explored]),
                extent=np.array(found.extent),
            )
        with atomic_file(files[-1]) as path:
            figures.visits_figure(path, {name: _mean_visits(found.of(name)) for name in names}, found.extent)
    return files


def swap_rows(found: Explanation) -> list[dict[str, Any]]:
    """One row for each explorer with each executor, seeds apart."""
    return [
        {
            "env": found.family,
            "explorer": cell.explorer,
            "explorer_seed": cell.explorer_seed,
            "executor": cell.executor,
            "executor_seed": cell.executor_seed,
            "trials": found.trials,
            "return": cell.mean,
            "standard_error": cell.standard_error,
        }
        for cell in found.cells
    ]


def found_rows(found: Explanation) -> list[dict[str, Any]]:
    """One row for each explorer, seed, step and part."""
    assert found.chance is not None
    rows = []
    for one in found.explored:
        if one.decoded is None:
            continue
        for step, part in np.ndindex(one.decoded.accuracy.shape):
            rows.append(
                {
                    "env": found.family,
                    "method": one.label,
                    "seed": one.seed,
                    "step": step,
                    "part": found.parts[part].name,
                    "relevant": found.parts[part].relevant,
                    "accuracy": one.decoded.accuracy[step, part],
                    "nats": one.decoded.nats[step, part],
                    "possible_accuracy": None if one.possible is None else one.possible.accuracy[step, part],
                    "possible_nats": None if one.possible is None else one.possible.nats[step, part],
                    "chance_accuracy": found.chance.accuracy[0, part],
                    "chance_nats": found.chance.nats[0, part],
                }
            )
    return rows


def behaviour_rows(found: Explanation) -> list[dict[str, Any]]:
    """One row for each explorer, seed and measure."""
    return [
        {"env": found.family, "method": one.label, "seed": one.seed, "measure": measure, "mean": value}
        for one in found.explored
        for measure, value in one.behaviour.items()
    ]


def _curves(found: Explanation, measure: str) -> tuple[dict[str, Any], dict[str, float]]:
    """Curves of each explorer, and chance, for `found_figure`."""
    from dream.eval.explain.figures import Curves

    kinds = {kind: kind == "relevant" for kind in ("relevant", "irrelevant")}
    kinds = {kind: relevant for kind, relevant in kinds.items() if relevant in {p.relevant for p in found.parts}}
    curves = {}
    for name in found.explorers:
        decoded, possible = (
            {
                kind: curve
                for kind, relevant in kinds.items()
                if (curve := found.curve(name, measure, relevant, possible=exact)) is not None
            }
            for exact in (False, True)
        )
        if decoded:
            curves[name] = Curves(decoded, possible)
    level = getattr(found.chance, measure)[0]
    return curves, {
        kind: float(np.mean([level[i] for i, part in enumerate(found.parts) if part.relevant == relevant]))
        for kind, relevant in kinds.items()
    }


def _mean_visits(seeds: Sequence[Explored]) -> NDArray[np.float64]:
    return np.mean([one.visits for one in seeds if one.visits is not None], axis=0)


def _write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {name: f"{value:.6g}" if isinstance(value, float) else value for name, value in row.items()} for row in rows
    )
    write_atomic(path, text.getvalue())
