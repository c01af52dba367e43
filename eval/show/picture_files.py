"""Pictures as files: a film for browsers, a GIF, a PNG; written atomically."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dream.errors import UserError
from dream.storage.atomic import atomic_file, write_atomic

Picture = NDArray[np.uint8]
FPS = 3.0
"""Frames per second of a film, one per step."""
HOLD = 5
"""Extra frames for which the last picture of a trial is held."""


def write_film(path: Path, trials: Sequence[Sequence[Picture]]) -> None:
    """Films of trials, one after the other, as .webm or .gif by the name; the last picture of each is held.

    Args:
        path: where; folders are made.
        trials: pictures (H, W, 3) uint8 of one size, red, green, blue; at least one.

    Raises:
        UserError: it cannot be written there.
    """
    if path.suffix == ".gif":
        write_atomic(path, gif(trials))
    else:
        _write_webm(path, [frame for frames in trials for frame in [*frames, *[frames[-1]] * HOLD]])


def write_png(path: Path, picture: Picture) -> None:
    """One picture (H, W, 3) uint8. Raises UserError if it cannot be written."""
    from PIL import Image

    with atomic_file(path) as temporary:
        Image.fromarray(picture).save(temporary, optimize=True)


def _write_webm(path: Path, frames: Sequence[Picture]) -> None:
    from dream.eval.show.video import count_frames, write_video

    with atomic_file(path) as temporary:
        try:
            write_video(temporary, frames, FPS)
        except ValueError as error:
            raise UserError(f"{path} cannot be written: {error}") from error
        if (readable := count_frames(temporary)) < len(frames):  # the encoder does not report a full disk
            raise UserError(
                f"Cannot write {path}: only {readable} of {len(frames)} frames were stored. "
                "Free some space, then give the same command again"
            )


def gif(trials: Sequence[Sequence[Picture]]) -> bytes:
    """A GIF of trials, one after the other; the last picture of each is held. Pictures as for `write_film`."""
    from PIL import Image

    everything = [frame for frames in trials for frame in frames]
    some = everything[:: max(1, len(everything) // 8)]
    # One palette for all frames, so that unchanged pixels are not written again.
    palette = Image.fromarray(np.concatenate(some)).quantize(128)
    images = [Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE) for frame in everything]
    step = 10 * round(100 / FPS)  # a GIF counts in hundredths
    lasting = [step * (1 + HOLD * (number == len(frames) - 1)) for frames in trials for number in range(len(frames))]
    content = io.BytesIO()
    images[0].save(content, "GIF", save_all=True, append_images=images[1:], duration=lasting, loop=0)
    return content.getvalue()
