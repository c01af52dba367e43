"""Pictures as files: a film for browsers, a GIF, a PNG; written atomically."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dream.errors import UserError
from dream.storage.atomic import disk_errors

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
    write = _write_gif if path.suffix == ".gif" else _write_webm
    _whole(path, lambda temporary: write(temporary, trials))


def write_png(path: Path, picture: Picture) -> None:
    """One picture (H, W, 3) uint8. Raises UserError if it cannot be written."""
    from PIL import Image

    _whole(path, lambda temporary: Image.fromarray(picture).save(temporary, optimize=True))


def _write_webm(path: Path, trials: Sequence[Sequence[Picture]]) -> None:
    from dream.eval.show.video import write_video

    write_video(path, [frame for frames in trials for frame in [*frames, *[frames[-1]] * HOLD]], FPS)


def _write_gif(path: Path, trials: Sequence[Sequence[Picture]]) -> None:
    path.write_bytes(gif(trials))


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


def _whole(path: Path, write: Callable[[Path], None]) -> None:
    """Write to a temporary name first: a file is complete or absent."""
    temporary = path.with_name(f".writing-{path.name}")
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            write(temporary)
            os.replace(temporary, path)
        except ValueError as error:
            raise UserError(f"{path} cannot be written: {error}") from error
        finally:
            temporary.unlink(missing_ok=True)
