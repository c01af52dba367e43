"""Meta-reinforcement learning that explores on purpose.

`import dream` registers the problem families with gymnasium (`gymnasium.make("dream/Bus-v0")`) and loads nothing heavy:
the names below are looked up when they are first used, because torch takes a second to import.
"""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if (_link := Path(__file__).with_name("envs")).is_file():
    raise ImportError(
        f"{_link} should be a symbolic link to ../envs and is a text file: git checked this clone out without symbolic "
        "links. On Windows switch on developer mode, then clone again with git clone -c core.symlinks=true"
    )

import dream.envs as envs  # for its registrations

if TYPE_CHECKING:
    from dream.config import TrainConfig
    from dream.errors import UserError
    from dream.eval.evaluate import evaluate_run, load_method
    from dream.eval.pretrained import pretrained
    from dream.eval.show.notebook import WatchedTrials, watch
    from dream.training.loop import train

_WHERE = {
    "TrainConfig": "dream.config",
    "UserError": "dream.errors",
    "WatchedTrials": "dream.eval.show.notebook",
    "evaluate_run": "dream.eval.evaluate",
    "load_method": "dream.eval.evaluate",
    "pretrained": "dream.eval.pretrained",
    "train": "dream.training.loop",
    "watch": "dream.eval.show.notebook",
}

__all__ = [
    "TrainConfig",
    "UserError",
    "WatchedTrials",
    "envs",
    "evaluate_run",
    "load_method",
    "pretrained",
    "train",
    "watch",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'dream' has no attribute {name!r}")
    return getattr(import_module(_WHERE[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
