"""What explorations did: how long they were and how they ended, and what the family counts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dream.envs import MetaEnv
from dream.eval.recording import Recording


def behaviour(recording: Recording, env: MetaEnv) -> dict[str, NDArray[np.float64]]:
    """Figures of each exploration, (N,) each, by name.

    length: environment steps. ended: 1 if the last step was the choice to end the episode, where the family has such an
    action; of several episodes, of the last. Then what `Watcher.summary` tells: see the family's `exploration_summary`;
    in_view and in_view_share where the family tells what is informative.
    """
    episodes = recording.episodes
    transition, action = episodes.transition.numpy(), episodes.action.numpy()
    found = {"length": transition.sum(axis=1).astype(np.float64)}
    if env.end_action is not None:
        length = episodes.length.numpy()
        last = action[np.arange(len(action)), np.maximum(length - 1, 0)]
        found["ended"] = ((length > 0) & (last == env.end_action)).astype(np.float64)
    return found | recording.summary
