"""The picture of a family that has none of its own: the image of its observation, and everything else by name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from dream.envs.drawing import Moment
from dream.envs.render import CELL, FAINT, FOOTER, HEADER, HEIGHT, INK, PALETTE, WIDTH, page
from dream.spaces import is_image, is_integers, parts_of

if TYPE_CHECKING:
    from dream.envs.base import MetaEnv

BAR = (150, 175, 205)
LINE = 20.0
"""Height of a row."""


class Row(NamedTuple):
    """A line of the picture.

    Attributes:
        name, value: what is written.
        share: where the value lies between its bounds, 0 to 1; None: it has none.
    """

    name: str
    value: str
    share: float | None = None


def picture_of_observation(env: MetaEnv, moment: Moment) -> NDArray[np.uint8]:
    """The first image of an observation (or image of codes, a colour for each value of its first channel) over its
    integers and numbers; (400, 352, 3) uint8.
    """
    canvas = page(env.family, moment)
    parts = parts_of(env.single_observation_space)
    values = moment.obs if isinstance(moment.obs, dict) else {"": moment.obs}
    images = [_colours(values[name], part) for name, part in parts.items() if len(part.shape or ()) == 3]
    rows = _rows(env, parts, values)
    top, space = float(HEADER), float(HEIGHT - HEADER - FOOTER)
    if images and rows:
        space /= 2
        top += space
    if moment.phase == "execute" and int(np.prod(env.instruction_space.nvec)) > 1 and not (images and not rows):
        rows += [Row("", ""), Row("instruction", env.instruction_name(moment.instruction))]
    most = int((space - 30) / LINE)
    if len(rows) > most:
        rows = [*rows[: most - 1], Row(f"and {len(rows) - most + 1} more", "")]
    if rows:
        canvas.text("observation", (14, top + 12), 11, FAINT, align=0)
    for number, (name, value, share) in enumerate(rows):
        above = top + 30 + LINE * number
        canvas.text(name, (14, above + LINE / 2), 10.5, INK, align=0)
        if share is not None:
            canvas.box(150, above + 4, 136, LINE - 8, CELL, radius=3)
            canvas.box(150, above + 4, max(3.0, 136 * share), LINE - 8, BAR, radius=3)
        canvas.text(value, (WIDTH - 14, above + LINE / 2), 11, INK, align=1, bold=True)
    picture = canvas.picture()
    if images:
        _put(picture, images[0], HEADER, round(space))
    return picture


def _put(picture: NDArray[np.uint8], image: NDArray[np.uint8], top: int, space: int) -> None:
    """Draw an image (H, W, 3) into the middle of the space below `top`, as large as it fits."""
    scale = min((WIDTH - 24) / image.shape[1], (space - 40) / image.shape[0])
    size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
    shown = cv2.resize(image, size, interpolation=cv2.INTER_NEAREST if scale > 1 else cv2.INTER_AREA)
    x, y = (WIDTH - size[0]) // 2, top + (space - size[1]) // 2
    picture[y : y + size[1], x : x + size[0]] = shown


def _colours(image: NDArray[Any], space: gym.Space[Any]) -> NDArray[np.uint8]:
    """An image (H, W, C) of 1 to 4 channels, or an image of codes, as (H, W, 3) uint8, red, green, blue."""
    if is_integers(space):
        palette = np.array([CELL, *PALETTE], np.uint8)
        return palette[np.where(image[..., 0] > 0, 1 + (image[..., 0] - 1) % len(PALETTE), 0)]
    if image.shape[2] == 1:
        return np.repeat(image, 3, axis=2)
    black = np.zeros((*image.shape[:2], max(0, 3 - image.shape[2])), np.uint8)
    return np.concatenate([image[..., :3], black], axis=2)


def _rows(env: MetaEnv, parts: dict[str, gym.Space[Any]], values: dict[str, NDArray[Any]]) -> list[Row]:
    """The integers and numbers of all parts, with the family's `observation_names` where it has them."""
    named = [(name, part) for name, part in parts.items() if len(part.shape or ()) == 1]
    rows = [row for name, part in named for row in _components(name, part, values[name])]
    names = env.observation_names or tuple(row.name for row in rows)
    return [row._replace(name=name) for row, name in zip(rows, names, strict=True)]


def _components(name: str, space: gym.Space[Any], values: NDArray[Any]) -> Iterator[Row]:
    """Each component of a part (D,)."""
    single = f"{name or 'component'} {{}}" if len(values) > 1 or not name else name
    if is_integers(space):
        for number, (value, size) in enumerate(zip(values.tolist(), space.nvec.tolist(), strict=True)):  # type: ignore[attr-defined]
            yield Row(single.format(number), str(value), value / max(1, size - 1))
        return
    assert isinstance(space, gym.spaces.Box) and not is_image(space)
    bounds = zip(values.tolist(), space.low.tolist(), space.high.tolist(), strict=True)
    for number, (value, low, high) in enumerate(bounds):
        span = high - low
        yield Row(
            single.format(number), f"{round(value, 2) + 0.0:.2f}", (value - low) / span if 0 < span < np.inf else None
        )
