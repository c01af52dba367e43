"""Recorded trials as pictures: the frames of a film, and a contact sheet."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from dream.envs import MetaEnv
from dream.envs.render import FAINT, FOOTER, HEADER, INK, PAPER, PHASE_COLOURS, RULE, WHITE, Canvas
from dream.eval.record.recorded import RecordedStreams, RecordedTrials
from dream.eval.show.panel import Panel, shortened

Picture = NDArray[np.uint8]
TITLE = 28
"""Height of the line over a frame of a film."""
COLUMNS = 7
"""Pictures of one episode on a contact sheet, at most."""
MIN_COLUMNS = 4
"""Width of a contact sheet of short episodes, so that there is room for their titles."""
SCALE = 0.6
"""Of the pictures on a contact sheet."""


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
        """One frame a step: the exploration episodes, then the execution episodes.

        Each is (428, 688, 3) uint8, red, green, blue: the picture of the moment with the way so far, beside it the
        panel; (428, 352, 3) for a method that has nothing for a panel.
        """
        recorded = self._recorded
        title = f"{recorded.method} on {recorded.env}"
        if recorded.step:
            title += f", trained for {recorded.step:,} steps"
        number = f"trial {trial + 1} of {len(recorded.problem_id)}"
        frames = []
        for phase, stream, slots in self._episodes(trial):
            for slot in range(slots.start, slots.stop):
                picture = self.moment(trial, phase, stream, slot)
                if not self._panel.empty:
                    picture = np.concatenate([picture, self._panel.draw(trial, phase, stream, slot)], axis=1)
                head = Canvas(picture.shape[1], TITLE, INK)
                head.text(title, (14, TITLE / 2), 11, WHITE, align=0)
                head.text(number, (picture.shape[1] - 14, TITLE / 2), 11, WHITE, align=1)
                frames.append(np.concatenate([head.picture(), picture]))
        return frames

    def moment(self, trial: int, phase: str, stream: int, slot: int) -> Picture:
        """The family's picture of one observation, (400, 352, 3) uint8, the way of its episode so far drawn in."""
        streams = self._streams(phase)
        begin = next(slots.start for slots in streams.episodes(stream) if slots.start <= slot < slots.stop)
        return self._env.draw(
            int(self._recorded.problem_id[trial]),
            phase,  # type: ignore[arg-type]
            streams.obs[stream, slot],
            streams.instruction[stream],
            self._caption(phase, stream, begin, slot),
            trail=list(streams.obs[stream, begin:slot]),
            scene={name: array[stream, begin : slot + 1] for name, array in streams.scene.items()},
        )

    def sheet(self, trials: Sequence[int], columns: int = COLUMNS) -> Picture:
        """A row of pictures for each episode of the given trials, each row under a line that says what it is.

        Of a long episode the moments are shown in which most was found out, and others evenly between.
        """
        shown = [
            (trial, phase, stream, slots.start, self._moments(trial, phase, slots, columns))
            for trial in trials
            for phase, stream, slots in self._episodes(trial)
        ]
        most = max(MIN_COLUMNS, *(len(moments) for *_, moments in shown))
        return np.concatenate([self._row(*row, most) for row in shown])

    def _row(self, trial: int, phase: str, stream: int, begin: int, moments: list[int], columns: int) -> Picture:
        pictures = [self.moment(trial, phase, stream, slot)[HEADER:-FOOTER] for slot in moments]
        height, width = (round(SCALE * side) for side in pictures[0].shape[:2])
        gap, head, foot = 8, 40, 20
        canvas = Canvas(gap + (width + gap) * columns, head + height + foot, PAPER)
        canvas.box(0, 0, canvas.width, 1, RULE)
        canvas.box(gap, 11, 62, 19, PHASE_COLOURS[phase], radius=9)
        canvas.text(phase.upper(), (gap + 31, 20.5), 8, WHITE, bold=True)
        canvas.text(self._title(trial, phase, stream), (gap + 72, 20.5), 11, INK, align=0)
        for column, slot in enumerate(moments):
            caption = self._caption(phase, stream, begin, slot, short=True)
            where = (gap + (width + gap) * column + width / 2, head + height + 9.0)
            canvas.text(shortened(caption, 34), where, 9, INK if slot > begin else FAINT)
        row = canvas.picture()
        for column, picture in enumerate(pictures):
            left = gap + (width + gap) * column
            row[head : head + height, left : left + width] = resized(picture, SCALE)
        return row

    def _moments(self, trial: int, phase: str, slots: slice, columns: int) -> list[int]:
        """Slots to show, in order: the first, the last, those in which most was found, others evenly between."""
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
            told = self._env.instruction_name(recorded.execute.instruction[stream])
            best = "" if recorded.optimal is None else f" of {recorded.optimal[trial, stream % n]:.2f}"
            steps = _steps(int(recorded.execute.length[stream]))
            return f"{told + ', ' if told else ''}{steps}, return {recorded.returns[trial, stream % n]:.2f}{best}"
        title = f"problem {recorded.problem_id[trial]}, {_steps(int(self._streams(phase).mask[stream].sum()))}"
        information, error = recorded.information, recorded.error
        if information is not None and error is not None and np.isfinite(error[trial, 0]):
            title += f", found {information[trial, -1]:.1f} of {error[trial, 0]:.1f} nats"
        return title

    def _caption(self, phase: str, stream: int, begin: int, slot: int, short: bool = False) -> str:
        streams = self._streams(phase)
        if slot == begin:
            return "start"
        names = (*self._env.action_names, "next episode")
        caption = f"step {slot - begin}: {names[streams.action[stream, slot - 1]]}"
        reward = streams.reward[stream]
        if phase == "execute" or reward.any():
            gap = ", " if short else "   reward "
            caption += f"{gap}{reward[slot - 1]:+.2f}"
            if not short:
                caption += f"   return {reward[begin:slot].sum():+.2f}"
        return caption

    def _episodes(self, trial: int) -> list[tuple[str, int, slice]]:
        """Phase, stream and slots of every episode of a trial, in the order in which they were played."""
        n = self._recorded.returns.shape[1]
        explored = [("explore", trial, slots) for slots in self._recorded.explore.episodes(trial)]
        executed = [("execute", trial * n + j, self._recorded.execute.episodes(trial * n + j)[0]) for j in range(n)]
        return explored + executed

    def _streams(self, phase: str) -> RecordedStreams:
        return self._recorded.explore if phase == "explore" else self._recorded.execute


def _steps(count: int) -> str:
    return f"{count} step{'s' * (count != 1)}"


def resized(picture: Picture, scale: float) -> Picture:
    """The picture at another size."""
    import cv2

    height, width = (round(scale * side) for side in picture.shape[:2])
    return np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
