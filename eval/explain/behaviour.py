"""Behaviour statistics of explorations: length, how they ended, and what the family counts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dream.core.actions import Actions
from dream.envs import MetaEnv
from dream.eval.explain.explorations import RecordedExplorations
from dream.spaces import each


def behaviour(recording: RecordedExplorations, env: MetaEnv) -> dict[str, NDArray[np.float64]]:
    """Statistics of each exploration, name -> (N,).

    length: environment steps. ended: 1 if the last step of the last episode was the action that ends the episode (where
    the family has one). Then the family's `exploration_summary`. Where the family says which observations are
    informative: in_view, 1 if one ever was, and in_view_share, the share of the observations that were.
    """
    episodes = recording.episodes
    transition, mask = episodes.transition.numpy(), episodes.mask.numpy()
    action = Actions(env.single_action_space).recorded(episodes.action, episodes.transition)
    found = {"length": transition.sum(axis=1).astype(np.float64)}
    if env.end_action is not None:
        length = episodes.length.numpy()
        last = action[np.arange(len(action)), np.maximum(length - 1, 0)]
        found["ended"] = ((length > 0) & (last == env.end_action)).astype(np.float64)
    obs = each(lambda part: part.numpy(), episodes.obs)
    found |= env.exploration_summary(recording.problem_id, obs, action, mask)
    informative = recording.informative
    if informative is not None:
        found["in_view"] = np.any(informative, axis=1).astype(np.float64)
        found["in_view_share"] = np.sum(informative, axis=1) / (np.sum(mask, axis=1) + 1)
    return found
