"""A film in a window, where there is a display."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dream.eval.show.picture_files import FPS, HOLD


class NoWindow(Exception):
    """The reason why no window can be opened."""


def show_film(trials: Sequence[Sequence[NDArray[np.uint8]]], title: str) -> None:
    """Play films of trials in a loop until the window is closed; space pauses, Escape or q closes.

    Uses Tk, which most Pythons include; the headless build of opencv that the toolkit depends on has no windows.

    Args:
        trials: pictures (H, W, 3) uint8, red, green, blue; the last one of each trial is held.
        title: of the window.

    Raises:
        NoWindow: Python has no Tk, or there is no display.
    """
    try:
        import tkinter
    except ImportError as error:
        raise NoWindow("this Python has no tkinter") from error
    try:
        root = tkinter.Tk()
    except tkinter.TclError as error:
        raise NoWindow(str(error)) from error
    root.title(title)
    frames = [frame for film in trials for frame in film]
    images = [tkinter.PhotoImage(master=root, data=_ppm(frame), format="PPM") for frame in frames]
    step = round(1000 / FPS)
    lasting = [step * (1 + HOLD * (number == len(film) - 1)) for film in trials for number in range(len(film))]
    label = tkinter.Label(root, image=images[0], borderwidth=0)
    label.pack()
    paused = False

    def advance(number: int) -> None:
        label.configure(image=images[number])
        root.after(lasting[number], lambda: advance(number if paused else (number + 1) % len(images)))

    def pause(_: object) -> None:
        nonlocal paused
        paused = not paused

    root.bind("<space>", pause)
    for key in ("<Escape>", "q"):
        root.bind(key, lambda _: root.destroy())
    advance(0)
    root.mainloop()


def _ppm(picture: NDArray[np.uint8]) -> bytes:
    height, width, _ = picture.shape
    return f"P6 {width} {height} 255\n".encode() + np.ascontiguousarray(picture).tobytes()
