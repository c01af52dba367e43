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
    from dream.config import PRESETS, TrainConfig, default_config, override
    from dream.core.trial import Episodes, Trials
    from dream.errors import UserError
    from dream.eval.evaluate import evaluate_run, load_method
    from dream.eval.pretrained import load_pretrained, pretrained
    from dream.eval.record.recorded import RecordedTrials, load_trials
    from dream.eval.show.notebook import WatchedTrials, watch
    from dream.exploration.base import Belief, ExplorationReward
    from dream.methods.protocol import Method
    from dream.methods.spec import MethodSpec, explorer
    from dream.training.loop import train

_WHERE = {
    "Belief": "dream.exploration.base",
    "Episodes": "dream.core.trial",
    "ExplorationReward": "dream.exploration.base",
    "Method": "dream.methods.protocol",
    "MethodSpec": "dream.methods.spec",
    "PRESETS": "dream.config",
    "RecordedTrials": "dream.eval.record.recorded",
    "TrainConfig": "dream.config",
    "Trials": "dream.core.trial",
    "UserError": "dream.errors",
    "WatchedTrials": "dream.eval.show.notebook",
    "default_config": "dream.config",
    "evaluate_run": "dream.eval.evaluate",
    "explorer": "dream.methods.spec",
    "load_method": "dream.eval.evaluate",
    "load_pretrained": "dream.eval.pretrained",
    "load_trials": "dream.eval.record.recorded",
    "override": "dream.config",
    "pretrained": "dream.eval.pretrained",
    "train": "dream.training.loop",
    "watch": "dream.eval.show.notebook",
}
"""Public name -> its module."""

__all__ = [
    "PRESETS",
    "Belief",
    "Episodes",
    "ExplorationReward",
    "Method",
    "MethodSpec",
    "RecordedTrials",
    "TrainConfig",
    "Trials",
    "UserError",
    "WatchedTrials",
    "default_config",
    "envs",
    "evaluate_run",
    "explorer",
    "load_method",
    "load_pretrained",
    "load_trials",
    "override",
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
