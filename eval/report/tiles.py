"""Pictures of an episode, each as the tiles that differ from the picture before: small files, and quick to step."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

TILE = 16
"""Pixels of a side; the pictures' sides are multiples of it."""
QUALITY = 92
"""Of WebP: drawings look the same at a quarter of the size of PNG."""


def changed_tiles(
    pictures: Iterable[NDArray[np.uint8]], start: NDArray[np.uint8] | None = None
) -> list[dict[str, Any]]:
    """Encode pictures (H, W, 3) uint8, red, green, blue, all of one size, H and W multiples of `TILE`.

    Args:
        pictures: in the order in which they are shown.
        start: the picture before the first one; None: there is none, and the first one is encoded whole.

    Returns:
        For each picture `at`, the numbers of the tiles that changed (row by row, from the top left), and `image`, these
        tiles in a column as a data URL; "" where nothing changed.
    """
    found, before = [], None if start is None else _cut(start)
    for picture in pictures:
        cut = _cut(picture)
        changed = np.ones(len(cut), bool) if before is None else (cut != before).any(axis=(1, 2, 3))
        before = cut
        image = webp(cut[changed].reshape(-1, TILE, 3)) if changed.any() else ""
        found.append({"at": np.flatnonzero(changed).tolist(), "image": image})
    return found


def _cut(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(tiles, TILE, TILE, 3), row by row from the top left."""
    height, width = picture.shape[:2]
    return picture.reshape(height // TILE, TILE, width // TILE, TILE, 3).swapaxes(1, 2).reshape(-1, TILE, TILE, 3)


def webp(picture: NDArray[np.uint8]) -> str:
    """(H, W, 3) uint8 as a data URL; it loses a little."""
    import cv2

    return _url(picture, ".webp", [cv2.IMWRITE_WEBP_QUALITY, QUALITY])


def exact(picture: NDArray[np.uint8]) -> str:
    """(H, W, 3) uint8 as a data URL, every pixel as it was."""
    import cv2

    return _url(picture, ".webp", [cv2.IMWRITE_WEBP_QUALITY, 101])  # above 100: lossless


def _url(picture: NDArray[np.uint8], suffix: str, flags: list[int]) -> str:
    import cv2

    _, content = cv2.imencode(suffix, np.ascontiguousarray(picture[..., ::-1]), flags)
    return f"data:image/{suffix[1:]};base64,{base64.b64encode(content.tobytes()).decode('ascii')}"
