"""Problem families: batches of problems that share a structure and differ in hidden details.

    from dream.envs import make
    envs = make("bus", num_envs=128)
    obs, info = envs.reset(seed=0, options={"phase": "explore"})

Importing this package registers every family with gymnasium: `gymnasium.make("dream/Bus-v0")` is one problem at a time,
`gymnasium.make_vec("dream/Bus-v0", num_envs=8)` the batched `MetaEnv` itself.
"""

from __future__ import annotations

from dream.envs.adapter import GymnasiumAdapter
from dream.envs.base import MetaEnv
from dream.envs.consistency import consistent_problems
from dream.envs.drawing import Moment
from dream.envs.gymnasium_entry import register_families
from dream.envs.insight import Expert, Part
from dream.envs.problems import PHASES, SPLITS, Phase, ProblemSet, split_problems
from dream.envs.registry import families, find_family, make
from dream.envs.watch import Watcher
from dream.spaces import integer_space

__all__ = [
    "PHASES",
    "SPLITS",
    "Expert",
    "GymnasiumAdapter",
    "MetaEnv",
    "Moment",
    "Part",
    "Phase",
    "ProblemSet",
    "Watcher",
    "consistent_problems",
    "families",
    "find_family",
    "integer_space",
    "make",
    "split_problems",
]

register_families()
