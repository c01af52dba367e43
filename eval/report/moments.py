"""Recorded trials as data for the player: for each moment pictures, information, beliefs, z, and what the policy
thought of actions.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dream.envs import MetaEnv
from dream.eval.record.beliefs import belief, part_beliefs
from dream.eval.record.recorded import RecordedStreams, RecordedTrials
from dream.eval.report.tiles import TILE, changed_tiles, exact
from dream.eval.show.choices import Choices
from dream.eval.show.movie import Movie
from dream.eval.show.words import narrate
from dream.eval.show.z_picture import principal_axes

LIKELIEST = 6
"""Problems named in a belief over whole problems, where a family does not say what its problems are made of."""


def player_data(
    recorded: RecordedTrials, env: MetaEnv, rows: Sequence[int], outcomes: Sequence[str], name: str
) -> dict[str, Any]:
    """Some trials of one method, as plain data for static/player.js.

    Args:
        recorded: trials of one method.
        env: their family with the parameters they were played with; it is not stepped.
        rows: trials to show.
        outcomes: how each of them went, such as "optimal".
        name: of the method.

    Returns:
        name, choices (title and names of the rows of `Choices`, by phase), space (codes of all problems in two
        dimensions, or None) and trials, each with its episodes: a moment of an episode is an observation, and lists of
        moments are as long as the episode's observations.
    """
    shown = recorded.select(rows)
    data = _Data(shown, env)
    with ThreadPoolExecutor() as workers:  # drawing and encoding leave the interpreter to others most of the time
        trials = list(workers.map(data.trial, range(len(rows))))
    for trial, outcome in zip(trials, outcomes, strict=True):
        trial["outcome"] = outcome
    choices = {phase: {"title": one.title, "names": one.names} for phase, one in data.choices.items()}
    return {"name": name, "choices": choices, "space": data.space, "tile": TILE, "trials": trials}


class _Data:
    """Gathers the data of single trials."""

    def __init__(self, recorded: RecordedTrials, env: MetaEnv) -> None:
        self._recorded, self._env = recorded, env
        self._movie = Movie(recorded, env)
        self._words = narrate(recorded, env)
        kinds = recorded.values_kind
        self.choices = {phase: Choices(env, kinds.get(phase, "values")) for phase in ("explore", "execute")}
        self._parts = part_beliefs(recorded, env)
        self._relevant = [number for number, part in enumerate(env.parts()) if part.relevant]
        self._whole = belief(recorded) if not self._parts else None
        self._axes = None if recorded.codes is None else principal_axes(recorded.codes)
        self.space = self._space()

    def trial(self, trial: int) -> dict[str, Any]:
        """One trial."""
        recorded, movie = self._recorded, self._movie
        episodes = [
            self._episode(trial, *episode, known)
            for episode, known in zip(movie.episodes(trial), movie.known(trial), strict=True)
        ]
        executions = [episode for episode in episodes if episode["phase"] == "execute"]
        return {
            "problem": int(recorded.problem_id[trial]),
            "instruction": ", ".join(filter(None, dict.fromkeys(episode["instruction"] for episode in executions))),
            "steps": [
                sum(len(episode["action"]) for episode in episodes if episode["phase"] == phase)
                for phase in ("explore", "execute")
            ],
            "words": self._words[trial],
            "return": _numbers(recorded.returns[trial]),
            "information": self._information(trial),
            "beliefs": self._beliefs(trial),
            "z": self._way(trial),
            "episodes": episodes,
        }

    def _episode(
        self, trial: int, phase: str, stream: int, slots: slice, known: NDArray[np.bool_] | None
    ) -> dict[str, Any]:
        """One episode; `known` (observations, parts) are the parts that had been observed, None: drawn as they are."""
        streams = self._streams(phase)
        every = range(slots.start, slots.stop)
        steps = slice(slots.start, slots.stop - 1)
        frames = _are_frames(streams)
        draw = functools.partial(self._movie.moment, trial, phase, stream, blank=frames)
        pictures = [draw(slot, known=None if known is None else known[slot - slots.start]) for slot in every]
        hidden = known is not None and not known.all()
        truth = changed_tiles((draw(slot) for slot in every), start=pictures[0]) if hidden else None
        return {
            "phase": phase,
            "first": slots.start,
            "instruction": self._env.instruction_name(streams.instruction[stream]) if phase == "execute" else "",
            "size": [pictures[0].shape[1], pictures[0].shape[0]],
            "pictures": changed_tiles(pictures),
            "truth": truth,
            "known": None if known is None else known[:, self._relevant].tolist(),
            "photo": self._movie.frame_box(trial, phase, stream, slots.start) if frames else None,
            "frames": self._frames(streams, stream, slots) if frames else None,
            "action": [self._env.action_name(action) for action in streams.action[stream, steps]],
            "reward": _numbers(streams.reward[stream, steps]),
            **self._thoughts(phase, streams, stream, slots),
        }

    def _thoughts(self, phase: str, streams: RecordedStreams, stream: int, slots: slice) -> dict[str, Any]:
        """What the policy thought at each observation (bars, its value where it has one), rows taken at each step."""
        if streams.values is None:
            return {"bars": None, "taken": None, "value": None}
        choices = self.choices[phase]
        bars = [choices.bars(row) for row in streams.values[stream, slots]]
        value = streams.state_value
        return {
            "bars": [[(_number(begin), _number(end), text) for begin, end, text in row] for row in bars],
            "taken": [choices.taken(action) for action in streams.action[stream, slots.start : slots.stop - 1]],
            "value": None if value is None else _numbers(value[stream, slots]),
        }

    def _frames(self, streams: RecordedStreams, stream: int, slots: slice) -> dict[str, Any]:
        """The observations, which are frames."""
        obs: NDArray[Any] = streams.obs[stream, slots]
        return {"size": [obs.shape[2], obs.shape[1]], "images": [exact(frame) for frame in obs]}

    def _information(self, trial: int) -> dict[str, Any] | None:
        """Information after each observation of the exploration, and its maximum, in nats."""
        information, error = self._recorded.information, self._recorded.error
        if information is None or error is None or not np.isfinite(error[trial, 0]):
            return None
        upto = int(self._recorded.explore.length[trial]) + 1
        return {"found": _numbers(information[trial, :upto]), "all": _number(error[trial, 0])}

    def _beliefs(self, trial: int) -> list[dict[str, Any]]:
        """Of each part of the problem that matters, or of the likeliest whole problems."""
        recorded = self._recorded
        upto = int(recorded.explore.length[trial]) + 1
        if self._whole is not None and recorded.candidates is not None:
            share = self._whole[trial, :upto]
            rows = np.sort(np.argsort(-share.max(axis=0), kind="stable")[:LIKELIEST])
            truth = np.flatnonzero(recorded.candidates[rows] == recorded.problem_id[trial])
            return [
                {
                    "name": "problem",
                    "values": [str(recorded.candidates[row]) for row in rows],
                    "truth": int(truth[0]) if len(truth) else -1,
                    "share": [_numbers(row) for row in share[:, rows]],
                }
            ]
        return [
            {
                "name": one.part.name,
                "values": [one.part.value_name(value) for value in range(one.part.classes)],
                "truth": int(one.truth[trial]),
                "share": [_numbers(row) for row in one.probability[trial, :upto]],
            }
            for one in self._parts
        ]

    def _space(self) -> dict[str, Any] | None:
        if self._axes is None or self._recorded.codes is None or self._recorded.candidates is None:
            return None
        return {
            "codes": _points(self._flat(self._recorded.codes)),
            "problems": self._recorded.candidates.tolist(),
            "share": _number(self._axes[2]),
        }

    def _way(self, trial: int) -> dict[str, Any] | None:
        """g after each observation, and f of the problem (None where it has no code), in the axes of `space`."""
        recorded = self._recorded
        if self._axes is None or recorded.prefixes is None or recorded.code is None:
            return None
        code = recorded.code[trial]
        upto = int(recorded.explore.length[trial]) + 1
        return {
            "g": _points(self._flat(recorded.prefixes[trial, :upto])),
            "f": _numbers(self._flat(code)) if np.isfinite(code).all() else None,
        }

    def _flat(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        assert self._axes is not None
        centre, axes, _ = self._axes
        return (points - centre) @ axes.T

    def _streams(self, phase: str) -> RecordedStreams:
        return self._recorded.explore if phase == "explore" else self._recorded.execute


def _are_frames(streams: RecordedStreams) -> bool:
    obs = streams.obs
    return isinstance(obs, np.ndarray) and obs.dtype == np.uint8 and obs.ndim == 5 and obs.shape[-1] == 3


def _number(value: float) -> float | None:
    """Four digits are enough to draw; JSON has neither NaN nor infinity."""
    return float(f"{value:.4g}") if np.isfinite(value) else None


def _numbers(values: NDArray[Any]) -> list[float | None]:
    return [_number(value) for value in np.asarray(values, np.float64).tolist()]


def _points(points: NDArray[np.float64]) -> list[list[float | None]]:
    return [_numbers(point) for point in points]
