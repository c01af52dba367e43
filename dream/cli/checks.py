"""What commands refuse before anything heavy is loaded."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dream.config import TrainConfig
from dream.errors import UserError


def check_config(config: TrainConfig) -> None:
    """Raise UserError for what can be seen without torch: family, its parameters, more threads than cores."""
    from dream.envs import make

    check_threads(config.threads)
    try:
        make(config.env, 1, **config.env_parameters).close()
    except ValueError as error:
        raise UserError(f"{error} (see dream envs)") from error
    except TypeError as error:
        raise UserError(f"{config.env!r} cannot be made with {dict(config.env_parameters)}: {error}") from error


def check_threads(threads: int) -> None:
    """Raise UserError for more threads than this machine has cores."""
    cores = os.cpu_count() or 1
    if threads > cores:
        raise UserError(f"threads is {threads:,}: this machine has {cores} cores, so give at most that many")


def check_device(device: str) -> None:
    """Raise UserError unless torch can use the device."""
    import torch

    try:
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        found = ", ".join(["cpu", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))])
        raise UserError(f"device {device!r} cannot be used: this machine has {found} (see dream doctor)") from error


def check_directory(run: Path | None) -> None:
    """Raise UserError if a run was named and is no directory."""
    if run is not None and not run.is_dir():
        raise UserError(f"{run} is not a directory: give the run directory that dream train wrote")


def trained_run(run: Path | None, name: str | None, env_parameters: Mapping[str, Any], command: str) -> Path:
    """The run directory that is meant. Raises UserError unless one was named, and parameters fit its family."""
    from dream.eval.pretrained import pretrained
    from dream.storage.run_directory import RunDirectory

    if (run is None) == (name is None):
        raise UserError(
            f"give either a run directory or --pretrained FAMILY, for example: dream {command} --pretrained bus"
        )
    run = run or pretrained(name or "")
    if env_parameters:
        config = RunDirectory.read(run).config
        parameters = {**config["env_parameters"], **env_parameters}
        check_config(TrainConfig(env=config["env"], env_parameters=parameters))
    return run
