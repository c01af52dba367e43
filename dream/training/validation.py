"""Validation while training: scores on the validation problems, pictures, and when they say that a run may stop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dream.config import TrainConfig
from dream.errors import UserError
from dream.eval.diagnostics import Diagnosis
from dream.eval.evaluate import HOW_TO_GET_A_SCORE, has_bounds, score
from dream.methods.build import make_env
from dream.methods.protocol import Method
from dream.storage.run_directory import RunDirectory
from dream.training.clock import Clock

if TYPE_CHECKING:
    from dream.eval.show.validation import Showing

VALIDATION_SEED = 1_000_003
"""The same validation trials at every validation and for every run of a family."""
MEMBERS = 512
"""Most trials played side by side."""


class Validation:
    """Plays validation trials as an evaluation does: greedy, averaged networks, no problem ids.

    It has its own environments and random generators, so validation does not change what is learned.

    Args:
        config: of the run.
        clock: measures the parts `evaluate` and `show`.

    Raises:
        UserError: `evaluation.stop_at` is set, and the family has no bounds to normalise a score by.
    """

    def __init__(self, config: TrainConfig, clock: Clock) -> None:
        self._config, self._clock = config, clock
        self._env = make_env(config, min(config.evaluation.trials, MEMBERS))
        self._showing: Showing | None = None
        self.notes: list[str] = []
        """What to say before training."""
        stop_at = config.evaluation.stop_at
        if not has_bounds(self._env):
            if stop_at is not None:
                raise UserError(
                    f"evaluation.stop_at is {stop_at}, a normalised score, and {config.env} has none: leave it out, or "
                    f"{HOW_TO_GET_A_SCORE}"
                )
            self.notes.append(
                f"{config.env} has no normalised score, validation shows the return: {HOW_TO_GET_A_SCORE}"
            )
        elif stop_at is not None:
            self.notes.append(
                f"stops at the first validation with a score of {stop_at:g}; the ETA is that of all steps"
            )

    def scores(self, method: Method) -> dict[str, float]:
        """Scores and diagnostics on the validation problems, metric -> value."""
        diagnosis, trials = Diagnosis(method), self._config.evaluation.trials
        with self._clock.measure("evaluate"):
            scores = score(diagnosis.play, self._env, "validation", trials, VALIDATION_SEED)
            return scores | diagnosis.summary()

    def show(self, run: RunDirectory, method: Method, step: int) -> None:
        """Record validation trials and send pictures of them to TensorBoard. Raises UserError if the disk is full."""
        with self._clock.measure("show"):
            if self._showing is None:
                from dream.eval.show.validation import Showing  # slow to import, and many runs show nothing

                self._showing = Showing(self._config)
            self._showing.show(run, method, step)
