"""The settings of a training run: typed, with named sets of them (presets). Imports no torch."""

from dream.config.presets import PRESETS, override
from dream.config.settings import (
    FAMILY_SETTINGS,
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
    config_from_dict,
    default_config,
)

__all__ = [
    "FAMILY_SETTINGS",
    "PRESETS",
    "WITHOUT_EFFECT",
    "BottleneckConfig",
    "EndToEndConfig",
    "EvaluationConfig",
    "ExecutorConfig",
    "ExplorerConfig",
    "LearningConfig",
    "NetworkConfig",
    "TrainConfig",
    "TrialConfig",
    "config_from_dict",
    "default_config",
    "override",
]
