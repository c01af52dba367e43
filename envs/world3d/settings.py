"""Settings that families with worlds never seen in training share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NEW_WORLDS: Mapping[str, Any] = {
    # What is read must not depend on where it is in the frame
    "network.observation": "dream.core.pooled_frames:PooledFrames",
    # Walking does, and costs less so
    "explorer.observation": "dream.core.frames:FrameEncoder",
    # What an executor walks to is small from far away
    "executor.observation": "dream.core.pooled_frames:PlacedFrames",
    # Who looks for something must turn on, not back and forth
    "executor.previous_action": "observed",
    # One frame in ten shows what there is to read: the others are noise to g, and many labels average it out
    "learning.learning_rate": 1e-3,
    "learning.transition_batch_size": 1024,
    "learning.single_until": 0.03,
    # Values are small where rewards are sparse and far away: with the usual start and weight of the rate, f's codes
    # shrink below the noise before an executor can use them
    "bottleneck.init_scale": 1.0,
    "bottleneck.rate_weight": 1e-4,
}
