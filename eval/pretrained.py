"""Trained pairs that come with the package, to evaluate and to look at without training.

Each is a small run directory below dream/pretrained/: settings, environment, the best weights, evaluations and the
validation curve.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from dream.envs import MetaEnv
from dream.errors import UserError
from dream.eval.evaluate import MEMBERS, load_method
from dream.methods.protocol import Method
from dream.storage.checkpoints import CheckpointStore
from dream.storage.run_directory import RunDirectory

FOLDER = Path(__file__).parent.parent / "pretrained"  # of the package, also where eval/ is a link

_CURVE = {"metrics.jsonl": ("step", "eval/validation/"), "timing.jsonl": ("step", "time/seconds")}
"""Files with a line for each validation, and the keys of a line that are exported."""


def pretrained_names() -> list[str]:
    """Families with a trained pair."""
    return sorted(path.parent.name for path in FOLDER.glob("*/config.yaml"))


def pretrained(name: str) -> Path:
    """The run directory of the trained pair for a family, for `load_method` and `evaluate_run`.

    Raises UserError if the package has none.
    """
    if name not in pretrained_names():
        raise UserError(f"no pretrained pair {name!r}: choose one of {', '.join(pretrained_names()) or '(none)'}")
    return FOLDER / name


def load_pretrained(name: str, members: int = MEMBERS) -> tuple[Method, MetaEnv, int]:
    """Load the pair that comes with the package for a family.

    Args:
        name: the family, see `pretrained_names`.
        members: of the environment.

    Returns:
        The method, an environment of its family, and the number of environment steps that it was trained for.

    Raises:
        UserError: there is no such pair.
    """
    return load_method(pretrained(name), members=members)


def export(run_dir: Path, folder: Path) -> None:
    """Copy what is needed to evaluate a trained run and to draw its validation curve: no replay buffer, no losses.

    The weights are those that give the score of the run, the best or the final ones (`load_method`).

    Raises UserError if the directory is no run or has no checkpoint yet, or `folder` exists.
    """
    run = RunDirectory.read(run_dir)
    method, env, step = load_method(run_dir, members=1)
    env.close()
    if folder.exists():
        raise UserError(f"{folder} exists already: delete it, or choose another place")
    (folder / "checkpoints").mkdir(parents=True)
    for name in ("config.yaml", "environment.json", "saved.json", "eval.csv"):
        if (run.path / name).exists():
            shutil.copy(run.path / name, folder / name)
    for name, kept in _CURVE.items():
        if (run.path / name).exists():
            lines = map(json.loads, (run.path / name).read_text(encoding="utf-8").splitlines())
            curve = [{key: value for key, value in line.items() if key.startswith(kept)} for line in lines]
            text = "".join(json.dumps(line) + "\n" for line in curve)
            (folder / name).write_text(text, encoding="utf-8")
    CheckpointStore(folder / "checkpoints").save(step, method.weights(), best=True)
