"""Errors that are shown to the user, and the signals that end a training."""

import signal


class UserError(Exception):
    """An error that the user can correct. Its text is one sentence or two: what was wrong, what is allowed, what to do.

    The command line prints it to stderr without a traceback and exits with code 2.
    """


STOP_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name))
"""Signals that end a run after its current round; Windows has no SIGUSR1."""


class Stopped(KeyboardInterrupt):
    """A signal ended a training: Ctrl-C, SIGTERM or SIGUSR1.

    Args:
        number: the signal.
        saved: whether a checkpoint was saved after the last round. If not, the run resumes from the one before.
    """

    def __init__(self, number: int, *, saved: bool) -> None:
        super().__init__()
        self.number, self.saved = int(number), saved

    @property
    def exit_code(self) -> int:
        """128 + the signal, as shells have it: 130 for Ctrl-C, 143 for SIGTERM."""
        return 128 + self.number
