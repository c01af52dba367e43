"""Replay of whole trials: a preallocated ring, every frame stored once in the environment's own dtype."""

from __future__ import annotations

import dataclasses
from dataclasses import fields
from typing import Any, Literal

import torch
from torch import Tensor

from dream.core.actions import Actions
from dream.core.environment import Environment
from dream.core.trial import Episodes, Hindsight, Observations, Trials
from dream.spaces import each, zeros

Fetched = Literal["explore", "execute", "both"]
"""The phase whose observations are fetched; of the other phase only the first one is, because frames are large."""
PART = "/"
"""Between the name of the observations and that of a part of them."""
MIN_PRIORITY = 1e-3
"""Added to the error of every trial, so that each can be replayed."""


class TrialReplay:
    """The last `capacity` trials.

    It allocates at the first `add`, when the shapes are known. Sampling uses a generator of its own, which is part of
    the state: a resumed run draws the same trials as an uninterrupted one.

    Args:
        capacity: trials.
        seed: of the sampling.
        device: of the stored trials.

    Raises:
        ValueError: the capacity is below 1.
    """

    def __init__(self, capacity: int, seed: int, device: torch.device | str = "cpu"):
        if capacity < 1:
            raise ValueError(f"replay capacity must be at least 1 trial, got {capacity}")
        self.capacity = capacity
        self.added = 0
        self._device = torch.device(device)
        self._generator = torch.Generator().manual_seed(seed)
        self._store: dict[str, Tensor] = {}
        self._priority = torch.zeros(capacity, device=self._device)
        self._held_until = {"decoded": -1, "whole": -1}  # it holds such a trial until more than this were added

    def __len__(self) -> int:
        return min(self.added, self.capacity)

    @property
    def holds_decoded(self) -> bool:
        """Whether any trial in the replay was executed on g of an exploration or of a part of it."""
        return self.added <= self._held_until["decoded"]

    @property
    def holds_whole(self) -> bool:
        """Whether any trial in the replay was executed on g of the whole exploration."""
        return self.added <= self._held_until["whole"]

    def add(self, trials: Trials) -> None:
        """Store B trials in place of the oldest. Raises ValueError for more than `capacity`."""
        count = trials.problem_id.shape[0]
        if count > self.capacity:
            raise ValueError(f"cannot add {count} trials to a replay of {self.capacity}: raise replay.capacity")
        rows = (torch.arange(count, device=self._device) + self.added) % self.capacity
        for name, value in _flatten(trials).items():
            if name not in self._store:
                self._store[name] = torch.zeros(
                    (self.capacity, *value.shape[1:]), dtype=value.dtype, device=self._device
                )
            self._store[name].index_copy_(0, rows, value.to(self._device))
        self._priority[rows] = self._priority.max().clamp(min=1.0)  # replayed soon; then its error is the priority
        self.added += count
        for kind, held in (("decoded", ~trials.used_id), ("whole", trials.used_all)):
            if len(numbers := held.nonzero()):
                self._held_until[kind] = self.added - count + int(numbers[-1]) + self.capacity

    def sample(self, count: int, observations: Fetched = "both") -> Trials:
        """`count` trials drawn uniformly with replacement, streams trimmed to the longest (on the CPU)."""
        self._refuse_empty()
        return self._take(torch.randint(len(self), (count,), generator=self._generator).to(self._device), observations)

    def sample_transitions(self, count: int) -> tuple[Tensor, Episodes]:
        """Single exploration transitions, each from another trial; every problem gets the same number, to within one.

        Returns:
            problem_id (count,) and `Episodes` of one step. All steps of a stream are equally likely.
        """
        self._refuse_empty()
        rows = self._draw_evenly(count)
        store = self._store
        length = store["explore.mask"].index_select(0, rows).sum(1)
        slot = (torch.rand(count, generator=self._generator).to(self._device) * length).long()

        def at(values: Tensor, offset: int = 0) -> Tensor:
            return values.flatten(0, 1).index_select(0, rows * values.shape[1] + slot + offset)[:, None]

        def both(values: Tensor) -> Tensor:
            return torch.cat([at(values), at(values, 1)], 1)

        names = ("action", "reward", "terminated", "mask", "start")
        return store["problem_id"].index_select(0, rows), Episodes(
            obs=each(both, _observations(store, "explore")),
            instruction=store["explore.instruction"].index_select(0, rows),
            **{name: at(store[f"explore.{name}"]) for name in names},
        )

    def sample_decoded(self, count: int, observations: Fetched = "both", *, whole: bool = False) -> Trials:
        """As `sample`, from the trials that were executed on g of an exploration, or of a part of it unless `whole`.

        Raises ValueError if there are none.
        """
        self._refuse_empty()
        return self._take(self._draw(count, self._decoded(whole=whole)), observations)

    def sample_by_priority(
        self, count: int, exponent: float, observations: Fetched = "both", *, decoded: bool = False
    ) -> tuple[Trials, Tensor]:
        """As `sample`, but with probability proportional to priority ** exponent (Schaul et al., 2016).

        Args:
            count: of trials.
            exponent: of the priority; 0 is uniform.
            observations: see `Fetched`.
            decoded: only trials that were executed on g(exploration), as `sample_decoded`.

        Returns:
            The trials and their rows (count,), for `set_priority`.
        """
        self._refuse_empty()
        weight = self._priority[: len(self)] ** exponent
        if decoded:
            weight = weight * self._decoded()
        rows = self._draw(count, weight)
        return self._take(rows, observations), rows

    def set_priority(self, rows: Tensor, error: Tensor) -> None:
        """Set the priorities of rows (M,) from `sample_by_priority` to their errors (M,), which are not negative."""
        self._priority[rows] = error + MIN_PRIORITY

    def _decoded(self, *, whole: bool = False) -> Tensor:
        """(size,) 1 for the trials that were executed on g(exploration), else 0. Raises ValueError where all are 0."""
        if not (self.holds_whole if whole else self.holds_decoded):
            settings = "executor.id_fraction" + (" or executor.empty_fraction" if whole else "")
            raise ValueError(f"no trial in the replay was executed on g(exploration): lower {settings}")
        steps = self._store["decoded_steps"][: len(self)]
        return (steps == self._store["explore_length"][: len(self)] if whole else steps >= 0).float()

    def _draw(self, count: int, weight: Tensor) -> Tensor:
        """Rows (count,) with probability proportional to weight (size,), without a transfer to the host."""
        cumulative = weight.cumsum(0)
        draws = torch.rand(count, generator=self._generator).to(self._device) * cumulative[-1]
        # right=True: a draw of exactly 0 must not return a leading row of weight 0
        return torch.searchsorted(cumulative, draws, right=True).clamp(max=len(self) - 1)

    def _draw_evenly(self, count: int) -> Tensor:
        """Rows (count,), stratified: the trials sorted by problem, all problems weighted equally, in `count` parts."""
        problem, order = self._store["problem_id"][: len(self)].sort(stable=True)
        # Number of trials of each trial's problem; a bincount would make the host wait for the device.
        trials = torch.searchsorted(problem, problem, right=True) - torch.searchsorted(problem, problem)
        cumulative = (1.0 / trials.double()).cumsum(0)
        part = torch.arange(count, device=self._device) + torch.rand(count, generator=self._generator).to(self._device)
        place = torch.searchsorted(cumulative, part / count * cumulative[-1], right=True)
        return order[place.clamp(max=len(self) - 1)]

    def _take(self, rows: Tensor, observations: Fetched) -> Trials:
        taken = {}
        for name, value in self._store.items():
            phase, _, field = name.partition(".")
            if field.split(PART)[0] == "obs" and observations not in ("both", phase):
                value = value[:, :1] if phase == "explore" else value[:, :, :1]
            taken[name] = value.index_select(0, rows)
        trials = _unflatten(taken)
        if self._device.type != "cpu":
            return trials  # the longest stream is known on the device only; the host would have to wait for it
        return dataclasses.replace(trials, explore=trials.explore.trimmed(), execute=trials.execute.trimmed())

    def _refuse_empty(self) -> None:
        if not self.added:
            raise ValueError("cannot sample from an empty replay: add trials first")

    def state_dict(self) -> dict[str, Any]:
        """Tensors and numbers. The stored trials are views of the replay: save them before the next `add`."""
        size = len(self)
        return {
            "added": self.added,
            "held_until": self._held_until,
            "generator": self._generator.get_state(),
            "priority": self._priority[:size].clone(),
            "store": {name: value[:size] for name, value in self._store.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load what `state_dict` returned."""
        self.added = int(state["added"])
        self._held_until = {kind: int(until) for kind, until in state["held_until"].items()}
        self._generator.set_state(state["generator"])
        self._priority.zero_()
        self._priority[: len(self)] = state["priority"]
        self._store = {}
        for name, value in state["store"].items():
            self._store[name] = torch.zeros((self.capacity, *value.shape[1:]), dtype=value.dtype, device=self._device)
            self._store[name][: len(value)] = value.to(self._device)


def trial_bytes(env: Environment, explore_episodes: int, execute_episodes: int) -> int:
    """Bytes of a trial in the replay, nearly all of them observations."""
    horizon, actions = env.horizon, Actions(env.single_action_space)
    observation = sum(array.nbytes for array in parts_as_dict(zeros(env.single_observation_space)).values())
    explore = explore_episodes * (horizon + 1) - 1
    per_step = actions.empty(1).nbytes + sum(
        torch.empty(0, dtype=kind).itemsize for kind in (torch.float32, *[torch.bool] * 3)
    )
    observations = explore + 1 + execute_episodes * (horizon + 1)
    return observations * observation + (explore + execute_episodes * horizon) * per_step


def _flatten(trials: Trials) -> dict[str, Tensor]:
    """One tensor per field, the trial as first dimension: the n execution episodes of a trial become dimension 1."""
    count = trials.problem_id.shape[0]
    flat = {
        "problem_id": trials.problem_id,
        "decoded_steps": trials.decoded_steps,
        "explore_length": trials.explore.length,
    }
    if trials.noise is not None:
        flat["noise"] = trials.noise
    if trials.hindsight is not None:
        for item in fields(Hindsight):
            told = getattr(trials.hindsight, item.name)
            flat[f"hindsight.{item.name}"] = told.reshape(count, -1, *told.shape[1:])
    for item in fields(Episodes):
        for part, explore in parts_as_dict(getattr(trials.explore, item.name)).items():
            flat[f"explore.{item.name}{part}"] = explore
        for part, execute in parts_as_dict(getattr(trials.execute, item.name)).items():
            flat[f"execute.{item.name}{part}"] = execute.reshape(count, -1, *execute.shape[1:])
    return flat


def _unflatten(flat: dict[str, Tensor]) -> Trials:
    names = [item.name for item in fields(Episodes) if item.name != "obs"]
    explore = Episodes(obs=_observations(flat, "explore"), **{name: flat[f"explore.{name}"] for name in names})
    execute = Episodes(
        obs=each(lambda obs: obs.flatten(0, 1), _observations(flat, "execute")),
        **{name: flat[f"execute.{name}"].flatten(0, 1) for name in names},
    )
    hindsight = None
    if "hindsight.valid" in flat:
        hindsight = Hindsight(**{item.name: flat[f"hindsight.{item.name}"].flatten(0, 1) for item in fields(Hindsight)})
    return Trials(
        flat["problem_id"], explore, execute, flat["decoded_steps"], noise=flat.get("noise"), hindsight=hindsight
    )


def parts_as_dict(values: Any) -> dict[str, Any]:
    """Observations by the end of their name in the replay: "" for a tensor, "/PART" for each of several parts."""
    return {f"{PART}{name}": value for name, value in values.items()} if isinstance(values, dict) else {"": values}


def _observations(flat: dict[str, Tensor], phase: str) -> Observations:
    """The observations of a phase, from one tensor per field."""
    whole = f"{phase}.obs"
    if whole in flat:
        return flat[whole]
    prefix = whole + PART
    return {name.removeprefix(prefix): value for name, value in flat.items() if name.startswith(prefix)}
