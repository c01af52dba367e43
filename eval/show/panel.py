"""The panel beside a picture of a moment: information so far, beliefs, and what the policy thought of actions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dream.envs import MetaEnv
from dream.envs.render import FAINT, HEIGHT, INK, PAPER, PHASE_COLOURS, RULE, WHITE, Canvas, Colour
from dream.eval.record.beliefs import PartBelief, belief, part_beliefs
from dream.eval.record.recorded import RecordedStreams, RecordedTrials
from dream.eval.show.choices import Bar, Choices, no_minus_zero

WIDTH = 336
BLUE: Colour = (35, 100, 180)
MOST_CLASSES, MOST_ROWS = 5, 6
"""Parts with at most so many values are drawn as a row of cells, and at most so many parts are drawn."""
MOST_LINES = 4
"""Lines of `Panel.likeliest`."""
_LEFT, _RIGHT = 12, WIDTH - 12


class Panel:
    """Draws the panel of any moment of recorded trials.

    Args:
        recorded: the trials.
        env: the family, of any number of members.
    """

    def __init__(self, recorded: RecordedTrials, env: MetaEnv) -> None:
        self._recorded = recorded
        kinds = recorded.values_kind
        self._choices = {phase: Choices(env, kinds.get(phase, "values")) for phase in ("explore", "execute")}
        self._information, self._error = recorded.information, recorded.error
        self._beliefs = part_beliefs(recorded, env)
        self._problems = belief(recorded) if not self._beliefs else None
        values = (recorded.explore.values, recorded.execute.values)
        self.empty = self._information is None and all(v is None for v in values)
        """The panel would show nothing."""

    def draw(self, trial: int, phase: str, stream: int, begin: int, slot: int) -> NDArray[np.uint8]:
        """The panel (400, 336, 3) uint8, red, green, blue.

        What it shows belongs to the action before the observation, which the picture beside it names: the information
        that it brought, and the values (or probabilities) of all actions when it was chosen. At
        the start of an episode there is none.

        Args:
            trial: its row.
            phase: "explore" or "execute". During execution, information and beliefs are those after the exploration.
            stream: the row of the phase's streams.
            begin: the first observation of the episode in the stream.
            slot: the observation in the stream.
        """
        canvas = Canvas(WIDTH, HEIGHT, PAPER)
        explored = int(self._recorded.explore.length[trial])
        now = slot if phase == "explore" else explored
        top = 22.0
        if self._information is not None and self._error is not None and np.isfinite(self._error[trial, 0]):
            top = self._curve(canvas, top, trial, now, explored)
        if self._beliefs:
            top = self._parts(canvas, top, trial, now)
        elif self._problems is not None:
            top = self._likeliest(canvas, top, trial, now)
        streams = self._recorded.explore if phase == "explore" else self._recorded.execute
        if streams.values is not None:
            self._values(canvas, top, streams, stream, begin, slot, phase)
        return canvas.picture()

    def information(self, trial: int, slot: int) -> str:
        """Such as "12.3 nats (+3.2)": the information after an observation of the exploration; "" where unknown."""
        if self._information is None or not np.isfinite(self._information[trial, slot]):
            return ""
        now = float(self._information[trial, slot])
        gain = "" if slot == 0 else f" ({round(now - float(self._information[trial, slot - 1]), 1) + 0.0:+.1f})"
        return f"{no_minus_zero(now, 1)} nats{gain}"

    def likeliest(self, trial: int, slot: int) -> list[tuple[str, float]]:
        """The likeliest value of each part after an observation of the exploration, such as "line A = (0, 1)", and its
        probability; of the whole problem where the family has no parts. At most `MOST_LINES`.
        """
        if self._problems is not None and self._recorded.candidates is not None:
            best = np.argsort(-self._problems[trial, slot], kind="stable")[:MOST_LINES]
            shares = self._problems[trial, slot, best].tolist()
            numbers = self._recorded.candidates[best].tolist()
            return [(f"problem {number}", share) for number, share in zip(numbers, shares, strict=True)]
        found = []
        for about in self._beliefs[:MOST_LINES]:
            probability = about.probability[trial, slot]
            value = int(probability.argmax())
            found.append((f"{about.part.name} = {about.part.value_name(value)}", float(probability[value])))
        return found

    def _curve(self, canvas: Canvas, top: float, trial: int, now: int, explored: int) -> float:
        assert self._information is not None and self._error is not None
        found = self._information[trial, : explored + 1]
        there_is = float(self._error[trial, 0])
        canvas.text("information", (_LEFT, top), 11, INK, align=0, bold=True)
        canvas.text(f"{no_minus_zero(found[now], 1)} of {there_is:.1f} nats", (_RIGHT, top), 11, INK, align=1)
        low, high = min(0.0, float(found.min())), max(there_is, float(found.max()), 1e-6)
        height, begin = 74.0, top + 16

        def at(t: int, nats: float) -> tuple[float, float]:
            x = _LEFT + (_RIGHT - _LEFT) * t / max(1, explored)
            return x, begin + height * (1 - (nats - low) / (high - low))

        canvas.box(_LEFT, begin, _RIGHT - _LEFT, height, (248, 248, 245))
        for t in range(explored + 1):
            x, y = at(t, low)
            canvas.path([(x, y), (x, y + 3)], FAINT, 1)
        canvas.dashes(at(0, there_is), at(max(1, explored), there_is), FAINT, 1, dash=5)
        steps = [point for t in range(explored + 1) for point in ((at(t, found[max(0, t - 1)])), at(t, found[t]))]
        canvas.path(steps, RULE, 2)
        canvas.path(steps[: 2 * now + 2], BLUE, 2.5)
        canvas.disc(at(now, found[now]), 4, BLUE)
        canvas.text("step 0", (_LEFT, begin + height + 11), 8.5, FAINT, align=0)
        canvas.text(f"{explored}", (_RIGHT, begin + height + 11), 8.5, FAINT, align=1)
        return begin + height + 34

    def _parts(self, canvas: Canvas, top: float, trial: int, now: int) -> float:
        canvas.text("belief", (_LEFT, top), 11, INK, align=0, bold=True)
        canvas.text("framed: true value", (_RIGHT, top), 8.5, FAINT, align=1)
        top += 14
        for about in self._beliefs[:MOST_ROWS]:
            self._part(canvas, top, about, about.probability[trial, now], int(about.truth[trial]))
            top += 23
        if len(self._beliefs) > MOST_ROWS:
            canvas.text(f"and {len(self._beliefs) - MOST_ROWS} more", (_LEFT, top + 8), 8.5, FAINT, align=0)
            top += 16
        return top + 20

    def _part(
        self, canvas: Canvas, top: float, about: PartBelief, probability: NDArray[np.floating], truth: int
    ) -> None:
        part, left = about.part, _LEFT + 74.0
        canvas.text(shortened(part.name, 14), (_LEFT, top + 10), 9.5, INK, align=0)
        if part.classes > MOST_CLASSES:
            likeliest = int(probability.argmax())
            right = "right" if likeliest == truth else f"wrong: {part.value_name(truth)}"
            text = f"{part.value_name(likeliest)} {probability[likeliest]:.0%} ({right})"
            canvas.text(shortened(text, 40), (left, top + 10), 9.5, INK, align=0)
            return
        side = (_RIGHT - left) / part.classes
        for value, share in enumerate(probability.tolist()):
            x = left + side * value
            if value == truth:
                canvas.box(x, top - 1, side, 22, INK, radius=3)
            canvas.box(x + 2, top + 1, side - 4, 18, _shade(share), radius=2)
            ink = WHITE if share > 0.55 else INK
            canvas.text(shortened(part.value_name(value), int(side / 6)), (x + side / 2, top + 10), 9, ink)

    def _likeliest(self, canvas: Canvas, top: float, trial: int, now: int) -> float:
        assert self._problems is not None and self._recorded.candidates is not None
        canvas.text("likeliest problems", (_LEFT, top), 11, INK, align=0, bold=True)
        top += 14
        shares, truth = self._problems[trial, now], int(self._recorded.problem_id[trial])
        for row in np.argsort(-shares, kind="stable")[:5].tolist():
            number = int(self._recorded.candidates[row])
            name = f"problem {number}" + (" (true)" if number == truth else "")
            _bar(canvas, top, name, (0.0, float(shares[row]), f"{shares[row]:.0%}"), BLUE)
            top += 17
        return top + 20

    def _values(
        self, canvas: Canvas, top: float, streams: RecordedStreams, stream: int, begin: int, slot: int, phase: str
    ) -> None:
        assert streams.values is not None
        choices, at = self._choices[phase], max(begin, slot - 1)
        taken = choices.taken(streams.action[stream, at]) if slot > begin else []
        canvas.text(choices.title, (_LEFT, top), 11, INK, align=0, bold=True)
        when = "when this step was chosen" if slot > begin else "before the first step"
        canvas.text(when, (_RIGHT, top), 8.5, FAINT, align=1)
        top += 14
        if streams.state_value is not None:
            canvas.text(
                f"value {no_minus_zero(streams.state_value[stream, at], 2)}", (_LEFT, top + 6), 9.5, INK, align=0
            )
            top += 16
        bars = choices.bars(streams.values[stream, at])
        space = min(16.0, (HEIGHT - 6 - top) / len(bars))
        for row, (name, bar) in enumerate(zip(choices.names, bars, strict=True)):
            _bar(canvas, top, name, bar, PHASE_COLOURS[phase] if row in taken else (176, 180, 188), space)
            top += space


def shortened(text: str, length: int) -> str:
    """At most `length` characters, ending in dots if some were cut off."""
    return text if len(text) <= length else text[: max(1, length - 2)] + ".."


def _bar(canvas: Canvas, top: float, name: str, bar: Bar, colour: Colour, space: float = 17.0) -> None:
    begin, end, text = bar
    left = _LEFT + 92.0
    width, size = _RIGHT - (46 if len(text) < 8 else 84) - left, min(9.5, space * 0.62)
    canvas.text(shortened(name, 17), (_LEFT, top + space / 2), size, INK, align=0)
    length = max(1.0, width * (end - begin))
    canvas.box(left + width * begin, top + space * 0.15, length, space * 0.7, colour, radius=2)
    canvas.text(text, (_RIGHT, top + space / 2), size, INK, align=1)


def _shade(share: float) -> Colour:
    """White for 0, blue for 1."""
    r, g, b = (round(255 - share * (255 - channel)) for channel in BLUE)
    return r, g, b
