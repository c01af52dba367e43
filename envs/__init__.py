"""Problem families: batches of problems that share a structure and differ in what has to be found out.

    from dream.envs import make
    envs = make("bus", num_envs=128)
    obs, info = envs.reset(seed=0, options={"phase": "explore"})

Importing this package registers every family with gymnasium: `gymnasium.make("dream/Bus-v0")` is one problem at a time,
`gymnasium.make_vec("dream/Bus-v0", num_envs=8)` the batched `MetaEnv` itself.
"""

from __future__ import annotations

import gymnasium as gym

from dream.envs.adapter import GymnasiumAdapter
from dream.envs.base import PHASES, MetaEnv, Phase, integer_space
from dream.envs.consistency import consistent_problems
from dream.envs.insight import Expert, Part
from dream.envs.problems import SPLITS, ProblemSet, split_problems
from dream.envs.registry import families, find_family, make
from dream.envs.watch import Watcher

__all__ = [
    "PHASES",
    "SPLITS",
    "Expert",
    "GymnasiumAdapter",
    "MetaEnv",
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

for _family in families():
    _id = f"dream/{''.join(word.capitalize() for word in _family.split('-'))}-v0"
    if _id not in gym.registry:
        gym.register(
            _id,
            entry_point="dream.envs.single:SingleEnv",
            vector_entry_point="dream.envs.single:make_vector",
            kwargs={"family": _family},
        )
