"""Pictures for people: a canvas, the page that every family draws on, and sheets of many pictures.

Sizes and positions are in pixels of the finished picture, origin at the top left; colours are (red, green, blue).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from dream.envs.drawing import Moment

if TYPE_CHECKING:
    pass

Colour = tuple[int, int, int]
Point = tuple[float, float]

PAPER, CELL, RULE, INK, FAINT, WHITE = (
    (255, 255, 255),
    (244, 244, 240),
    (222, 222, 216),
    (38, 42, 51),
    (125, 130, 140),
    (255, 255, 255),
)
UNKNOWN: Colour = (172, 176, 184)
"""Of what has not been observed yet, marked with a question mark."""
GOLD, GOOD, WOOD = (245, 184, 28), (46, 139, 87), (120, 90, 60)
PHASE_COLOURS: dict[str, Colour] = {"explore": (0, 128, 128), "execute": (76, 70, 170)}
PALETTE: tuple[Colour, ...] = (
    (214, 72, 62),
    (45, 110, 190),
    (47, 143, 78),
    (226, 130, 20),
    (132, 86, 170),
    (20, 150, 160),
    (200, 85, 140),
    (128, 100, 60),
)

WIDTH, HEIGHT, HEADER, FOOTER = 352, 400, 40, 36
SHARPNESS = 2  # drawn this many times larger, then reduced


class Canvas:
    """A picture being drawn. `faded` makes everything drawn inside it see-through."""

    def __init__(self, width: int, height: int, background: Colour = PAPER) -> None:
        self.width, self.height = width, height
        self._pixels = np.full((height * SHARPNESS, width * SHARPNESS, 3), background, np.uint8)

    def picture(self) -> NDArray[np.uint8]:
        """The finished picture, (height, width, 3) uint8."""
        small = cv2.resize(self._pixels, (self.width, self.height), interpolation=cv2.INTER_AREA)
        return np.asarray(small, np.uint8)

    @contextmanager
    def faded(self, opacity: float) -> Iterator[None]:
        """Blend what is drawn inside with what was there: opacity 1 hides it, 0 leaves it."""
        before = self._pixels.copy()
        yield
        self._pixels = np.asarray(cv2.addWeighted(self._pixels, opacity, before, 1 - opacity, 0), np.uint8)

    def box(self, x: float, y: float, width: float, height: float, colour: Colour, radius: float = 0) -> None:
        """A filled rectangle with its corner at the top left, (x, y)."""
        if radius > 0:
            r = min(radius, width / 2, height / 2)
            quarter = np.linspace(0, np.pi / 2, 8)
            arc = np.stack([np.cos(quarter), np.sin(quarter)], axis=1) * r
            corners = [(width - r, height - r), (r, height - r), (r, r), (width - r, r)]
            turns = [((1, 0), (0, 1)), ((0, -1), (1, 0)), ((-1, 0), (0, -1)), ((0, 1), (-1, 0))]
            outline = np.concatenate([arc @ np.array(t).T + c for c, t in zip(corners, turns, strict=True)])
            self.polygon([(x + px, y + py) for px, py in outline.tolist()], colour)
            return
        (x0, y0), (x1, y1) = self._at((x, y)), self._at((x + width, y + height))
        cv2.rectangle(self._pixels, (x0, y0), (x1 - 1, y1 - 1), colour, cv2.FILLED)

    def disc(self, centre: Point, radius: float, colour: Colour, ring: float = 0) -> None:
        """A filled circle, or only a ring of the given thickness."""
        thickness = max(1, round(ring * SHARPNESS)) if ring else cv2.FILLED
        cv2.circle(self._pixels, self._at(centre), round(radius * SHARPNESS), colour, thickness, cv2.LINE_AA)

    def oval(
        self, centre: Point, width: float, height: float, colour: Colour, begin: float = 0, end: float = 360
    ) -> None:
        """A filled ellipse, or a sector of it between two angles in degrees, clockwise from the right."""
        axes = (round(width * SHARPNESS / 2), round(height * SHARPNESS / 2))
        cv2.ellipse(self._pixels, self._at(centre), axes, 0, begin, end, colour, cv2.FILLED, cv2.LINE_AA)

    def path(self, points: Sequence[Point], colour: Colour, thickness: float = 2) -> None:
        """A line through the points."""
        corners = np.array([self._at(point) for point in points], np.int32)
        cv2.polylines(self._pixels, [corners], False, colour, max(1, round(thickness * SHARPNESS)), cv2.LINE_AA)

    def dashes(self, start: Point, end: Point, colour: Colour, thickness: float = 2, dash: float = 6) -> None:
        """A dashed line."""
        a, b = np.array(start), np.array(end)
        count = max(1, round(float(np.hypot(*(b - a))) / dash))
        for i in range(0, count, 2):
            self.path(
                [tuple(a + (b - a) * i / count), tuple(a + (b - a) * min(i + 1, count) / count)], colour, thickness
            )

    def polygon(self, points: Sequence[Point], colour: Colour) -> None:
        """A filled polygon."""
        corners = np.array([self._at(point) for point in points], np.int32)
        cv2.fillPoly(self._pixels, [corners], colour, cv2.LINE_AA)

    def star(self, centre: Point, radius: float, colour: Colour) -> None:
        """A five-pointed star."""
        angles = np.arange(10) * np.pi / 5 - np.pi / 2
        radii = np.where(np.arange(10) % 2 == 0, radius, radius * 0.45)
        self.polygon(
            [(centre[0] + r * np.cos(a), centre[1] + r * np.sin(a)) for r, a in zip(radii, angles, strict=True)], colour
        )

    def text(
        self, text: str, at: Point, size: float, colour: Colour = INK, align: float = 0.5, bold: bool = False
    ) -> None:
        """A line of text, `size` pixels high, centred vertically; align 0 begins at `at`, 0.5 centres, 1 ends there."""
        scale = size * SHARPNESS / 22
        weight = max(1, round(size * SHARPNESS / (9 if bold else 18)))
        (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, weight)
        x, y = self._at(at)
        where = (round(x - align * width), y + height // 2)
        cv2.putText(self._pixels, text, where, cv2.FONT_HERSHEY_SIMPLEX, scale, colour, weight, cv2.LINE_AA)

    def agent(self, centre: Point, radius: float) -> None:
        """The agent: a dark head with two eyes."""
        x, y = centre
        self.disc(centre, radius * 1.18, WHITE)
        self.disc(centre, radius, INK)
        for side in (-1, 1):
            self.disc((x + side * radius * 0.36, y - radius * 0.12), radius * 0.25, WHITE)
            self.disc((x + side * radius * 0.36 + radius * 0.06, y - radius * 0.12), radius * 0.11, INK)

    def _at(self, point: Point) -> tuple[int, int]:
        return round(float(point[0]) * SHARPNESS), round(float(point[1]) * SHARPNESS)


class Board:
    """Square cells on a canvas: cell (0, 0) at the bottom left, y upwards."""

    def __init__(self, canvas: Canvas, columns: int, rows: int, left: float, top: float, size: float) -> None:
        self.rows, self.left, self.top, self.size = rows, left, top, size
        gap = max(1.0, size * 0.03)
        canvas.box(left, top, columns * size, rows * size, RULE)
        for x in range(columns):
            for y in range(rows):
                cx, cy = self.centre((x, y))
                canvas.box(cx - size / 2 + gap / 2, cy - size / 2 + gap / 2, size - gap, size - gap, CELL)

    def centre(self, cell: Sequence[float]) -> Point:
        """Where the middle of a cell is, in pixels."""
        return self.left + (cell[0] + 0.5) * self.size, self.top + (self.rows - cell[1] - 0.5) * self.size

    def trail(self, canvas: Canvas, cells: NDArray[Any], shift: Point = (0, 0)) -> None:
        """The path through cells (T, 2): solid where it was walked, dashed where it jumped; `shift` in cells."""
        if len(cells) < 2:
            return
        thick = min(self.size * 0.1, 4)
        places = [self.centre((x + shift[0], y + shift[1])) for x, y in cells.tolist()]
        with canvas.faded(0.55):
            for a, b, jump in zip(places, places[1:], np.abs(np.diff(cells, axis=0)).sum(axis=1) > 1, strict=False):
                if jump:
                    canvas.dashes(a, b, INK, thick, dash=max(4, thick * 1.8))
                elif a != b:
                    canvas.path([a, b], INK, thick)
            for place in places:
                canvas.disc(place, thick, INK)


def page(family: str, moment: Moment) -> Canvas:
    """An empty picture with a head (phase, family, problem) and a foot (caption): HEADER and FOOTER pixels high."""
    canvas = Canvas(WIDTH, HEIGHT)
    colour = PHASE_COLOURS[moment.phase]
    canvas.box(12, 9, 78, 22, colour, radius=11)
    canvas.text(moment.phase.upper(), (51, 20), 9, WHITE, bold=True)
    canvas.text(f"{family} {moment.problem_id}", (WIDTH - 14, 20), 11, FAINT, align=1)
    canvas.text(moment.caption, (14, HEIGHT - FOOTER / 2), 10.5, INK, align=0)
    return canvas


def contact_sheet(
    frames: Sequence[NDArray[np.uint8]],
    columns: int | None = None,
    captions: Sequence[str] | None = None,
    gap: int = 10,
) -> NDArray[np.uint8]:
    """Many pictures on one: the members of a batch, or the steps of one episode.

    Args:
        frames: pictures (H, W, 3) uint8, all of one size.
        columns: pictures side by side; as square as possible by default.
        captions: a short line under each picture.
        gap: pixels around each picture.

    Returns:
        (rows * ..., columns * ..., 3) uint8, row by row from the top left.

    Raises:
        ValueError: no frames, frames of different sizes, fewer or more captions than frames, or columns < 1.
    """
    if not len(frames):
        raise ValueError("there are no frames: give at least one (H, W, 3) picture")
    sizes = sorted({np.shape(frame) for frame in frames})
    if len(sizes) > 1 or len(sizes[0]) != 3:
        raise ValueError(f"frames have shapes {sizes}: give pictures (H, W, 3) of one size")
    if captions is not None and len(captions) != len(frames):
        raise ValueError(f"{len(captions)} captions for {len(frames)} frames: give one for each")
    if columns is None:
        columns = int(np.ceil(np.sqrt(len(frames))))
    if columns < 1:
        raise ValueError(f"columns is {columns}: give at least 1")
    columns = min(columns, len(frames))
    rows = -(-len(frames) // columns)
    height, width, _ = sizes[0]
    line = 24 if captions is not None else 0
    canvas = Canvas(columns * (width + gap) + gap, rows * (height + line + gap) + gap, background=RULE)
    places = [
        (gap + (i % columns) * (width + gap), gap + (i // columns) * (height + line + gap)) for i in range(len(frames))
    ]
    for (x, y), caption in zip(places, captions or [], strict=False):
        canvas.text(caption, (x + width / 2, y + height + line / 2), 11)
    sheet = canvas.picture()
    for (x, y), frame in zip(places, frames, strict=True):
        sheet[y : y + height, x : x + width] = frame
    return sheet
