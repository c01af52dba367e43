"""What explorations did: how long they were and how they ended, and what the family counts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dream.envs import MetaEnv
from dream.eval.explain.explorations import RecordedExplorations


def behaviour(recording: RecordedExplorations, env: MetaEnv) -> dict[str, NDArray[np.float64]]:
    """Figures of each exploration, (N,) each, by name.

    length: environment steps. ended: 1 if the last step was the choice to end the episode, where the family has such an
    action; of several episodes, of the last. Then the family's `exploration_summary`; and, where it tells what is
    informative, in_view, 1 if the decisive thing ever was, and in_view_share, the share of the observations that showed
    it.
    """
    episodes = recording.episodes
    transition, action, mask = episodes.transition.numpy(), episodes.action.numpy(), episodes.mask.numpy()
    found = {"length": transition.sum(axis=1).astype(np.float64)}
    if env.end_action is not None:
        length = episodes.length.numpy()
        last = action[np.arange(len(action)), np.maximum(length - 1, 0)]
        found["ended"] = ((length > 0) & (last == env.end_action)).astype(np.float64)
    found |= env.exploration_summary(recording.problem_id, episodes.obs.numpy(), action, mask)
    informative = recording.informative
    if informative is not None:
        found["in_view"] = np.any(informative, axis=1).astype(np.float64)
        found["in_view_share"] = np.sum(informative, axis=1) / (np.sum(mask, axis=1) + 1)
    return found
