"""What is striking in an `Explanation`, in sentences and tables: computed from its numbers, nothing assumed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dream.eval.explain.explain import Explanation

BOUNDS = ("random", "none", "scripted")
WORTH_SAYING = 0.05
"""Differences of accuracy or return below this are not called a difference."""


def columns(found: Explanation) -> tuple[list[str], list[list[str | float]]]:
    """The table of the explorers: names of its columns, and its rows, NaN where there is nothing to say.

    The explorer; its return with its own executor; after whole explorations, of the relevant and of the irrelevant
    parts, the accuracy of a reader, what was possible, and the nats; what was done.
    """
    mean, _ = found.swap()
    names = ["explorer", "own return"]
    kinds = [kind for kind in (True, False) if kind in {part.relevant for part in found.parts}]
    for kind in kinds:
        word = "relevant" if kind else "irrelevant"
        names += [f"{word} told", f"{word} possible", f"{word} nats"]
    measures = list(dict.fromkeys(m for name in found.explorers for m in found.done(name)))
    rows: list[list[str | float]] = []
    for row, name in enumerate(found.explorers):
        own = mean[row, found.executors.index(name)] if name in found.executors else np.nan
        line: list[str | float] = [name, float(own)]
        for kind in kinds:
            for measure, possible in (("accuracy", False), ("accuracy", True), ("nats", False)):
                curve = found.curve(name, measure, kind, possible=possible)
                line.append(float("nan") if curve is None else float(curve[-1]))
        rows.append([*line, *(found.done(name).get(measure, float("nan")) for measure in measures)])
    return [*names, *(measure.replace("_", " ") for measure in measures)], rows


def sentences(found: Explanation) -> list[str]:
    """Three to six sentences on who found out what, what did not matter, and which half of a pair is the weak one."""
    told = [_about_relevant(found), _about_irrelevant(found), _about_behaviour(found), _about_length(found)]
    return [sentence for sentence in [*told, *_about_halves(found)] if sentence]


def markdown(found: Explanation) -> str:
    """The sentences, the table and the swap matrix as one page."""
    mean, error = found.swap()
    names, rows = columns(found)
    swap = [
        [explorer, *(f"{m:.3f} ± {e:.3f}" if np.isfinite(m) else "" for m, e in zip(means, errors, strict=True))]
        for explorer, means, errors in zip(found.explorers, mean, error, strict=True)
    ]
    return "\n".join(
        [
            f"# What explorers of {found.family} do and find out",
            "",
            *(f"- {sentence}" for sentence in sentences(found)),
            *(f"- {sentence}" for sentence in found.skipped),
            "",
            f"On {found.trials} trials of test problems; of several seeds the mean.",
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
    """Who knows most and who least of what matters."""
    ends = _ends(found, relevant=True)
    if not ends or found.chance is None:
        return ""
    best, worst = max(ends, key=lambda name: ends[name]), min(ends, key=lambda name: ends[name])
    level = float(np.mean([found.chance.accuracy[0, i] for i, part in enumerate(found.parts) if part.relevant]))
    text = f"After exploring, a reader tells {ends[best]:.2f} of the relevant parts of a problem from {best}'s streams"
    if best != worst:
        text += f" and {ends[worst]:.2f} from {worst}'s"
    text += f" (guessing: {level:.2f})"
    possible = found.curve(best, "accuracy", True, possible=True)
    return text + ("." if possible is None else f"; what {best} saw would allow {possible[-1]:.2f}.")


def _about_irrelevant(found: Explanation) -> str:
    """Who knows most of what does not matter, beside what it knows of what does."""
    useless, useful = _ends(found, relevant=False), _ends(found, relevant=True)
    if not useless or found.chance is None:
        return ""
    level = float(np.mean([found.chance.accuracy[0, i] for i, part in enumerate(found.parts) if not part.relevant]))
    most = max(useless, key=lambda name: useless[name])
    if useless[most] < level + WORTH_SAYING:
        return (
            f"Nobody found out anything of the irrelevant parts (at most {useless[most]:.2f}; guessing: {level:.2f})."
        )
    text = f"{most} found out most of what does not matter: {useless[most]:.2f} of the irrelevant parts"
    text += f" and {useful[most]:.2f} of the relevant ones" if most in useful else ""
    if (wise := max(useful, key=lambda name: useful[name] - useless[name], default=most)) != most:
        text += f", against {useless[wise]:.2f} and {useful[wise]:.2f} of {wise}"
    return text + "."


def _about_behaviour(found: Explanation) -> str:
    """The measure of the family in which trained explorers (or all, of a single one) differ most."""
    done = {name: found.done(name) for name in _trained(found)}
    if len(done) < 2:
        done = {name: found.done(name) for name in found.explorers}
    measures = [m for m in next(iter(done.values())) if m not in ("length", "ended")]
    spread = {m: [one[m] for one in done.values()] for m in measures}
    if not measures or len(done) < 2:
        return ""
    striking = max(measures, key=lambda m: (max(spread[m]) - min(spread[m])) / (1e-9 + max(map(abs, spread[m]))))
    high, low = max(done, key=lambda name: done[name][striking]), min(done, key=lambda name: done[name][striking])
    if high == low:
        return ""
    word = striking.replace("_", " ")
    most, least = done[high][striking], done[low][striking]
    return f"They differ most in {word}: {most:.2f} an exploration of {high}, {least:.2f} of {low}."


def _about_length(found: Explanation) -> str:
    """Who explores longest and shortest."""
    length = {name: found.done(name)["length"] for name in _trained(found)}
    longest, shortest = max(length, key=lambda name: length[name]), min(length, key=lambda name: length[name])
    text = f"Explorations of {longest} take {length[longest]:.1f} steps"
    if "scripted" in found.explorers:
        text += f" (the script needs {found.done('scripted')['length']:.1f})"
    return text + (f", those of {shortest} {length[shortest]:.1f}." if shortest != longest else ".")


def _about_halves(found: Explanation) -> list[str]:
    """Of the trained pair that does best and the one that does worst: which half loses what to the expert."""
    mean, _ = found.swap()
    rows, cols = found.explorers, found.executors
    if "scripted" not in rows or "expert" not in cols:
        return []
    own = {name: mean[rows.index(name), cols.index(name)] for name in _trained(found) if name in cols}
    chosen = sorted(own, key=lambda name: own[name])
    told = []
    for name in dict.fromkeys([chosen[-1], chosen[0]]):
        best = mean[rows.index(name), cols.index("expert")]
        given = mean[rows.index("scripted"), cols.index(name)]
        if best - own[name] < WORTH_SAYING:
            told.append(f"{name} earns {own[name]:.2f} of the {best:.2f} there is to earn: neither half is weak.")
            continue
        text = (
            f"{name} earns {own[name]:.2f} of {best:.2f}; on the script's explorations its executor earns {given:.2f}"
        )
        if given - own[name] >= WORTH_SAYING and given - own[name] >= best - given:
            text += ": its explorer is the weak half."
        elif best - given >= WORTH_SAYING:
            text += ": its executor (or what it reads of an exploration) is the weak half."
        else:
            text += "."
        told.append(text)
    return told


def _trained(found: Explanation) -> list[str]:
    """Labels of the runs that explore; of all runs, where none does."""
    runs = list(dict.fromkeys(one.label for one in found.explored if one.seed is not None))
    return [name for name in runs if found.done(name)["length"] > 0] or runs


def _ends(found: Explanation, *, relevant: bool) -> dict[str, float]:
    """Accuracy after whole explorations of each trained explorer."""
    curves = {name: found.curve(name, "accuracy", relevant) for name in _trained(found)}
    return {name: float(curve[-1]) for name, curve in curves.items() if curve is not None}


def as_text(value: str | float) -> str:
    """A cell of the table of `columns`."""
    return value if isinstance(value, str) else f"{value:.2f}" if np.isfinite(value) else "-"


def _table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(names)} |", "|".join(["", "---", *["---:"] * (len(names) - 1), ""])]
    return lines + [f"| {' | '.join(row)} |" for row in rows]
