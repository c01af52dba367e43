"""`dream train`: train a method."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import arg

from dream.cli.arguments import parse, value_of
from dream.cli.checks import check_config, check_device
from dream.config import PRESETS, TrainConfig, default_config, override
from dream.errors import Stopped, UserError


@dataclass(frozen=True)
class TrainArguments:
    """What `dream train` takes besides the settings of the run."""

    config: Annotated[TrainConfig, arg(name="")]
    preset: Literal["default", "debug"] = "default"
    """settings to start from: debug does all that a run does, in seconds"""
    run_dir: Path | None = None
    """where the run is written (default: runs/ENV/METHOD/sSEED; with a preset runs/PRESET/ENV/METHOD/sSEED)"""
    overwrite: bool = False
    """delete the run that is there and start again"""


def command(arguments: list[str]) -> int:
    """Train a method on a problem family. The same command resumes a run that was stopped.

    Example: dream train dream --env bus --seed 1 --steps 2000000
    """
    asks_for_help = bool({"-h", "--help"} & set(arguments))
    method = arguments.pop(0) if arguments and not arguments[0].startswith("-") else None
    if method is None and not asks_for_help and not value_of("--method", arguments):
        raise UserError("which method? Write for example: dream train dream --env map (see dream methods)")
    preset = value_of("--preset", arguments) or "default"
    env = value_of("--env", arguments) or TrainConfig.env
    base = override(default_config(method or "dream", env), PRESETS.get(preset, {}))
    given = parse(TrainArguments, arguments, "train", command, TrainArguments(base), usage="train METHOD")
    config = given.config
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
