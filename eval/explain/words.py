"""An `Explanation` in sentences and tables, computed from its numbers alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dream.eval.explain.explanation import Explanation

NOTABLE = 0.05
"""Differences of accuracy or return below this are not reported as differences."""


def columns(found: Explanation) -> tuple[list[str], list[list[str | float]]]:
    """The table of the explorers: names of its columns, and its rows, NaN where a value is not known.

    Columns: the explorer; its return with its own executor; after whole explorations, for the relevant and for the
    irrelevant parts, the accuracy of the probe, that of the exact posterior, and the probe's log-likelihood in nats;
    then the behaviour statistics.
    """
    matrix = found.swap()
    names = ["explorer", "own return"]
    kinds = [kind for kind in (True, False) if kind in {part.relevant for part in found.parts}]
    for kind in kinds:
        word = "relevant" if kind else "irrelevant"
        names += [f"{word} decoded", f"{word} possible", f"{word} nats"]
    measures = list(dict.fromkeys(m for name in found.explorers for m in found.behaviour(name)))
    rows: list[list[str | float]] = []
    for row, name in enumerate(found.explorers):
        own = matrix.mean[row, found.executors.index(name)] if name in found.executors else np.nan
        line: list[str | float] = [name, float(own)]
        for kind in kinds:
            for measure, possible in (("accuracy", False), ("accuracy", True), ("nats", False)):
                curve = found.curve(name, measure, kind, possible=possible)
                line.append(float("nan") if curve is None else float(curve[-1]))
        rows.append([*line, *(found.behaviour(name).get(measure, float("nan")) for measure in measures)])
    return [*names, *(measure.replace("_", " ") for measure in measures)], rows


def sentences(found: Explanation) -> list[str]:
    """Three to six sentences: which explorer learns most, also about irrelevant parts; which half of a pair is weak."""
    written = [_about_relevant(found), _about_irrelevant(found), _about_behaviour(found), _about_length(found)]
    return [sentence for sentence in [*written, *_about_halves(found)] if sentence]


def markdown(found: Explanation) -> str:
    """The sentences, the table and the swap matrix as one page."""
    matrix = found.swap()
    names, rows = columns(found)
    swap = [
        [explorer, *(f"{m:.3f} ± {e:.3f}" if np.isfinite(m) else "" for m, e in zip(means, errors, strict=True))]
        for explorer, means, errors in zip(found.explorers, matrix.mean, matrix.standard_error, strict=True)
    ]
    return "\n".join(
        [
            f"# Exploration on {found.family}",
            "",
            *(f"- {sentence}" for sentence in sentences(found)),
            *(f"- {sentence}" for sentence in found.skipped),
            "",
            f"On {found.trials} trials of test problems; the mean where a method has several seeds.",
            "",
            *_table(names, [[as_text(value) for value in row] for row in rows]),
            "",
            "Mean return of each explorer (rows) with each executor (columns), with its standard error:",
            "",
            *_table(["explorer", *found.executors], swap),
            "",
        ]
    )


def _about_relevant(found: Explanation) -> str:
    """The explorers that learn most and least about relevant parts."""
    final = _final_accuracy(found, relevant=True)
    if not final or found.chance is None:
        return ""
    best, worst = max(final, key=lambda name: final[name]), min(final, key=lambda name: final[name])
    chance = _chance(found, relevant=True)
    text = f"From explorations of {best} a probe decodes {final[best]:.2f} of the relevant parts of a problem"
    if best != worst:
        text += f", from those of {worst} {final[worst]:.2f}"
    text += f" (chance: {chance:.2f})"
    possible = found.curve(best, "accuracy", True, possible=True)
    return text + ("." if possible is None else f"; the exact posterior of {best} decodes {possible[-1]:.2f}.")


def _about_irrelevant(found: Explanation) -> str:
    """The explorer that learns most about irrelevant parts, beside what it learns about relevant ones."""
    useless, useful = _final_accuracy(found, relevant=False), _final_accuracy(found, relevant=True)
    if not useless or found.chance is None:
        return ""
    chance = _chance(found, relevant=False)
    most = max(useless, key=lambda name: useless[name])
    if useless[most] < chance + NOTABLE:
        return f"No explorer learns about irrelevant parts (at most {useless[most]:.2f}; chance: {chance:.2f})."
    text = f"{most} learns most about irrelevant parts: {useless[most]:.2f} of them are decoded"
    text += f", and {useful[most]:.2f} of the relevant ones" if most in useful else ""
    if (focused := max(useful, key=lambda name: useful[name] - useless[name], default=most)) != most:
        text += f"; for {focused} it is {useless[focused]:.2f} and {useful[focused]:.2f}"
    return text + "."


def _about_behaviour(found: Explanation) -> str:
    """The family's statistic in which trained explorers (or all, where one is trained) differ most."""
    behaviour = {name: found.behaviour(name) for name in _trained(found)}
    if len(behaviour) < 2:
        behaviour = {name: found.behaviour(name) for name in found.explorers}
    measures = [m for m in next(iter(behaviour.values())) if m not in ("length", "ended")]
    spread = {m: [one[m] for one in behaviour.values()] for m in measures}
    if not measures or len(behaviour) < 2:
        return ""
    striking = max(measures, key=lambda m: (max(spread[m]) - min(spread[m])) / (1e-9 + max(map(abs, spread[m]))))
    value = {name: one[striking] for name, one in behaviour.items()}
    high, low = max(value, key=lambda name: value[name]), min(value, key=lambda name: value[name])
    if high == low:
        return ""
    word = striking.replace("_", " ")
    return f"They differ most in {word}: {value[high]:.2f} per exploration of {high}, {value[low]:.2f} of {low}."


