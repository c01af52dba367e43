"""What frames of a kitchen show, read off exactly: for words and statistics of recorded episodes."""

from __future__ import annotations

from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from dream.envs.kitchen.layout import CONTAINERS, INGREDIENTS, NOTHING, POT
from dream.envs.kitchen.planning import END, USE, Walks
from dream.envs.kitchen.view import ICON, View, icons
from dream.envs.words import walked


def hands(frames: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The ingredient in the hand, or NOTHING, frames (..., 60, 80, 3) -> (...,)."""
    return _icon(frames[..., -ICON:, -ICON:, :])


def pots(frames: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The ingredient in the pot, or NOTHING, frames (..., 60, 80, 3) -> (...,)."""
    return _icon(frames[..., -ICON:, :ICON, :])


def _icon(corner: NDArray[np.uint8]) -> NDArray[np.int64]:
    same = np.stack([(corner == icon).all(axis=(-3, -2, -1)) for icon in icons()])
    return np.where(same.any(axis=0), same.argmax(axis=0), NOTHING)


def open_containers(
    view: View,
    walks: Walks,
    kitchen: NDArray[np.integer],
    contents: NDArray[np.integer],
    frames: NDArray[np.uint8],
) -> NDArray[np.int64]:
    """The type of the container whose inside is seen, or -1.

    Args:
        view: draws the kitchens.
        walks: of the kitchens.
        kitchen: (N,)
        contents: (N, 6)
        frames: (N, T, 60, 80, 3)

    Returns:
        (N, T)
    """
    found = np.full(frames.shape[:2], -1)
    number, kind = np.nonzero(walks.access[kitchen, :POT] >= 0)
    where, nothing = kitchen[number], np.full(len(number), NOTHING)
    inside = contents[number, kind]
    views = view.frames(where, walks.access[where, kind], kind, inside, nothing, nothing)
    above = slice(0, views.shape[1] - ICON)  # the icons are below
    for n, c, one in zip(number.tolist(), kind.tolist(), views, strict=True):
        found[n, (frames[n, :, above] == one[above]).all(axis=(1, 2, 3))] = c
    return found


def tell(opened: NDArray[np.integer], inside: NDArray[np.integer], frames: NDArray[np.uint8],
         action: NDArray[np.integer]) -> list[str]:  # fmt: skip
    """An episode in words.

    Args:
        opened: (T + 1,) the container whose inside each frame shows, or -1.
        inside: (6,) contents.
        frames: (T + 1, 60, 80, 3)
        action: (T,)
    """
    hand = hands(frames)
    names = [(int(a), _used(opened, inside, hand, t) if a == USE else "") for t, a in enumerate(action)]
    phrases = []
    for (kind, phrase), run in groupby(names):
        steps = len(list(run))
        if kind == USE:
            phrases += [phrase] * (steps if phrase != "used nothing" else 1)
        else:
            phrases.append("ended the episode" if kind == END else walked(kind, steps, 90))
    return phrases


def _used(opened: NDArray[np.integer], inside: NDArray[np.integer], hand: NDArray[np.int64], t: int) -> str:
    before, after, container = int(hand[t]), int(hand[t + 1]), int(opened[t + 1])
    if container >= 0 and opened[t] != container:
        return f"opened the {CONTAINERS[container]}: {INGREDIENTS[inside[container]]}"
    if before == NOTHING and after < NOTHING:
        return f"took {INGREDIENTS[after]}"
    if before < NOTHING and after == NOTHING:
        if container >= 0:
            return f"put {INGREDIENTS[before]} back"
        return f"put {INGREDIENTS[before]} into the pot"
    return "used nothing"
