"""Replay of whole trials: a preallocated ring, every frame stored once in the environment's own dtype."""

from __future__ import annotations

import dataclasses
from dataclasses import fields
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from dream.core.trial import Episodes, Trials

Look = Literal["explore", "execute", "both"]
"""Episodes whose observations are fetched. Of the other ones only the first observation is: frames are many bytes."""
MIN_PRIORITY = 1e-3
"""Added to the error of a trial, so that none is never replayed."""


class TrialReplay:
    """The last `capacity` trials.

    Memory is taken at the first `add`, when the shapes are known. Sampling uses its own generator,
    which is part of the state, so that a resumed run draws what the uninterrupted one would have drawn.
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
        self._holds_decoded_until = 0  # as long as fewer trials were added, one executed on g(exploration) is here

    def __len__(self) -> int:
        return min(self.added, self.capacity)

    @property
    def holds_decoded(self) -> bool:
        """Whether any trial in the replay was executed on g(exploration)."""
        return self.added < self._holds_decoded_until

    def add(self, trials: Trials) -> None:
        """Store B trials (B <= capacity); the oldest make room."""
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
        self._priority[rows] = self._priority.max().clamp(min=1.0)  # drawn soon, then known better
        self.added += count
        if not bool(trials.used_id.all()):
            self._holds_decoded_until = self.added - count + self.capacity

    def sample(self, count: int, look: Look = "both") -> Trials:
        """`count` trials drawn uniformly with replacement, streams trimmed to the longest (on the CPU)."""
        self._refuse_empty()
        return self._take(torch.randint(len(self), (count,), generator=self._generator).to(self._device), look)

    def sample_transitions(self, count: int) -> tuple[Tensor, Episodes]:
        """Single exploration transitions, each from a trial of its own, every problem's share the same to within one.

        Returns:
            problem_id (count,) and `Episodes` of one step. Each step of a stream is as likely as every other.
        """
        self._refuse_empty()
        rows = self._draw_evenly(count)
        store = self._store
        length = store["explore.mask"].index_select(0, rows).sum(1)
        slot = (torch.rand(count, generator=self._generator).to(self._device) * length).long()

        def at(name: str, offset: int = 0) -> Tensor:
            values = store[f"explore.{name}"]
            return values.flatten(0, 1).index_select(0, rows * values.shape[1] + slot + offset)[:, None]

        names = ("action", "reward", "terminated", "mask", "start")
        return store["problem_id"].index_select(0, rows), Episodes(
            obs=torch.cat([at("obs"), at("obs", 1)], 1),
            instruction=store["explore.instruction"].index_select(0, rows),
            **{name: at(name) for name in names},
        )

    def sample_decoded(self, count: int, look: Look = "both") -> Trials:
        """As `sample`, from the trials that were executed on g(exploration). Raises ValueError where there is none."""
        self._refuse_empty()
        return self._take(self._draw(count, self._decoded()), look)

    def sample_by_priority(
        self, count: int, exponent: float, look: Look = "both", *, decoded: bool = False
    ) -> tuple[Trials, Tensor]:
        """As `sample`, but with probability proportional to priority ** exponent (Schaul et al., 2016).

        With `decoded` from those of `sample_decoded`, and its errors.

        Returns the trials and their rows (count,), for `set_priority`. Exponent 0 is uniform.
        """
        self._refuse_empty()
        weight = self._priority[: len(self)] ** exponent
        if decoded:
            weight = weight * self._decoded()
        rows = self._draw(count, weight)
        return self._take(rows, look), rows

    def set_priority(self, rows: Tensor, error: Tensor) -> None:
        """Give trials a new priority: rows (M,) from `sample_by_priority`, the error (M,) of each, not negative."""
        self._priority[rows] = error + MIN_PRIORITY

    def _decoded(self) -> Tensor:
        """(size,) 1 for the trials that were executed on g(exploration), else 0. Raises ValueError where all are 0."""
        if not self.holds_decoded:
            raise ValueError("no trial in the replay was executed on g(exploration): lower executor.id_fraction")
        return (~self._store["used_id"][: len(self)]).float()

    def _draw(self, count: int, weight: Tensor) -> Tensor:
        """Rows (count,) with probability proportional to weight (size,); nothing of it visits the host."""
        cumulative = weight.cumsum(0)
        draws = torch.rand(count, generator=self._generator).to(self._device) * cumulative[-1]
        # right=True: a draw of exactly 0 must not find a leading row of weight 0
        return torch.searchsorted(cumulative, draws, right=True).clamp(max=len(self) - 1)

    def _draw_evenly(self, count: int) -> Tensor:
        """Rows (count,), one from each of `count` equal parts of the trials sorted by problem, all problems equal."""
        problem, order = self._store["problem_id"][: len(self)].sort(stable=True)
        # Trials of each one's problem, without counting problems: that would make the host wait for the device.
        trials = torch.searchsorted(problem, problem, right=True) - torch.searchsorted(problem, problem)
        cumulative = (1.0 / trials.double()).cumsum(0)
        part = torch.arange(count, device=self._device) + torch.rand(count, generator=self._generator).to(self._device)
        place = torch.searchsorted(cumulative, part / count * cumulative[-1], right=True)
        return order[place.clamp(max=len(self) - 1)]

    def _take(self, rows: Tensor, look: Look) -> Trials:
        taken = {}
        for name, value in self._store.items():
            phase, _, field = name.partition(".")
            if field == "obs" and look not in ("both", phase):
                value = value[:, :1] if phase == "explore" else value[:, :, :1]
            taken[name] = value.index_select(0, rows)
        trials = _unflatten(taken)
        if self._device.type != "cpu":
            return trials  # to know the longest stream the host would have to wait for the device
        return dataclasses.replace(trials, explore=trials.explore.trimmed(), execute=trials.execute.trimmed())

    def _refuse_empty(self) -> None:
        if not self.added:
            raise ValueError("cannot sample from an empty replay: add trials first")

    def state_dict(self) -> dict[str, Any]:
        """Plain data: tensors, numbers. Trials share memory with the replay: save them before the next `add`."""
        size = len(self)
        return {
            "added": self.added,
            "holds_decoded_until": self._holds_decoded_until,
            "generator": self._generator.get_state(),
            "priority": self._priority[:size].clone(),
            "store": {name: value[:size] for name, value in self._store.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` gave."""
        self.added = int(state["added"])
        self._holds_decoded_until = int(state["holds_decoded_until"])
        self._generator.set_state(state["generator"])
        self._priority.zero_()
        self._priority[: len(self)] = state["priority"]
        self._store = {}
        for name, value in state["store"].items():
            self._store[name] = torch.zeros((self.capacity, *value.shape[1:]), dtype=value.dtype, device=self._device)
            self._store[name][: len(value)] = value.to(self._device)


