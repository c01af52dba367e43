"""What explorations did, against explorations by hand."""

from typing import Any

import numpy as np
import torch
from gymnasium.envs.toy_text.frozen_lake import FrozenLakeEnv

from dream.config import PRESETS, TrainConfig, override
from dream.core.rollout import rollout
from dream.core.trial import Episodes
from dream.envs import GymnasiumAdapter, MetaEnv, make, split_problems
from dream.envs.signpost.family import LEFT, PRESS_A, RIGHT
from dream.eval.explain.behaviour import behaviour
from dream.eval.explain.bounds import bound_explorers
from dream.eval.explain.explorations import RecordedExplorations, record_explorations
from dream.eval.show.visit_map import count_visits
from dream.methods.build import build

END = PRESS_A + 2


class Plays:
    """Gives each member its list of actions."""

    def __init__(self, *actions: list[int]) -> None:
        self.actions = torch.tensor(actions).T

    def explore(self, env: Any, problem_id: np.ndarray, generator: torch.Generator | None = None) -> Episodes:
        steps = iter(self.actions)
        return rollout(env, lambda now, memory: (next(steps), None), problem_id, phase="explore")


def counted(recording: RecordedExplorations, env: MetaEnv) -> np.ndarray:
    assert recording.position is not None
    return count_visits(recording.position, env.map_extent)


def test_signpost_by_hand() -> None:
    env = make("signpost", 2)
    plays = Plays([RIGHT, RIGHT, END, LEFT, LEFT, LEFT], [LEFT, LEFT, LEFT, LEFT, LEFT, LEFT])
    recording = record_explorations(plays, env, np.array([0, 1]), 0)
    found = behaviour(recording, env)
    assert {name: values.tolist() for name, values in found.items()} == {
        "length": [3, 6],
        "ended": [1, 0],
        "read_sign": [1, 0],
        "in_view": [1, 0],
        "in_view_share": [0.5, 0],  # the third and the fourth of four observations
    }
    # One is at 2, 3, 4, 4, the other at 2, 1, 0 and stays there, seven observations.
    assert counted(recording, env).tolist() == [[5, 1, 2, 1, 2]]


def test_an_agent_that_stands_still_is_counted_once() -> None:
    env = make("bus", 4)
    recording = record_explorations(bound_explorers(env)["none"], env, np.arange(4), 0)
    found, counts = behaviour(recording, env), counted(recording, env)
    assert found["length"].tolist() == found["ended"].tolist() == [0] * 4
    assert counts.shape == (9, 9) and counts[4, 4] == counts.sum() == 4
    env.end_action = 0  # what stands in the padding
    assert behaviour(recording, env)["ended"].tolist() == [0] * 4


def test_maps_have_their_top_first() -> None:
    env = make("bus", 2)
    up = Plays([1, 1, 6] + [4] * 17, [1, 1, 6] + [4] * 17)  # from (4, 4) to (4, 6)
    counts = counted(record_explorations(up, env, np.array([0, 1]), 0), env)
    assert counts[:, 4].tolist() == [0, 0, 4, 2, 2, 0, 0, 0, 0] and counts.sum() == 8


def test_batches_that_are_not_full_and_several_episodes() -> None:
    env = make("cooking", 8)
    explorer = bound_explorers(env, 2)["scripted"]
    recording = record_explorations(explorer, env, np.arange(20), 0)
    found = behaviour(recording, env)
    assert recording.problem_id.tolist() == list(range(20)) and recording.episodes.mask.shape[0] == 20
    assert (found["pick_ups"] == 6).all()  # all three drawers again in the second episode
    assert (found["drawers_opened"] == 3).all() and (found["ended"] == 1).all() and found["length"].shape == (20,)
    assert (found["length"] == recording.episodes.length.numpy() - 1).all()  # the reset step is none


def test_sign_is_mapped_by_half_metres() -> None:
    env = make("sign", 2)
    recording = record_explorations(bound_explorers(env)["none"], env, np.arange(3), 0)
    counts = counted(recording, env)
    assert counts.shape == (26, 20) and counts.sum() == counts[7:13, 7:11].sum() == 3  # where starts are


def test_rewarded_explorations_count_as_explorations() -> None:
    """RL^2 explores in ordinary episodes, which to the environment are executions."""
    policy, env = build(override(TrainConfig(method="rl2", env="signpost"), PRESETS["debug"]), 2)
    recording = record_explorations(policy, env, np.arange(2), 0)
    length = behaviour(recording, env)["length"]
    assert counted(recording, env).sum() == (length + 1).sum() > 2 and recording.informative is not None
    assert recording.informative.shape == recording.episodes.obs.shape[:2]


def test_a_family_without_insight_is_handled() -> None:
    env: MetaEnv = GymnasiumAdapter(FrozenLakeEnv, 2, problems=split_problems("lakes", 20), horizon=5)
    explorers = bound_explorers(env)
    assert list(explorers) == ["random", "none"]
    recording = record_explorations(explorers["random"], env, np.arange(4), 0)
    assert list(behaviour(recording, env)) == ["length"] and recording.position is None
