"""What the families of a point robot in the plane share: learners, pictures, and words for places."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from dream.envs.render import Canvas, Colour, Point

Extent = tuple[float, float, float, float]
"""Left, right, bottom and top edge, as in `MetaEnv.map_extent`."""
LEARNERS = {
    "explorer.learner": "ppo",
    "executor.learner": "ppo",
    "end_to_end.learner": "ppo",
    "executor.entropy_weight": 0.01,
    "end_to_end.entropy_weight": 0.01,
}
"""Settings for continuous actions: `q` cannot learn them, and Gaussians need less entropy than choices."""
DIRECTIONS = ("east", "north-east", "north", "north-west", "west", "south-west", "south", "south-east")


class Plane:
    """A rectangle of the plane on a canvas, x to the right and y upwards."""

    def __init__(self, canvas: Canvas, extent: Extent, left: float, top: float, width: float, colour: Colour) -> None:
        """Draw the empty rectangle with its corner at the top left, (left, top), in pixels."""
        west, east, south, north = extent
        self.scale = width / (east - west)
        self._canvas, self._origin = canvas, (left - west * self.scale, top + north * self.scale)
        canvas.box(left, top, width, (north - south) * self.scale, colour)

    def at(self, place: NDArray[np.floating]) -> Point:
        """A place (2,) in pixels."""
        x, y = (float(value) for value in place)
        return self._origin[0] + x * self.scale, self._origin[1] - y * self.scale

    def arc(self, radius: float, begin: float, end: float, colour: Colour, thickness: float) -> None:
        """Part of a circle around the origin, from one angle to another, radians from +x to the left."""
        angles = np.linspace(begin, end, max(2, round(abs(end - begin) * 24)))
        places = radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        self._canvas.path([self.at(place) for place in places], colour, thickness)

    def path(self, places: NDArray[np.floating], colour: Colour) -> None:
        """The way through places (T, 2)."""
        points = [self.at(place) for place in places]
        with self._canvas.faded(0.55):
            if len(points) > 1:
                self._canvas.path(points, colour, 2)
            for point in points:
                self._canvas.disc(point, 3, colour)


def place_name(place: NDArray[np.floating]) -> str:
    """A place (2,) in words, such as "(0.25, -1.00)"."""
    x, y = (round(float(value), 2) + 0.0 for value in place)
    return f"({x:.2f}, {y:.2f})"


def direction_of(angle: NDArray[np.floating]) -> NDArray[np.int64]:
    """Which of the eight `DIRECTIONS` an angle is nearest to, radians from +x to the left, (N,) -> (N,)."""
    return np.round(np.asarray(angle) / (np.pi / 4)).astype(np.int64) % len(DIRECTIONS)


def angle_of(place: NDArray[Any]) -> NDArray[np.float64]:
    """Angles of places, radians from +x to the left, from 0 up to 2 pi, (..., 2) -> (...)."""
    return np.asarray(np.arctan2(place[..., 1], place[..., 0]) % (2 * np.pi), np.float64)