def trial_bytes(env: Any, explore_episodes: int, execute_episodes: int) -> int:
    """What a trial takes in the replay: nearly all of it observations."""
    space, horizon = env.single_observation_space, env.horizon
    observation = int(np.prod(space.shape)) * space.dtype.itemsize
    explore = explore_episodes * (horizon + 1) - 1
    per_step = sum(torch.empty(0, dtype=kind).itemsize for kind in (torch.int64, torch.float32, *[torch.bool] * 3))
    observations = explore + 1 + execute_episodes * (horizon + 1)
    return observations * observation + (explore + execute_episodes * horizon) * per_step


def _flatten(trials: Trials) -> dict[str, Tensor]:
    """One tensor a field with the trial as first dimension: the n execution episodes of a trial become dimension 1."""
    count = trials.problem_id.shape[0]
    flat = {"problem_id": trials.problem_id, "used_id": trials.used_id}
    for item in fields(Episodes):
        flat[f"explore.{item.name}"] = getattr(trials.explore, item.name)
        execute = getattr(trials.execute, item.name)
        flat[f"execute.{item.name}"] = execute.reshape(count, -1, *execute.shape[1:])
    return flat


def _unflatten(flat: dict[str, Tensor]) -> Trials:
    explore = Episodes(**{item.name: flat[f"explore.{item.name}"] for item in fields(Episodes)})
    execute = Episodes(**{item.name: flat[f"execute.{item.name}"].flatten(0, 1) for item in fields(Episodes)})
    return Trials(flat["problem_id"], explore, execute, flat["used_id"])
