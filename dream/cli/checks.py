"""Checks of arguments, before anything heavy is imported."""

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

    parameters = config.env_parameters
    checked_family(config.env)
    if "num_envs" in parameters:
        raise UserError("num_envs is not a parameter of a family: set learning.num_envs")
    for threads in (config.threads, parameters.get("threads")):  # some families render on several cores
        check_threads(threads if type(threads) is int else 1)
    try:
        make(config.env, 1, **parameters).close()
    except ValueError as error:
        raise UserError(f"{error} (see dream envs {config.env})") from error
    except (TypeError, MemoryError, OverflowError) as error:
        raise UserError(
            f"{config.env} cannot be created with {dict(parameters)}: {error or 'out of memory'}"
        ) from error


def checked_family(name: str) -> type:
    """The class of a family. Raises UserError where there is none of that name."""
    from dream.envs.registry import find_family

    try:
        return find_family(name)
    except ValueError as error:
        raise UserError(f"{error} (see dream envs)") from error


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
    """Raise UserError if a run was given and is not a directory."""
    if run is not None and not run.is_dir():
        raise UserError(f"{run} is not a directory: give a run directory written by dream train")


def trained_run(run: Path | None, name: str | None, env_parameters: Mapping[str, Any], command: str) -> Path:
    """The run directory to use. Raises UserError unless exactly one was given, and parameters fit its family."""
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
