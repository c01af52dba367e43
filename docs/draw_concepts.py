"""Draw the figure of docs/concepts.md: one trial, and what trains each of its parts.

Run `python docs/draw_concepts.py`: it writes docs/images/concepts.svg. The trial is one of the pretrained pair on bus;
the staircase shows its prefix errors.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import pairwise
from pathlib import Path

from dream.eval.pretrained import pretrained
from dream.eval.show.watching import record_run

IMAGE = Path(__file__).resolve().parent / "images" / "concepts.svg"
SEED = 3
"""Of the trial that docs/quickstart.md and docs/watch.md describe."""

PAPER, WHITE, INK, GREY = "#f6f4ee", "#ffffff", "#20242a", "#5b626c"
BLUE, BROWN, PURPLE = "#1d5fa8", "#a1470b", "#6b3fa0"
"""Exploration, execution, and what exists in training only."""
LEFT, STEP = 305, 29
"""x of observation 0, and the distance between observations, shared by the trajectory and the staircase."""
FLOOR, NATS = 610, 7.6
"""y of an error of 0 nats, and pixels per nat."""


def text(x: float, y: float, words: str, size: int = 17, colour: str = INK, *, at: str = "middle", bold: bool = False):
    """A line of text; `at` is its SVG anchor: start, middle or end."""
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x}" y="{y}" font-size="{size}" fill="{colour}" text-anchor="{at}"{weight}>{escape(words)}</text>'


def box(x: float, y: float, width: float, height: float, colour: str, fill: str = WHITE, dash: str = "") -> str:
    """A rounded frame; dashed if it exists in training only."""
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    size = f'width="{width}" height="{height}" rx="10"'
    return f'<rect x="{x}" y="{y}" {size} fill="{fill}" stroke="{colour}" stroke-width="2"{dashed}/>'


def arrow(points: Sequence[tuple[float, float]], colour: str = INK, dash: str = "") -> str:
    """A line through the points with a head at its end."""
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    way = " ".join(f"{x},{y}" for x, y in points)
    head = f'marker-end="url(#{colour.removeprefix("#")})"'
    return f'<polyline points="{way}" fill="none" stroke="{colour}" stroke-width="2.5"{dashed} {head}/>'


def vector(x: float, y: float, colour: str) -> list[str]:
    """A code: a column of six cells."""
    shades = (0.85, 0.3, 0.6, 0.15, 0.7, 0.4)
    cell = 'width="18" height="18"'
    return [
        f'<rect x="{x}" y="{y + 18 * i}" {cell} fill="{colour}" fill-opacity="{shade}" stroke="{colour}"/>'
        for i, shade in enumerate(shades)
    ]


def trial_row(actions: Sequence[str], returned: float, optimal: float) -> list[str]:
    """The upper half: explore, trajectory, g, z, execute."""
    drawn = [
        box(20, 20, 1160, 290, GREY),
        text(40, 52, "One trial in a new problem μ", 20, at="start", bold=True),
        text(40, 76, "At test time no part of it is given μ.", 16, GREY, at="start"),
        box(45, 105, 200, 125, BLUE),
        text(145, 135, "EXPLORE", 19, BLUE, bold=True),
        text(145, 162, "by the explorer:", 16),
        text(145, 185, "no instruction,", 16),
        text(145, 208, "no reward", 16),
        arrow([(245, 165), (LEFT - 16, 165)], BLUE),
    ]
    steps = len(actions)
    for t in range(steps + 1):
        x = LEFT + STEP * t
        if t < steps:
            drawn.append(f'<line x1="{x}" y1="165" x2="{x + STEP}" y2="165" stroke="{BLUE}" stroke-width="2"/>')
            if actions[t] == "ride":
                drawn.append(text(x + STEP / 2, 196 + 18 * (actions[t - 1] == "ride"), "ride", 14, BLUE))
        drawn.append(f'<circle cx="{x}" cy="165" r="8" fill="{WHITE}" stroke="{BLUE}" stroke-width="2.5"/>')
    end = LEFT + STEP * steps
    drawn += [
        text((LEFT + end) / 2, 120, "trajectory τ", 18, BLUE, bold=True),
        text((LEFT + end) / 2, 142, "observations and actions", 16, GREY),
        arrow([(end + 9, 165), (686, 165)], BLUE),
        box(688, 120, 80, 90, INK),
        text(728, 176, "g", 34, bold=True),
        text(728, 232, "trajectory", 16, GREY),
        text(728, 251, "encoder", 16, GREY),
        arrow([(768, 165), (806, 165)]),
        *vector(810, 111, INK),
        text(819, 241, "z = g(τ)", 17, bold=True),
        arrow([(828, 165), (916, 165)]),
        box(918, 105, 235, 125, BROWN),
        text(1035, 135, "EXECUTE", 19, BROWN, bold=True),
        text(1035, 162, "by the executor,", 16),
        text(1035, 185, "which sees z and the", 16),
        text(1035, 208, "instruction", 16),
        text(1035, 50, "instruction: a corner", 16, BROWN),
        arrow([(1035, 58), (1035, 102)], BROWN),
        text(1035, 258, "trained on execution reward;", 16, BROWN),
        text(1035, 280, f"return {returned:.2f}, optimum {optimal:.2f}", 16, BROWN),
    ]
    return drawn


def staircase(errors: Sequence[float]) -> list[str]:
    """The prefix error at every observation of the trajectory above, and its decrease at large steps."""
    end = LEFT + STEP * (len(errors) - 1)
    drawn = [
        box(257, 360, 393, 306, PURPLE),
        text((LEFT + end) / 2, 387, "prefix error, in nats", 18, PURPLE, bold=True),
        text((LEFT + end) / 2, 408, "distance of g(τ:t) from f(μ)", 16, GREY),
        f'<line x1="{LEFT}" y1="{FLOOR}" x2="{end}" y2="{FLOOR}" stroke="{GREY}"/>',
        text((LEFT + end) / 2, FLOOR + 44, "exploration steps t", 16, GREY),
    ]
    drawn += [text(LEFT + STEP * t, FLOOR + 21, str(t), 14, GREY) for t in range(0, len(errors), 2)]
    for nats in (0, 10, 20):
        drawn.append(text(LEFT - 12, FLOOR - NATS * nats + 5, str(nats), 14, GREY, at="end"))
    points = []
    for t, error in enumerate(errors):
        y = round(FLOOR - NATS * error, 1)
        points += [f"{LEFT + STEP * t},{y}"] + ([f"{LEFT + STEP * (t + 1)},{y}"] if t + 1 < len(errors) else [])
    drawn.append(f'<polyline points="{" ".join(points)}" fill="none" stroke="{PURPLE}" stroke-width="3"/>')
    for t, (before, after) in enumerate(pairwise(errors), 1):
        if before - after > 2:
            x, y = LEFT + STEP * t + 8, FLOOR - NATS * (before + after) / 2
            drawn.append(text(x, round(y, 1), f"{before - after:.1f}", 16, at="start", bold=True))
    return drawn


def training_row() -> list[str]:
    """The lower half: f(mu), the exploration reward, and what trains each part."""
    dash = "7 5"
    return [
        box(20, 335, 1160, 345, PURPLE, "none", dash),
        text(40, 367, "In training", 20, PURPLE, at="start", bold=True),
        # the exploration reward
        box(45, 425, 172, 146, BLUE),
        text(131, 452, "exploration", 17, BLUE, bold=True),
        text(131, 473, "reward", 17, BLUE, bold=True),
        text(131, 502, "decrease of error", 16),
        text(131, 525, "per step, minus", 16),
        text(131, 548, "the step cost c", 16),
        arrow([(255, 498), (220, 498)], PURPLE),
        arrow([(195, 425), (195, 234)], BLUE, dash),
        text(186, 410, "trains", 15, BLUE, at="end"),
        # g
        arrow([(728, 262), (728, 400), (652, 400)], INK, dash),
        text(740, 327, "after each step", 15, GREY, at="start"),
        # f
        *vector(701, 444, PURPLE),
        text(710, 577, "f(μ)", 18, PURPLE, bold=True),
        arrow([(700, 498), (652, 498)], PURPLE),
        arrow([(828, 498), (724, 498)], PURPLE),
        box(830, 453, 80, 90, PURPLE),
        text(870, 509, "f", 34, PURPLE, bold=True),
        text(870, 565, "problem", 16, GREY),
        text(870, 584, "encoder", 16, GREY),
        arrow([(968, 498), (914, 498)], PURPLE),
        box(970, 453, 185, 90, PURPLE),
        text(1062, 486, "problem μ", 18, PURPLE, bold=True),
        text(1062, 510, "its id, or", 16),
        text(1062, 531, "its factors", 16),
        arrow([(870, 453), (870, 171)], PURPLE, dash),
        text(884, 377, "in a share of the trials z = f(μ):", 15, at="start"),
        text(884, 399, "f is trained by the", 15, at="start"),
        text(884, 421, "executor's gradient", 15, at="start"),
        text(675, 618, "g is trained on the error too. Bottleneck: f(μ) gets noise of", 15, at="start"),
        text(675, 640, "standard deviation ρ and a penalty λ|f(μ)|²/2, so that it", 15, at="start"),
        text(675, 662, "keeps only what the executor needs.", 15, at="start"),
    ]


def picture(errors: Sequence[float], actions: Sequence[str], returned: float, optimal: float) -> str:
    """The whole figure as SVG with its own background, readable on light and dark pages."""
    heads = "".join(
        f'<marker id="{colour.removeprefix("#")}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" '
        f'markerHeight="7" orient="auto-start-reverse"><path d="M0,0 L10,5 L0,10 z" fill="{colour}"/></marker>'
        for colour in (INK, BLUE, BROWN, PURPLE)
    )
    drawn = [*trial_row(actions, returned, optimal), *training_row(), *staircase(errors)]
    return "\n".join(
        [
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1200 700" width="1200" height="700" role="img" '
            'font-family="DejaVu Sans, Verdana, Arial, sans-serif">',
            "<title>One trial: explore, trajectory, g, z, execute; and in training f(mu), the prefix error and the "
            "rewards</title>",
            f"<defs>{heads}</defs>",
            f'<rect width="1200" height="700" rx="14" fill="{PAPER}"/>',
            *drawn,
            "</svg>\n",
        ]
    )


def draw() -> str:
    """The figure of the trial of `SEED`."""
    trials, env = record_run(pretrained("bus"), trials=1, seed=SEED)
    assert trials.error is not None and trials.optimal is not None
    steps = int(trials.explore.length[0])
    actions = [env.action_names[action] for action in trials.explore.action[0, :steps]]
    errors = trials.error[0, : steps + 1].tolist()
    return picture(errors, actions, float(trials.returns[0, 0]), float(trials.optimal[0, 0]))


if __name__ == "__main__":
    IMAGE.write_text(draw(), encoding="utf-8")
