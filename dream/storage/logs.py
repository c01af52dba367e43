"""The logs of a run: metrics.jsonl and timing.jsonl, one JSON object a line, and both of them for TensorBoard."""

from __future__ import annotations

import json
import math
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dream.errors import UserError
from dream.storage.atomic import disk_errors, write_atomic
from dream.storage.reading import number, read_file

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

METRICS, TIMING = "metrics.jsonl", "timing.jsonl"


def read_log(path: Path) -> tuple[list[dict[str, Any]], str | None]:
    """The lines of a log up to the first damaged one, and what is wrong such as "is damaged at line 3"; None: nothing.

    A line is whole if it is a JSON object whose "step" is a finite number. Never raises: a log that is missing, no
    text or unreadable has no lines.
    """
    try:
        text = read_file(path).decode("utf-8")
    except FileNotFoundError:
        return [], "is missing"
    except (UnicodeDecodeError, UserError) as error:
        return [], f"cannot be read ({error})"
    lines: list[dict[str, Any]] = []
    for count, line in enumerate(text.splitlines(), 1):
        content = _parsed(line)
        if content is None:
            return lines, f"is damaged at line {count}"
        lines.append(content)
    return lines, None


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        content = json.loads(line)
    except (ValueError, RecursionError):
        return None
    whole = isinstance(content, dict) and math.isfinite(number(content.get("step")))
    return content if whole else None


class Logs:
    """The logs of the run in a directory, open for appending."""

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir
        self._writer: SummaryWriter | None = None
        self._purge_step: int | None = None

    def append(self, step: int, metrics: Mapping[str, Any], timing: Mapping[str, Any]) -> None:
        """One line to each file that has values, and all of them to TensorBoard. A number not finite becomes null.

        Raises UserError where that cannot be written.
        """
        with disk_errors(self._run_dir, training=True):
            for name, values in ((METRICS, metrics), (TIMING, timing)):
                if values:
                    line = json.dumps({"step": step, **{tag: _plain_number(value) for tag, value in values.items()}})
                    with (self._run_dir / name).open("a", encoding="utf-8") as file:
                        file.write(line + "\n")
            writer = self._tensorboard()
            for tag, value in {**metrics, **timing}.items():
                writer.add_scalar(tag, float(value), step)
            writer.flush()

    def show(self, step: int, pictures: Mapping[str, NDArray[np.uint8]], films: Mapping[str, bytes]) -> None:
        """Pictures, tag -> (H, W, 3) uint8, and films, tag -> GIF, to TensorBoard, which plays them.

        Raises UserError where that cannot be written.
        """
        with disk_errors(self._run_dir, training=True):
            writer = self._tensorboard()
            for tag, picture in pictures.items():
                writer.add_image(tag, picture, step, dataformats="HWC")
            file: Any = writer.file_writer
            for tag, film in films.items():  # add_video would need another library to make the GIF
                file.add_summary(_animated(tag, film), step)
            writer.flush()

    def flush(self) -> None:
        """Flush the lines to the disk."""
        for name in (METRICS, TIMING):
            if (self._run_dir / name).exists():
                with (self._run_dir / name).open("rb") as file:
                    os.fsync(file.fileno())

    def cut(self, step: int | None) -> None:
        """Drop the lines after `step` (None: all), a half-written last one included.

        Raises UserError where a log cannot be read or written.
        """
        for name in (METRICS, TIMING):
            path = self._run_dir / name
            try:
                lines = read_file(path).decode("utf-8", errors="replace").splitlines(keepends=True)
            except FileNotFoundError:
                continue
            kept = [line for line in lines if step is not None and _step_of(line) <= step]
            if kept != lines:
                write_atomic(path, "".join(kept))
        self._purge_step = 0 if step is None else step + 1

    def close(self) -> None:
        """Finish TensorBoard's files."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _tensorboard(self) -> SummaryWriter:
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter  # a slow import, and not needed to read a run

            self._writer = SummaryWriter(str(self._run_dir / "tensorboard"), purge_step=self._purge_step)
        return self._writer


def _step_of(line: str) -> float:
    """Step of a log line; infinity for a line that is not whole."""
    content = _parsed(line) if line.endswith("\n") else None
    return math.inf if content is None else number(content["step"])


def _animated(tag: str, film: bytes) -> Any:
    """A GIF as TensorBoard's summary of an image; its width and height stand in its bytes 6 to 9."""
    from tensorboard.compat.proto.summary_pb2 import Summary

    width, height = struct.unpack("<HH", film[6:10])
    image = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=film)
    return Summary(value=[Summary.Value(tag=tag, image=image)])


def _plain_number(value: Any) -> int | float | None:
    plain: int | float = value.item() if hasattr(value, "item") else value
    return plain if math.isfinite(plain) else None
