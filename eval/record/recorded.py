"""Trials that were played once and kept with all that a viewer needs: films, words and reports are made of them.

Plain numpy, saved to and loaded from .npz without pickle. What a method does not have (an end-to-end policy has neither
f nor g) or a family does not provide is None.
"""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from dream.errors import UserError
from dream.spaces import Arrays
from dream.storage.atomic import write_atomic
from dream.storage.reading import read_file

FORMAT = 1
"""Raised when files that were written before can no longer be read."""

NESTED = ("obs", "scene")
"""Fields of `RecordedStreams` that are, or may be, arrays by name."""

ValuesKind = Literal["values", "probabilities", "gaussian"]
"""What `RecordedStreams.values` are: action values (V = A, of a policy that learns by `q`), or of one that learns by
`ppo` the probabilities of the values of all integers of an action, one after the other, or the means and standard
deviations of a Box in the units of the environment (V = 2 K)."""

PER_TRIAL = ("problem_id", "returns", "optimal", "prefixes", "z", "code", "known")
"""Fields of `RecordedTrials` with one entry for each trial."""


@dataclass(frozen=True)
class RecordedStreams:
    """N streams of one phase, as `dream.core.trial.Episodes`, with what an observer records of them.

    T is the number of steps of the longest stream, at least 1.
    """

    obs: Arrays
    """(N, T + 1, ...) int16, uint8 or float32, a dictionary where observations have parts; slot t is the observation
    before action t."""
    action: NDArray[Any]
    """(N, T, ...) as the environment was given them; no action (`dream.spaces.was_taken`) between two episodes."""
    reward: NDArray[np.float32]
    """(N, T)."""
    terminated: NDArray[np.bool_]
    """(N, T)."""
    mask: NDArray[np.bool_]
    """(N, T) the stream has a step here."""
    start: NDArray[np.bool_]
    """(N, T) first step of an episode."""
    instruction: NDArray[np.int64]
    """(N, I)."""
    position: NDArray[np.float64] | None = None
    """(N, T + 1, 2) `MetaEnv.position` at every observation, NaN in padding."""
    informative: NDArray[np.bool_] | None = None
    """(N, T + 1) `MetaEnv.informative` at every observation, False in padding."""
    values: NDArray[np.float32] | None = None
    """(N, T + 1, V) what the policy thought of actions at every observation: `RecordedTrials.values_kind` says in which
    terms. An explorer's action values are in units of the running scale of its reward."""
    state_value: NDArray[np.float32] | None = None
    """(N, T + 1) value of every observation, of a policy that learns by `ppo`. An explorer's in units as above."""
    scene: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    """`MetaEnv.scene` at every observation, (N, T + 1, ...) each."""

    @property
    def length(self) -> NDArray[np.int64]:
        """(N,) steps of each stream, those between two episodes included."""
        return self.mask.sum(axis=1)

    @property
    def transition(self) -> NDArray[np.bool_]:
        """(N, T) the steps of the environment: all but those between two episodes."""
        between = np.zeros_like(self.mask)
        between[:, :-1] = self.start[:, 1:]
        return self.mask & ~between

    def episodes(self, stream: int) -> list[slice]:
        """The observations of each episode of a stream: slots first to last. One with zero steps has one slot."""
        begins = np.flatnonzero(self.start[stream] & self.mask[stream]).tolist() or [0]
        ends = [begin - 1 for begin in begins[1:]] + [int(self.length[stream])]
        return [slice(begin, end + 1) for begin, end in zip(begins, ends, strict=True)]


