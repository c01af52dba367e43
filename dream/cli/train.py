"""`dream train`: train a method."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from tyro.conf import arg

from dream.cli.arguments import asks_for_help, parse, value_of, values_of
from dream.cli.checks import check_config, check_device
from dream.config import PRESETS, TrainConfig, default_config, flat_settings, override, read_assignments
from dream.errors import Stopped, UserError


@dataclass(frozen=True)
class TrainArguments:
    """Arguments of `dream train`."""

    settings: Annotated[TrainConfig, arg(name="")]
    preset: Literal["default", "debug"] = "default"
    """settings to start from; debug runs everything within seconds and learns nothing"""
    config: Annotated[Path | None, arg(metavar="FILE")] = None
    """start from the settings in this file, such as the config.yaml of another run; all other options override it"""
    set: Annotated[tuple[str, ...], arg(metavar="SETTING=VALUE ...")] = ()
    """settings to change, as in dream compare: `--set learning.tau=0.1` is the same as `--learning.tau 0.1`"""
    stop_at: float | None = None
    """stop at the first validation with this normalised score, such as 0.99; the same as --evaluation.stop-at"""
    run_dir: Path | None = None
    """directory of the run (default: runs/ENV/METHOD/sSEED; with a preset runs/PRESET/ENV/METHOD/sSEED)"""
    overwrite: bool = False
    """delete the run in this directory and start again"""


def command(arguments: list[str]) -> int:
    """Train a method on a problem family. The same command resumes a run that was stopped.

    Example: dream train dream --env bus --seed 1 --steps 2e6

    Or, with the settings of another run: dream train rnd --config runs/bus/dream/s0/config.yaml
    """
    method = arguments.pop(0) if arguments and not arguments[0].startswith("-") else None
    base = _settings_to_start_from(method, arguments)
    given = parse(TrainArguments, arguments, "train", command, TrainArguments(base), usage="train METHOD")
    config = override(given.settings, {"env_parameters": base.env_parameters})
    if given.stop_at is not None:
        config = override(config, {"evaluation.stop_at": given.stop_at})
    check_config(config)

    from dream.methods.registry import find_method

    find_method(config.method)
    check_device(config.device)

    from dream.training.loop import train as train_run
    from dream.training.progress import ConsoleProgress

    family, method = (name.replace(":", "-") for name in (config.env, config.method))
    runs = Path("runs") if given.preset == "default" else Path("runs", given.preset)
    run_dir = given.run_dir or runs / family / method / f"s{config.seed}"
    progress = ConsoleProgress()
    try:
        train_run(config, run_dir, overwrite=given.overwrite, progress=progress)
    except Stopped as stop:
        progress.close()
        again = ["dream", "train", config.method, *(word for word in arguments if word != "--overwrite")]
        saved = f"Stopped. A checkpoint is saved in {run_dir}"
        if not stop.saved:
            saved = f"Stopped at once. The training after the last checkpoint in {run_dir} is lost"
        print(f"{saved}. To resume: {shlex.join(again)}", file=sys.stderr)
        return stop.exit_code
    finally:
        progress.close()
    print(f"{run_dir} is trained. Next: dream eval {shlex.quote(str(run_dir))}")
    return 0


def _settings_to_start_from(method: str | None, arguments: list[str]) -> TrainConfig:
    """The defaults of method and family, then the preset or --config, then --set and --env-parameters.

    Raises UserError for a setting that does not exist, a value that is not allowed, or no method.
    """
    preset, file = value_of("--preset", arguments), value_of("--config", arguments)
    if file is not None and preset is not None:
        raise UserError("give either --preset or --config: both are settings to start from")
    changes: dict[str, Any] = dict(PRESETS.get(preset or "default", {}))
    if file is not None:
        changes.update(_read_settings(Path(file)))
    chosen = read_assignments(values_of("--set", arguments))
    for name in ("method", "env", "seed"):
        if name in chosen:
            where = "the first argument" if name == "method" else f"--{name}"
            raise UserError(f"--set {name}: give {where} instead")
    parameters = read_assignments(values_of("--env-parameters", arguments), "grid_size=5")
    chosen |= {f"env_parameters.{name}": value for name, value in parameters.items()}
    method = method or value_of("--method", arguments) or changes.get("method")
    if method is None and not asks_for_help(arguments):
        raise UserError("which method? Write for example: dream train dream --env map (see dream methods)")
    env = value_of("--env", arguments) or changes.get("env", TrainConfig.env)
    changes |= {"method": method or TrainConfig.method, "env": env}
    return override(default_config(changes["method"], env), {**changes, **chosen})


def _read_settings(path: Path) -> Mapping[str, Any]:
    """Dotted name -> value from a YAML file. Raises UserError where it cannot be read or holds something else."""
    from dream.storage.reading import read_yaml

    try:
        values = read_yaml(path)
    except FileNotFoundError:
        raise UserError(f"--config {path} does not exist: give a file such as runs/bus/dream/s0/config.yaml") from None
    try:
        changes = flat_settings(values)
        override(TrainConfig(), changes)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    return changes
