"""Recorded trials as pictures: the frames of a film, and a contact sheet."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from dream.envs import MetaEnv
from dream.envs.render import FAINT, FOOTER, HEADER, INK, PAPER, PHASE_COLOURS, RULE, WHITE, Canvas, Colour
from dream.eval.record.beliefs import SURE
from dream.eval.record.recorded import RecordedStreams, RecordedTrials
from dream.eval.show.choices import no_minus_zero
from dream.eval.show.panel import BLUE, Panel, shortened
from dream.spaces import at, each

Picture = NDArray[np.uint8]
TITLE = 28
"""Height of the line over a frame of a film."""
COLUMNS = 7
"""Pictures of one episode on a contact sheet, at most."""
MIN_COLUMNS = 4
"""Width of a contact sheet of short episodes, so that there is room for their titles."""
SCALE = 0.6
"""Of the pictures on a contact sheet."""
ROOM = {True: 34, False: 53}
"""Letters of a caption on a contact sheet, and in a film. The name of an action is cut to fit."""


class Movie:
    """Draws recorded trials.

    Args:
        recorded: the trials.
        env: their family with the parameters they were played with, of any number of members; it is not stepped.
    """

    def __init__(self, recorded: RecordedTrials, env: MetaEnv) -> None:
        self._recorded, self._env = recorded, env
        self._panel = Panel(recorded, env)

    def film(self, trial: int) -> list[Picture]:
        """One frame per observation: the exploration episodes, then the execution episodes. No step is left out.

        Each is (428, 688, 3) uint8, red, green, blue: the picture of the moment with the path so far, and the panel
        beside it; (428, 352, 3) for a method that has nothing for a panel.
        """
        recorded = self._recorded
        title = f"{recorded.method} on {recorded.env}"
        if recorded.step:
            title += f", trained for {recorded.step:,} steps"
        number = f"trial {trial + 1} of {len(recorded.problem_id)}"
        frames = []
        for phase, stream, slots in self.episodes(trial):
            for slot in range(slots.start, slots.stop):
                picture = self.moment(trial, phase, stream, slot)
                if not self._panel.empty:
                    panel = self._panel.draw(trial, phase, stream, slots.start, slot)
                    picture = np.concatenate([picture, panel], axis=1)
                head = Canvas(picture.shape[1], TITLE, INK)
                head.text(shortened(title, (picture.shape[1] - 124) // 6), (14, TITLE / 2), 11, WHITE, align=0)
                head.text(number, (picture.shape[1] - 14, TITLE / 2), 11, WHITE, align=1)
                frames.append(np.concatenate([head.picture(), picture]))
        return frames

    def moment(
        self,
        trial: int,
        phase: str,
        stream: int,
        slot: int,
        *,
        known: NDArray[np.bool_] | None = None,
        blank: bool = False,
    ) -> Picture:
        """The family's picture of one observation, (400, 352, 3) uint8, with the path of its episode so far.

        Args:
            trial: its row.
            phase: "explore" or "execute".
            stream: the row of the phase's streams.
            slot: the observation in the stream.
            known: (P,) parts of the problem that have been observed, the others are drawn as unknown; None: all are
                drawn.
            blank: draw black in place of the observation, for a picture over which the frame itself is laid.
        """
        streams = self._streams(phase)
        begin = next(slots.start for slots in streams.episodes(stream) if slots.start <= slot < slots.stop)
        obs = at(streams.obs, (stream, slot))
        return self._env.draw(
            int(self._recorded.problem_id[trial]),
            phase,  # type: ignore[arg-type]
            each(np.zeros_like, obs) if blank else obs,
            streams.instruction[stream],
            self._caption(phase, stream, begin, slot),
            trail=[at(streams.obs, (stream, earlier)) for earlier in range(begin, slot)],
            scene={name: array[stream, begin : slot + 1] for name, array in streams.scene.items()},
            known=known,
        )

    def frame_box(self, trial: int, phase: str, stream: int, slot: int) -> list[int] | None:
        """Where the picture of a moment shows the observation, which is a frame: left, top, width, height in pixels.

        Found by drawing the moment with a black and with a white frame. None if the picture does not show it.
        """
        streams = self._streams(phase)
        black = self.moment(trial, phase, stream, slot, blank=True)
        white = self._env.draw(
            int(self._recorded.problem_id[trial]),
            phase,  # type: ignore[arg-type]
            np.full_like(streams.obs[stream, slot], 255),
            streams.instruction[stream],
            self._caption(phase, stream, slot, slot),
            scene={name: array[stream, slot : slot + 1] for name, array in streams.scene.items()},
        )
        rows, columns = np.nonzero(np.abs(white.astype(np.int16) - black).min(axis=2) > 200)
        if not len(rows):
            return None
        top, left = int(rows.min()), int(columns.min())
        return [left, top, int(columns.max()) + 1 - left, int(rows.max()) + 1 - top]

    def known(self, trial: int) -> list[NDArray[np.bool_] | None]:
        """Of each of `episodes`, (observations, P) bool: which parts of the problem had been observed in the trial.

        None in each where this is not known. An executor that is given the problem id knows all parts.
        """
        recorded, found = self._recorded, []
        before: NDArray[np.bool_] | None = None
        for phase, stream, slots in self.episodes(trial):
            streams = self._streams(phase)
            scene = {name: array[stream, slots] for name, array in streams.scene.items()}
            action = streams.action[stream, slots.start : slots.stop - 1]
            obs = at(streams.obs, (stream, slots))
            now = self._env.revealed(int(recorded.problem_id[trial]), obs, action, scene)
            if now is not None:
                given = phase == "execute" and recorded.context == "id"
                now = np.logical_or.accumulate(now, axis=0) | (False if before is None else before) | given
                before = now[-1]
            found.append(now)
        return found

    def episodes(self, trial: int) -> list[tuple[str, int, slice]]:
        """Phase, stream and slots of every episode of a trial, in the order in which they were played."""
        n = self._recorded.returns.shape[1]
        explored = [("explore", trial, slots) for slots in self._recorded.explore.episodes(trial)]
        executed = [("execute", trial * n + j, self._recorded.execute.episodes(trial * n + j)[0]) for j in range(n)]
        return explored + executed

    def sheet(self, trials: Sequence[int], columns: int = COLUMNS) -> Picture:
        """A row of pictures for each episode of the given trials, each row under a title.

        Under the pictures of an exploration stand the information so far, what the step brought of it, and the
        likeliest value of each part. Of a long episode the moments that brought most information are shown, and others
        evenly between; the title says how many steps were left out.
        """
        shown = [
            (trial, phase, stream, slots, self.shown_moments(trial, phase, slots, columns))
            for trial in trials
            for phase, stream, slots in self.episodes(trial)
        ]
        most = max(MIN_COLUMNS, *(len(moments) for *_, moments in shown))
        return np.concatenate([self._row(*row, most) for row in shown])

    def _row(self, trial: int, phase: str, stream: int, slots: slice, moments: list[int], columns: int) -> Picture:
        pictures = [self.moment(trial, phase, stream, slot)[HEADER:-FOOTER] for slot in moments]
        height, width = (round(SCALE * side) for side in pictures[0].shape[:2])
        below = [self._below(trial, phase, slot) for slot in moments]
        gap, head, line = 8, 40, 13
        foot = 20 + line * max(len(lines) for lines in below)
        canvas = Canvas(gap + (width + gap) * columns, head + height + foot, PAPER)
        canvas.box(0, 0, canvas.width, 1, RULE)
        canvas.box(gap, 11, 62, 19, PHASE_COLOURS[phase], radius=9)
        canvas.text(phase.upper(), (gap + 31, 20.5), 8, WHITE, bold=True)
        title, left_out = self._title(trial, phase, stream), slots.stop - slots.start - len(moments)
        if left_out:
            title += f"; {_steps(left_out)} not shown"
        canvas.text(title, (gap + 72, 20.5), 11, INK, align=0)
        for column, (slot, lines) in enumerate(zip(moments, below, strict=True)):
            caption = self._caption(phase, stream, slots.start, slot, short=True)
            middle, top = gap + (width + gap) * column + width / 2, head + height + 9.0
            canvas.text(caption, (middle, top), 9, INK if slot > slots.start else FAINT)
            for number, (text, ink) in enumerate(lines, 1):
                canvas.text(shortened(text, 36), (middle, top + line * number), 8.5, ink)
        row = canvas.picture()
        for column, picture in enumerate(pictures):
            left = gap + (width + gap) * column
            row[head : head + height, left : left + width] = resized(picture, SCALE)
        return row

    def _below(self, trial: int, phase: str, slot: int) -> list[tuple[str, Colour]]:
        """The lines under a picture of a contact sheet, and their colours: dark where the belief is nearly certain."""
        if phase == "execute":
            return []
        information = self._panel.information(trial, slot)
        lines = [(information, BLUE)] if information else []
        for text, share in self._panel.likeliest(trial, slot):
            lines.append((f"{text}  {share:.0%}", INK if share >= SURE else FAINT))
        return lines

    def shown_moments(self, trial: int, phase: str, slots: slice, columns: int) -> list[int]:
        """Slots to show, in order: first and last, those that brought most information, others evenly between."""
        last = slots.stop - 1
        if slots.stop - slots.start <= columns:
            return list(range(slots.start, slots.stop))
        chosen = {slots.start, last}
        information = self._recorded.information
        if phase == "explore" and information is not None and np.isfinite(information[trial]).all():
            gain = np.diff(information[trial, slots])
            for step in np.argsort(-gain, kind="stable")[: columns - 3].tolist():
                if gain[step] > 0.05 * max(1e-9, np.abs(information[trial]).max()):
                    chosen.add(slots.start + step + 1)
        while len(chosen) < columns:  # into the middle of the widest gap
            known = sorted(chosen)
            before, after = max(pairwise(known), key=lambda pair: pair[1] - pair[0])
            chosen.add((before + after) // 2)
        return sorted(chosen)

    def _title(self, trial: int, phase: str, stream: int) -> str:
        recorded = self._recorded
        if phase == "execute":
            n = recorded.returns.shape[1]
            instruction = self._env.instruction_name(recorded.execute.instruction[stream])
            best = "" if recorded.optimal is None else f" of {recorded.optimal[trial, stream % n]:.2f}"
            steps = _steps(int(recorded.execute.length[stream]))
            achieved = f"return {recorded.returns[trial, stream % n]:.2f}{best}"
            return ", ".join(filter(None, [instruction, steps, achieved]))
        title = f"problem {recorded.problem_id[trial]}, {_steps(int(self._streams(phase).mask[stream].sum()))}"
        information, error = recorded.information, recorded.error
        if information is not None and error is not None and np.isfinite(error[trial, 0]):
            title += f", information {no_minus_zero(information[trial, -1], 1)} of {error[trial, 0]:.1f} nats"
        return title

    def _caption(self, phase: str, stream: int, begin: int, slot: int, short: bool = False) -> str:
        streams = self._streams(phase)
        if slot == begin:
            return "start"
        step, action = f"step {slot - begin}: ", self._env.action_name(streams.action[stream, slot - 1])
        reward, got = streams.reward[stream], ""
        if phase == "execute" or reward.any():
            now, total = f"{reward[slot - 1]:+.2f}", f"return {reward[begin:slot].sum():+.2f}"
            got = f"   reward {now}   {total}"
            if short or len(step + action + got) > ROOM[False]:
                got = f", {now}" if short else f", {now}, {total}"
        return step + shortened(action, ROOM[short] - len(step + got)) + got

    def _streams(self, phase: str) -> RecordedStreams:
        return self._recorded.explore if phase == "explore" else self._recorded.execute


def _steps(count: int) -> str:
    return f"{count} step{'s' * (count != 1)}"


def resized(picture: Picture, scale: float) -> Picture:
    """The picture at another size."""
    import cv2

    height, width = (round(scale * side) for side in picture.shape[:2])
    return np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