@dataclass(frozen=True)
class RecordedTrials:
    """N greedy trials of one method: explorations, then n execution episodes each."""

    env: str
    env_parameters: Mapping[str, Any]
    method: str
    step: int
    """Environment steps that the method was trained for."""
    seed: int
    problem_id: NDArray[np.int64]
    """(N,)."""
    explore: RecordedStreams
    """N streams."""
    execute: RecordedStreams
    """N * n streams of one episode each, trial by trial."""
    returns: NDArray[np.float64]
    """(N, n) undiscounted."""
    optimal: NDArray[np.float64] | None
    """(N, n) the best possible."""
    values_kind: Mapping[str, ValuesKind] = field(default_factory=dict)
    """What the values of each phase are; action values of a phase that is not in it."""
    context: str | None = None
    """What the executor was given: "decoded" (g of the exploration), "id" (f of the problem) or "instruction"."""
    noise: float | None = None
    """rho, standard deviation of q(z | tau)."""
    prefixes: NDArray[np.float32] | None = None
    """(N, T + 1, Z) g(tau_:t); after the end of a stream it means nothing."""
    z: NDArray[np.float32] | None = None
    """(N, Z) what the executor was given."""
    code: NDArray[np.float32] | None = None
    """(N, Z) f(mu) of the true problem. Of a problem that f never learned (`known` is False): the mean code of the
    training problems that agree with it in all that matters to execution; NaN where there are none."""
    known: NDArray[np.bool_] | None = None
    """(N,)."""
    candidates: NDArray[np.int64] | None = None
    """(C,) problems among which `belief` is: those that f has learned (of very many a part, the true ones among it)."""
    codes: NDArray[np.float32] | None = None
    """(C, Z) their codes."""

    @property
    def error(self) -> NDArray[np.float64] | None:
        """(N, T + 1) -log q(f(mu) | tau_:t) up to a constant, nats (`prefix_error`); after the end its last value."""
        if self.prefixes is None or self.code is None or self.noise is None:
            return None
        return self._held(_nats(self.prefixes, self.code[:, None], self.noise))

    @property
    def information(self) -> NDArray[np.float64] | None:
        """(N, T + 1) nats about z found up to each observation: what `information_reward` (without cost) adds up to."""
        error = self.error
        return None if error is None else error[:, :1] - error

    def select(self, rows: Sequence[int]) -> RecordedTrials:
        """Some of the trials."""
        chosen = np.asarray(rows, np.int64)
        n = self.returns.shape[1]
        execute = (chosen[:, None] * n + np.arange(n)).ravel()
        parts: dict[str, Any] = {
            "explore": _each(self.explore, lambda array: array[chosen]),
            "execute": _each(self.execute, lambda array: array[execute]),
        }
        parts |= {name: value[chosen] for name in PER_TRIAL if (value := getattr(self, name)) is not None}
        return dataclasses.replace(self, **parts)

    def _held(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N, T + 1, ...) with the last value of each stream in the slots after its end."""
        slot = np.minimum(np.arange(values.shape[1]), self.explore.length[:, None])
        return values[np.arange(len(values))[:, None], slot]


def _nats(prefixes: NDArray[np.floating], codes: NDArray[np.floating], noise: float) -> NDArray[np.float64]:
    """As `dream.core.bottleneck.nats` of the squared distance over the last axis, in numpy."""
    return np.square(codes.astype(np.float64) - prefixes).sum(axis=-1) / (2.0 * noise**2)


# -- many and few ------------------------------------------------------------------------------------------------


def _each(streams: RecordedStreams, change: Callable[[NDArray[Any]], NDArray[Any]]) -> RecordedStreams:
    """The streams with every array changed."""
    arrays = {name: None if value is None else change(value) for name, value in _arrays(streams).items()}
    return _rebuilt(arrays)


def _arrays(streams: RecordedStreams) -> dict[str, Any]:
    """Every array by name, those of the scene under "scene.NAME", parts of observations under "obs.NAME"."""
    values = {item.name: getattr(streams, item.name) for item in dataclasses.fields(streams)}
    several = {name: values.pop(name) for name in NESTED if isinstance(values[name], Mapping)}
    return values | {f"{name}.{part}": array for name, parts in several.items() for part, array in parts.items()}


def _rebuilt(arrays: Mapping[str, Any]) -> RecordedStreams:
    several = {name: _under(arrays, name) for name in NESTED}
    plain = {name: array for name, array in arrays.items() if "." not in name}
    return RecordedStreams(**plain | {name: parts for name, parts in several.items() if parts})


def _under(arrays: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """The arrays whose names begin with "PREFIX.", under the rest of their names."""
    return {name.removeprefix(f"{prefix}."): array for name, array in arrays.items() if name.startswith(f"{prefix}.")}


def joined(batches: Sequence[RecordedTrials]) -> RecordedTrials:
    """The trials of all batches of one method."""

    def streams(which: str) -> RecordedStreams:
        parts = [_arrays(getattr(batch, which)) for batch in batches]
        return _rebuilt(
            {name: None if parts[0][name] is None else np.concatenate([p[name] for p in parts]) for name in parts[0]},
        )

    first = batches[0]
    per_trial: dict[str, Any] = {
        name: np.concatenate([getattr(batch, name) for batch in batches])
        for name in PER_TRIAL
        if getattr(first, name) is not None
    }
    return dataclasses.replace(first, explore=streams("explore"), execute=streams("execute"), **per_trial)


def trimmed(recorded: RecordedTrials) -> RecordedTrials:
    """The same without the slots after the longest stream of each phase; one is kept."""
    explore = max(1, int(recorded.explore.length.max()))
    execute = max(1, int(recorded.execute.length.max()))
    prefixes = recorded.prefixes
    return dataclasses.replace(
        recorded,
        explore=_cut(recorded.explore, explore),
        execute=_cut(recorded.execute, execute),
        prefixes=None if prefixes is None else prefixes[:, : explore + 1],
    )


def _cut(streams: RecordedStreams, steps: int) -> RecordedStreams:
    whole = streams.mask.shape[1]
    per_step = ("action", "reward", "terminated", "mask", "start")
    cut = {
        name: value if value is None or name == "instruction" else value[:, : steps + (name not in per_step)]
        for name, value in _arrays(streams).items()
    }
    return streams if steps == whole else _rebuilt(cut)


# -- files -------------------------------------------------------------------------------------------------------


def save_trials(recorded: RecordedTrials, path: Path | str) -> None:
    """Write an .npz of plain arrays, whole or not at all; folders are made. Raises UserError where that fails."""
    path = Path(path)
    arrays: dict[str, NDArray[Any]] = {}
    facts: dict[str, Any] = {"format": FORMAT}
    for item in dataclasses.fields(recorded):
        value = getattr(recorded, item.name)
        if isinstance(value, RecordedStreams):
            arrays |= {f"{item.name}.{name}": array for name, array in _arrays(value).items() if array is not None}
        elif isinstance(value, np.ndarray):
            arrays[item.name] = value
        else:
            facts[item.name] = dict(value) if isinstance(value, Mapping) else value
    content = io.BytesIO()
    np.savez_compressed(content, facts=np.array(json.dumps(facts)), **arrays)  # type: ignore[arg-type]
    write_atomic(path, content.getvalue())


def load_trials(path: Path | str) -> RecordedTrials:
    """Load a recording that `save_trials` wrote; nothing is unpickled.

    Raises UserError for a file that is missing, damaged, no recording, or one of another version.
    """
    path = Path(path)
    try:
        content = io.BytesIO(read_file(path))
    except FileNotFoundError:
        raise UserError(f"{path} does not exist: give an .npz that dream watch wrote") from None
    try:
        with np.load(content, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except Exception as error:  # zipfile, zlib and numpy each raise their own kinds on bytes that are not theirs
        raise UserError(f"{path} is damaged or no recording of trials: give an .npz that dream watch wrote") from error
    try:
        facts = json.loads(str(arrays.pop("facts")))
        written = facts.pop("format")
        if written != FORMAT:
            raise UserError(f"{path} was written by another version of dream (format {written}): record it again")
        streams = {phase: _rebuilt(_under(arrays, phase)) for phase in ("explore", "execute")}
        others = {name: value for name, value in arrays.items() if "." not in name}
        recorded = RecordedTrials(**{**facts, **others, **streams})
        _check_lengths(recorded)
        if not set(recorded.values_kind.values()) <= set(get_args(ValuesKind)):
            raise ValueError(f"values_kind is {recorded.values_kind}")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{path} is damaged or no recording of trials: give an .npz that dream watch wrote") from error
    return recorded


def _check_lengths(recorded: RecordedTrials) -> None:
    """Raise ValueError unless every array has as many rows as there are trials, or streams of its phase."""
    trials, executions = recorded.returns.shape
    for arrays, rows in (
        ({name: getattr(recorded, name) for name in PER_TRIAL}, trials),
        (_arrays(recorded.explore), trials),
        (_arrays(recorded.execute), trials * executions),
    ):
        for name, value in arrays.items():
            if value is not None and len(value) != rows:
                raise ValueError(f"{name} has {len(value)} rows instead of {rows}")
