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
    from dream.envs import GymnasiumAdapter, MetaEnv, Part, integer_space, make, split_problems
    from dream.envs.check import check_family
    from dream.envs.sign.miniworld_backend import MiniworldBackend
    from dream.errors import Stopped, UserError
    from dream.eval.evaluate import evaluate_run, load_method
    from dream.eval.pretrained import load_pretrained, pretrained
    from dream.eval.record.recorded import RecordedTrials, load_trials
    from dream.eval.show.notebook import WatchedTrials, watch
    from dream.eval.show.video import write_video
    from dream.eval.show.watching import record_run
    from dream.exploration.base import Belief, ExplorationReward
    from dream.methods.protocol import Method
    from dream.methods.spec import MethodSpec, explorer
    from dream.training.loop import train

_WHERE = {
    "Belief": "dream.exploration.base",
    "Episodes": "dream.core.trial",
    "ExplorationReward": "dream.exploration.base",
    "GymnasiumAdapter": "dream.envs",
    "MetaEnv": "dream.envs",
    "Method": "dream.methods.protocol",
    "MethodSpec": "dream.methods.spec",
    "MiniworldBackend": "dream.envs.sign.miniworld_backend",
    "PRESETS": "dream.config",
    "Part": "dream.envs",
    "RecordedTrials": "dream.eval.record.recorded",
    "Stopped": "dream.errors",
    "TrainConfig": "dream.config",
    "Trials": "dream.core.trial",
    "UserError": "dream.errors",
    "WatchedTrials": "dream.eval.show.notebook",
    "check_family": "dream.envs.check",
    "default_config": "dream.config",
    "evaluate_run": "dream.eval.evaluate",
    "explorer": "dream.methods.spec",
    "integer_space": "dream.envs",
    "load_method": "dream.eval.evaluate",
    "load_pretrained": "dream.eval.pretrained",
    "load_trials": "dream.eval.record.recorded",
    "make": "dream.envs",
    "override": "dream.config",
    "pretrained": "dream.eval.pretrained",
    "record_run": "dream.eval.show.watching",
    "split_problems": "dream.envs",
    "train": "dream.training.loop",
    "watch": "dream.eval.show.notebook",
    "write_video": "dream.eval.show.video",
}
"""Public name -> its module."""

__all__ = [
    "PRESETS",
    "Belief",
    "Episodes",
    "ExplorationReward",
    "GymnasiumAdapter",
    "MetaEnv",
    "Method",
    "MethodSpec",
    "MiniworldBackend",
    "Part",
    "RecordedTrials",
    "Stopped",
    "TrainConfig",
    "Trials",
    "UserError",
    "WatchedTrials",
    "check_family",
    "default_config",
    "envs",
    "evaluate_run",
    "explorer",
    "integer_space",
    "load_method",
    "load_pretrained",
    "load_trials",
    "make",
    "override",
    "pretrained",
    "record_run",
    "split_problems",
    "train",
    "watch",
    "write_video",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'dream' has no attribute {name!r}")
    return getattr(import_module(_WHERE[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