def _about_length(found: Explanation) -> str:
    """The longest and the shortest explorations."""
    length = {name: found.behaviour(name)["length"] for name in _trained(found)}
    longest, shortest = max(length, key=lambda name: length[name]), min(length, key=lambda name: length[name])
    text = f"Explorations of {longest} take {length[longest]:.1f} steps"
    if shortest != longest:
        text += f", those of {shortest} {length[shortest]:.1f}"
    if "scripted" in found.explorers:
        text += f"; the script takes {found.behaviour('scripted')['length']:.1f}"
    return text + "."


def _about_halves(found: Explanation) -> list[str]:
    """For the best and the worst trained pair: which half loses how much to the expert."""
    mean = found.swap().mean
    rows, cols = found.explorers, found.executors
    if "scripted" not in rows or "expert" not in cols:
        return []
    own = {name: mean[rows.index(name), cols.index(name)] for name in _trained(found) if name in cols}
    ranked = sorted(own, key=lambda name: own[name])
    written = []
    for name in dict.fromkeys([ranked[-1], ranked[0]]):
        best = mean[rows.index(name), cols.index("expert")]
        scripted = mean[rows.index("scripted"), cols.index(name)]
        if best - own[name] < NOTABLE:
            written.append(f"{name} earns {own[name]:.2f}, the expert {best:.2f}: neither half is weak.")
            continue
        text = f"{name} earns {own[name]:.2f}, the expert {best:.2f}; "
        text += f"on the script's explorations the executor of {name} earns {scripted:.2f}"
        if scripted - own[name] >= NOTABLE and scripted - own[name] >= best - scripted:
            text += ": its explorer is the weak half."
        elif best - scripted >= NOTABLE:
            text += ": its executor (or its encoding of the exploration) is the weak half."
        else:
            text += "."
        written.append(text)
    return written


def _trained(found: Explanation) -> list[str]:
    """Labels of the runs that explore; of all runs where none explores."""
    runs = list(dict.fromkeys(one.label for one in found.explored if one.seed is not None))
    return [name for name in runs if found.behaviour(name)["length"] > 0] or runs


def _final_accuracy(found: Explanation, *, relevant: bool) -> dict[str, float]:
    """Accuracy after whole explorations of each trained explorer."""
    curves = {name: found.curve(name, "accuracy", relevant) for name in _trained(found)}
    return {name: float(curve[-1]) for name, curve in curves.items() if curve is not None}


def _chance(found: Explanation, *, relevant: bool) -> float:
    """Accuracy of the prior, the mean over the relevant or the irrelevant parts."""
    assert found.chance is not None
    return float(np.mean([found.chance.accuracy[0, i] for i, p in enumerate(found.parts) if p.relevant == relevant]))


def as_text(value: str | float) -> str:
    """A cell of the table of `columns`."""
    return value if isinstance(value, str) else f"{value:.2f}" if np.isfinite(value) else "-"


def _table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(names)} |", "|".join(["", "---", *["---:"] * (len(names) - 1), ""])]
    return lines + [f"| {' | '.join(row)} |" for row in rows]
