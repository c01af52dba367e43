"""Checkpoints that survive a kill at any moment, a full disk and a damaged file.

A checkpoint is a directory `checkpoints/<serial>_step_<step>/`:

    weights.safetensors   the networks: readable by anything that reads safetensors
    state.pt              everything else a resumed run needs; plain data only, so it loads with weights_only
    manifest.json         step, and size and SHA-256 of the files above

It is written under a temporary name, flushed to the disk and then renamed, so that it is there whole or not at all.
The serial number orders checkpoints by the time they were written. `best_<serial>_step_<step>/` has no state.pt: the
weights with the best validation so far.
"""

from __future__ import annotations

import re
import shutil
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dream.errors import UserError
from dream.storage.atomic import TEMPORARY, disk_errors, sync_directory
from dream.storage.checkpoint_files import Damaged, read_checkpoint, reason, write_checkpoint
from dream.storage.plain_data import check_plain

_NAME = re.compile(r"(?P<best>best_)?(?P<serial>\d{6,})_step_(?P<step>\d+)")
_KEEP = 2  # should the newest turn out damaged, there is one before it


@dataclass(frozen=True)
class Checkpoint:
    """One checkpoint on disk."""

    path: Path
    serial: int
    step: int


Loaded = tuple[int, dict[str, Tensor], dict[str, Any]]
"""Step, weights and state of a checkpoint; the state of a best one is {}."""

Use = Callable[[int, dict[str, Tensor], dict[str, Any]], object]
"""Takes over step, weights and state; an exception says that they do not fit."""


class CheckpointStore:
    """The checkpoints of one run.

    Args:
        path: the directory that holds them; made when the first is saved, its parent must exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._damaged: set[Path] = set()

    def all(self, *, best: bool = False) -> list[Checkpoint]:
        """The checkpoints, oldest first; with `best` the best ones, normally a single one.

        Raises UserError where the directory cannot be read.
        """
        found = []
        try:
            for path in self.path.iterdir():
                match = _NAME.fullmatch(path.name)
                if match and bool(match["best"]) == best and path.is_dir():
                    found.append(Checkpoint(path, int(match["serial"]), int(match["step"])))
        except FileNotFoundError:
            pass
        except OSError as error:
            raise UserError(f"{self.path} cannot be read ({error.strerror or error})") from error
        return sorted(found, key=lambda checkpoint: checkpoint.serial)

    def save(
        self,
        step: int,
        weights: Mapping[str, Tensor],
        state: Mapping[str, Any] | None = None,
        *,
        best: bool = False,
        last: bool = False,
    ) -> Path:
        """Write a checkpoint, then delete the ones it makes superfluous. Returns its directory.

        Args:
            step: environment steps done.
            weights: name -> tensor, any shape and device.
            state: plain data (see `check_plain`); None exactly for a best checkpoint.
            best: save under `best_`; each replaces the one before.
            last: the run is finished: no older one is kept beside it.

        Raises:
            UserError: no space left, or the directory cannot be written. What was there before is still there.
            TypeError: `state` holds something that could not be loaded again.
            ValueError: a state with a best checkpoint, or none with another.
        """
        if (state is None) != best:
            raise ValueError("a best checkpoint is saved without a state, every other one with its state")
        if state is not None:
            check_plain(state)
        with disk_errors(self.path, training=True):
            self.path.mkdir(exist_ok=True)
            self._remove_leftovers()
            older = self.all(best=best)
            serial = older[-1].serial + 1 if older else 1
            final = self.path / f"{'best_' if best else ''}{serial:06d}_step_{step}"
            temporary = self.path / f"{TEMPORARY}{final.name}"
            try:
                write_checkpoint(temporary, step, weights, state)
                temporary.rename(final)
                sync_directory(self.path)
            except BaseException:
                shutil.rmtree(temporary, ignore_errors=True)
                raise
            keep = 0 if best or last else _KEEP - 1
            good = [checkpoint.path for checkpoint in older if checkpoint.path not in self._damaged]
            for path in {checkpoint.path for checkpoint in older} - set(good[len(good) - keep :]):
                self._delete(path)
        return final

    def load(self, *, best: bool = False, device: str = "cpu", use: Use | None = None) -> Loaded | None:
        """The newest checkpoint that is whole, or None if there is none at all.

        A damaged one is passed over with a warning when there is an older one. One that `use` raises an exception for
        is damaged, too: its bytes are those that were written, but they do not fit the run.

        Args:
            best: the best checkpoint instead.
            device: of the weights; the state stays on the CPU.
            use: called with step, weights and state, before they are returned.

        Raises:
            UserError: there are checkpoints, but every one is damaged; or one cannot be read. Nothing is deleted.
        """
        complaints: list[str] = []
        found = self.all(best=best)
        for checkpoint in reversed(found):
            try:
                weights, state = read_checkpoint(checkpoint.path, checkpoint.step, state=not best, device=device)
                if use is not None:
                    _use(use, checkpoint, weights, state)
            except Damaged as damage:
                self._damaged.add(checkpoint.path)
                complaints.append(str(damage))
                continue
            if complaints:
                warnings.warn(f"{'; '.join(complaints)}; going back to step {checkpoint.step}", stacklevel=2)
            return checkpoint.step, weights, state
        if complaints and self.all(best=best) != found:
            # A run that is training replaced them while they were read.
            return self.load(best=best, device=device, use=use)
        if complaints:
            newest = f"delete {found[-1].path} to use the newest checkpoint instead"
            cure = newest if best else "start again with --overwrite"
            raise UserError(f"{'; '.join(complaints)}; there is no older one. Restore an undamaged copy, or {cure}")
        return None

    def delete_all(self) -> None:
        """Delete every checkpoint, oldest first. Raises OSError where that fails."""
        self._remove_leftovers()
        for checkpoint in self.all() + self.all(best=True):
            self._delete(checkpoint.path)

    def _delete(self, path: Path) -> None:
        """Rename, then delete: killed in between, no half of a checkpoint is left under its name."""
        doomed = path.with_name(f"{TEMPORARY}{path.name}")
        path.rename(doomed)
        shutil.rmtree(doomed)

    def _remove_leftovers(self) -> None:
        for path in self.path.glob(f"{TEMPORARY}*"):
            shutil.rmtree(path, ignore_errors=True)


def _use(use: Use, checkpoint: Checkpoint, weights: dict[str, Tensor], state: dict[str, Any]) -> None:
    try:
        use(checkpoint.step, weights, state)
    except (UserError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        raise Damaged(f"{checkpoint.path} is damaged or does not fit config.yaml ({reason(error)})") from error
