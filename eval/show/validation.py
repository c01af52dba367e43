"""Pictures of validation trials during training: contact sheet, heat map, path of z, film."""

from __future__ import annotations

from typing import Any

import numpy as np

from dream.config import TrainConfig
from dream.eval.evaluate import spread_over_problems
from dream.eval.record.recorded import save_trials
from dream.eval.record.recorder import record_trials
from dream.eval.show.movie import Movie, resized
from dream.eval.show.picture_files import gif
from dream.eval.show.visit_map import visit_picture
from dream.eval.show.z_picture import z_picture
from dream.methods.build import make_env
from dream.storage.run_directory import RunDirectory

SEED = 1_000_004
"""The same trials every time, and for every run of a family."""
TRIALS, DRAWN, COLUMNS = 32, 2, 5
"""Trials played, trials drawn step by step, and pictures of each episode."""
SCALE = 0.6
"""Of the film."""


class Showing:
    """Pictures of a run for TensorBoard, and recordings in episodes/.

    It has its own environment and generators and only reads the averaged networks, so it does not change the run.
    """

    def __init__(self, config: TrainConfig) -> None:
        self._env = make_env(config, TRIALS)
        self._problem_id = spread_over_problems(self._env, "validation", TRIALS, SEED)

    def show(self, run: RunDirectory, method: Any, step: int) -> None:
        """Play, draw and write. Raises UserError if a file cannot be written."""
        recorded = record_trials(method, self._env, self._problem_id, SEED, step=step)
        drawn = recorded.select(range(DRAWN))
        save_trials(drawn, run.path / "episodes" / f"validation_{step:012d}.npz")
        movie = Movie(drawn, self._env)
        pictures = {
            "show/trials": movie.sheet(range(DRAWN), COLUMNS),
            "show/visits": visit_picture(recorded, self._env),
            "show/z": z_picture(recorded, range(DRAWN)),
        }
        film = gif([[resized(frame, SCALE) for frame in movie.film(0)]])
        shown = {tag: np.asarray(picture) for tag, picture in pictures.items() if picture is not None}
        run.show(step, shown, {"show/film": film})
