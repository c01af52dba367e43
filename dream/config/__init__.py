"""The settings of a training run: typed, with named sets of them (presets). Imports no torch."""

from dream.config.build import config_from_dict, default_config, flat_settings, override
from dream.config.presets import PRESETS
from dream.config.ranges import Range
from dream.config.settings import (
    SETTINGS,
    WITHOUT_EFFECT,
    BottleneckConfig,
    EndToEndConfig,
    EvaluationConfig,
    ExecutorConfig,
    ExplorerConfig,
    LearningConfig,
    NetworkConfig,
    TrainConfig,
    TrialConfig,
)
from dream.config.text import read_assignments

__all__ = [
    "PRESETS",
    "SETTINGS",
    "WITHOUT_EFFECT",
    "BottleneckConfig",
    "EndToEndConfig",
    "EvaluationConfig",
    "ExecutorConfig",
    "ExplorerConfig",
    "LearningConfig",
    "NetworkConfig",
    "Range",
    "TrainConfig",
    "TrialConfig",
    "config_from_dict",
    "default_config",
    "flat_settings",
    "override",
    "read_assignments",
]
