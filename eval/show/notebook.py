"""Trials in a notebook: the last expression of a cell, or `display(trials)`, shows the film."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dream.envs import MetaEnv
from dream.eval.record.recorded import RecordedTrials
from dream.eval.show.movie import Movie
from dream.eval.show.picture_files import gif
from dream.eval.show.watching import record_run, trial_facts, write_recorded
from dream.eval.show.words import narrate


@dataclass(frozen=True)
class WatchedTrials:
    """Recorded trials of a trained method with the environment that draws them.

    A notebook displays them as an animated film with a description; `repr` and `print` give the description alone.
    """

    recorded: RecordedTrials
    """Observations, actions, rewards, beliefs and returns as numpy arrays."""
    env: MetaEnv
    """The family with the parameters of the run; used for drawing and naming only."""

    @property
    def facts(self) -> list[dict[str, Any]]:
        """Each trial as plain data: problem id, lengths, returns, information in nats, and a description in words."""
        return trial_facts(self.recorded, self.env)

    def save(self, path: Path | str) -> None:
        """Write a film (.webm, .gif), a contact sheet (.png) or the data (.npz).

        Raises:
            UserError: the file cannot be written.
        """
        write_recorded(self.recorded, self.env, Path(path))

    def __repr__(self) -> str:
        return "\n\n".join(narrate(self.recorded, self.env))

    def _repr_html_(self) -> str:
        """The film as a GIF inside the page, so that it needs no file and no network, and the description below it."""
        movie = Movie(self.recorded, self.env)
        film = base64.b64encode(gif([movie.film(trial) for trial in range(len(self.recorded.problem_id))])).decode()
        words = "".join(f"<p>{html.escape(text, quote=False)}</p>" for text in narrate(self.recorded, self.env))
        alt = html.escape(f"Film of {self.recorded.method} on {self.recorded.env}")
        return f'<figure><img alt="{alt}" src="data:image/gif;base64,{film}"><figcaption>{words}</figcaption></figure>'


def watch(
    run_dir: Path | str, *, trials: int = 1, split: str = "test", problems: Sequence[int] = (), seed: int = 0
) -> WatchedTrials:
    """Play greedy trials of a trained method and record them for display.

    Args:
        run_dir: a run directory, or the result of `pretrained`.
        trials: number of trials.
        split: the split whose problems are played: "train", "validation" or "test".
        problems: play these problem ids instead, in turn.
        seed: seed of problems, start states and instructions.

    Raises:
        UserError: the directory holds no trained run, or a problem id does not exist.
    """
    return WatchedTrials(*record_run(run_dir, trials=trials, split=split, problems=problems, seed=seed))
