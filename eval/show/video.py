"""Videos that browsers play."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray


def write_video(path: Path, pictures: Sequence[NDArray[np.uint8]], fps: float = 4.0) -> None:
    """Pictures (H, W, 3) of one size as a .webm (VP80) that browsers play.

    Raises:
        ValueError: no pictures, another ending than .webm, or a video that cannot be written there.
    """
    if path.suffix != ".webm":
        raise ValueError(f"{path.name} is no .webm: give a name that ends so")
    if not len(pictures):
        raise ValueError("there are no pictures: give at least one")
    height, width, _ = pictures[0].shape
    with without_stderr():
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"VP80"), fps, (width, height))
    if not writer.isOpened():
        raise ValueError(f"{path} cannot be written: is there such a folder?")
    for picture in pictures:
        writer.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    writer.release()


def count_frames(path: Path) -> int:
    """Frames of a video that can be read back; 0 for a file that is no video."""
    with without_stderr():
        video = cv2.VideoCapture(str(path))
        count = 0
        while video.grab():
            count += 1
        video.release()
    return count


@contextlib.contextmanager
def without_stderr() -> Iterator[None]:
    """Silence the process's stderr: FFmpeg writes there, past Python, about a tag in a file that it writes fine."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
